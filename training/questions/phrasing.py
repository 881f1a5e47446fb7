"""Ways to ask: hand-written phrasings per kind of question, a fixed fifth of each held out for the paraphrase split."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from earshot.runtime.labels import Label

Split = Literal["train", "paraphrase"]


@lru_cache(maxsize=1)
def all_phrasings() -> dict[str, tuple[str, ...]]:
    """Every phrasing by kind of question, as written in `phrasings.json`."""
    text = Path(__file__).with_name("phrasings.json").read_text(encoding="utf-8")
    return {name: tuple(phrasings) for name, phrasings in json.loads(text).items()}


@lru_cache(maxsize=4)
def phrasings(split: Split) -> dict[str, tuple[str, ...]]:
    """Phrasings of one split.

    A fifth of every list (those with the smallest CRC-32 of their text) is held out: `paraphrase` has only these,
    `train` all others. Adding a phrasing elsewhere in a list can move at most one of the others.
    """
    chosen = {}
    for name, texts in all_phrasings().items():
        ranked = sorted(texts, key=lambda text: zlib.crc32(text.encode()))
        held_out = set(ranked[: max(1, len(texts) // 5)])
        chosen[name] = tuple(text for text in texts if (text in held_out) == (split == "paraphrase"))
    return chosen


def ask(name: str, slots: Mapping[str, Any], rng: random.Random, split: Split = "train") -> str:
    """Fill one phrasing.

    Parameters
    ----------
    name : str
        Kind of question.
    slots : mapping
        Values by slot; a `Label` becomes "the dog", a synonym or a description ("someone walking"); `{ax}` is the
        label with its article ("a dog").
    rng : random.Random
        Chooses phrasing and synonyms.
    split : str
        Which phrasings may be used.

    Returns
    -------
    str
        A question that begins with a capital letter, mostly.
    """
    template = rng.choice(phrasings(split)[name])
    values = {slot: _say(value, rng) if isinstance(value, Label) else value for slot, value in slots.items()}
    if "{ax}" in template:
        values["ax"] = _say_any(slots["x"], rng)
    text = template.format_map(values)
    if rng.random() < 0.12:
        return text.rstrip("?.").lower()
    return text[:1].upper() + text[1:]


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
