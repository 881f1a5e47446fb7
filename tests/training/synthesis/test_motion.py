"""Ways and turns: speeds as promised, nothing through walls, nothing that jumps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.training.synthesis.motion import STEP_S, head_turns, keyframes, pass_by, still, travelled_m, walk

SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.floats(0.5, 2.0))
@settings(max_examples=25, deadline=None)
def test_walks_keep_to_their_speed_and_inside(seed: int, speed_m_s: float) -> None:
    rng = np.random.default_rng(seed)
    size = np.array([4.0, 3.0, 2.5])
    start = rng.uniform(0.2, size - 0.2)
    track = walk(start, lambda: rng.uniform(0.2, size - 0.2), speed_m_s, 5.0)
    speeds = np.linalg.norm(np.diff(track.values, axis=0), axis=1) / STEP_S
    assert speeds.max() <= speed_m_s * (1 + 1e-6)
    assert np.median(speeds) > 0.5 * speed_m_s
    assert (track.values >= 0.2 - 1e-9).all()
    assert (track.values <= size - 0.2 + 1e-9).all()
    assert track.values[:, 2] == pytest.approx(np.full(len(track.values), start[2]))
    # Rounded over half a second by a Hann window (peak 4 / s), a full reversal (twice the speed) takes 8 / s.
    assert np.abs(np.diff(track.values, 2, axis=0)).max() / STEP_S**2 < 9 * speed_m_s


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_heads_start_ahead_and_turn_as_heads_can(seed: int) -> None:
    yaw = head_turns(10.0, np.random.default_rng(seed)).values[:, 0]
    assert yaw[0] == 0.0
    assert np.abs(np.diff(yaw)).max() / STEP_S < 350
    assert np.abs(yaw).max() > 5


def test_a_vehicle_passes_at_its_distance_and_speed() -> None:
    rng = np.random.default_rng(4)
    track = pass_by(np.array([1.0, 2.0, 1.6]), 6.0, 0.5, 12.0, 8.0, rng)
    time = np.linspace(-0.5, 8.0, 4000)
    points = track.at(time)
    assert np.hypot(*(points[:, :2] - [1.0, 2.0]).T).min() == pytest.approx(6.0, abs=0.01)
    assert np.linalg.norm(np.diff(points, axis=0), axis=1) / np.diff(time) == pytest.approx(np.full(3999, 12.0))
    assert (points[:, 2] == 0.5).all()


def test_what_stands_stands() -> None:
    track = still(np.array([1.0, 2.0, 3.0]))
    assert track.still
    assert track.at(np.array([-1.0, 0.0, 9.0])).tolist() == [[1.0, 2.0, 3.0]] * 3
    assert travelled_m(track.at(np.linspace(0, 1, 5))) == 0


def test_responses_are_taken_anew_where_something_changes() -> None:
    assert len(keyframes(4.0, 0.0, 1.0)) == 2
    assert len(keyframes(4.0, 2.0, 0.0)) == 4
    assert len(keyframes(4.0, 100.0, 0.0)) == 12
