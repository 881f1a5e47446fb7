"""What a source may be: a posterior over kinds, and when the kind is doubtful."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.hearing.beliefs import beliefs, rival
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.tracks import Tracker, TrackSnapshot
from earshot.runtime.labels import class_id
from earshot.runtime.scene.now import names_of
from tests.runtime.hearing.frames import Heard, frame

DOG, CAT, RAIN = class_id("dog"), class_id("cat"), class_id("rain")


@given(st.lists(st.floats(0.0, 1.0), min_size=61, max_size=61), st.permutations(range(61)))
def test_a_posterior_adds_up_to_one_and_does_not_depend_on_the_order_of_classes(
    p: list[float], order: list[int]
) -> None:
    told = beliefs(np.array(p), 61)
    assert sum(belief.probability for belief in told) == pytest.approx(1.0)
    assert [b.probability for b in told] == sorted((b.probability for b in told), reverse=True)
    moved = beliefs(np.array(p)[list(order)], 61)
    assert [b.probability for b in moved] == pytest.approx([b.probability for b in told])


def test_it_is_that_of_exactly_one_of_independent_kinds() -> None:
    p = np.array([0.5, 0.2, 0.1])
    alone = np.array([0.5 * 0.8 * 0.9, 0.5 * 0.2 * 0.9, 0.5 * 0.8 * 0.1])
    assert [belief.probability for belief in beliefs(p)] == pytest.approx(alone / alone.sum())


def heard(dog: float, cat: float, cat_has_a_slot: bool = False) -> TrackSnapshot:
    """A track of a dog after two seconds in which dog and cat were so probable."""
    tracker, latest = Tracker(), []
    for number in range(1, 51):
        slots = [Heard(DOG, probability=dog), Heard(CAT, 90.0, probability=cat) if cat_has_a_slot else None]
        one: HearingFrame = frame(number, slots)
        one.class_probability[CAT] = cat
        latest = tracker.process(one) or latest
    return latest[0].tracks[0]


def test_a_doubtful_kind_is_named_with_its_rival() -> None:
    assert names_of(heard(0.4, 0.35)) == "dog, or cat"
    assert names_of(heard(0.9, 0.35)) == "dog"
    assert names_of(heard(0.1, 0.6)) == "dog, or cat", "the slot was taken for a dog, and it sounds more like a cat now"


def test_what_sounds_in_another_slot_is_no_rival() -> None:
    track = heard(0.8, 0.8, cat_has_a_slot=True)
    assert rival(track.classes, track.class_id) is None
    assert CAT not in [belief.class_id for belief in track.classes[:1]]


def test_three_kinds_are_told_with_their_probabilities() -> None:
    told = heard(0.6, 0.3).as_dict()["classes"]
    assert [kind["label"] for kind in told][:2] == ["Dog", "Cat"]
    assert len(told) == 3
    assert told[0]["probability"] > told[1]["probability"] > told[2]["probability"]
    assert sum(kind["probability"] for kind in told) <= 1.0


def test_a_track_of_which_nothing_is_known_has_no_kinds() -> None:
    blank = TrackSnapshot(1, DOG, True, 0.5, 0.0, 0.0, 2.0, 10.0, False, 0.0, 1.0, np.zeros(36))
    assert blank.classes == ()
    assert names_of(blank) == "dog"
    assert RAIN != DOG
