"""Scores a bundle on held-out heads, rooms, recordings; controls and baselines."""
