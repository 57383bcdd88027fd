"""Tuned and base → one model that keeps both."""
