"""Controls change what they should and nothing else."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.hearing.objects import TIMELINE, projector_inputs
from earshot.runtime.hearing.slots import CLASSES, SLOTS
from earshot.runtime.hearing.tokens import SCENE_WIDTH, SEMANTIC_WIDTH, SLOT_LAYOUT, SLOT_WIDTH, Tokens
from earshot.training.benchmark.controls import (
    mirrored_item,
    mirrored_question,
    mirrored_text,
    rotated_item,
    without_semantic,
    without_spatial,
)
from earshot.training.questions.generate import generate_items, make_item, tasks_of
from earshot.training.questions.items import Item
from earshot.training.questions.phrasing import phrasings
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.view import view_scene
from earshot.training.stages.bank import mirrored


def items_of(seed: int) -> list[Item]:
    rng = random.Random(seed)
    return [i for i in generate_items(sample_scene(rng), rng, 6, split="paraphrase") if i.choices]


SAID = {
    "x": ("the dog",), "y": ("the cat",), "ax": ("a dog",), "m": ("2",), "t": ("3",), "way": ("left", "right"),
    "dir": ("left", "back right", "35 degrees left", "front left", "behind"), "place": ("on my left", "behind me"),
    "turn": ("90 degrees right", "around"), "path": ("to my left", "straight ahead"),
}  # fmt: skip


def filled(template: str) -> Iterator[tuple[str, str]]:
    """Fillings of a template, and the same with the sides of the slots exchanged."""
    slots = [slot for slot in SAID if f"{{{slot}}}" in template]
    for values in itertools.product(*(SAID[slot] for slot in slots)):
        said = dict(zip(slots, values, strict=True))
        yield template.format(**said), template.format(**{slot: mirrored_text(value) for slot, value in said.items()})


NOT_MIRRORED = ("follow.", "at.clock", "at.compass")
"""Kinds of phrasing that only conversations have, which are not asked with ears exchanged."""


@pytest.mark.parametrize("name", sorted(n for n in phrasings("paraphrase") if not n.startswith(NOT_MIRRORED)))
def test_a_mirrored_question_has_the_sides_of_its_slots_exchanged(name: str) -> None:
    # The other end of "further left" is a question of the same task.
    task = name.partition(".")[0].replace("further_right", "further_left")
    for text, other in (pair for template in phrasings("paraphrase")[name] for pair in filled(template)):
        if task == "further_left":
            assert mirrored_question(text, task) != text
            assert mirrored_question(mirrored_question(text, task), task) == text
        else:
            assert mirrored_question(text, task) == other


@pytest.mark.parametrize(
    "text",
    ["With the dog gone, what's left?", "Am I right that it is near?", "the dog is near, right?", "what is left"],
)
def test_words_that_are_no_sides_stay(text: str) -> None:
    assert mirrored_text(text) == text


def test_a_side_before_a_question_tag_is_exchanged() -> None:
    assert mirrored_text("The dog is on my right, right?") == "The dog is on my left, right?"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_mirrored_question_about_the_mirrored_scene_has_the_same_answer(seed: int) -> None:
    """The task itself, asked about the exchanged ears with the same random numbers, draws the mirrored options."""
    scene = sample_scene(random.Random(seed), "x")
    task = random.Random(seed).choice([t for t in tasks_of("L2") + tasks_of("L1") if t.name in ("where", "binding")])
    straight, swapped = (
        make_item(task, "choice", view_scene(s), random.Random(seed), None, "paraphrase")
        for s in (scene, mirrored(scene))
    )
    if straight is None or swapped is None:
        return
    mirror = mirrored_item(straight)
    right = (mirror.choices or ())[mirror.choice or 0]
    assert right == (swapped.choices or ())[swapped.choice or 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(-5, 9))
def test_rotated_options_are_the_same_and_the_right_one_stays_right(seed: int, steps: int) -> None:
    for item in items_of(seed):
        turned = rotated_item(item, steps)
        assert (turned.choices or ())[turned.choice or 0] == (item.choices or ())[item.choice or 0]
        assert sorted(turned.choices or ()) == sorted(item.choices or ())
        assert rotated_item(turned, -steps) == item


def test_four_rotations_put_the_right_option_on_every_letter() -> None:
    item = next(i for seed in range(20) for i in items_of(seed))
    assert {rotated_item(item, steps).choice for steps in range(4)} == {0, 1, 2, 3}


def some_tokens() -> Tokens:
    rng = np.random.default_rng(0)
    slots = rng.random((6, SLOTS, SLOT_WIDTH)).astype(np.float32)
    slots[..., SLOT_LAYOUT["label"]] = 0
    slots[:, 0, 7] = slots[:, 1, 20] = 1
    semantic, scene = (rng.random((6, width)).astype(np.float32) for width in (SEMANTIC_WIDTH, SCENE_WIDTH))
    return Tokens(semantic, scene, slots)


def test_zeroed_semantics_keep_places_and_times() -> None:
    inputs = projector_inputs(some_tokens())
    zeroed = without_semantic(inputs)
    assert not zeroed.semantic.any()
    assert not zeroed.objects[:, : 2 * CLASSES].any()
    assert np.array_equal(zeroed.objects[:, 2 * CLASSES :], inputs.objects[:, 2 * CLASSES :])
    assert np.array_equal(zeroed.scene, inputs.scene)
    assert inputs.semantic.any(), "the inputs themselves are left alone"


def test_zeroed_places_keep_what_sounds_and_when() -> None:
    inputs = projector_inputs(some_tokens())
    zeroed = without_spatial(inputs)
    assert not zeroed.scene.any()
    assert np.array_equal(zeroed.semantic, inputs.semantic)
    when = slice(0, 2 * CLASSES + TIMELINE)
    assert np.array_equal(zeroed.objects[:, when], inputs.objects[:, when])
    total, peak_level, length = zeroed.objects[0, -3:]
    assert not zeroed.objects[:, when.stop : -3].any()
    assert peak_level == 0.0
    assert (total, length) == (inputs.objects[0, -3], inputs.objects[0, -1])
