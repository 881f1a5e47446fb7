"""Names of places in questions and rules: what is one, and what only looks like one."""

from __future__ import annotations

import pytest

from earshot.runtime.scene.recall import parse_recall
from earshot.runtime.scene.sectors import name_sector


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("right behind me", "behind you"),
        ("did a car come right behind me", "behind you"),
        ("right in front of me", "in front of you"),
        ("right ahead", "in front of you"),
        ("right on my left", "on your left"),
        ("right next to me on the right", "on your right"),
        ("on the right next to me", "on your right"),
        ("on my right behind me", "behind you to the right"),
        ("to the right ahead of me", "ahead to your right"),
        ("back right", "behind you to the right"),
        ("on my left-hand side", "on your left"),
        ("on the left hand side of me", "on your left"),
        ("from the front", "in front of you"),
        ("at the back", "behind you"),
    ],
)
def test_a_place_is_named(text: str, words: str) -> None:
    sector, _ = name_sector(text)
    assert sector is not None
    assert sector.words == words


@pytest.mark.parametrize(
    "text",
    [
        "right next to me",
        "a knock at the front door",
        "a knock on my back door",
        "the left-hand door",
        "the left hand side door",
        "steps in the front yard",
        "clapping with my left hand",
        "left of the train",
        "on the left side of the house",
        "in front of the house",
        "at the back of the room",
        "behind the house",
        "behind someone",
    ],
)
def test_what_only_looks_like_a_place_stays_in_the_text(text: str) -> None:
    sector, rest = name_sector(text)
    assert sector is None
    assert rest.split() == text.removeprefix("right ").split()


def test_two_places_joined_by_or_are_not_the_corner_between_them() -> None:
    for text in ("behind me or on my left", "on the left or behind me", "front or right"):
        with pytest.raises(ValueError, match="one place at a time"):
            name_sector(text)
    with pytest.raises(ValueError, match="left and right at once"):
        name_sector("left or right")


def test_a_question_about_the_past_means_the_same_place() -> None:
    recall = parse_recall("Did a car come right behind me in the last hour?", 1.8e9)
    assert recall is not None
    assert recall.sector is not None
    assert recall.sector.words == "behind you"
    recall = parse_recall("Did someone knock at the front door in the last hour?", 1.8e9)
    assert recall is not None
    assert recall.sector is None
