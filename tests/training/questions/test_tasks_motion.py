"""Motion questions: true by the trajectory, and silent where nobody could be sure."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from earshot.training.questions import generate  # noqa: F401  fills the table of tasks
from earshot.training.questions.items import TASKS, Balancer
from earshot.training.questions.tasks_motion import (
    COURSES,
    MovingView,
    course,
    motion_of,
    moving,
    view_moving_scene,
)
from earshot.training.questions.view import view_scene

Place = tuple[float, float, float]
STILL_HEAD: dict[str, Any] = {"id": "h", "yaw": [{"time_s": 0.0, "yaw_deg": 0.0}]}


def source(label: str, places: list[Place], onset_s: float = 0.0, offset_s: float = 5.0) -> dict[str, Any]:
    step_s = (offset_s - onset_s) / max(1, len(places) - 1)
    points = [
        {"time_s": onset_s + k * step_s, "azimuth_deg": a, "elevation_deg": e, "distance_m": d}
        for k, (a, e, d) in enumerate(places)
    ]
    return {"label": label, "onset_s": onset_s, "offset_s": offset_s, "level_db": -30.0, "trajectory": points}


def scene(*sources: dict[str, Any], head: dict[str, Any] = STILL_HEAD) -> dict[str, Any]:
    return {"id": "s", "duration_s": 6.0, "sources": list(sources), "head": head}


def straight(start: tuple[float, float], goal: tuple[float, float], count: int = 51) -> list[Place]:
    """Places on a straight line in the plane (x front, y left, metres)."""
    way = [
        (start[0] + (goal[0] - start[0]) * k / (count - 1), start[1] + (goal[1] - start[1]) * k / (count - 1))
        for k in range(count)
    ]
    return [(math.degrees(math.atan2(y, x)), 0.0, math.hypot(x, y)) for x, y in way]


STANDING = [(40.0, 0.0, 2.0)]


@pytest.mark.parametrize(
    ("places", "moves"),
    [
        (STANDING, False),
        (straight((3, 2), (3, -2)), True),
        (straight((6, 0), (2, 0)), True),
        (straight((3, 0.3), (3, -0.3)), None),  # 11 degrees: too little to be sure of, too much to be still
    ],
)
def test_whether_a_sound_moves(places: list[Place], moves: bool | None) -> None:
    assert motion_of(source("dog", places)).moves is moves


@pytest.mark.parametrize(
    ("places", "taken"),
    [
        (straight((6, 1), (2, 1)), "it comes closer"),
        (straight((2, 1), (6, 1)), "it goes away"),
        (STANDING, "it stays at the same distance"),
        (straight((4, 1), (-4, 1)), "it passes by"),
        (straight((3, 0), (2.4, 0)), None),
    ],
)
def test_the_course_of_a_sound(places: list[Place], taken: str | None) -> None:
    found = motion_of(source("dog", places)).course
    assert (None if found is None else COURSES[found]) == taken


def test_short_sounds_are_not_asked_about() -> None:
    short = motion_of(source("dog", straight((6, 1), (2, 1)), 0.0, 0.6))
    assert short.moves is None
    assert short.course is None


def drafts(made: Any, form: str, given: dict[str, Any], count: int = 20) -> list[Any]:
    return [made(view_moving_scene(given), form, random.Random(seed)) for seed in range(count)]


def test_yes_and_no_follow_the_trajectory() -> None:
    given = scene(source("dog", straight((3, 2), (3, -2))), source("rain", STANDING))
    for draft in drafts(moving, "yesno", given):
        assert draft.truth["yes"] == (draft.truth["label"] == "dog")
        assert draft.answer.startswith("Yes" if draft.truth["yes"] else "No")
        assert draft.balance.key == str(draft.truth["yes"])
    assert {draft.truth["yes"] for draft in drafts(moving, "yesno", given)} == {True, False}


def test_which_moves_needs_exactly_one_that_surely_does() -> None:
    dog, rain, cat = (
        source("dog", straight((3, 2), (3, -2))), source("rain", STANDING), source("cat", straight((1, 3), (-3, 3)))
    )  # fmt: skip
    (draft, *_) = drafts(moving, "choice", scene(dog, rain))
    assert draft.answer == "the dog"
    assert "the rain" in draft.wrong
    assert len({draft.answer, *draft.wrong}) == 4
    assert drafts(moving, "choice", scene(dog, cat)) == [None] * 20
    assert drafts(moving, "choice", scene(rain)) == [None] * 20


def test_nobody_asks_a_turning_or_walking_listener_what_moves() -> None:
    dog = source("dog", straight((3, 2), (3, -2)))
    turning = {"id": "h", "yaw": [{"time_s": 0.0, "yaw_deg": 0.0}, {"time_s": 2.0, "yaw_deg": 40.0}]}
    walking = {**STILL_HEAD, "way": [{"time_s": 0.0, "x_m": 0.0, "y_m": 0.0}, {"time_s": 2.0, "x_m": 1.0, "y_m": 0.0}]}
    for head in (turning, walking):
        assert drafts(moving, "yesno", scene(dog, head=head)) == [None] * 20
    # The distance is between the two, whoever moves.
    coming = source("dog", straight((6, 1), (2, 1)))
    assert all(draft.answer == "it comes closer" for draft in drafts(course, "choice", scene(coming, head=turning)))


def test_a_class_heard_twice_is_not_asked_about() -> None:
    dogs = [source("dog", straight((3, 2), (3, -2))), source("dog", STANDING)]
    assert drafts(moving, "yesno", scene(*dogs)) == [None] * 20
    assert {draft.truth["label"] for draft in drafts(course, "choice", scene(*dogs, source("rain", STANDING)))} == {
        "rain"
    }


def test_courses_offer_all_four_and_passing_by_is_no_yes_or_no() -> None:
    by = scene(source("dog", straight((4, 1), (-4, 1))))
    assert {draft.answer for draft in drafts(course, "choice", by)} == {"it passes by"}
    assert {frozenset((draft.answer, *draft.wrong)) for draft in drafts(course, "choice", by)} == {frozenset(COURSES)}
    assert drafts(course, "yesno", by) == [None] * 20
    away = drafts(course, "yesno", scene(source("dog", straight((2, 1), (6, 1)))))[0]
    assert away.answer == "No, it goes away."


def test_steps_state_both_halves_as_evidence_rounds() -> None:
    step = motion_of(source("dog", straight((6, 0), (2, 0)))).step
    assert step == "dog 0 to 0, 5.0 to 3.0 m"


def test_a_view_without_trajectories_gives_no_question() -> None:
    plain = view_scene(scene(source("dog", STANDING)))
    assert not isinstance(plain, MovingView)
    for task in (TASKS["moving"], TASKS["course"]):
        assert all(task.make(plain, form, random.Random(0)) is None for form in task.forms)


def test_balanced_answers_come_out_even() -> None:
    rng, balancer, kept = random.Random(0), Balancer(), []
    for _ in range(2000):
        places = rng.choice(
            [
                STANDING,
                STANDING,
                STANDING,
                straight((6, 1), (2, 1)),
                straight((2, 1), (6, 1)),
                straight((4, 1), (-4, 1)),
            ]
        )
        draft = course(view_moving_scene(scene(source("dog", places))), "choice", rng)
        if draft is not None and balancer.accept(draft.balance):
            kept.append(draft.answer)
    shares = [kept.count(text) / len(kept) for text in COURSES]
    assert min(shares) > 0.2
    assert max(shares) < 0.3
