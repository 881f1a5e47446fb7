"""Options that give nothing away: sets closed under mirroring or turning, or random subsets of a fixed grid.

If every member of a set of options would have produced the same set had it been the truth, then the set says nothing
about which member is true. All numeric and directional options are made in one of these two ways.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from earshot.training.questions.view import SECTORS, sector_of, side_words, wrap_int

SECTOR_MARGIN_DEG = 6.0


def turned(azimuth_deg: int) -> tuple[int, ...]:
    """The azimuth and itself turned by 90, 180 and 270 degrees; truth first."""
    return tuple(wrap_int(azimuth_deg + turn) for turn in (0, 90, 180, 270))


def mirrored(azimuth_deg: int) -> tuple[int, ...]:
    """The azimuth, mirrored left/right, front/back, and both; truth first."""
    return tuple(wrap_int(value) for value in (azimuth_deg, -azimuth_deg, 180 - azimuth_deg, 180 + azimuth_deg))


def degree_options(azimuth_deg: int, rng: random.Random) -> tuple[str, ...]:
    """Four directions in degrees, at least 30 degrees apart; truth first."""
    to_axis = abs(wrap_int(azimuth_deg)) % 90
    use_mirror = 20 <= to_axis <= 70 and rng.random() < 0.7
    return tuple(side_words(value) for value in (mirrored(azimuth_deg) if use_mirror else turned(azimuth_deg)))


def sector_options(azimuth_deg: int, rng: random.Random) -> tuple[str, ...] | None:
    """Four of the eight sectors, truth first; None when the direction is near a border."""
    sector = sector_of(azimuth_deg, SECTOR_MARGIN_DEG)
    if sector is None:
        return None
    if rng.random() < 0.6:
        return tuple(SECTORS[(sector + step) % 8] for step in (0, 2, 4, 6))
    others = rng.sample([index for index in range(8) if index != sector], 3)
    return (SECTORS[sector], *(SECTORS[index] for index in others))


def direction_options(azimuth_deg: int, rng: random.Random) -> tuple[str, ...] | None:
    """Four directions in words or degrees, truth first; None when ambiguous."""
    if rng.random() < 0.55:
        return sector_options(azimuth_deg, rng)
    return degree_options(azimuth_deg, rng)


def grid_options(index: int, grid: Sequence[str], rng: random.Random) -> tuple[str, ...]:
    """The truth `grid[index]` and three others of the grid; truth first."""
    others = rng.sample([other for other in range(len(grid)) if other != index], 3)
    return (grid[index], *(grid[other] for other in others))
