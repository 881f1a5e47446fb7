"""Other words by rule still ask the same, and in English."""

from __future__ import annotations

import random

import pytest

from earshot.training.questions import wording
from earshot.training.questions.wording import reworded


@pytest.fixture(autouse=True)
def _other_words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENER", "CLOSER", "TYPO", "CONTEXT", "TAIL"):
        monkeypatch.setattr(wording, f"{name}_SHARE", 0.0)
    monkeypatch.setattr(wording, "OTHER_WORDS_SHARE", 1.0)


def said(template: str) -> set[str]:
    """Everything that a template becomes, in small letters."""
    return {reworded(template, random.Random(seed)).lower() for seed in range(80)}


@pytest.mark.parametrize(
    ("template", "kept"),
    [
        ("Am I about to run into {x}?", "about to"), ("What about {x}?", "about {x}"), ("Tell me about {x}: near, far?", "about {x}"),
        ("What's the vertical direction of {x}?", "vertical direction of"),
        ("What is the direction of the closest source?", "the direction of"), ("In which direction is {x}?", "direction"),
        ("What's the angle between {x} and {y}?", "angle between"), ("What vertical angle do I need for {x}?", "vertical angle"),
        ("Whats the elevation angle of {x}?", "elevation angle"),
        ("What if I turned {turn}?", "what if i"), ("{x} is gone. What if I turned?", "what if i"),
        ("Is {x} {place}, and if so, what?", "and if so,"), ("Is {x} closer even if I walk?", "even if i"),
        ("Tell me if {x} is {place}.", "if {x}"), ("I wonder if {x} is moving.", "wonder if"), ("Do you know if {x} is near?", "know if"),
        ("What do I run into, if anything?", "if anything"),
    ],
)  # fmt: skip
def test_a_word_stays_where_another_would_be_nonsense(template: str, kept: str) -> None:
    assert all(kept in text for text in said(template)), said(template)


@pytest.mark.parametrize(
    ("template", "others"),
    [
        ("Which direction is {x}?", {"which way is {x}?", "what way is {x}?"}),
        ("What direction is {x}?", {"what way is {x}?"}),
        ("Do I face {x} if I turned {turn}?", {"do i face {x} when i turned {turn}?"}),
        ("If I turn, is it near?", {"in case i turn, is it near?"}),
        ("How far is {x} roughly?", {"how far is {x} about?"}),
        ("Whats the elevation of {x}?", {"whats the height angle of {x}?"}),
    ],
)
def test_a_word_gets_another_where_it_means_the_same(template: str, others: set[str]) -> None:
    assert others < said(template)
