"""Verifiable rewards: what a completion is worth, judged by the truth of its scene and by nothing that is learned.

Pure functions of an item (which carries its scene's truth as evidence lines and answer) and the completion's text, each in
[0, 1]; the item's own completion gets 1 from all of them. Partial marks fall off linearly, so that a group of samples
of a small model rarely ties.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import (
    EOS,
    NOTHING_HEARD,
    SPECIAL_TOKENS,
    THINK_END,
    Evidence,
    build_completion,
    parse_choice,
    parse_evidence,
    split_reasoning,
)
from earshot.training.questions.items import Item
from earshot.training.questions.view import wrap_deg

RIGHT = 0.99
"""An answer with at least this much counts as right in accuracies."""

RewardFunction = Callable[[Item, str], float]
"""Item and completion (special tokens written out, the prompt has opened the reasoning) -> reward in [0, 1]."""


@dataclass(frozen=True)
class Scale:
    """Where partial marks begin and end: errors up to `full` cost nothing, from `zero` on there is nothing left."""

    full: float
    zero: float

    def score(self, error: float) -> float:
        """1 at `full` and below, linearly down to 0 at `zero`."""
        return min(1.0, max(0.0, (self.zero - error) / (self.zero - self.full)))


# Tolerances of answers are twice the step in which evidence states an azimuth, and a fifth of a distance.
ANSWER_DEG = Scale(10.0, 45.0)
ANSWER_LOG_DISTANCE = Scale(math.log(1.2), math.log(2.5))
ANSWER_S = Scale(0.3, 1.5)
# Evidence is judged without a free zone: each degree nearer counts, out to where a mirrored source would be.
EVIDENCE_DEG = Scale(0.0, 90.0)
EVIDENCE_LOG_DISTANCE = Scale(0.0, math.log(4.0))
EVIDENCE_S = Scale(0.0, 3.0)
LENGTH_RATIO = Scale(1.1, 2.0)


def answer_right(item: Item, text: str) -> float:
    """Whether the answer is right.

    Parameters
    ----------
    item : Item
        What was asked; its form decides how the answer is read.
    text : str
        The completion.

    Returns
    -------
    float
        Choice: half for the letter, half for the words behind it. Yes or no: the first word. Number and open: mean over
        the facts (directions, distances, times, sounds) that the right answer states.
    """
    answer = split_reasoning(text)[1]
    if item.form == "choice":
        return _choice_right(item, answer)
    if item.form == "yesno":
        return float(_first_word(answer) == _first_word(item.answer))
    return _facts_right(item.answer, answer)


def well_formed(item: Item, text: str) -> float:
    """Share of the demands on the format that are met: one think block, lines of evidence that parse, an answer, an end."""
    head, _, tail = text.partition(THINK_END)
    reasoning, answer = split_reasoning(text)
    body = text.removesuffix(EOS).replace(THINK_END, "", 1)
    lines = reasoning.splitlines()
    demands = (
        text.count(THINK_END) == 1,
        text.endswith(EOS),
        not any(token in body for token in SPECIAL_TOKENS),
        _evidence_first(lines),
        bool(answer) and "\n" not in tail.strip() and "|" not in answer,
        item.form != "choice" or parse_choice(answer, len(item.choices or ())) is not None,
        bool(head.strip()),
    )
    return sum(demands) / len(demands)


def labels_agree(item: Item, text: str) -> float:
    """F1 of the sounds in the evidence; a sound that is written twice counts as one too many."""
    true, said = _evidence_of(item.think), _evidence_of(split_reasoning(text)[0])
    if not true and not said:
        return float(_says_nothing(text))
    hits = len({line.label for line in true} & {line.label for line in said})
    return 2.0 * hits / (len(true) + len(said))


def azimuths_agree(item: Item, text: str) -> float:
    """Mean over the true sources of how near their stated azimuths are; 0 for a source that is not stated."""
    return _agreement(item, text, lambda a, b: EVIDENCE_DEG.score(abs(wrap_deg(a.azimuth_deg - b.azimuth_deg))))


def distances_agree(item: Item, text: str) -> float:
    """Mean over the true sources of how near 1 the ratio of stated and true distance is."""
    return _agreement(item, text, lambda a, b: EVIDENCE_LOG_DISTANCE.score(_log_ratio(a.distance_m, b.distance_m)))


def times_agree(item: Item, text: str) -> float:
    """Mean over the true sources of how near their stated onsets and offsets are."""
    return _agreement(
        item, text,
        lambda a, b: EVIDENCE_S.score(0.5 * (abs(a.onset_s - b.onset_s) + abs(a.offset_s - b.offset_s))),
    )  # fmt: skip


def brief(item: Item, text: str) -> float:
    """1 up to about the length of the item's own completion, 0 from twice that on; shorter is left to the other rewards."""
    return LENGTH_RATIO.score(len(text) / len(gold_completion(item)))


def gold_completion(item: Item) -> str:
    """The completion that all rewards call perfect."""
    return build_completion(item.answer, item.think)


@dataclass(frozen=True)
class RewardPart:
    """One reward and what it weighs in the sum."""

    name: str
    function: RewardFunction
    weight: float


REWARDS = (
    RewardPart("answer", answer_right, 1.0),
    RewardPart("format", well_formed, 0.2),
    RewardPart("labels", labels_agree, 0.3),
    RewardPart("azimuth", azimuths_agree, 0.3),
    RewardPart("distance", distances_agree, 0.1),
    RewardPart("times", times_agree, 0.1),
    RewardPart("brevity", brief, 0.1),
)
MOST_REWARD = sum(part.weight for part in REWARDS)


