"""Evidence under the names and in the order that hearing gave."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from earshot.runtime.hearing.objects import CLASSES, OBJECT_WIDTH, ProjectorInputs, class_of
from earshot.runtime.labels import class_id, load_labels
from earshot.runtime.language.prompt import ASKED, NOTHING_HEARD, parse_evidence
from earshot.training.questions.generate import generate_items, make_item
from earshot.training.questions.items import TASKS, Item
from earshot.training.questions.scenes import Scene, sample_scene
from earshot.training.questions.tasks_motion import view_moving_scene
from earshot.training.stages.aligned import aligned, tells_unheard
from earshot.training.stages.ideal_hearing import ideal_inputs

SPOKEN = {label.key: label.spoken for label in load_labels()}


def scene_with(count: int, seed: int = 0) -> Scene:
    """A scene of so many sources of different classes, at least a second and 40 degrees apart."""
    rng = random.Random(seed)
    while True:
        scene = sample_scene(rng)
        sources = scene["sources"]
        onsets = sorted(source["onset_s"] for source in sources)
        places = [source["trajectory"][0]["azimuth_deg"] for source in sources]
        apart = all(abs((a - b + 180) % 360 - 180) > 40 for i, a in enumerate(places) for b in places[:i])
        classes = {source["label"] for source in sources}
        if len(classes) == len(sources) == count and apart and min(np.diff(onsets), default=1.0) > 0.4:
            return scene


def question(scene: Scene, task: str, form: str, seed: int = 0) -> Item:
    view, rng = view_moving_scene(scene), random.Random(seed)
    return next(item for _ in range(500) if (item := make_item(TASKS[task], form, view, rng)))  # type: ignore[arg-type]


def called(heard: ProjectorInputs, row: int, key: str) -> ProjectorInputs:
    """The same objects, one of them under another name."""
    objects = heard.objects.copy()
    objects[row, :CLASSES] = np.eye(CLASSES)[class_id(key)]
    return replace(heard, objects=objects)


def names_of(item: Item) -> list[str]:
    return [evidence.label for evidence in parse_evidence(item.think)]


def absent_key(scene: Scene, *more: str) -> str:
    taken = {source["label"] for source in scene["sources"]} | set(more)
    return next(label.key for label in load_labels() if label.key not in taken)


@pytest.mark.parametrize("seed", range(8))
def test_ideal_hearing_leaves_everything_as_it_is(seed: int) -> None:
    scene = scene_with(2, seed)
    heard = ideal_inputs(scene, np.random.default_rng(seed))
    for item in generate_items(scene, random.Random(seed), 6):
        assert aligned(item, heard) == item


def test_a_sound_heard_under_another_name_is_told_of_under_that_name() -> None:
    scene = scene_with(2, 3)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "count", "choice")
    true = names_of(item)
    other = absent_key(scene)
    told = aligned(item, called(heard, 0, other))
    assert names_of(told) == [SPOKEN[other], true[1]]
    assert told.think.split("\n")[0].partition(" | ")[2] == item.think.split("\n")[0].partition(" | ")[2]
    assert told.think.partition(ASKED)[2] == item.think.partition(ASKED)[2]


def test_open_answers_use_the_names_of_the_evidence() -> None:
    scene = scene_with(1, 5)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "what", "open")
    other = absent_key(scene)
    told = aligned(item, called(heard, 0, other))
    assert names_of(told) == [SPOKEN[other]]
    assert SPOKEN[other] in told.answer
    assert names_of(item)[0] not in told.answer


def test_what_the_question_names_keeps_its_name() -> None:
    scene = scene_with(1, 5)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "turn_to", "number")
    told = aligned(item, called(heard, 0, absent_key(scene)))
    assert told.think.partition(ASKED)[2] == item.think.partition(ASKED)[2]
    assert told.answer == item.answer


def test_an_object_that_the_question_asks_for_stands_for_no_other_sound() -> None:
    scene = scene_with(1, 5)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "count", "choice")
    asked = absent_key(scene)
    told = aligned(replace(item, question=f"Is there {SPOKEN[asked]}?"), called(heard, 0, asked))
    assert told.think.startswith(f"{NOTHING_HEARD}\n{ASKED}")


def test_a_sound_that_no_object_stands_for_is_left_out() -> None:
    scene = scene_with(3, 7)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "count", "choice")
    true = names_of(item)
    deaf = replace(heard, objects=np.delete(heard.objects, 1, axis=0))
    assert names_of(aligned(item, deaf)) == [true[0], true[2]]
    nothing = replace(heard, objects=heard.objects[-1:])
    assert aligned(item, nothing).think.startswith(f"{NOTHING_HEARD}\n{ASKED}")


def test_answers_and_steps_that_tell_of_what_was_not_heard_are_found() -> None:
    scene = scene_with(3, 7)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    deaf = replace(heard, objects=np.delete(heard.objects, 1, axis=0))
    for task, form, invented in (("what", "open", True), ("earlier", "open", True), ("count", "choice", False)):
        item = question(scene, task, form)
        assert not tells_unheard(item, aligned(item, heard))
        assert tells_unheard(item, aligned(item, deaf)) is invented, task


def test_what_the_question_names_may_be_told_of() -> None:
    scene = scene_with(1, 5)
    nothing = replace(ideal_inputs(scene, np.random.default_rng(0)), objects=np.zeros((1, OBJECT_WIDTH), np.float32))
    item = question(scene, "turn_to", "number")
    assert not tells_unheard(item, aligned(item, nothing))


def test_a_sound_heard_under_another_name_is_not_unheard() -> None:
    scene = scene_with(1, 5)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "what", "open")
    assert not tells_unheard(item, aligned(item, called(heard, 0, absent_key(scene))))


def test_another_time_or_place_is_another_sound() -> None:
    scene, elsewhere = scene_with(1, 5), scene_with(1, 6)
    heard = ideal_inputs(elsewhere, np.random.default_rng(0))
    assert class_of(heard.objects[0]) != class_id(scene["sources"][0]["label"])
    item = question(scene, "count", "choice")
    assert aligned(item, heard).think.startswith(NOTHING_HEARD)


def test_lines_stand_in_the_order_of_the_objects() -> None:
    scene = scene_with(2, 3)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "count", "choice")
    turned = replace(heard, objects=heard.objects[[1, 0, 2]])
    assert names_of(aligned(item, turned)) == names_of(item)[::-1]


def test_lines_in_random_order_keep_what_they_say() -> None:
    scene = scene_with(3, 7)
    heard = ideal_inputs(scene, np.random.default_rng(0))
    item = question(scene, "count", "choice")
    orders = {tuple(names_of(aligned(item, heard, random.Random(seed)))) for seed in range(20)}
    assert len(orders) == 6
    one = aligned(item, heard, random.Random(1))
    assert sorted(one.think.split("\n")) == sorted(item.think.split("\n"))
