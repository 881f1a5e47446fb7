"""What a control does to a question or to the audio tokens: mirror, turn, zero. Pure functions only."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from earshot.runtime.hearing.objects import PEAK_LEVEL, WHERE, ProjectorInputs
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.language.prompt import choice_text
from earshot.training.questions.items import Item

# "What is left?", "Which is right?", "..., right?": these words are no sides.
_NO_SIDE = r"(?:\bis|'s|\bthat)\s+(?:left|right)(?=\W*$)|,\s*right(?=\W*$)|\bam i right\b|\bright (?:next|description|way|direction|now|in front|ahead)\b"
_SIDE = re.compile(rf"(?P<kept>{_NO_SIDE})|\b(?P<side>left|right)", re.IGNORECASE)
# A side as the slots of questions hold it: `on my left`, `35 degrees right`, `front left`, `facing right`.
_SLOT = re.compile(
    r"(?P<kept>(?:\bon my|\bto my|\d degrees|\d deg|\bfront|\bback) )(?P<side>left|right)\b", re.IGNORECASE
)
_OTHER = {"left": "right", "right": "left"}
_WORD = re.compile(r"(?P<kept>)\b(?P<side>left|right)\b", re.IGNORECASE)
# By task, what is a side. Elsewhere a bare "left" or "right" means what remains, or what is true.
_SIDES = {"further_left": _SIDE, "turn_to": _SIDE, "at": _WORD}


def mirrored_text(text: str) -> str:
    """Exchange left and right, clockwise words and clock positions in a text; "what is left?" stays."""
    text = _SIDE.sub(_exchanged, text)
    text = re.sub(r"\b(anti|counter-?)?clockwise\b", lambda m: "clockwise" if m.group(1) else "anticlockwise", text)
    return re.sub(r"\b(\d{1,2}) o'clock", _other_hour, text)


def mirrored_question(text: str, task: str) -> str:
    """The question of a task as it must be asked when the ears are exchanged: "how far is left to go?" stays.

    Parameters
    ----------
    text : str
        The question.
    task : str
        Name of its task.
    """
    return _SIDES.get(task, _SLOT).sub(_exchanged, text)


def _exchanged(match: re.Match[str]) -> str:
    kept, side = match["kept"] or "", match["side"] or ""
    other = _OTHER.get(side.lower(), "")
    return kept + (other.capitalize() if side[:1].isupper() else other)


def _other_hour(match: re.Match[str]) -> str:
    return f"{(12 - int(match.group(1))) % 12 or 12} o'clock"


def mirrored_item(item: Item) -> Item:
    """The question as it must be asked when the ears are exchanged; the right option keeps its place."""
    choices = tuple(mirrored_text(choice) for choice in item.choices or ())
    return replace(item, question=mirrored_question(item.question, item.task), choices=choices or None)


def rotated_item(item: Item, steps: int) -> Item:
    """The options moved ``steps`` places towards the front, the right one with them.

    Raises
    ------
    ValueError
        The item has no options.
    """
    if item.choices is None or item.choice is None:
        raise ValueError(f"{item.id}: only options can be rotated")
    count = len(item.choices)
    cut = steps % count
    index = (item.choice - cut) % count
    choices = item.choices[cut:] + item.choices[:cut]
    return replace(item, choices=choices, choice=index, answer=choice_text(index, choices[index]))


def without_spatial(inputs: ProjectorInputs) -> ProjectorInputs:
    """Projector inputs without directions, distances, levels and scene part; classes and times stay."""
    objects = inputs.objects.copy()
    objects[:, WHERE] = 0
    objects[:, PEAK_LEVEL] = 0
    return ProjectorInputs(inputs.semantic, np.zeros_like(inputs.scene), objects)


def without_semantic(inputs: ProjectorInputs) -> ProjectorInputs:
    """Projector inputs that do not say what sounds: class vectors and semantic moments are zeroed, places and times stay."""
    objects = inputs.objects.copy()
    objects[:, : 2 * CLASSES] = 0
    return ProjectorInputs(np.zeros_like(inputs.semantic), inputs.scene, objects)
