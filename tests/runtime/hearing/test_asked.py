"""Asking by name: what a window holds of a class that was not told of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.asked import MOST_ASKED, POSSIBLE, ask_by_name, possible_classes, rounds
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.hearing.objects import (
    MAX_OBJECTS,
    OBJECT_WIDTH,
    POSTERIOR,
    TIMELINE,
    WHERE,
    class_of,
    gather_objects,
    object_rows,
)
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import Tokens
from earshot.runtime.labels import load_labels
from earshot.runtime.language.heard import asked_rows, embed
from tests.runtime.hearing.sounds import Samples, bursts, noise
from tests.runtime.tiny_bundle import LOW_CLASS

OTHER_CLASS = 50


def window_of(
    encoders: Encoders, samples: Samples, chunk: int = 640, yaw_at: Callable[[float], float | None] | None = None
) -> HearingWindow:
    hearing = Hearing(encoders)
    hearing.yaw_at = yaw_at
    for start in range(0, samples.shape[1], chunk):
        hearing.process(AudioChunk(samples[:, start : start + chunk], start))
    return hearing.window()


def question_about(label: int) -> str:
    return f"Where is {load_labels()[label].definite}?"


def test_a_window_keeps_the_frames_of_its_tokens(encoders: Encoders) -> None:
    window = window_of(encoders, noise(12.3))
    assert len(window.tokens) == 25
    assert len(window.frames) == 250
    assert window.frames[-1].time_s == pytest.approx(12.0)
    short = window_of(encoders, noise(1.9))
    assert (len(short.tokens), len(short.frames)) == (4, 40)


def test_what_is_asked_for_is_heard_where_it_sounds(encoders: Encoders) -> None:
    window = window_of(encoders, noise(4.0, left=0.2, right=0.02))
    row = ask_by_name(encoders, window.frames, [OTHER_CLASS])[0]
    told = object_rows(window.tokens)[LOW_CLASS]
    assert class_of(row) == OTHER_CLASS
    assert row[WHERE].argmax() == told[WHERE].argmax(), "the tiny network hears every class at the louder ear"
    assert row[2 * CLASSES : 2 * CLASSES + TIMELINE].any()


def test_what_was_heard_before_a_turn_is_told_of_from_where_the_head_looks_now(encoders: Encoders) -> None:
    """It had been told of where it was for the head of then, and a question after a turn was answered with that."""
    sound = np.concatenate([noise(4.0, left=0.2, right=0.02), noise(2.0, 1e-5, 1e-5)], axis=1)
    question = question_about(OTHER_CLASS)
    still = window_of(encoders, sound)
    turned = window_of(encoders, sound, yaw_at=lambda time_s: 0.0 if time_s < 5.0 else 90.0)
    for frame in (*still.frames, *turned.frames):
        frame.class_probability[OTHER_CLASS] = 0.2  # possible, so that naming it asks for it
    for one, other in (
        (object_rows(still.tokens)[LOW_CLASS], object_rows(turned.tokens)[LOW_CLASS]),
        (asked_rows(encoders, still, question)[0], asked_rows(encoders, turned, question)[0]),
    ):
        left_deg, ahead_deg = lobe_azimuth_deg(one[POSTERIOR]), lobe_azimuth_deg(other[POSTERIOR])
        assert left_deg > 40.0 and ahead_deg == pytest.approx(left_deg - 90.0, abs=3.0)
        (x, y), (u, v) = one[POSTERIOR.stop :][:2], other[POSTERIOR.stop :][:2]
        assert (u, v) == pytest.approx((y, -x), abs=0.05)


@pytest.mark.parametrize("yaw_deg", [None, 0.0, -130.0])
def test_a_head_that_looks_one_way_is_told_what_it_hears(encoders: Encoders, yaw_deg: float | None) -> None:
    known = window_of(encoders, bursts(), yaw_at=lambda _: yaw_deg)
    np.testing.assert_array_equal(known.tokens.slots, window_of(encoders, bursts()).tokens.slots)


def test_more_classes_than_slots_are_asked_for_in_turns_and_alike(encoders: Encoders) -> None:
    window = window_of(encoders, bursts())
    wanted = [3, 9, 14, 22, 41, 50]
    rows = ask_by_name(encoders, window.frames, wanted)
    assert [class_of(row) for row in rows] == wanted
    for label, row in zip(wanted, rows, strict=True):
        np.testing.assert_allclose(ask_by_name(encoders, window.frames, [label])[0], row, atol=1e-5)


def test_what_was_told_of_is_asked_for_beside_it() -> None:
    assert rounds([7]) == [([7], [7])]
    assert rounds([7], [1, 2, 3, 4]) == [([7], [7, 1, 2, 3])]
    assert rounds([7, 8, 9], [1, 2]) == [([7, 8], [7, 8, 1, 2]), ([9], [9, 1, 2])]
    assert rounds([5, 6, 7, 8, 9], []) == [([5, 6, 7, 8], [5, 6, 7, 8]), ([9], [9])]


def test_what_is_asked_for_does_not_depend_on_the_chunking(encoders: Encoders) -> None:
    small, large = (window_of(encoders, bursts(), chunk) for chunk in (640, 7_000))
    np.testing.assert_array_equal(*(ask_by_name(encoders, w.frames, [OTHER_CLASS]) for w in (small, large)))


def test_while_the_encoders_rest_nothing_is_computed_again(encoders: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros((2, 12 * 16_000), np.float32)
    window = window_of(encoders, np.concatenate([noise(2.0), silence], axis=1))
    network, steps = encoders.network("spatial"), 0
    run = type(network).run

    def counted(self, inputs, state):
        nonlocal steps
        steps += 1
        return run(self, inputs, state)

    monkeypatch.setattr(type(network), "run", counted)
    ask_by_name(encoders, window.frames, [OTHER_CLASS])
    assert steps < len(window.frames) / 2


def test_only_possible_classes_are_asked_for() -> None:
    probabilities = np.zeros((100, CLASSES))
    probabilities[20:60, 5] = 2 * POSSIBLE
    probabilities[20:60, 6] = 0.9 * POSSIBLE
    probabilities[50:, 8] = 0.9
    probabilities[30, 9] = 3 * POSSIBLE  # one frame is no sound
    assert possible_classes(probabilities) == [8, 5]
    assert possible_classes(probabilities, [5, 6, 7]) == [5]
    assert possible_classes(np.zeros((0, CLASSES))) == []
    assert len(possible_classes(np.ones((50, CLASSES)))) == MOST_ASKED


def test_a_question_that_names_nothing_new_costs_nothing(encoders: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    window = window_of(encoders, noise(4.0))
    assert LOW_CLASS in object_rows(window.tokens)

    def refuse(*_: object) -> None:
        raise AssertionError("nothing was to be computed")

    monkeypatch.setattr(type(encoders.network("spatial")), "run", refuse)
    for question in ("How many sounds are there?", question_about(LOW_CLASS), question_about(OTHER_CLASS)):
        assert asked_rows(encoders, window, question).shape == (0, OBJECT_WIDTH)


def test_a_question_and_its_options_bring_what_they_name(encoders: Encoders) -> None:
    window = window_of(encoders, bursts())
    likely = [frame.class_probability for frame in window.frames]
    label = int(np.argsort(np.mean(likely, axis=0))[-4])  # the likeliest one that no slot was given to
    for probability in likely:
        probability[label] = 0.2
    named = load_labels()[label].definite
    assert class_of(asked_rows(encoders, window, f"Where is {named}?")[0]) == label
    assert class_of(asked_rows(encoders, window, "What is that?", ["a thing", named])[0]) == label
    more, others = (embed(encoders, window, text) for text in (f"Where is {named}?", "What is that?"))
    assert len(more.embeddings) == len(others.embeddings) + 1
    assert set(more.names or ()) - set(others.names or ()) == {load_labels()[label].spoken}


def test_asked_rows_join_the_others_in_order_of_onset_and_are_never_left_out() -> None:
    slots = np.zeros((20, 4, 107), np.float32)
    for index in range(9):
        slots[index : index + 2, index % 4, index] = 1.0
        slots[index : index + 2, index % 4, 61:66] = 1.0
    tokens = Tokens(np.zeros((20, 317), np.float32), np.zeros((20, 134), np.float32), slots)
    row = np.zeros(OBJECT_WIDTH, np.float32)
    row[OTHER_CLASS], row[2 * CLASSES + 2], same = 1.0, 0.9, object_rows(tokens)[3]
    rows = gather_objects(tokens, np.stack([row, same]))
    assert len(rows) == MAX_OBJECTS + 1
    classes = [class_of(each) for each in rows[:-1]]
    assert classes.count(OTHER_CLASS) == 1
    assert classes.count(3) <= 1
    assert classes.index(OTHER_CLASS) == 1, "it began after the first one"
