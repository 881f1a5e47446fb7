"""Answers leave front or back open exactly when what was heard does."""

from __future__ import annotations

import random

import numpy as np
import pytest

from earshot.runtime.hearing.objects import POSTERIOR, ProjectorInputs
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.labels import class_id
from earshot.training.benchmark.free_answers import denies, judge_free
from earshot.training.questions.generate import make_item
from earshot.training.questions.items import TASKS, Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.stages.hedging import hedged
from earshot.training.stages.ideal_hearing import ideal_inputs


def asked(azimuth_deg: float, task: str = "where", form: str = "open") -> tuple[Item, ProjectorInputs]:
    """A question about a dog at an azimuth, and what good ears hear of it."""
    rng = random.Random(3)
    scene = sample_scene(rng)
    point = {"time_s": 0.0, "azimuth_deg": azimuth_deg, "elevation_deg": 0.0, "distance_m": 2.0}
    dog = {"label": "dog", "onset_s": 1.0, "offset_s": 4.0, "level_db": -30.0, "trajectory": [point]}
    scene = {**scene, "sources": [dog]}
    while True:
        item = make_item(TASKS[task], form, view_moving_scene(scene), rng)  # type: ignore[arg-type]
        if item is not None and not item.truth.get("absent"):
            return item, ideal_inputs(scene, np.random.default_rng(0))


def with_posterior(audio: ProjectorInputs, azimuths_deg: list[float]) -> ProjectorInputs:
    """The same, with equal narrow lobes at some azimuths."""
    objects = audio.objects.copy()
    objects[0, POSTERIOR] = 0.0
    for azimuth_deg in azimuths_deg:
        objects[0, POSTERIOR.start + int((azimuth_deg + 180) // 10)] += 1.0 / len(azimuths_deg)
    return ProjectorInputs(audio.semantic, audio.scene, objects)


def test_the_slice_is_the_posterior_of_an_object() -> None:
    item, audio = asked(60.0)
    assert audio.objects[0, class_id("dog")] == 1.0
    assert lobe_azimuth_deg(audio.objects[0, POSTERIOR]) == pytest.approx(60.0, abs=15.0)
    assert item.task == "where"


@pytest.mark.parametrize(("azimuth_deg", "other"), [(30.0, "behind you"), (150.0, "in front of you")])
def test_a_mirror_image_as_likely_is_admitted_and_the_answer_stays_right(azimuth_deg: float, other: str) -> None:
    item, audio = asked(azimuth_deg)
    doubtful = hedged(item, with_posterior(audio, [azimuth_deg, 180.0 - azimuth_deg]))
    assert doubtful.answer == f"{item.answer} It may also be {other}, I am not sure."
    assert judge_free(doubtful, doubtful.answer)
    assert not denies(doubtful.answer)
    assert doubtful.think == item.think


def test_what_was_heard_clearly_is_said_plainly() -> None:
    item, audio = asked(30.0)
    assert hedged(item, with_posterior(audio, [30.0])) == item


def test_other_questions_stay_as_they_are() -> None:
    for task, form in (("where", "choice"), ("distance", "open"), ("turn", "open")):
        item, audio = asked(30.0, task, form)
        assert hedged(item, with_posterior(audio, [30.0, 150.0])) == item


def test_a_sound_that_was_taken_for_another_is_left_alone() -> None:
    item, audio = asked(30.0)
    doubtful = with_posterior(audio, [30.0, 150.0])
    doubtful.objects[0, : class_id("dog") + 1] = 0.0
    assert hedged(item, doubtful) == item
