"""How far a sound may really be, by how far it was heard and how reverberant the room is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from earshot.runtime.hearing.distance_range import FARTHEST_M, HEARD_M, NEAREST_M, T60_S, likely_range_m

EVERYWHERE = [(heard_m, t60_s) for heard_m in np.geomspace(0.05, 20.0, 30) for t60_s in np.geomspace(0.02, 4.0, 20)]


def test_the_table_is_read_where_it_was_counted() -> None:
    for t60_s, near, far in zip(T60_S, NEAREST_M, FARTHEST_M, strict=True):
        for column, heard_m in enumerate(HEARD_M):
            assert likely_range_m(heard_m, t60_s) == pytest.approx((near[column], far[column]))


def test_a_range_is_one_everywhere() -> None:
    assert all(0.2 < low_m < high_m < 10.0 for low_m, high_m in (likely_range_m(*place) for place in EVERYWHERE))


def test_what_is_heard_farther_away_is_not_told_to_be_nearer() -> None:
    for t60_s in (0.1, 0.3, 0.6):
        ranges = [likely_range_m(heard_m, t60_s) for heard_m in np.geomspace(0.3, 4.0, 20)]
        assert all(a[0] <= b[0] + 1e-9 and a[1] <= b[1] + 1e-9 for a, b in pairwise(ranges))
