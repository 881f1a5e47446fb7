"""From questions to probes: every question straight, and once more for each control that is switched on.

A probe says which clip is heard, with which ears, and what is taken out of the audio tokens. Its id is that of the
question, with ``@condition`` for a control, so that answers of any system can be told apart in one file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from earshot.training.benchmark.asa_clips import AsaClip
from earshot.training.benchmark.asa_items import AsaItems
from earshot.training.benchmark.controls import mirrored_item, rotated_item
from earshot.training.questions.items import Item

Treatment = Literal["plain", "nothing", "no_where", "no_what"]
STRAIGHT = "straight"
SWAPPED, BLIND, OTHER = "ears_swapped", "question_only", "other_scene"
NO_WHERE, NO_WHAT = "spatial_zeroed", "semantic_zeroed"
ROTATIONS = ("rotation_1", "rotation_2", "rotation_3")


@dataclass(frozen=True)
class Controls:
    """Which controls are run; each is one switch.

    Attributes
    ----------
    ear_swap : bool
        Ears exchanged, left and right exchanged in question and options.
    rotations : bool
        The options in all four rotations.
    question_only : bool
        No audio tokens at all.
    spatial_zeroed, semantic_zeroed : bool
        Without directions, distances and room; without what sounds.
    other_scene : bool
        The audio of another clip.
    """

    ear_swap: bool = True
    rotations: bool = True
    question_only: bool = True
    spatial_zeroed: bool = True
    semantic_zeroed: bool = True
    other_scene: bool = True

    @classmethod
    def none(cls) -> Controls:
        """All switched off."""
        return cls(False, False, False, False, False, False)


@dataclass(frozen=True)
class Probe:
    """One thing to ask.

    Attributes
    ----------
    condition : str
    item : Item
        As it is asked: mirrored or rotated where the condition says so; its id is the probe's.
    base : str
        Id of the question.
    clip : str
        What is heard.
    swapped : bool
        Ears exchanged.
    treatment : str
        What is taken out of the audio tokens; only ``plain`` probes can be put to other systems.
    """

    condition: str
    item: Item
    base: str
    clip: str
    swapped: bool = False
    treatment: Treatment = "plain"


def probes_of(items: AsaItems, clips: Sequence[AsaClip], controls: Controls) -> list[Probe]:
    """All probes; controls are asked of four-option questions, ``question_only`` of all."""
    other = _other_clips(clips)
    probes: list[Probe] = []
    for item in items:
        probes.append(Probe(STRAIGHT, item, item.id, item.scene))
        if controls.question_only:
            probes.append(_probe(BLIND, item, treatment="nothing"))
        if item.form == "choice":
            probes += _of_choice(item, controls, other[item.scene])
    return probes


def _of_choice(item: Item, controls: Controls, other: str) -> list[Probe]:
    probes: list[Probe] = []
    if controls.rotations:
        probes += [_probe(name, rotated_item(item, steps)) for steps, name in enumerate(ROTATIONS, start=1)]
    if controls.ear_swap:
        probes.append(_probe(SWAPPED, mirrored_item(item), swapped=True))
    if controls.spatial_zeroed:
        probes.append(_probe(NO_WHERE, item, treatment="no_where"))
    if controls.semantic_zeroed:
        probes.append(_probe(NO_WHAT, item, treatment="no_what"))
    if controls.other_scene:
        probes.append(replace(_probe(OTHER, item), clip=other))
    return probes


def _probe(condition: str, item: Item, swapped: bool = False, treatment: Treatment = "plain") -> Probe:
    named = replace(item, id=f"{item.id}@{condition}")
    return Probe(condition, named, item.id, item.scene, swapped, treatment)


def _other_clips(clips: Sequence[AsaClip]) -> dict[str, str]:
    """For every clip one that is made of another stem scene (of the same, if there is no other)."""
    count = len(clips)
    other: dict[str, str] = {}
    for number, clip in enumerate(clips):
        later = (clips[(number + step) % count] for step in range(count // 2, count // 2 + count))
        other[clip.id] = next((c.id for c in later if c.origin != clip.origin), clip.id)
    return other
