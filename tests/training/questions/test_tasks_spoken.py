"""Questions without options: answers against scenes worked out by hand, and by the judge of free answers."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from earshot.training.benchmark.free_answers import judge_free
from earshot.training.questions.generate import (
    generate_items,
    item_stream,
    make_levels_item,
    make_rare_item,
    make_spoken_item,
)
from earshot.training.questions.items import Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_motion import MovingView, view_moving_scene
from earshot.training.questions.view import LABELS
from tests.training.questions.test_truth import TWO, scene_of

LEVELS = ("L1", "L2", "L3")
# Beside TWO, in which the dog is to the front left and the voice to the right.
THREE = scene_of(
    ("dog", 90.0, 1.0, 0.0, 4.0, -20.0), ("speech", -90.0, 3.0, 2.0, 7.0, -30.0), ("rain", 180.0, 6.0, 1.0, 7.9, -30.0)
)


def view_of(scene: dict[str, Any]) -> MovingView:
    """A scene as a listener who keeps still hears it."""
    return view_moving_scene({"head": {"yaw": [{"time_s": 0.0, "yaw_deg": 0.0}]}, **scene})


def spoken(scene: dict[str, Any], kind: str, tries: int = 4000) -> list[Item]:
    """Questions of one kind of a scene."""
    rng, view = random.Random(3), view_of(scene)
    made = (make_spoken_item(level, view, rng) for level in LEVELS for _ in range(tries))
    return [item for item in made if item is not None and f"asked: {kind}" in item.think]


def of(items: list[Item]) -> set[str]:
    """Answers about sounds that are there."""
    return {item.answer for item in items if not item.truth.get("absent")}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("closer pair", "The dog is closer."), ("louder pair", "The dog is louder."), ("earlier pair", "The dog starts first."),
        ("ends later pair", "The voice ends last."), ("twice dog, voice", "Then the dog would be closer."),
        ("walk nearer dog", "Then the dog would be closer."), ("farther pair", "The voice is farther away."),
        ("quieter pair", "The voice is quieter."), ("later pair", "The voice starts later."),
        ("ends earlier pair", "The dog ends first."), ("farther extreme", "The voice."), ("later extreme", "The voice."),
    ],
)  # fmt: skip
def test_the_winner_is_named_in_a_sentence(kind: str, answer: str) -> None:
    assert of(spoken(TWO, kind)) == {answer}


def test_a_pair_of_which_one_is_not_there_is_denied_by_its_name() -> None:
    items = [item for item in spoken(TWO, "closer pair") if item.truth.get("absent")]
    assert items
    for item in items:
        label = next(label for label in LABELS if label.key == item.truth["label"])
        assert item.answer == f"I can't hear {label.article}." and f"{label.spoken}: none" in item.think
        assert label.key not in ("dog", "speech")


def test_what_is_in_front_after_a_turn_is_what_was_there_before() -> None:
    for item in spoken(THREE, "turn front"):
        way = item.think.partition("asked: turn front ")[2].partition("\n")[0]
        front = {
            "90 degrees left": "Then the dog is in front of you.", "90 degrees right": "Then the voice is in front of you.",
            "around": "Then the rain is in front of you.",
        }  # fmt: skip
        if way in front:
            assert item.answer == front[way], item
        elif way not in ("60 degrees left", "60 degrees right", "120 degrees left", "120 degrees right"):
            assert "150" in way or item.answer == "Then nothing is in front of you.", item
    assert len(of(spoken(THREE, "turn front"))) == 3


def test_the_angle_between_two_has_no_side() -> None:
    assert of(spoken(TWO, "between")) == {"130 degrees"}
    assert of(spoken(scene_of(("dog", 170.0, 1, 0, 4, -20), ("speech", -150.0, 1, 0, 4, -20)), "between")) == {
        "40 degrees"
    }


def test_the_other_end_of_left_is_right() -> None:
    scene = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", -60.0, 3.0, 2.0, 7.0, -30.0))
    assert of(spoken(scene, "further right pair")) == {"The voice is further right."}
    said = of(spoken(scene, "further right yesno"))
    assert said == {"Yes, the voice is further right than the dog.", "No, the voice is further right than the dog."}


def test_a_side_is_asked_about_as_a_whole() -> None:
    scene = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", -130.0, 3.0, 2.0, 7.0, -30.0))
    assert of(spoken(scene, "side open on my left")) == {"The dog."}
    assert all("\nleft: dog" in item.think for item in spoken(scene, "side open on my left"))
    assert of(spoken(scene, "any at yesno behind me")) == {"Yes, the voice."}
    alone = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0))
    assert of(spoken(alone, "any at yesno behind me")) == {"No, I hear nothing there."}


def said_of(kind: str, scene: dict[str, Any]) -> set[str]:
    """Answers of one kind without what varies: the distance that some add to a place."""
    return {re.sub(r",( about| roughly)? [\d.]+ metres away", "", text) for text in of(spoken(scene, kind))}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("closer where", "The dog is about 90 degrees to your left."),
        ("farther where", "The rain is straight behind you."),
        ("louder where", "The dog is about 90 degrees to your left."),
        ("earlier where", "The dog is about 90 degrees to your left."),
        ("later where", "The voice is about 90 degrees to your right."),
    ],
)
def test_the_nearest_or_first_of_all_is_asked_for_its_place(kind: str, answer: str) -> None:
    assert said_of(kind, THREE) == {answer}


def test_nothing_is_the_quietest_where_two_are_of_one_level() -> None:
    assert not spoken(THREE, "quieter where")


def test_the_nearest_of_all_is_found_before_its_place_is_read_off() -> None:
    item = spoken(THREE, "farther where")[0]
    assert item.think.endswith("asked: farther where\nfar: dog 1.0, rain 6.0, voice 3.0: 6.0 rain\nrain 180")


def test_the_nearest_of_all_is_asked_for_its_distance() -> None:
    assert {text.replace("about", "roughly") for text in of(spoken(THREE, "farther far"))} == {
        "The rain is roughly 6.0 metres away."
    }
    silent = {**scene_of(), "sources": []}
    assert {item.answer for item in spoken(silent, "closer far")} == {"I can't hear any sound."}


def test_levels_of_all_sounds_are_stated_re_the_loudest() -> None:
    item = make_levels_item(view_of(THREE), random.Random(0))
    assert item is not None and item.answer == (
        "The dog is the loudest, the rain 10 decibels quieter and the voice 10 decibels quieter."
    )
    assert item.think.endswith("asked: levels\nlevel: dog 0, rain -10, voice -10")
    alone = make_levels_item(view_of(scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0))), random.Random(0))
    assert alone is not None and alone.answer == "I only hear the dog."
    silent = make_levels_item(view_of({**scene_of(), "sources": []}), random.Random(0))
    assert silent is not None and silent.truth == {"absent": True}


def test_of_rare_kinds_those_that_few_scenes_allow_come_first() -> None:
    ahead = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", -60.0, 3.0, 2.0, 7.0, -30.0))
    asked = {rare(ahead, seed).think.partition("asked: ")[2].partition("\n")[0] for seed in range(40)}
    assert asked == {"further left extreme", "further right extreme"}
    behind = scene_of(("dog", 40.0, 1.0, 0.0, 4.0, -20.0), ("speech", -130.0, 3.0, 2.0, 7.0, -30.0))
    others = {
        rare(scene, seed).think.partition("asked: ")[2].split()[0] for scene in (THREE, behind) for seed in range(100)
    }
    assert others == {"ends", "side", "height", "seen"}


def rare(scene: dict[str, Any], seed: int) -> Item:
    view, rng = view_of(scene), random.Random(seed)
    return next(item for _ in range(50) if (item := make_rare_item(view, rng)) is not None)


def test_whether_anything_moves_names_what_does() -> None:
    scene = scene_of(("dog", 0.0, 1.0, 0.0, 4.0, -20.0), ("speech", -90.0, 3.0, 0.0, 4.0, -30.0))
    assert of(spoken(scene, "moving any")) == {"No, nothing is moving."}
    path = [{"time_s": t, "azimuth_deg": 20.0 * t, "elevation_deg": 0.0, "distance_m": 1.0} for t in range(5)]
    scene["sources"][0]["trajectory"] = path
    moving = spoken(scene, "moving any")
    assert of(moving) == {"Yes, the dog is moving."}
    assert all(item.think.endswith("\nmoving: dog") for item in moving)


def test_what_is_where_tells_of_every_sound() -> None:
    text = "The dog is about 90 degrees to your left, the rain straight behind you and the voice about 90 degrees to your right."
    assert text in of(spoken(THREE, "where all"))


def test_a_turn_without_degrees_is_a_quarter_turn() -> None:
    plain = [item for item in spoken(THREE, "turn front 90 degrees left") if "90" not in item.question]
    assert any("left" in item.question for item in plain)


def test_heights_and_places_of_people_are_stated() -> None:
    assert of(spoken(TWO, "height")) == {"The dog is at ear height.", "The voice is at ear height."}
    scene = scene_of(("cow", 0.0, 2.0, 0.0, 4.0, -20.0), ("pig", 180.0, 2.0, 0.0, 4.0, -20.0))
    assert of(spoken(scene, "situation")) == {"Probably on a farm."}
    assert of(spoken(scene, "seen from cow")) == {"The cow is further to the front than the pig."}


@pytest.mark.parametrize("kind", ["turn ", "face", "apart", "walk distance", "seen from", "turn to"])
def test_sounds_that_are_not_there_are_asked_about_in_every_such_question(kind: str) -> None:
    assert any(
        item.truth.get("absent") and item.answer.startswith(("I can't", "There is no")) for item in spoken(TWO, kind)
    )


def test_the_judge_of_free_answers_takes_the_answer_and_no_other() -> None:
    rng = random.Random(8)
    made = [make_spoken_item(level, view_moving_scene(sample_scene(rng)), rng) for level in LEVELS for _ in range(600)]
    items = [item for item in made if item is not None]
    assert len(items) > 400
    assert all(judge_free(item, item.answer) for item in items)
    wrong = sum(judge_free(item, rng.choice(items).answer) for item in items)
    assert wrong < 0.4 * len(items)


def test_training_asks_without_options_and_frozen_sets_do_not() -> None:
    def asked(split: str) -> set[str]:
        scenes = [sample_scene(random.Random(n), f"s{n}") for n in range(300)]
        rng = random.Random(4)
        return {i.task for s in scenes for i in generate_items(s, rng, 6, split=split) if i.form == "open"}  # type: ignore[arg-type]

    new = {"turn_front", "walk", "twice", "seen_from", "height"}
    assert new <= asked("train") and not new & asked("paraphrase")


def test_the_same_seed_asks_the_same() -> None:
    first, second = (list(zip(range(60), item_stream(5), strict=False)) for _ in range(2))
    assert first == second
