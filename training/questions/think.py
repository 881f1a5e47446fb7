"""Reasoning texts: evidence lines from the truth, and step lines small enough for a 5 M parameter model to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earshot.runtime.labels import Label
from earshot.runtime.language.prompt import ASKED, NOTHING_HEARD, evidence_line
from earshot.training.questions.view import SECTORS, Heard, SceneView, sector_of, wrap_int

LEVEL = "level"
"""First word of a step that reads levels; lines of evidence hold them in such questions only (`training.stages.levels`)."""


def evidence_lines(view: SceneView) -> tuple[str, ...]:
    """Evidence of every source in order of onset; one line `nothing` for a scene without any."""
    if not view.heard:
        return (NOTHING_HEARD,)
    return tuple(
        evidence_line(s.name, s.azimuth_deg, s.elevation_deg, s.distance_m, s.onset_s, s.offset_s) for s in view.heard
    )


def think_text(view: SceneView, steps: Sequence[str] = ()) -> str:
    """Text between the think tags: evidence, then the steps."""
    return "\n".join((*evidence_lines(view), *steps))


def understood(kind: str, slots: Mapping[str, Any]) -> str:
    """What was asked, in one fixed form for all its wordings: `asked: closer pair dog, voice`.

    Understanding a wording and reasoning about a scene are two things to learn; this line parts them, so that reasoning
    never meets a wording, and wordings can be learned without a scene (see `training.stages.text_items`).
    """
    said = ", ".join(value.spoken if isinstance(value, Label) else str(value) for value in slots.values())
    return f"{ASKED} {kind.removesuffix('.ask').replace('.', ' ').replace('_', ' ')} {said}".rstrip()


def plus(value: int, change: int) -> str:
    """A sum with its wrap-around spelled out: `-120 - 90 = -210 + 360 = 150`."""
    raw = value + change
    text = f"{value} {'+' if change >= 0 else '-'} {abs(change)} = {raw}"
    wrapped = wrap_int(raw)
    if wrapped == raw:
        return text
    return f"{text} {'+' if wrapped > raw else '-'} 360 = {wrapped}"


def named(azimuth_deg: int) -> str:
    """An azimuth with its sector: `-35 front right`."""
    sector = sector_of(azimuth_deg)
    return f"{azimuth_deg} {SECTORS[sector if sector is not None else 0]}"


def sector_step(source: Heard) -> str:
    """An azimuth copied from the evidence with its sector: `dog -35 front right`."""
    return f"{source.name} {named(source.azimuth_deg)}"


def sign_of(a: float, b: float) -> str:
    """`<`, `>` or `=`."""
    return "<" if a < b else ">" if a > b else "="


def compare(word: str, first: Heard, second: Heard, attribute: str, wins: Heard | None) -> str:
    """A comparison of two sources: `distance: dog 1.2, voice 3.0: 1.2 < 3.0, dog`.

    Both values are read before they are compared, and compared before one is chosen: a sign between the names would have to
    be written before the second value is. `same` where no one wins.
    """
    a, b = getattr(first, attribute), getattr(second, attribute)
    read = f"{word}: {first.name} {a}, {second.name} {b}"
    return f"{read}: {a} {sign_of(a, b)} {b}, {'same' if wins is None else wins.name}"


def listing(word: str, sources: Sequence[Heard], attribute: str, wins: Heard) -> str:
    """Values of several sources, then the one looked for: `distance: dog 1.2, voice 3.0: 1.2 dog`."""
    read = ", ".join(f"{s.name} {getattr(s, attribute)}" for s in sources)
    return f"{word}: {read}: {getattr(wins, attribute)} {wins.name}"


def levels(sources: Sequence[Heard]) -> str:
    """Levels of all sources, dB re the loudest: `level: dog 0, rain -14`."""
    return f"{LEVEL}: {', '.join(read_off(source, 'level_db') for source in sources)}"


def placed(azimuth_deg: int, name: str, in_degrees: bool) -> str:
    """A source behind its place, `-35 front right dog`: what stands at a place is then what follows it."""
    return f"{azimuth_deg if in_degrees else named(azimuth_deg)} {name}"


def read_off(source: Heard, attribute: str) -> str:
    """A value copied from the evidence before anything is done with it: `dog -35`."""
    return f"{source.name} {getattr(source, attribute)}"


def heard_or_none(view: SceneView, options: Sequence[str]) -> str:
    """Which of the options are heard, in their order: `dog heard, rain none`."""
    names = {f"the {source.name}" for source in view.heard}
    return ", ".join(f"{option.removeprefix('the ')} {'heard' if option in names else 'none'}" for option in options)


def not_heard(name: str) -> str:
    """The step that says a sound asked about is not in the evidence."""
    return f"{name}: none"
