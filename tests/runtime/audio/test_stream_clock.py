"""When a moment of the stream was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.stream_clock import StreamClock


@given(st.floats(0.0, 1e6), st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200))
def test_a_listener_that_lags_does_not_move_the_past(start_s: float, lags_s: list[float]) -> None:
    clock = StreamClock(live=True)
    for number, lag_s in enumerate([0.0, *lags_s], 1):
        clock.process(0.04 * number, start_s + 0.04 * number + lag_s)
    assert clock.machine_s(0.02) == pytest.approx(start_s + 0.02)


def test_it_follows_a_clock_that_drifts() -> None:
    clock = StreamClock(live=True)
    for number in range(1, 20_000):
        clock.process(0.04 * number, 0.04 * number * 1.001)
    end_s = 0.04 * 19_999
    assert clock.machine_s(end_s) == pytest.approx(1.001 * end_s, abs=0.07)


def test_what_a_recording_plays_is_heard_now() -> None:
    clock = StreamClock(live=False)
    clock.process(0.04, 100.0)
    clock.process(8.0, 101.0)
    assert clock.machine_s(7.98) == 101.0
