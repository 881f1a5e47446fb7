"""Sides of the head: what is on the left, the right, in front or behind as a whole, and what lies too near a border to say."""

from __future__ import annotations

from collections.abc import Sequence

from earshot.training.questions.view import Heard, wrap_int

SIDES = {"left": 90, "right": -90, "front": 0, "behind": 180}
"""Azimuth of the middle of each side, degrees. Questions draw from them in this order: frozen sets depend on it."""
ACROSS = {"left": "right", "right": "left", "front": "behind", "behind": "front"}
INSIDE_DEG, OUTSIDE_DEG = 75, 105
"""So near a side's middle is on that side, so far is not; nothing is asked about what lies between."""


def parted(heard: Sequence[Heard], side: str) -> tuple[list[Heard], list[str]] | None:
    """The sounds on a side, and for each of all sounds the side it is on: this one or the one across.

    Returns
    -------
    tuple of list or None
        None where a sound is neither clearly on the side nor clearly off it.
    """
    gaps = [abs(wrap_int(source.azimuth_deg - SIDES[side])) for source in heard]
    if any(INSIDE_DEG < gap < OUTSIDE_DEG for gap in gaps):
        return None
    words = [side if gap <= INSIDE_DEG else ACROSS[side] for gap in gaps]
    return [source for source, word in zip(heard, words, strict=True) if word == side], words
