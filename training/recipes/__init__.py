"""Whole curricula with their expected minutes."""
