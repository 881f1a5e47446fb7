"""Stands in for the hearable and its board."""
