"""The wording alone must tell nothing: a bag of words guesses no better than chance."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import numpy as np
import pytest

from earshot.training.questions.generate import item_stream
from earshot.training.questions.items import Item

STREAM = list(itertools.islice(item_stream(21), 30_000))
CHOICES = [item for item in STREAM if item.form == "choice"][:4000]
YESNO = [item for item in STREAM if item.form == "yesno"][:4000]


def features(question: str, option: str, task: str) -> list[str]:
    """Words of the option, words of the question, and pairs of both; each also by task."""
    asked = set(re.findall(r"[a-z0-9.]+", question.lower()))
    offered = re.findall(r"[a-z0-9.]+", option.lower())
    shared = ["in question"] if asked & set(offered) - {"the"} else []
    pairs = [f"{task}:{word}" for word in [*offered, *shared, f"length {len(offered)}"]]
    return [*offered, *shared, *pairs, f"{task}={option}", *(f"{a}~{b}" for a in asked for b in offered)]


def hashed(words: list[str], size: int = 1 << 16) -> np.ndarray:
    return np.array([hash_of(word) % size for word in words])


def hash_of(word: str) -> int:
    value = 2166136261
    for byte in word.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def accuracy_of_logistic(train: list[tuple[list[np.ndarray], int]], test: list[tuple[list[np.ndarray], int]]) -> float:
    """A softmax over the options' summed word weights, trained by stochastic gradient steps."""
    weights = np.zeros(1 << 16)
    order = np.random.default_rng(0)
    for epoch in range(4):
        for index in order.permutation(len(train)):
            options, right = train[index]
            scores = np.array([weights[option].sum() for option in options])
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            for number, option in enumerate(options):
                np.add.at(weights, option, 0.05 / (1 + epoch) * ((number == right) - chances[number]))
    guesses = [int(np.argmax([weights[option].sum() for option in options])) for options, _ in test]
    return float(np.mean([guess == right for guess, (_, right) in zip(guesses, test, strict=True)]))


def encode_choice(item: Item) -> tuple[list[np.ndarray], int]:
    assert item.choices is not None and item.choice is not None
    return [hashed(features(item.question, option, item.task)) for option in item.choices], item.choice


def test_choice_questions_cannot_be_guessed_from_their_words() -> None:
    encoded = [encode_choice(item) for item in CHOICES]
    assert accuracy_of_logistic(encoded[:3000], encoded[3000:]) <= 0.32


def test_yes_or_no_cannot_be_guessed_from_the_question() -> None:
    encoded = []
    for item in YESNO:
        right = 0 if item.answer.startswith("Yes") else 1
        encoded.append(([hashed(features(item.question, word, item.task)) for word in ("yes", "no")], right))
    assert accuracy_of_logistic(encoded[:3000], encoded[3000:]) <= 0.57


def test_the_right_option_is_anywhere() -> None:
    counts = Counter(item.choice for item in CHOICES)
    assert all(0.22 < counts[index] / len(CHOICES) < 0.28 for index in range(4))


@pytest.mark.parametrize("task", sorted({item.task for item in CHOICES}))
def test_no_task_has_a_favourite_answer(task: str) -> None:
    items = [item for item in STREAM if item.task == task and item.form == "choice"]
    wins, shown = Counter[str](), Counter[str]()
    for item in items:
        assert item.choices is not None and item.choice is not None
        shown.update(item.choices)
        wins[item.choices[item.choice]] += 1
    for option, count in shown.items():
        if count >= 200:
            assert wins[option] / count < 0.25 + 4 * (0.19 / count) ** 0.5 + 0.05, (task, option)
