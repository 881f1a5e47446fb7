"""Free answers are judged by what they say about the scene."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from earshot.training.benchmark.free_answers import (
    count_in,
    denies,
    direction_in,
    height_in,
    judge_free,
    labels_in,
    metres_in,
    numbers_in,
    says_yes,
)
from earshot.training.questions.generate import generate_items, make_item
from earshot.training.questions.items import TASKS, Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene


def item(task: str, form: str, answer: str, **truth: Any) -> Item:
    return Item("x", "s", "L1", task, form, "?", None, answer, None, "", truth)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "azimuth_deg"),
    [
        ("The dog is about 35 degrees to your left, 2 metres away.", 35),
        ("35 degrees right", -35),
        ("turn right by 120 degrees", -120),
        ("at 2 o'clock", -60),
        ("azimuth -40 degrees", -40),
        ("straight behind you", 180),
        ("straight ahead", 0),
        ("front left", 45),
        ("to the back right", -135),
        ("on your left", 90),
        ("in front of you", 0),
    ],
)
def test_directions(text: str, azimuth_deg: float) -> None:
    found = direction_in(text)
    assert found is not None
    assert found[0] == azimuth_deg


def test_no_direction_no_number_no_yes() -> None:
    assert direction_in("The dog barks.") is None
    assert direction_in("20 degrees up") is None
    assert metres_in("far away") is None
    assert count_in("many") is None
    assert says_yes("Perhaps.") is None
    assert height_in("over there") is None


@pytest.mark.parametrize(
    ("text", "metres"),
    [("2 metres", 2.0), ("about 1.5 m away", 1.5), ("80 cm", 0.8), ("30 degrees left, 4 meters", 4.0)],
)
def test_distances(text: str, metres: float) -> None:
    assert metres_in(text) == pytest.approx(metres)


def test_numbers_heights_counts() -> None:
    assert numbers_in("from 0.4 to 4.4 seconds") == [0.4, 4.4]
    assert numbers_in("0.4-4.4 s, -3") == [0.4, 4.4, -3]
    assert (height_in("20 degrees up"), height_in("10 degrees down"), height_in("at ear height")) == (20, -10, 0)
    assert (count_in("three"), count_in("There are 2."), count_in("none")) == (3, 2, 0)


@pytest.mark.parametrize(
    ("text", "denial"),
    [
        ("I can't hear a dog.", True),
        ("There is no dog here.", True),
        ("I don\u2019t hear it", True),
        ("Nothing sounds there.", True),
        ("The dog is not present.", True),
        ("The dog is about 30 degrees to your left.", False),
        ("It is not far away: 2 metres.", False),
        ("2.1 metres", False),
        ("You hear it from 0.4 to 4.4 seconds.", False),
    ],
)
def test_denials(text: str, denial: bool) -> None:
    assert denies(text) is denial


def test_the_longest_name_wins_and_synonyms_count() -> None:
    assert labels_in("an alarm clock and dogs") == [frozenset({"clock_alarm"}), frozenset({"dog"})]
    assert frozenset({"insects_flying"}) in labels_in("the fly")


@pytest.mark.parametrize(
    ("truth", "text", "right"),
    [
        ({"labels": ["dog", "cat"]}, "I hear a cat and a dog.", True),
        ({"labels": ["dog", "cat"]}, "I hear a dog.", False),
        ({"labels": ["dog"]}, "I hear a dog and a cat.", False),
        ({"labels": []}, "I can't hear any sound.", True),
        ({"labels": []}, "I hear rain.", False),
    ],
)
def test_sets_of_sounds_must_be_exact(truth: Mapping[str, Any], text: str, right: bool) -> None:
    assert judge_free(item("what", "open", "", **truth), text) is right


def test_a_sound_that_stopped_may_be_mentioned() -> None:
    question = item("stop_nearest", "open", "", stopped="dog", label="cat")
    assert judge_free(question, "When the dog stops, the cat is nearest.")
    assert not judge_free(question, "Then the rain is the nearest.")


def test_tolerances() -> None:
    where = item("where", "open", "", label="dog", azimuth_deg=30.0)
    assert judge_free(where, "50 degrees left")
    assert not judge_free(where, "51 degrees left")
    assert judge_free(where, "front left"), "30 degrees lie within the sector"
    assert not judge_free(where, "30 degrees right")
    near = item("distance", "number", "2 metres", distance_m=2.0)
    assert judge_free(near, "2.5 metres")
    assert not judge_free(near, "2.6 metres")
    when = item("when", "open", "", onset_s=1.0, offset_s=4.0)
    assert judge_free(when, "from 1.4 to 3.6 seconds")
    assert not judge_free(when, "from 1.4 to 4.6 seconds")
    lasts = item("when", "number", "3.0 seconds", onset_s=1.0, offset_s=4.0)
    assert judge_free(lasts, "about 3.4 s")
    assert not judge_free(lasts, "1.0 seconds"), "the onset was not asked for"


def test_an_absent_sound_is_rightly_denied() -> None:
    absent = item("where", "open", "", label="dog", absent=True)
    assert judge_free(absent, "There is no dog here.")
    assert not judge_free(absent, "35 degrees to your left.")


def test_reference_answers_of_all_tasks_are_right() -> None:
    """What the questions' own generator says about a scene must pass, but for numbers at the edge of a rounding."""
    rng = random.Random(3)
    free = [i for n in range(150) for i in generate_items(sample_scene(rng, f"s{n}"), rng, 6) if i.form != "choice"]
    forms = [(task, form) for task in TASKS.values() for form in task.forms if form != "choice"]
    views = [view_moving_scene(sample_scene(rng, f"t{n}")) for n in range(120)]
    for task, form in forms:
        made = [item for view in views if (item := make_item(task, form, view, rng)) is not None]
        assert made, (task.name, form)
        free += made[:5]
    wrong = [(i.task, i.form, i.question, i.answer) for i in free if not judge_free(i, i.answer)]
    assert len({i.task for i in free}) > 15
    assert wrong == []
