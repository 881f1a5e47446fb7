"""Conversations: every kind can be made, truths belong to the scene, follow-ups cannot stand alone."""

from __future__ import annotations

import random

import pytest

from earshot.training.benchmark.free_answers import judge_free
from earshot.training.questions.dialogues import KINDS, Conversation, converse
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.view import SceneView, view_scene


def some(kind: str, count: int = 12) -> list[tuple[SceneView, Conversation]]:
    rng = random.Random(kind)
    found: list[tuple[SceneView, Conversation]] = []
    while len(found) < count:
        view = view_scene(sample_scene(rng, "scene"))
        conversation = converse(view, kind, f"{kind}-{len(found)}", rng, "paraphrase")
        if conversation is not None:
            found.append((view, conversation))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_with_a_full_question_and_goes_on_with_follow_ups(kind: str) -> None:
    for _, conversation in some(kind):
        first, *others = conversation.turns
        assert not first.follows_up
        assert others
        assert others[-1].follows_up
        assert len({turn.item.id for turn in conversation.turns}) == len(conversation.turns)
        assert not any("{" in turn.item.question or "{" in turn.in_full for turn in conversation.turns)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_answers_are_right_and_those_to_other_questions_mostly_not(kind: str) -> None:
    pairs = some(kind)
    assert all(judge_free(turn.item, turn.item.answer) for _, c in pairs for turn in c.turns)
    turns = [turn for _, conversation in pairs for turn in conversation.turns]
    mixed = [judge_free(turn.item, turns[(n + 5) % len(turns)].item.answer) for n, turn in enumerate(turns)]
    assert sum(mixed) < 0.6 * len(mixed)


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_that_are_asked_about_are_in_the_scene(kind: str) -> None:
    for view, conversation in some(kind):
        for turn in conversation.turns:
            truth = turn.item.truth
            assert (
                {truth["label"]} - {None} <= view.present if "label" in truth else set(truth["labels"]) == view.present
            )


def test_an_empty_scene_gives_none() -> None:
    rng = random.Random(0)
    view = view_scene({**sample_scene(rng, "empty"), "sources": []})
    assert all(converse(view, kind, "none", rng) is None for kind in KINDS)


def test_guesses_are_as_often_right_as_wrong() -> None:
    said = [c.turns[1].item.truth["yes"] for _, c in some("checks", 200)]
    assert 0.4 < sum(said) / len(said) < 0.6


def test_the_same_seed_gives_the_same_conversations() -> None:
    assert some("aspects") == some("aspects")
