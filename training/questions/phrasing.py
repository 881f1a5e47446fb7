"""Ways to ask: hand-written phrasings per kind of question, some of them held out for the paraphrase split.

Those for training were written without sight of the held-out ones (but for the first 600 and those of kinds that only training
asks, which were split by chance), and
rewording by rule never turns one into a held-out one.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from earshot.runtime.labels import Label
from earshot.training.questions.wording import reworded

Split = Literal["train", "paraphrase"]


CLOCK = {
    "front": ("twelve", "12"), "front left": ("eleven", "11", "ten", "10"), "left": ("nine", "9"),
    "back left": ("eight", "8", "seven", "7"), "behind": ("six", "6"), "back right": ("five", "5", "four", "4"),
    "right": ("three", "3"), "front right": ("two", "2", "one", "1"),
}  # fmt: skip
"""Hours of a clock face with twelve straight ahead, by sector."""
COMPASS = {
    "front": "north", "front left": "northwest", "left": "west", "back left": "southwest",
    "behind": "south", "back right": "southeast", "right": "east", "front right": "northeast",
}  # fmt: skip
"""Compass points of someone who faces north, by sector."""
PLAIN_TURNS = {
    "90 degrees left": ("left", "to the left", "to my left", "a quarter turn left"),
    "90 degrees right": ("right", "to the right", "to my right", "a quarter turn right"),
    "around": ("around", "right round", "180 degrees", "half a turn", "back to front"),
}
"""What people say for these turns."""
PLAIN_TURN_SHARE = 0.5
TRAINED_TOGETHER = {"at.sector": ("at.clock", "at.compass")}
"""Kinds whose wordings training draws along with those of another; the frozen ASA-bench, which came first, has only the latter."""


@lru_cache(maxsize=4)
def phrasings(split: Split) -> dict[str, tuple[str, ...]]:
    """Phrasings of one split by kind of question, as written in `phrasings.json`."""
    text = Path(__file__).with_name("phrasings.json").read_text(encoding="utf-8")
    return {name: tuple(lists[split]) for name, lists in json.loads(text).items()}


def ask(name: str, slots: Mapping[str, Any], rng: random.Random, split: Split = "train") -> str:
    """Fill one phrasing.

    Parameters
    ----------
    name : str
        Kind of question.
    slots : mapping
        Values by slot; a `Label` becomes "the dog", a synonym or a description ("someone walking"); `{ax}` is the
        label with its article ("a dog"), `{clock}` and `{compass}` are the hour and the compass point of `dir`.
    rng : random.Random
        Chooses phrasing and synonyms.
    split : str
        Which phrasings may be used; those for training are also reworded by rule (see `wording`).

    Returns
    -------
    str
        A question that begins with a capital letter, mostly.
    """
    template = rng.choice(_templates(name, split))
    if split == "train":
        other = reworded(template, rng)
        template = template if bare(other) in _held_out(name) else other
    text = filled(template, slots, rng, plain_turns=split == "train")
    if rng.random() < 0.12:
        return text.rstrip("?.").lower()
    return text[:1].upper() + text[1:]


def filled(template: str, slots: Mapping[str, Any], rng: random.Random, plain_turns: bool = False) -> str:
    """One wording with its slots filled as `ask` fills them.

    Parameters
    ----------
    template : str
        With slots in braces.
    slots, rng
        As for `ask`.
    plain_turns : bool
        Whether a turn may be said in other words (`to the left` for `90 degrees left`).
    """
    values = {slot: _say(value, rng) if isinstance(value, Label) else value for slot, value in slots.items()}
    if plain_turns and "turn" in values:
        values["turn"] = _turned(str(values["turn"]), rng)
    if "{ax}" in template:
        values["ax"] = _say_any(slots["x"], rng)
    if "{clock}" in template:
        values["clock"] = rng.choice(CLOCK[slots["dir"]])
    if "{compass}" in template:
        values["compass"] = COMPASS[slots["dir"]]
    return template.format_map(values)


@lru_cache(maxsize=256)
def _templates(name: str, split: Split) -> tuple[str, ...]:
    kinds = (name, *TRAINED_TOGETHER.get(name, ())) if split == "train" else (name,)
    return tuple(template for kind in kinds for template in phrasings(split)[kind])


@lru_cache(maxsize=256)
def _held_out(name: str) -> frozenset[str]:
    kinds = (name, *TRAINED_TOGETHER.get(name, ()))
    return frozenset(bare(template) for kind in kinds for template in phrasings("paraphrase")[kind])


def bare(template: str) -> str:
    """Words and slots without case and punctuation."""
    return re.sub(r"[^a-z0-9{} ]", "", template.lower()).strip()


def _turned(turn: str, rng: random.Random) -> str:
    """A turn in other words: `to the left` for `90 degrees left`, `30 degrees to the left` for `30 degrees left`."""
    if turn in PLAIN_TURNS and rng.random() < PLAIN_TURN_SHARE:
        return rng.choice(PLAIN_TURNS[turn])
    angle, _, way = turn.rpartition(" ")
    if not angle or rng.random() < 0.6:
        return turn
    return rng.choice((f"{angle} to the {way}", f"{way} by {angle}", f"{way} {angle}", f"{angle} to my {way}"))


def _say(label: Label, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.62 or not label.synonyms:
        return label.definite
    if draw < 0.88 or not label.descriptions:
        return f"the {rng.choice(label.synonyms)}"
    return rng.choice(label.descriptions)


def _say_any(label: Label, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.7 or not label.synonyms:
        return label.article
    if draw < 0.9 or not label.descriptions:
        return f"any {rng.choice(label.synonyms)}"
    return rng.choice(label.descriptions)
