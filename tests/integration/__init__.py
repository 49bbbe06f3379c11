"""Whole pytest runs with the real plugin."""
