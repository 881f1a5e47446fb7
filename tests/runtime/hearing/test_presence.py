"""Which slots are told of: those taken, and scouts that something is heard in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.hearing.presence import Presence, PresenceSettings, present
from earshot.runtime.hearing.slots import EMPTY, Allocation, SlotSettings, allocate


def doubtful_scene(frames: int = 50) -> Allocation:
    """Four scouts, none of them probable enough to take its slot; class 1 is the likeliest."""
    probabilities = np.zeros((frames, 61))
    probabilities[:, :4] = [0.03, 0.06, 0.05, 0.04]
    return allocate(probabilities, SlotSettings(lone_total=0.9))


def activity_of(allocation: Allocation, label: int, frames: slice, value: float = 0.8) -> np.ndarray:
    """Activity [T, 4] of one class only."""
    heard = np.zeros(allocation.asked.shape, np.float32)
    heard[frames] = value * (allocation.asked[frames] == label)
    return heard


def some_scene(seed: int) -> tuple[Allocation, np.ndarray]:
    """Probabilities around the thresholds, and activities."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random((12, 61)) < 0.06, 10, axis=0)
    allocation = allocate(np.where(loud, 0.4, 0.01) * rng.random((120, 61)))
    return allocation, rng.random((120, 4)).astype(np.float32)


def test_a_scout_that_sounds_is_told_of_after_a_moment_and_from_then_on() -> None:
    allocation = doubtful_scene()
    told = present(allocation, activity_of(allocation, 2, slice(20, 30)))
    assert (told[:23] == EMPTY).all()
    assert (np.sort(told[23:], axis=1)[:, -2:] == [EMPTY, 2]).all()


def test_a_scout_that_has_been_silent_for_the_hold_time_is_given_up_until_it_sounds_again() -> None:
    allocation = doubtful_scene(200)
    activity = activity_of(allocation, 2, slice(10, 20)) + activity_of(allocation, 2, slice(150, 160))
    told = (present(allocation, activity, PresenceSettings(hold_s=1.0)) == 2).any(axis=1)
    assert told[13:44].all()
    assert not told[45:153].any()
    assert told[153:178].all()
    assert not told[185:].any()


def test_of_several_the_likeliest_is_told_of_and_no_second_one() -> None:
    allocation = doubtful_scene()
    told = present(allocation, np.full(allocation.asked.shape, 0.9, np.float32))
    assert set(told[-1].tolist()) == {1, EMPTY}


def test_a_click_and_a_faint_activity_are_not_told_of() -> None:
    allocation = doubtful_scene()
    assert (present(allocation, activity_of(allocation, 2, slice(20, 23))) == EMPTY).all()
    assert (present(allocation, activity_of(allocation, 2, slice(0, 50), 0.45)) == EMPTY).all()


def test_while_a_taken_slot_sounds_no_scout_is_told_of() -> None:
    probabilities = np.zeros((50, 61))
    probabilities[:, :2] = [0.9, 0.06]
    allocation = allocate(probabilities)
    everything = np.full(allocation.asked.shape, 0.9, np.float32)
    np.testing.assert_array_equal(present(allocation, everything)[20:], allocation.classes[20:])
    assert 1 in present(allocation, activity_of(allocation, 1, slice(20, 50)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 120))
def test_streaming_in_pieces_equals_the_whole_clip_and_what_is_taken_is_always_told(seed: int, cut: int) -> None:
    allocation, activity = some_scene(seed)
    stage, whole = Presence(), present(allocation, activity)
    parts = [Allocation(*(v[piece] for v in vars(allocation).values())) for piece in (slice(0, cut), slice(cut, None))]
    told = np.concatenate(
        [stage.process(part, activity[:cut] if k == 0 else activity[cut:]) for k, part in enumerate(parts)]
    )
    np.testing.assert_array_equal(told, whole)
    np.testing.assert_array_equal(whole[allocation.taken], allocation.asked[allocation.taken])
    stage.reset()
    np.testing.assert_array_equal(stage.process(allocation, activity), whole)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="activity must be 0 to 1"):
        PresenceSettings(activity=2.0)
