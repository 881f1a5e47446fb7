"""What an answer leaves open: front or behind, where the ears hear both alike, and how far."""

from __future__ import annotations

import math

import numpy as np
import pytest

from earshot.runtime.geometry import unit_vector
from earshot.runtime.hearing.distance_range import likely_range_m
from earshot.runtime.hearing.objects import DIRECTION, LOG_DISTANCE, OBJECT_WIDTH, POSTERIOR
from earshot.runtime.labels import class_id
from earshot.runtime.language.doubts import Doubts, doubts_about, doubts_of, unnamed
from tests.runtime.hearing.frames import lobe


def row(key: str, azimuth_deg: float, mirrored: float = 0.45, distance_m: float = 1.0) -> np.ndarray:
    """An object whose posterior holds a share at its mirror image."""
    out = np.zeros(OBJECT_WIDTH, np.float32)
    out[class_id(key)] = 1.0
    out[POSTERIOR] = (1.0 - mirrored) * lobe(azimuth_deg) + mirrored * lobe(180.0 - azimuth_deg)
    out[DIRECTION] = unit_vector(azimuth_deg, 0.0)
    out[LOG_DISTANCE] = math.log(distance_m)
    return out


DOG = class_id("dog")


@pytest.mark.parametrize("azimuth_deg", [40.0, 140.0, -40.0, 0.0, 180.0])
@pytest.mark.parametrize("mirrored", [0.0, 0.1, 0.45])
def test_a_sound_is_doubtful_when_its_mirror_image_is_nearly_as_likely(azimuth_deg: float, mirrored: float) -> None:
    assert bool(doubts_of(np.stack([row("dog", azimuth_deg, mirrored)]), 0.4).sides) == (mirrored > 0.3)


def test_beside_an_ear_there_is_nothing_to_confuse() -> None:
    assert doubts_of(np.stack([row("dog", 88.0)]), 0.4).sides == {}


@pytest.mark.parametrize(
    ("azimuth_deg", "words"),
    [
        (40.0, "the dog may be about 40 degrees to your left, in front or behind: to these ears both sound alike"),
        (-140.0, "the dog may be about 40 degrees to your right, in front or behind: to these ears both sound alike"),
        (180.0, "the dog may be straight ahead or directly behind you: to these ears both sound alike"),
    ],
)
def test_it_is_said_where_it_may_be(azimuth_deg: float, words: str) -> None:
    assert doubts_of(np.stack([row("dog", azimuth_deg)]), 0.4).sides == {DOG: words}


@pytest.mark.parametrize("distance_m", [0.4, 1.0, 3.0])
def test_how_far_it_may_be_is_said_of_every_sound(distance_m: float) -> None:
    low_m, high_m = likely_range_m(distance_m, 0.4)
    told = doubts_of(np.stack([row("dog", 40.0, 0.0, distance_m)]), 0.4).distances[DOG]
    assert told.startswith(f"the dog may be from {low_m:.1f} to {high_m:.1f} metres away")


SIDES, DISTANCES = "the dog may be in front or behind", "the dog may be near or far"
DOUBTS = Doubts({DOG: SIDES}, {DOG: DISTANCES})
EVIDENCE = "dog | 40 | 0 | 1.2 | 0.4-3.0\nasked: where dog"


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        ("Where is the dog?", "The dog is about 40 degrees to your left, 2 metres away.", [SIDES]),
        ("Where's the barking?", "It is behind you.", [SIDES]),
        ("What is in front of me?", "The dog.", [SIDES]),
        ("Is the dog behind me?", "No, it is in front of you.", [SIDES]),
        ("Which is further left, the dog or the voice?", "A) the dog", []),
        ("Which is closer, the dog or the voice?", "A) the dog", [DISTANCES]),
        ("How far is the dog?", "About 2 metres away.", [DISTANCES]),
        ("Which of them is farthest away?", "The dog.", [DISTANCES]),
        ("How far apart are the dog and the voice?", "40 degrees.", [SIDES]),
        ("What was the dog doing so far?", "It was barking.", []),
        ("Is the dog less distant than the voice?", "Yes.", [DISTANCES]),
        ("Is the dog within 2 m?", "Yes.", [DISTANCES]),
        ("Is the dog behind me, and how far?", "Yes, 2 metres away.", [SIDES, DISTANCES]),
        ("How far is the voice?", "About 2 metres away.", []),
        ("Where is the voice?", "The voice is straight ahead.", []),
        ("What is behind me?", "I hear nothing there.", [SIDES]),
        ("What is to my left?", "I hear nothing there.", []),
        ("How many sounds are in front of me?", "Two.", [SIDES]),
    ],
)
def test_it_is_told_where_the_answer_depends_on_it(question: str, answer: str, told: list[str]) -> None:
    assert list(doubts_about(question, answer, EVIDENCE, DOUBTS)) == told


def test_of_a_sound_that_the_model_does_not_believe_in_nothing_is_told() -> None:
    denied = "voice | 20 | 0 | 1.0 | 0.4-3.0\nasked: behind dog\ndog: none"
    assert doubts_about("Is the dog behind me?", "I can't hear a dog.", denied, DOUBTS) == ()
    assert doubts_about("What is behind me?", "I hear nothing there.", denied, DOUBTS) == ()
    assert doubts_about("Is the dog behind me?", "Yes.", "", DOUBTS)


@pytest.mark.parametrize(
    ("question", "asked", "told"),
    [
        ("Where is the trombone?", "where open sheep", "a sheep"),
        ("Is the unicorn louder than the dog?", "louder yesno rooster, dog", "a rooster"),
        ("Where are they?", "where open footsteps", "footsteps"),
        ("Which is it? the dog / the cat", "closer pair dog, cat", ""),
        ("Where's the barking?", "where open dog", ""),
        ("Is that the sharp crack of a drum kit?", "presence yesno snare drum", ""),
        ("Where is the person?", "where open voice", ""),
        ("Which animal do you hear?", "which kind frog", ""),
        ("What do you hear?", "what open", ""),
    ],
)
def test_an_answer_about_a_sound_that_nobody_named_says_so(question: str, asked: str, told: str) -> None:
    said = unnamed([question], "It is to your left.", f"dog | 40 | 0 | 1.2 | 0.4-3.0\nasked: {asked}\nsheep: none")
    assert said == ((f"this answer is about {told}, which the question does not name",) if told else ())


def test_of_an_answer_without_reasoning_nothing_is_said() -> None:
    assert unnamed(["Where is the trombone?"], "I can't hear a sheep.", "") == ()


def test_an_answer_that_names_what_was_neither_asked_about_nor_heard_says_so() -> None:
    heard = "the dog is closer than the voice"
    reasoning = "dog | 40 | 0 | 1.2 | 0.4-3.0\nvoice | 0 | 0 | 2.2 | 0.4-3.0\nasked: closer yesno dog, voice"
    assert unnamed(["Is the dog closer than the voice?"], f"Yes, {heard}.", reasoning) == ()
    assert unnamed(["Which is closest?"], "The dog.", reasoning.replace("yesno dog, voice", "extreme")) == ()
    said = unnamed(["Is the dog closer than the voice?"], "No, the ticking clock is closer than the dog.", reasoning)
    assert said == ("this answer names a ticking clock, which was neither asked about nor heard",)
