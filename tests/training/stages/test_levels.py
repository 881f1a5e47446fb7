"""Levels in the evidence of questions about levels, and in no others."""

from __future__ import annotations

import random

import pytest

from earshot.runtime.language.prompt import parse_evidence
from earshot.training.questions.generate import make_item, make_levels_item
from earshot.training.questions.items import TASKS
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.stages.examples import split_think
from earshot.training.stages.levels import reads_levels, with_levels


@pytest.mark.parametrize("seed", range(6))
def test_every_line_ends_with_the_level_of_its_sound(seed: int) -> None:
    rng = random.Random(seed)
    scene = sample_scene(rng)
    item = make_levels_item(view_moving_scene(scene), rng)
    assert item is not None
    told = with_levels(item, scene)
    if not scene["sources"]:
        assert told == item
        return
    loudest = max(source["level_db"] for source in scene["sources"])
    true = sorted(round(source["level_db"]) - round(loudest) for source in scene["sources"])
    lines = parse_evidence(told.think)
    assert sorted(line.level_db for line in lines if line.level_db is not None) == true
    assert split_think(told.think)[1] == split_think(item.think)[1]
    assert [line.label for line in lines] == [line.label for line in parse_evidence(item.think)]


def test_other_questions_stay_as_they_are() -> None:
    rng = random.Random(4)
    scene = sample_scene(rng)
    item = make_item(TASKS["what"], "open", view_moving_scene(scene), rng)
    assert item is not None and not reads_levels(item)
    assert with_levels(item, scene) is item
