"""Vectors or terms → ranked documents."""
