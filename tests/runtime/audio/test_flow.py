"""FlowClock: what is late and what was lost, by the clock alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.flow import FlowClock

RATE_HZ = 48_000
EVERY_S = 0.04


def clock() -> FlowClock:
    return FlowClock(RATE_HZ, lost_above_s=0.2, lost_after_s=3.0)


def flow(flow_clock: FlowClock, start_s: float, seconds: float, pace: float = 1.0) -> tuple[float, int]:
    """Even sound; returns when it ended and what was lost on the way."""
    steps = round(seconds / EVERY_S)
    count = round(pace * EVERY_S * RATE_HZ)
    lost = sum(flow_clock.process(count, start_s + (k + 1) * EVERY_S) for k in range(steps))
    return start_s + steps * EVERY_S, lost


def test_even_sound_is_neither_late_nor_lost() -> None:
    flowing = clock()
    _, lost = flow(flowing, 100.0, 20.0)
    assert lost == 0
    assert flowing.lag_s == pytest.approx(0.0, abs=1e-6)
    assert flowing.first_at_s == pytest.approx(100.0)
    assert flowing.last_at_s == pytest.approx(120.0)


def test_what_comes_late_is_late_and_not_lost() -> None:
    flowing = clock()
    end_s, _ = flow(flowing, 0.0, 5.0)
    assert flowing.process(round(EVERY_S * RATE_HZ), end_s + 1.0) == 0
    assert flowing.lag_s == pytest.approx(1.0 - EVERY_S)
    assert flowing.process(RATE_HZ, end_s + 1.0 + EVERY_S) == 0, "all the rest at once"
    assert flowing.lag_s == pytest.approx(0.0, abs=1e-6)


def test_what_does_not_come_was_lost_after_a_while() -> None:
    flowing = clock()
    end_s, _ = flow(flowing, 0.0, 5.0)
    end_s, lost = flow(flowing, end_s + 0.7, 2.8)
    assert lost == 0
    assert flowing.lag_s == pytest.approx(0.7, abs=1e-3)
    _, lost = flow(flowing, end_s, 1.0)
    assert lost == pytest.approx(0.7 * RATE_HZ, abs=2)
    assert flowing.lag_s == pytest.approx(0.0, abs=1e-3)


def test_what_the_sound_system_says_is_lost_was_lost_at_once() -> None:
    flowing = clock()
    end_s, _ = flow(flowing, 0.0, 5.0)
    assert flowing.process(RATE_HZ // 10, end_s + 0.4, broken=True) == pytest.approx(0.3 * RATE_HZ, abs=2)
    assert flowing.lag_s == pytest.approx(0.0, abs=1e-3)


def test_clocks_that_drift_are_no_loss() -> None:
    flowing = clock()
    _, lost = flow(flowing, 0.0, 3600.0, pace=1.0 - 1 / 1920)  # 520 ppm, more than any sound card
    assert lost == 0
    assert flowing.lag_s < 0.1


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=200))
def test_lateness_does_not_depend_on_how_often_sound_is_fetched(counts: list[int]) -> None:
    flowing, samples = clock(), 0
    for count in counts:
        samples += count
        assert flowing.process(count, 50.0 + samples / RATE_HZ) == 0
        assert flowing.lag_s == pytest.approx(0.0, abs=1e-6)


def test_reset_equals_a_fresh_object() -> None:
    flowing = clock()
    flow(flowing, 0.0, 1.0)
    flowing.process(10, 5.0)
    flowing.reset()
    assert (flowing.first_at_s, flowing.last_at_s, flowing.lag_s) == (None, 0.0, 0.0)
    assert flow(flowing, 9.0, 1.0)[1] == 0
    assert flowing.first_at_s == pytest.approx(9.0)
