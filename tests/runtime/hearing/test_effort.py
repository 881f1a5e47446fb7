"""Falling behind and catching up: declared steps, with hysteresis, from measured times alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.hearing.effort import Effort, EffortKeeper, EffortSettings, effort_for


def run(keeper: EffortKeeper, load_of_all: float, audio_s: float, chunk_s: float = 0.04) -> list[Effort]:
    """Changes while hearing every frame would be such a load."""
    changes = []
    for _ in range(round(audio_s / chunk_s)):
        change = keeper.process(load_of_all / keeper.effort.stride * chunk_s, chunk_s)
        changes += [change] if change else []
    return changes


def test_a_machine_that_keeps_up_is_left_alone() -> None:
    assert run(EffortKeeper(), 0.8, 60.0) == []


def test_less_is_done_step_by_step_and_more_again_step_by_step() -> None:
    keeper = EffortKeeper()
    assert run(keeper, 1.2, 30.0) == [Effort.HALF], "which is enough"
    assert run(keeper, 2.4, 30.0) == [Effort.HEARING_ONLY]
    assert run(keeper, 9.0, 30.0) == [], "there is nothing left to leave out"
    assert run(keeper, 0.3, 60.0) == [Effort.HALF, Effort.FULL]


def test_a_step_down_needs_seconds_and_a_step_up_needs_more() -> None:
    keeper = EffortKeeper()
    assert run(keeper, 1.5, 1.0) == []
    assert run(keeper, 0.2, 5.0) == []
    assert run(keeper, 1.5, 4.0) == [Effort.HALF]
    assert run(keeper, 0.2, 8.0) == []
    assert run(keeper, 0.2, 4.0) == [Effort.FULL]


@settings(max_examples=25, deadline=None)
@given(load=st.floats(0.61, 0.89), start=st.sampled_from(list(Effort)))
def test_no_load_makes_it_change_its_mind_twice(load: float, start: Effort) -> None:
    """Between the thresholds nothing happens; whatever is left stays left."""
    keeper = EffortKeeper(start)
    run(keeper, load, 60.0, 0.1)
    assert run(keeper, load, 120.0, 0.1) == []


@settings(max_examples=25, deadline=None)
@given(load=st.floats(0.0, 5.0), start=st.sampled_from(list(Effort)))
def test_a_steady_load_ends_in_one_state(load: float, start: Effort) -> None:
    keeper = EffortKeeper(start)
    assert len(run(keeper, load, 60.0, 0.1)) <= 2
    assert run(keeper, load, 60.0, 0.1) == []


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_reset_equals_a_fresh_object(pieces: list[int]) -> None:
    used, fresh = EffortKeeper(Effort.HALF), EffortKeeper(Effort.HALF)
    run(used, 3.0, 5.3)
    used.reset()
    told = [[keeper.process(0.03 * n, 0.02 * n) for n in pieces] for keeper in (used, fresh)]
    assert told[0] == told[1]
    assert used.effort is fresh.effort


@pytest.mark.parametrize(
    ("load", "effort"),
    [(0.03, Effort.FULL), (1.0, Effort.HALF), (2.0, Effort.HEARING_ONLY), (9.0, Effort.HEARING_ONLY)],
)
def test_the_self_test_chooses_what_the_machine_can_hold(load: float, effort: Effort) -> None:
    assert effort_for(load) is effort


def test_thresholds_that_would_oscillate_are_refused() -> None:
    with pytest.raises(ValueError, match="fits_load < over_load"):
        EffortSettings(over_load=0.5, fits_load=0.6)
