"""Answers against scenes worked out by hand, and against arithmetic done anew here."""

from __future__ import annotations

import math
import random
from typing import Any

from earshot.training.questions.generate import make_item
from earshot.training.questions.items import TASKS, Form, Item
from earshot.training.questions.view import view_scene


def scene_of(*sources: tuple[str, float, float, float, float, float]) -> dict[str, Any]:
    """A scene of (label, azimuth, distance, onset, offset, level) at ear height."""
    return {
        "id": "hand", "duration_s": 8.0,
        "sources": [
            {
                "label": label, "onset_s": on, "offset_s": off, "level_db": level,
                "trajectory": [{"time_s": 0.0, "azimuth_deg": az, "elevation_deg": 0.0, "distance_m": d}],
            }
            for label, az, d, on, off, level in sources
        ],
    }  # fmt: skip


TWO = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", -90.0, 3.0, 2.0, 7.0, -30.0))
CLOSE = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", 50.0, 1.2, 0.2, 4.2, -22.0))


def items_of(scene: dict[str, Any], task: str, form: Form, tries: int = 300) -> list[Item]:
    rng = random.Random(1)
    view = view_scene(scene)
    made = (make_item(TASKS[task], form, view, rng) for _ in range(tries))
    return [item for item in made if item is not None]


def test_the_nearer_of_two_is_the_answer() -> None:
    for item in items_of(TWO, "closer", "choice"):
        winner = item.truth.get("winner")
        if winner is None or set(item.truth["labels"]) == {"dog", "speech"}:
            assert item.answer.endswith("the dog")
        else:
            assert item.answer.endswith("only one of them can be heard")


def test_differences_too_small_to_hear_are_not_asked() -> None:
    for task in ("closer", "earlier", "ends_later", "louder", "further_left"):
        assert not items_of(CLOSE, task, "yesno")
        assert not items_of(CLOSE, task, "open")


def test_levels_are_told_beside_the_loudest_sound() -> None:
    """No listener knows the gain of the microphones, so no level re full scale can be read from what it hears."""
    for gain_db in (0.0, 9.0):
        scene = {**TWO, "sources": [{**source, "level_db": source["level_db"] + gain_db} for source in TWO["sources"]]}
        steps = {line for item in items_of(scene, "louder", "open") for line in item.think.split("\n")}
        assert steps & {"level: dog 0, voice -10: 0 dog", "level: voice -10, dog 0: 0 dog"}, steps


def test_turning_left_moves_a_sound_to_the_right() -> None:
    for item in items_of(TWO, "turn", "number"):
        exact = item.truth["azimuth_deg"]
        side = "left" if 0 < exact < 180 else "right"
        if 2 < abs(exact) < 178:
            assert item.answer == f"{abs(round(exact))} degrees {side}", item
    step = next(i for i in items_of(TWO, "turn", "number") if "turn left 90: 40" in i.think)
    assert step.answer == "50 degrees right" and "40 - 90 = -50" in step.think


def test_wrap_around_is_written_out() -> None:
    scene = scene_of(("dog", -120.0, 1.0, 0.0, 4.0, -20.0))
    step = next(i for i in items_of(scene, "turn", "number") if "turn left 90" in i.think)
    assert "-120 - 90 = -210 + 360 = 150" in step.think and step.answer == "150 degrees left"


def test_facing_one_sound_shows_the_other_at_the_difference() -> None:
    answers = {item.answer for item in items_of(TWO, "face", "number")}
    assert answers == {"130 degrees left", "130 degrees right"}


def test_walking_uses_the_law_of_cosines() -> None:
    scene = scene_of(("dog", 0.0, 4.0, 0.0, 4.0, -20.0), ("speech", 90.0, 3.0, 0.0, 7.0, -30.0))
    seen = 0
    for item in items_of(scene, "walk", "choice"):
        walk_line = item.think.split("\n")[-3]  # then the other sound, then the option
        if "at 90 ->" in item.think and walk_line.startswith("dog"):
            walked = float(walk_line.split(" - ")[1].split(" =")[0])
            stated = float(item.think.split("-> ")[1].split(";")[0])
            assert math.isclose(stated, math.hypot(3.0, walked), abs_tol=0.051)
            seen += 1
    assert seen > 10


def test_a_sound_that_is_not_there_is_not_invented() -> None:
    absent = [item for item in items_of(TWO, "where", "open") if item.truth.get("absent")]
    assert absent
    assert all(item.truth["label"] not in ("dog", "speech") and ": none" in item.think for item in absent)


def test_the_degrees_of_an_absent_sound_are_asked_for_in_words_about_degrees() -> None:
    """They were asked for in the words of the open question, so that no wording about degrees was ever answered by a denial."""
    items = items_of(TWO, "where", "number")
    asked = {absent: {item.think.split("asked: ")[1][:12] for item in items if bool(item.truth.get("absent")) == absent}
             for absent in (False, True)}  # fmt: skip
    assert asked == {False: {"where number"}, True: {"where number"}}


def test_a_moving_source_is_stated_where_it_is_in_the_middle() -> None:
    scene = scene_of(("dog", 0.0, 1.0, 0.0, 4.0, -20.0))
    places = [{"time_s": t, "azimuth_deg": 20.0 * t, "elevation_deg": 0.0, "distance_m": 1.0} for t in range(5)]
    scene["sources"][0]["trajectory"] = places
    assert view_scene(scene).heard[0].azimuth_deg == 40
