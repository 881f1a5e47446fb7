"""Binaural scenes with ground truth: sounds, heads, rooms, rendering."""
