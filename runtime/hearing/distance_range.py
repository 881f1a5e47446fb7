"""How far a sound may really be that was heard at some distance: two ears tell little of it.

What tells a distance is how much of a sound comes straight and how much round the room (Zahorik et al., "Auditory distance
perception in humans", 2005). Where a room is dry, or the source radiates forwards, a far sound is like a near one.
"""

from __future__ import annotations

import numpy as np

HEARD_M = (0.45, 0.6, 0.85, 1.2, 1.9)
T60_S = (0.15, 0.27, 0.45, 0.8)
"""Middles of the classes that `NEAREST_M` and `FARTHEST_M` were counted in: distance heard, and T60 heard of the room."""
NEAREST_M = (
    (0.35, 0.37, 0.46, 0.60, 0.90),
    (0.33, 0.35, 0.45, 0.60, 1.00),
    (0.33, 0.35, 0.45, 0.60, 1.00),
    (0.33, 0.35, 0.45, 0.60, 1.00),
)
FARTHEST_M = (
    (3.00, 3.50, 3.80, 4.00, 4.50),
    (2.50, 3.00, 3.30, 3.80, 4.20),
    (0.90, 1.60, 2.50, 3.80, 5.00),
    (0.90, 1.60, 2.50, 3.80, 5.00),
)


def likely_range_m(heard_m: float, t60_s: float) -> tuple[float, float]:
    """Nearest and farthest distance of the middle eight of ten sounds that were heard so, metres.

    Parameters
    ----------
    heard_m : float
        Distance that the spatial network heard, positive.
    t60_s : float
        Reverberation time that it heard of the room, seconds, positive.
    """
    low, high = (_read(table, heard_m, t60_s) for table in (NEAREST_M, FARTHEST_M))
    return low, high


def _read(table: tuple[tuple[float, ...], ...], heard_m: float, t60_s: float) -> float:
    """Value between the four that lie around, in logarithms; at the rim the last one."""
    rows = [np.interp(np.log(heard_m), np.log(HEARD_M), np.log(row)) for row in table]
    return float(np.exp(np.interp(np.log(t60_s), np.log(T60_S), rows)))
