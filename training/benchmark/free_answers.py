"""Judging answers in free words against the scene: labels, directions, numbers and denials are read out of the text.

No model judges here. The truth is that of the scene, not the reference sentence; words beside what was asked for are
ignored, but a sound named that is not part of the truth makes an answer wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.labels import load_labels
from earshot.training.questions.items import Item

ANGLE_DEG = 20.0
SECTOR_DEG = 22.5
"""Half the width of what "front left" means."""
HEIGHT_DEG = 15.0
DISTANCE_M = 0.5
"""BAT's distance error (arXiv 2402.01591)."""
TIME_S = 0.5

LABEL_TASKS = ("what", "at", "both", "stop_remains", "stop_nearest")
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_DEGREES = r"\s*(?:degrees?|deg\b|°)"
_SIDED = re.compile(rf"{_NUMBER}{_DEGREES}(?:\s+(?:to|on|towards?))?(?:\s+(?:your|my|the))?\s+(left|right)\b")
_SIDE_FIRST = re.compile(rf"\b(left|right)\b[\s,:]*(?:by|about|at)?\s*{_NUMBER}{_DEGREES}")
_PLAIN_DEGREES = re.compile(rf"{_NUMBER}{_DEGREES}")
_CLOCK = re.compile(r"\b(\d{1,2}) o'?clock")
_SECTORS = (
    (r"front[ -]?left|left[ -]front", 45), (r"front[ -]?right|right[ -]front", -45),
    (r"(?:back|rear)[ -]?left|left[ -](?:back|rear)|behind(?: you)? (?:and )?(?:to|on) (?:the|your) left|behind left", 135),
    (r"(?:back|rear)[ -]?right|right[ -](?:back|rear)|behind(?: you)? (?:and )?(?:to|on) (?:the|your) right|behind right", -135),
    (r"ahead|(?:in )?front", 0), (r"behind|back|rear", 180), (r"left", 90), (r"right", -90),
)  # fmt: skip
_METRES = re.compile(rf"{_NUMBER}\s*(m|meters?|metres?|cm|centimet(?:er|re)s?)\b")
_DENIAL = re.compile(
    r"\b(?:no|none|nothing|nowhere|absent|silen(?:t|ce)|cannot|can not|can't|cant|don't|doesn't|didn't|isn't|aren't|wasn't|"
    r"not (?:there|present|here|heard|audible|in|hear|any|part)|unable|without)\b"
)
_COUNTS = {"no": 0, "none": 0, "nothing": 0, "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def denies(text: str) -> bool:
    """Whether an answer says that something is not there."""
    return bool(_DENIAL.search(_lower(text)))


def says_yes(text: str) -> bool | None:
    """The first yes or no; without either None."""
    found = re.search(r"\b(yes|no)\b", _lower(text))
    return None if found is None else found.group(1) == "yes"


def direction_in(text: str) -> tuple[float, float] | None:
    """Azimuth that a text states (degrees, positive = left), and how far the truth may be from it.

    What "may also be" is doubt, not the answer.
    """
    plain = _lower(text).partition(" it may also be ")[0]
    if found := _SIDED.search(plain):
        return float(found[1]) * (1 if found[2] == "left" else -1), ANGLE_DEG
    if found := _SIDE_FIRST.search(plain):
        return float(found[2]) * (1 if found[1] == "left" else -1), ANGLE_DEG
    if found := _CLOCK.search(plain):
        return -30.0 * (int(found[1]) % 12), ANGLE_DEG
    if (found := _PLAIN_DEGREES.search(plain)) and not re.search(r"degrees? (?:up|down)", plain):
        return float(found[1]), ANGLE_DEG
    if re.search(r"\bstraight\b", plain):
        return (180.0 if re.search(r"\b(?:behind|back)\b", plain) else 0.0), ANGLE_DEG
    sectors = ((azimuth, re.search(rf"\b(?:{words})\b", plain)) for words, azimuth in _SECTORS)
    return next(((float(azimuth), SECTOR_DEG) for azimuth, hit in sectors if hit), None)


def height_in(text: str) -> float | None:
    """Elevation that a text states, degrees."""
    plain = _lower(text)
    found = _PLAIN_DEGREES.search(plain)
    if found is None:
        return 0.0 if re.search(r"\b(?:level|ear height)\b", plain) else None
    return float(found[1]) * (-1 if re.search(r"\b(?:down|below|lower)\b", plain) else 1)


def _degrees_in(text: str) -> float | None:
    found = _PLAIN_DEGREES.search(_lower(text))
    return None if found is None else float(found[1])


def metres_in(text: str) -> float | None:
    """First distance in a text, metres."""
    found = _METRES.search(_lower(text))
    return None if found is None else float(found[1]) / (100 if found[2].startswith("c") else 1)


def numbers_in(text: str) -> list[float]:
    """All numbers of a text; a dash between two is no sign."""
    return [float(number) for number in re.findall(r"(?:(?<![\w.])-)?\d+(?:\.\d+)?", _lower(text))]


def count_in(text: str) -> int | None:
    """First number, as a digit or in words."""
    found = re.search(rf"\b(?:(\d+)|({'|'.join(_COUNTS)}))\b", _lower(text))
    if found is None:
        return None
    return int(found[1]) if found[1] else _COUNTS[found[2]]


def labels_in(text: str) -> list[frozenset[str]]:
    """Sounds named in a text, longest phrase first: for each the class keys that the phrase can mean."""
    rest = " ".join(re.sub(r"[^a-z0-9']+", " ", _lower(text)).split())
    found: list[frozenset[str]] = []
    for pattern, keys in _phrases():
        rest, hits = pattern.subn(" | ", rest)
        found += [keys] if hits else []
    return found


@lru_cache(maxsize=1)
def _phrases() -> tuple[tuple[re.Pattern[str], frozenset[str]], ...]:
    keys_of: dict[str, set[str]] = {}
    for label in load_labels():
        for phrase in label.phrases:
            keys_of.setdefault(" ".join(re.sub(r"[^a-z0-9']+", " ", phrase.lower()).split()), set()).add(label.key)
    ordered = sorted(keys_of, key=lambda phrase: (-len(phrase), phrase))
    return tuple(
        (re.compile(rf"(?<![\w']){re.escape(p)}(?:'s|s|es)?(?![\w'])"), frozenset(keys_of[p])) for p in ordered
    )


def judge_free(item: Item, text: str) -> bool:
    """Whether an answer in free words is right.

    Parameters
    ----------
    item : Item
        Of the form ``open``, ``number`` or ``yesno``.
    text : str
        The answer.
    """
    truth = item.truth
    if truth.get("absent"):
        return denies(text)
    if "names" in truth and not _named({"labels": truth["names"]}, text):
        return False  # the question does not say which sound is meant, so the answer has to
    if "says" in truth:
        return str(truth["says"]) in _lower(text)
    if "between_deg" in truth:
        return _near(_degrees_in(text), float(truth["between_deg"]), ANGLE_DEG)
    if item.form == "yesno":
        return says_yes(text) is bool(truth["yes"])
    if item.task in LABEL_TASKS or "relation" in truth:
        return _named(truth, text)
    if "azimuth_deg" in truth or "change_deg" in truth:
        return _points(text, float(truth["azimuth_deg"] if "azimuth_deg" in truth else truth["change_deg"]))
    if "elevation_deg" in truth:
        return _near(height_in(text), float(truth["elevation_deg"]), HEIGHT_DEG)
    if "distance_m" in truth:
        return _near(metres_in(text), float(truth["distance_m"]), DISTANCE_M)
    if "onset_s" in truth:
        return _timed(item, text)
    return count_in(text) == int(truth["count"])


def _named(truth: Mapping[str, Any], text: str) -> bool:
    """Exactly the right sounds are named; one that was taken away in the question may be named as well."""
    label = truth.get("label")
    wanted = set(truth["labels"]) if "labels" in truth else {label} - {None}
    if not wanted:
        return denies(text)
    gone = truth.get("stopped")
    named = [keys for keys in labels_in(text) if gone is None or gone not in keys or keys & wanted]
    return all(keys & wanted for keys in named) and all(any(key in keys for keys in named) for key in wanted)


def _points(text: str, azimuth_deg: float) -> bool:
    stated = direction_in(text)
    if stated is None:
        return False
    return float(angle_between_azimuths(stated[0], azimuth_deg)) <= stated[1] + 1e-6


def _timed(item: Item, text: str) -> bool:
    """From-to sentences by both times; a single number by the one that the reference answer states."""
    numbers = numbers_in(text)
    if item.form == "number":
        return bool(numbers) and _near(numbers[0], numbers_in(item.answer)[0], TIME_S)
    wanted = (float(item.truth["onset_s"]), float(item.truth["offset_s"]))
    return len(numbers) >= 2 and all(_near(n, w, TIME_S) for n, w in zip(numbers, wanted, strict=False))


def _near(value: float | None, truth: float, within: float) -> bool:
    return value is not None and abs(value - truth) <= within + 1e-6


def _lower(text: str) -> str:
    return str(text).lower().replace("\u2019", "'").replace("\u2212", "-")
