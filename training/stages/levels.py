"""Levels where they are asked about: as a last field of the evidence lines, `dog | -35 | 0 | 2.1 | 0.4-3.2 | -8`.

Other lines do without, so a model that has to compare levels would have to look each up among the objects once more, by name, in the
middle of a step; in three attempts none learned that. In its line of evidence an object is being read anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from earshot.training.questions.items import Item
from earshot.training.questions.tasks_l2 import LOUDER, OPPOSITES
from earshot.training.questions.view import view_scene
from earshot.training.stages.examples import split_think

_STEPS = tuple(f"{relation.word}:" for relation in (LOUDER, OPPOSITES["quieter"]))


def reads_levels(item: Item) -> bool:
    """Whether a step of an item reads levels."""
    return any(line.startswith(_STEPS) for line in item.think.split("\n"))


def with_levels(item: Item, scene: Mapping[str, Any]) -> Item:
    """The item; where its steps read levels, every line of evidence ends with one, dB re the loudest sound of the scene.

    Parameters
    ----------
    item : Item
        About `scene`.
    scene : mapping
        Scene JSON.
    """
    if not reads_levels(item):
        return item
    evidence, steps = split_think(item.think)
    level_db = {source.name: source.level_db for source in view_scene(scene).heard}
    told = [f"{line} | {level_db[line.partition(' | ')[0]]}" for line in evidence.splitlines()]
    return replace(item, think="\n".join((*told, steps.removesuffix("\n"))))
