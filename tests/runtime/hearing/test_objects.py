"""Objects: all that was heard of one class is one row, in order of onset; nothing depends on which slot held it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.hearing.objects import (
    LEVEL,
    MAX_OBJECTS,
    OBJECT_WIDTH,
    PEAK_LEVEL,
    gather_objects,
    projector_inputs,
)
from earshot.runtime.hearing.tokens import SLOT_LAYOUT, Tokens

LABEL, HEARD_AS, TIMELINE, POSTERIOR = slice(0, 61), slice(61, 122), slice(122, 247), slice(247, 283)
DIRECTION, DISTANCE, FIRST, SECOND = slice(283, 286), 286, slice(288, 292), slice(292, 296)


def tokens_of(lives: list[tuple[int, int, range]], count: int = 25, seed: int = 0) -> Tokens:
    """Tokens in which (slot, label, tokens) are held with full activity; the rest of their cells is random."""
    rng = np.random.default_rng(seed)
    slots = np.zeros((count, 4, 107), np.float32)
    for slot, label, span in lives:
        for token in span:
            slots[token, slot, label] = 1.0
            slots[token, slot, SLOT_LAYOUT["activity"]] = 1.0
            slots[token, slot, SLOT_LAYOUT["where"]] = rng.random(41)
    semantic, scene = rng.random((count, 317)), rng.random((count, 134))
    return Tokens(semantic.astype(np.float32), scene.astype(np.float32), slots)


def test_one_class_in_two_slots_one_after_the_other_is_one_object() -> None:
    rows = gather_objects(tokens_of([(0, 7, range(2, 5)), (3, 7, range(9, 12))]))
    assert rows.shape == (2, OBJECT_WIDTH)
    assert rows[0, LABEL].argmax() == 7
    steps = np.flatnonzero(rows[0, TIMELINE])
    assert steps.tolist() == [*range(10, 25), *range(45, 60)]


def test_rows_come_in_order_of_onset_and_end_with_a_row_of_zeros() -> None:
    rows = gather_objects(tokens_of([(0, 30, range(8, 20)), (1, 4, range(3, 5)), (2, 50, range(0, 25))]))
    assert rows[:-1, LABEL].argmax(axis=1).tolist() == [50, 4, 30]
    assert not rows[-1].any()


def test_silence_is_the_end_mark_alone() -> None:
    assert gather_objects(tokens_of([])).shape == (1, OBJECT_WIDTH)
    assert not gather_objects(tokens_of([])).any()


def test_where_is_the_mean_over_the_tokens_that_sound_most_where_it_is_heard_for_what_it_is() -> None:
    tokens = tokens_of([(1, 5, range(4, 8))])
    tokens.slots[4:6, 1, SLOT_LAYOUT["activity"]] = 0.0
    tokens.semantic[4:8, 5 - 61] = 0.0, 0.0, 0.78, 0.18
    where = 0.8 * tokens.slots[6, 1, SLOT_LAYOUT["where"]] + 0.2 * tokens.slots[7, 1, SLOT_LAYOUT["where"]]
    row = gather_objects(tokens)[0]
    np.testing.assert_allclose(row[POSTERIOR], where[:36], atol=4e-3)
    np.testing.assert_allclose(row[DIRECTION], where[36:39], atol=4e-3)
    assert row[DISTANCE] == pytest.approx(where[39], abs=4e-3)
    tokens.semantic[4:8, 5 - 61] = 0.0  # not heard at all for what it is: all count alike
    alike = tokens.slots[6:8, 1, SLOT_LAYOUT["where"]].mean(axis=0)
    np.testing.assert_allclose(gather_objects(tokens)[0][POSTERIOR], alike[:36], atol=4e-3)


@given(st.floats(-2.0, 4.0), st.floats(-3.0, 0.0))
@settings(max_examples=20)
def test_levels_are_told_beside_the_loudest_sound_whatever_the_gain(gain: float, quieter: float) -> None:
    tokens = tokens_of([(0, 5, range(0, 10)), (1, 9, range(4, 12))])
    tokens.slots[:, 0, 66 + 40], tokens.slots[:, 1, 66 + 40] = gain, gain + quieter
    rows = gather_objects(tokens)
    np.testing.assert_allclose(rows[:, LEVEL], [0.0, quieter, 0.0], atol=1e-4)
    np.testing.assert_allclose(rows[:, PEAK_LEVEL], [0.0, quieter, 0.0], atol=1e-4)


def test_the_level_of_a_sound_is_that_of_its_mean_power() -> None:
    tokens = tokens_of([(0, 5, range(0, 10)), (1, 9, range(0, 10))])
    tokens.slots[:, :2, 66 + 40] = 0.0
    tokens.semantic[:] = 0.5  # heard alike for what they are
    tokens.slots[:5, 0, 66 + 40] = -6.0  # silent half of the time
    assert gather_objects(tokens)[0, LEVEL] == pytest.approx(np.log10(0.5), abs=0.05)


def test_a_moving_sound_differs_between_its_halves() -> None:
    tokens = tokens_of([(0, 5, range(0, 10))])
    tokens.slots[:, 0, 66 + 36] = np.linspace(-1.0, 1.0, 25)
    row = gather_objects(tokens)[0]
    assert row[FIRST][0] < row[SECOND][0] - 0.3


def test_of_too_many_classes_the_least_heard_are_left_out() -> None:
    lives = [(label % 4, label, range(2 * (label // 4), 2 * (label // 4) + 1 + (label < 8))) for label in range(12)]
    rows = gather_objects(tokens_of(lives))
    assert len(rows) == MAX_OBJECTS + 1
    assert set(rows[:-1, LABEL].argmax(axis=1)) == set(range(8))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 25))
def test_which_slot_holds_a_sound_does_not_matter(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    lives = []
    for slot, label in enumerate(rng.permutation(61)[:4]):
        begin, end = np.sort(rng.integers(0, count + 1, 2))
        lives.append((slot, int(label), range(begin, end)))
    tokens = tokens_of(lives, count, seed)
    moved = Tokens(tokens.semantic, tokens.scene, np.ascontiguousarray(tokens.slots[:, rng.permutation(4)]))
    np.testing.assert_allclose(gather_objects(moved), gather_objects(tokens), atol=1e-5)


def test_moments_are_means_of_two_tokens_and_the_last_may_be_alone() -> None:
    tokens = tokens_of([], count=5)
    inputs = projector_inputs(tokens)
    assert inputs.semantic.shape == (3, 317)
    np.testing.assert_allclose(inputs.scene[1], tokens.scene[2:4].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(inputs.scene[2], tokens.scene[4], rtol=1e-5)
    assert len(inputs) == 4
