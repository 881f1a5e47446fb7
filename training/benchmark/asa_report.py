"""Scores of ASA-bench from answer lines, of a bundle or of any other system: the same judging, the same intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from earshot.runtime.language.prompt import CHOICE_LETTERS
from earshot.training.benchmark.answers import judge
from earshot.training.benchmark.asa_clips import AsaClip
from earshot.training.benchmark.asa_items import LEVELS, AsaItems
from earshot.training.benchmark.asa_probes import BLIND, NO_WHAT, NO_WHERE, OTHER, ROTATIONS, STRAIGHT, SWAPPED, Probe
from earshot.training.benchmark.free_answers import denies, judge_free, says_yes
from earshot.training.benchmark.statistics import Statistic, accuracy, interval
from earshot.training.questions.items import Item

Line = Mapping[str, Any]
Lines = Mapping[str, Line]
Record = dict[str, Any]
Figures = dict[str, Any]
BOOTSTRAP = 1000
CHANCE = 0.25
DIRECTION_TASKS = frozenset({"where", "turn", "turn_to", "face", "apart", "binding", "seen_from"})
"""Questions that name the sounds and leave four directions: without spatial evidence there is nothing to tell them apart by."""

hallucinated = Statistic(lambda record: float(record["claimed"]) if record["absent"] else None)
"""Share of absent sounds that an answer takes to be there."""
falsely_denied = Statistic(lambda record: None if record["absent"] else float(not record["claimed"]))
"""Share of sounds that are there which an answer denies."""


def score(items: AsaItems, clips: Sequence[AsaClip], probes: Sequence[Probe], lines: Lines) -> Figures:
    """All figures.

    Parameters
    ----------
    items, clips, probes
        The benchmark.
    lines : mapping
        Answer lines by probe id; a straight question without answer counts as wrong. A control is reported when it
        has been put to the system at all.

    Returns
    -------
    dict
        ``choice`` (overall, by level, of direction tasks; intervals), ``by_task``, ``controls``, ``open``, ``absent``; `question_records`
        gives what plots are made of.
    """
    of_scene = {clip.id: clip.origin for clip in clips}
    straight = question_records(items.choice, of_scene, lines)
    free = [_record(item, of_scene, _free_right(item, lines.get(item.id))) for item in items.free]
    return {
        "choice": _by_level(straight),
        "chance": CHANCE,
        "by_task": _by_task(straight),
        "controls": _controls(items.choice, of_scene, probes, lines),
        "open": {"all": _interval(free), "by_task": _by_task(free), **_blind_open(items, of_scene, lines)},
        "absent": _absent(items, of_scene, lines),
    }


def question_records(items: Sequence[Item], of_scene: Mapping[str, str], lines: Lines) -> list[Record]:
    """Records of four-option questions as they were answered straight."""
    return [_record(item, of_scene, _right(item, lines.get(item.id))) for item in items]


def _controls(items: Sequence[Item], of_scene: Mapping[str, str], probes: Sequence[Probe], lines: Lines) -> Figures:
    """Accuracy under each condition, and the rates at which all variants of a question were answered right."""
    asked = {(probe.base, probe.condition): probe.item for probe in probes if probe.item.form == "choice"}
    right = {key: _right(item, lines.get(item.id)) for key, item in asked.items()}
    put = {probe.condition for probe in probes if probe.item.form == "choice" and probe.item.id in lines}

    def all_right(*conditions: str) -> list[Record]:
        return [_record(i, of_scene, all(right[i.id, name] for name in conditions)) for i in items]

    out: Figures = {
        name: _by_level(all_right(name)) for name in (SWAPPED, BLIND, NO_WHERE, NO_WHAT, OTHER) if name in put
    }
    if SWAPPED in put:
        out["ear_swap_all_correct"] = _by_level(all_right(STRAIGHT, SWAPPED))
    if ROTATIONS[0] in put:
        out["rotation_all_correct"] = _by_level(all_right(STRAIGHT, *ROTATIONS))
    if SWAPPED in put and ROTATIONS[0] in put:
        out["swap_and_rotation_all_correct"] = _by_level(all_right(STRAIGHT, SWAPPED, *ROTATIONS))
    return out


def _blind_open(items: AsaItems, of_scene: Mapping[str, str], lines: Lines) -> Figures:
    """Free questions answered without audio."""
    name = f"@{BLIND}"
    if not any(item.id + name in lines for item in items.free):
        return {}
    return {BLIND: _interval([_record(i, of_scene, _free_right(i, lines.get(i.id + name))) for i in items.free])}


def _absent(items: AsaItems, of_scene: Mapping[str, str], lines: Lines) -> Figures:
    """What is made up, what is denied, and how many twins are told apart (without listening: none)."""
    records: list[Record] = []
    pairs: list[Record] = []
    for absent, present in zip(items.absent, items.present, strict=True):
        claims = [_claims(item, lines.get(item.id)) for item in (absent, present)]
        for item, claimed in zip((absent, present), claims, strict=True):
            flags = {"absent": item is absent, "claimed": claimed, "form": item.form}
            records.append({**_record(item, of_scene, claimed == (item is present)), **flags})
        pairs.append(_record(absent, of_scene, claims == [False, True]))
    out: Figures = {"questions": len(items.absent), "both_twins_right": _interval(pairs)}
    kinds: dict[str, Callable[[Record], bool]] = {
        "all": lambda r: True, "yes_no": lambda r: r["form"] == "yesno", "open": lambda r: r["form"] != "yesno"
    }  # fmt: skip
    for name, fits in kinds.items():
        chosen = [record for record in records if fits(record)]
        out[name] = {
            "hallucinated": interval(chosen, hallucinated, BOOTSTRAP).to_json(),
            "falsely_denied": interval(chosen, falsely_denied, BOOTSTRAP).to_json(),
        }
    return out


def _claims(item: Item, line: Line | None) -> bool:
    """Whether an answer takes the sound to be there: whatever is no denial does; no answer is taken for the wrong one."""
    text = _text(line)
    if not text:
        return bool(item.truth["absent"])
    if item.form == "yesno" and (yes := says_yes(text)) is not None:
        return yes
    return not denies(text)


def _right(item: Item, line: Line | None) -> bool:
    """Whether the right option was chosen; by index, letter or text."""
    return bool(judge(item.to_json(), line))


def _free_right(item: Item, line: Line | None) -> bool:
    text = _text(line)
    return bool(text) and judge_free(item, text)


def _text(line: Line | None) -> str:
    return "" if line is None or "error" in line else str(line.get("answer") or "").strip()


def _record(item: Item, of_scene: Mapping[str, str], right: bool) -> Record:
    return {"scene": of_scene[item.scene], "level": item.level, "task": item.task, "correct": right}


def _by_level(records: Sequence[Record]) -> Figures:
    levels = {level: [record for record in records if record["level"] == level] for level in LEVELS}
    places = [record for record in records if record["task"] in DIRECTION_TASKS]
    return {
        "overall": _interval(records),
        **{k: _interval(of) for k, of in levels.items()},
        "directions": _interval(places),
    }


def _by_task(records: Sequence[Record]) -> Figures:
    names = sorted({(record["level"], record["task"]) for record in records})
    chosen = {name: [r for r in records if (r["level"], r["task"]) == name] for name in names}
    return {f"{level} {task}": {"items": len(of), "accuracy": _interval(of)} for (level, task), of in chosen.items()}


def _interval(records: Sequence[Record]) -> Figures:
    return interval(records, accuracy, BOOTSTRAP).to_json()


def letters_of(items: AsaItems) -> dict[str, int]:
    """How often the right option stands on each letter."""
    chosen = [item.choice for item in items.choice]
    return {CHOICE_LETTERS[index]: chosen.count(index) for index in range(4)}


def counts_of(items: AsaItems) -> dict[str, int]:
    """Numbers of questions."""
    return {name: len(part) for name, part in vars(items).items()}