def total_reward(item: Item, text: str) -> float:
    """Weighted sum of all rewards, 0 to `MOST_REWARD`."""
    return sum(part.weight * part.function(item, text) for part in REWARDS)


def _choice_right(item: Item, answer: str) -> float:
    choices = item.choices or ()
    letter_right = parse_choice(answer, len(choices)) == item.choice
    words = re.sub(r"^\s*\(?[A-Ha-h][).:]\s*", "", answer)
    words_right = item.choice is not None and _plain(words) == _plain(choices[item.choice])
    return 0.5 * letter_right + 0.5 * words_right


def _evidence_first(lines: Sequence[str]) -> bool:
    """Whether the reasoning begins with evidence and every line with bars parses."""
    barred = [number for number, line in enumerate(lines) if "|" in line]
    if not barred:
        return bool(lines) and lines[0].strip() == NOTHING_HEARD
    return barred == list(range(len(barred))) and all(parse_evidence(lines[number]) for number in barred)


def _evidence_of(reasoning: str) -> tuple[Evidence, ...]:
    return tuple(parse_evidence(reasoning))


def _says_nothing(text: str) -> bool:
    lines = split_reasoning(text)[0].splitlines()
    return bool(lines) and lines[0].strip() == NOTHING_HEARD


def _agreement(item: Item, text: str, score: Callable[[Evidence, Evidence], float]) -> float:
    """Mean score over the true sources, each compared with the first line that names it."""
    true, said = _evidence_of(item.think), _evidence_of(split_reasoning(text)[0])
    if not true:
        return labels_agree(item, text)
    stated = {line.label: line for line in reversed(said)}
    return sum(score(line, stated[line.label]) for line in true if line.label in stated) / len(true)


def _log_ratio(first: float, second: float) -> float:
    """Absolute log of a ratio of two distances; nothing is nearer than the 0.1 m that evidence can state."""
    return abs(math.log(max(first, 0.1) / max(second, 0.1)))


@dataclass(frozen=True)
class Facts:
    """What an answer sentence states; empty where it says nothing of the kind."""

    azimuths_deg: tuple[float, ...]
    elevations_deg: tuple[float, ...]
    metres: tuple[float, ...]
    seconds: tuple[float, ...]
    labels: frozenset[str]
    absent: bool


def _facts_right(truth: str, answer: str) -> float:
    """Mean score over the kinds of fact that the truth states; whole texts are compared where it states none."""
    want, have = read_facts(truth), read_facts(answer)
    if want.absent != have.absent:
        return 0.0
    scores = [
        score for score in (
            _values_right(want.azimuths_deg, have.azimuths_deg, _degrees_right),
            _values_right(want.elevations_deg, have.elevations_deg, lambda a, b: ANSWER_DEG.score(abs(a - b))),
            _values_right(want.metres, have.metres, lambda a, b: ANSWER_LOG_DISTANCE.score(_log_ratio(a, b))),
            _values_right(want.seconds, have.seconds, lambda a, b: ANSWER_S.score(abs(a - b))),
            _overlap(want.labels, have.labels),
        ) if score is not None
    ]  # fmt: skip
    return sum(scores) / len(scores) if scores else float(_plain(truth) == _plain(answer))


def _degrees_right(first: float, second: float) -> float:
    return ANSWER_DEG.score(abs(wrap_deg(first - second)))


def _values_right(want: Sequence[float], have: Sequence[float], score: Callable[[float, float], float]) -> float | None:
    if not want:
        return None
    return sum(map(score, want, have)) / max(len(want), len(have))


def _overlap(want: frozenset[str], have: frozenset[str]) -> float | None:
    """F1 of the sounds that are named."""
    return 2.0 * len(want & have) / (len(want) + len(have)) if want else None


_AHEAD = re.compile(r"straight (ahead|behind)|(\d+) degrees (?:to your )?(left|right)")
_UP = re.compile(r"^level\b|(\d+) degrees (up|down)")
_METRES = re.compile(r"(\d+(?:\.\d+)?) metres?\b")
_SECONDS = re.compile(r"(?:(\d+(?:\.\d+)?) to )?(\d+(?:\.\d+)?) seconds?\b")
_ABSENT = re.compile(r"can't hear|\bno\b.*\bhere\b|\bnothing\b")


def read_facts(text: str) -> Facts:
    """Read the facts out of an answer sentence of the kind that `training.questions` writes."""
    lower = text.lower()
    return Facts(
        tuple(_azimuth_of(match) for match in _AHEAD.finditer(lower)),
        tuple(float(match[1] or 0) * (-1 if match[2] == "down" else 1) for match in _UP.finditer(lower)),
        tuple(float(match[1]) for match in _METRES.finditer(lower)),
        tuple(float(value) for match in _SECONDS.finditer(lower) for value in match.groups() if value is not None),
        frozenset(match[0] for match in _label_pattern().finditer(lower)),
        _ABSENT.search(lower) is not None,
    )


def _azimuth_of(match: re.Match[str]) -> float:
    if match[1]:
        return 0.0 if match[1] == "ahead" else 180.0
    return float(match[2]) * (1.0 if match[3] == "left" else -1.0)


@lru_cache(maxsize=1)
def _label_pattern() -> re.Pattern[str]:
    """Any spoken label, longer ones first, as whole words."""
    names = sorted((label.spoken.lower() for label in load_labels()), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")


def _first_word(text: str) -> str:
    match = re.match(r"\W*(\w+)", text)
    return match[1].lower() if match else ""


def _plain(text: str) -> str:
    """Lower case without outer punctuation, single spaces."""
    return " ".join(text.lower().split()).strip(" .,;:!?")
