"""Slot allocation: who gets one of the four places, who keeps it, who gives it up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.runtime.hearing.slots import CLASSES, EMPTY, SLOTS, SlotAllocator, SlotSettings, allocate


def silence(frames: int) -> NDArray[np.float64]:
    return np.zeros((frames, CLASSES))


def busy_scene(seed: int, frames: int = 120) -> NDArray[np.float64]:
    """Class probabilities that switch on and off, more classes at once than there are slots."""
    rng = np.random.default_rng(seed)
    on = rng.random((frames // 10, CLASSES)) < 0.08
    return np.repeat(on, 10, axis=0) * rng.uniform(0.2, 1.0, (1, CLASSES))


def test_a_sure_class_takes_the_first_slot_within_a_quarter_of_a_second() -> None:
    probabilities = silence(25)
    probabilities[:, 17] = 1.0
    found = allocate(probabilities)
    start = int(np.argmax(found.classes[:, 0] == 17))
    assert 0 < start * 0.04 <= 0.25
    assert (found.classes[start:, 0] == 17).all()
    assert (found.classes[:, 1:] == EMPTY).all()


def test_a_class_was_scouted_for_since_its_onset_when_it_takes_its_slot() -> None:
    probabilities = silence(50)
    probabilities[10:, 17] = 0.5
    found = allocate(probabilities)
    took = int(np.argmax(found.taken.any(axis=1)))
    slot = int(np.argmax(found.taken[took]))
    assert took > 12
    assert (found.asked[10:, slot] == 17).all()
    assert found.keep[10, slot] == 0.0
    assert (found.keep[11:] == 1.0).all(), "what the scout has heard is not forgotten"


def test_scouts_ask_for_the_likeliest_classes_and_do_not_hop() -> None:
    probabilities = silence(50)
    probabilities[:, :6] = [0.01, 0.06, 0.05, 0.04, 0.03, 0.02]
    probabilities[25:, 5] = 0.035
    found = allocate(probabilities, SlotSettings(lone_total=0.9))
    assert not found.taken.any()
    assert set(found.asked[-1].tolist()) == {1, 2, 3, 4}, "0.035 is not twice as likely as 0.03"
    probabilities[25:, 5] = 0.08
    assert 5 in allocate(probabilities, SlotSettings(lone_total=0.9)).asked[-1]


def test_a_slot_survives_a_pause_of_one_second_and_not_of_three() -> None:
    probabilities = silence(25 * 6)
    probabilities[:25, 5] = 0.9
    probabilities[50:75, 5] = 0.9
    classes = allocate(probabilities).classes
    assert (classes[25:75, 0] == 5).all()
    assert (classes[-1] == EMPTY).all()


def test_a_fifth_class_must_be_clearly_stronger_than_the_weakest_holder() -> None:
    probabilities = silence(150)
    probabilities[:, :4] = [0.5, 0.9, 0.9, 0.9]
    probabilities[75:, 10] = 0.6
    assert (allocate(probabilities).classes != 10).all(), "0.6 against 0.5 is within the margin"
    probabilities[75:, 10] = 0.9
    found = allocate(probabilities)
    slot = int(np.argmax(found.classes[70] == 0))
    assert found.classes[-1, slot] == 10
    assert found.keep[75:, slot].min() == 0.0


def test_class_zero_in_a_slot_is_not_an_empty_slot() -> None:
    probabilities = silence(50)
    probabilities[:, 0] = 1.0
    probabilities[:, 1] = 0.9
    assert set(allocate(probabilities).classes[-1].tolist()) == {0, 1, EMPTY}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 120))
def test_streaming_in_pieces_equals_the_whole_clip(seed: int, cut: int) -> None:
    probabilities = busy_scene(seed)
    stage = SlotAllocator()
    parts = [stage.process(probabilities[:cut]), stage.process(probabilities[cut:])]
    for name, whole in vars(allocate(probabilities)).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), whole)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 119))
def test_the_future_changes_nothing(seed: int, cut: int) -> None:
    probabilities = busy_scene(seed)
    other = probabilities.copy()
    other[cut:] = busy_scene(seed + 1)[cut:]
    for name, value in vars(allocate(probabilities)).items():
        np.testing.assert_array_equal(value[:cut], getattr(allocate(other), name)[:cut])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_class_is_asked_for_twice_and_keep_marks_exactly_the_changes(seed: int) -> None:
    found = allocate(busy_scene(seed))
    for row in found.asked:
        asked = row[row != EMPTY]
        assert len(set(asked.tolist())) == len(asked)
    assert (found.asked[found.taken] != EMPTY).all()
    previous = np.concatenate([np.full((1, SLOTS), EMPTY), found.asked[:-1]])
    np.testing.assert_array_equal(found.keep == 0.0, found.asked != previous)


def test_reset_equals_a_fresh_allocator() -> None:
    stage = SlotAllocator()
    stage.process(busy_scene(1))
    stage.reset()
    again, fresh = stage.process(busy_scene(2)), allocate(busy_scene(2))
    for name, value in vars(fresh).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="0 <= off <= on <= 1"):
        SlotSettings(on_threshold=0.1, off_threshold=0.4)
    with pytest.raises(ValueError, match="scout_factor at least 1"):
        SlotSettings(scout_factor=0.5)


def test_a_wrong_number_of_classes_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\(3, 60\) given, \[frames, 61\] needed"):
        allocate(np.zeros((3, 60)))


def test_a_doubtful_sound_gets_a_slot_only_while_no_other_has_one() -> None:
    doubtful = np.full((50, 61), 0.01)
    doubtful[:, 7] = 0.25
    alone = allocate(doubtful).classes
    assert alone[-1].tolist() == [7, -1, -1, -1]
    with_another = doubtful.copy()
    with_another[:, 3] = 0.9
    beside = allocate(with_another).classes
    assert 7 not in beside[-1]


def test_a_sound_of_no_sure_kind_has_a_direction_too_and_keeps_its_slot() -> None:
    doubtful = np.full((250, 61), 0.012)
    doubtful[:, 7] = 0.06
    classes = allocate(doubtful).classes
    assert (classes[25:, 0] == 7).all()
    faint = np.full((100, 61), 0.003)
    assert (allocate(faint).classes == EMPTY).all()
