"""Evidence as it can be written: under the names that hearing gave, in the order of the objects that it found.

A scene's description names what sounded. Hearing may have told of the same sound under another name, or not at all, and at run
time a line of evidence can only begin with a name that was heard (`earshot.runtime.language.grounding`). A language model that is
trained on the true names learns to guess which object is meant instead of copying what it is called: of the lines of the seventh
built-in model one in eight held the place and times of one object and the name of another.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.objects import POSTERIOR, TIMELINE, ProjectorInputs, class_of
from earshot.runtime.hearing.posterior import bin_centres_deg
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import ACTIVITY_VALUES, TOKEN_S
from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import NOTHING_HEARD, Evidence, parse_evidence
from earshot.runtime.scene.naming import named_classes
from earshot.training.questions.items import Item
from earshot.training.stages.examples import split_think

_STEP_S = TOKEN_S / ACTIVITY_VALUES
_SOUNDING = 0.5
LEAST_OVERLAP = 0.4
"""Intersection over union of times from which an object of another name may be the same sound."""
LEAST_MASS = 0.3
NEAR_DEG = 25.0
"""... and the share of its azimuth posterior that must lie within so much of the true direction or of its mirror image."""


def aligned(item: Item, audio: ProjectorInputs, shuffled: random.Random | None = None) -> Item:
    """The item with the evidence that hearing allows.

    A true source is told of under the name of its object: the one of its own class, or else one of another class that sounded
    at the same time in the same direction and that the question does not name. Sources that no object stands for are left out;
    lines stand in the order of the objects. Steps and open answers use the same names; options, and what the question names,
    stay as they are.

    Parameters
    ----------
    item : Item
        With its evidence in `think`.
    audio : ProjectorInputs
        What was heard, the objects that the question asks for included.
    shuffled : random.Random, optional
        Puts the lines in a random order. In the order of the objects the n-th line is about the n-th object that is real, and where
        it is can be read off without ever looking at its name; so it is learned that way, and a name that is wrong for once
        gets the place of another sound. In random order only the name tells which object a line is about.
    """
    evidence, steps = split_think(item.think)
    sources, lines = parse_evidence(evidence), [line for line in evidence.split("\n") if " | " in line]
    rows = audio.objects[:-1]
    names = [load_labels()[class_of(row)].spoken for row in rows]
    asked = _asked_names(item)
    found = _objects_of(sources, rows, names, asked)
    told = [
        f"{names[row]} | {lines[source].partition(' | ')[2]}"
        for source, row in sorted(found.items(), key=itemgetter(1))
    ]
    if shuffled is not None:
        shuffled.shuffle(told)
    other = {s.label: names[found[k]] for k, s in enumerate(sources) if k in found and s.label not in asked}
    think = "\n".join((*(told or [NOTHING_HEARD]), _renamed(steps, other).removesuffix("\n")))
    answer = item.answer if item.choices else _renamed(item.answer, other)
    return replace(item, think=think, answer=answer)


def tells_unheard(item: Item, said: Item) -> bool:
    """Whether an aligned item still tells of a sound that no object stands for: to learn it would be to learn inventing.

    Parameters
    ----------
    item : Item
        Before it was aligned.
    said : Item
        What `aligned` made of it. What its question or options name does not count: that is looked for by name.
    """
    evidence, steps = split_think(said.think)
    names = {source.label for source in parse_evidence(split_think(item.think)[0])}
    lost = names - {source.label for source in parse_evidence(evidence)} - _asked_names(item)
    return any(_mentions(steps if item.choices else f"{steps}\n{said.answer}", name) for name in lost)


def _asked_names(item: Item) -> set[str]:
    """Sounds that the question or an option names."""
    return {load_labels()[k].spoken for k in named_classes([item.question, *(item.choices or ())])}


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def _objects_of(
    sources: Sequence[Evidence], rows: NDArray[np.float32], names: Sequence[str], asked: set[str]
) -> dict[int, int]:
    """Object of each source that has one; no object stands for two."""
    found: dict[int, int] = {}
    for index, source in enumerate(sources):
        if source.label in names and names.index(source.label) not in found.values():
            found[index] = names.index(source.label)
    free = [k for k, name in enumerate(names) if k not in found.values() and name not in asked]
    likeness = {
        (index, row): _likeness(source, rows[row])
        for index, source in enumerate(sources) if index not in found for row in free
    }  # fmt: skip
    for (index, row), value in sorted(likeness.items(), key=lambda pair: -pair[1]):
        if value > 0.0 and index not in found and row not in found.values():
            found[index] = row
    return found


def _likeness(source: Evidence, row: NDArray[np.float32]) -> float:
    """How well an object fits a source in time and direction, in [0, 2]; 0 where it cannot be the same sound."""
    sounding = row[2 * CLASSES : 2 * CLASSES + TIMELINE] >= _SOUNDING
    time_s = (np.arange(TIMELINE) + 0.5) * _STEP_S
    true = (time_s >= source.onset_s) & (time_s <= source.offset_s)
    overlap = float((sounding & true).sum() / max(1, (sounding | true).sum()))
    posterior, centres = row[POSTERIOR], bin_centres_deg()
    away = np.minimum(
        np.abs(angle_between_azimuths(centres, source.azimuth_deg)),
        np.abs(angle_between_azimuths(centres, 180.0 - source.azimuth_deg)),
    )
    mass = float(posterior[away <= NEAR_DEG].sum() / max(1e-6, float(posterior.sum())))
    return overlap + mass if overlap >= LEAST_OVERLAP and mass >= LEAST_MASS else 0.0


def _renamed(text: str, other: Mapping[str, str]) -> str:
    """Every whole name replaced, all at once."""
    changed = {name: to for name, to in other.items() if name != to}
    if not changed:
        return text
    pattern = "|".join(re.escape(name) for name in sorted(changed, key=len, reverse=True))
    return re.sub(rf"(?<![\w-])(?:{pattern})(?![\w-])", lambda match: changed[match[0]], text)
