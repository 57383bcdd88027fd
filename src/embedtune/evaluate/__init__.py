"""Ranked documents → numbers that can be trusted."""
