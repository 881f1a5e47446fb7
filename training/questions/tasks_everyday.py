"""What people ask and the benchmark does not: the other end of its comparisons, where the nearest is, what is on a side or where.

For training only, like all of `tasks_spoken`, which draws from here. A model that has only ever been asked for the nearest takes
"the farthest" for it, and answers with the very opposite.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from earshot.runtime.language.prompt import NOTHING_HEARD
from earshot.training.questions import answers
from earshot.training.questions.items import Balance, Draft, Form
from earshot.training.questions.sides import SIDES, parted
from earshot.training.questions.tasks_l1 import PLACES
from earshot.training.questions.tasks_l2 import CLOSER, EARLIER, LOUDER, OPPOSITES, Relation, clear_first, compared
from earshot.training.questions.tasks_motion import MovingView
from earshot.training.questions.think import levels, listing, read_off
from earshot.training.questions.view import Heard, SceneView

MOST_MOTIONS = 3
"""Sounds of a scene in which it is asked whether any moves: each takes a line of reasoning."""
_PLACED = (CLOSER, OPPOSITES["farther"], LOUDER, OPPOSITES["quieter"], EARLIER, OPPOSITES["later"])
"""Relations whose extreme is asked for its place; where the leftmost is says the question itself."""
_MEASURED = (CLOSER, OPPOSITES["farther"], LOUDER)
"""Relations whose extreme is asked for its distance."""


def opposite(name: str, view: SceneView, rng: random.Random) -> tuple[Form, Draft] | None:
    """The other end of a relation, by the relation's name: of all sounds, of two (with options), or yes or no."""
    form: Form = rng.choice(("choice", "choice", "open", "yesno"))
    draft = compared(OPPOSITES[name], view, form, rng)
    return None if draft is None else (form, draft)


def extreme_where(view: SceneView, rng: random.Random) -> Draft | None:
    """Where the nearest, the loudest ... of all sounds is."""
    relation = rng.choice(_PLACED)
    if not view.heard:
        return _silence(f"{relation.name}.where")
    top = clear_first(relation, view.heard)
    if top is None:
        return None
    truth = {"label": top.key, "azimuth_deg": top.exact[0], "names": [top.key]}
    return _extreme_draft(relation, "where", "azimuth_deg", top, view, answers.where(top, rng), truth)


def extreme_far(view: SceneView, rng: random.Random) -> Draft | None:
    """How far away the nearest, the farthest, the loudest sound is."""
    relation = rng.choice(_MEASURED)
    if not view.heard:
        return _silence(f"{relation.name}.far")
    top = clear_first(relation, view.heard)
    if top is None:
        return None
    truth = {"label": top.key, "distance_m": top.exact[2], "names": [top.key]}
    return _extreme_draft(relation, "far", "distance_m", top, view, answers.how_far(top, rng), truth)


def _extreme_draft(
    relation: Relation, asks: str, attribute: str, top: Heard, view: SceneView, text: str, truth: Mapping[str, object]
) -> Draft:
    """First which sound it is, as if that were asked, then what is asked of it."""
    steps = (listing(relation.word, view.heard, relation.attribute, top), read_off(top, attribute))
    return Draft(f"{relation.name}.{asks}", {}, text, (), steps, truth)


def how_loud(view: SceneView, rng: random.Random) -> Draft | None:
    """How loud all sounds are, re the loudest of them: the one question whose steps state every level."""
    if not view.heard:
        return _silence("levels.ask")
    top = max(view.heard, key=lambda source: source.level_db)
    others = [f"{source.label.definite} {_below(source)}" for source in view.heard if source is not top]
    start = f"{top.label.definite} {top.label.verb} the loudest"
    text = f"{start}, {answers.joined(others)}." if others else f"I only hear {top.label.definite}."
    truth = {"labels": [source.key for source in view.heard], "relation": "levels"}
    return Draft("levels.ask", {}, answers.capital(text), (), (levels(view.heard),), truth)


def _below(source: Heard) -> str:
    return f"{-source.level_db} decibels quieter" if source.level_db else "just as loud"


def any_moving(view: SceneView, rng: random.Random) -> Draft | None:
    """Whether anything moves, and what; not asked of a listener who moves."""
    if not isinstance(view, MovingView) or not view.motions or not view.listener_still:
        return None
    verdicts = [motion.moves for motion in view.motions]
    moving = [motion.heard for motion in view.motions if motion.moves]
    if len(view.motions) != len(view.heard) or len(view.motions) > MOST_MOTIONS or None in verdicts:
        return None
    if moving:
        verb = "are" if len(moving) > 1 else moving[0].label.verb
        text = f"Yes, {_names(moving)} {verb} moving."
    else:
        text = "No, nothing is moving."
    steps = (*(motion.step for motion in view.motions), f"moving: {', '.join(s.name for s in moving) or 'none'}")
    truth = {"yes": bool(moving), "labels": [source.key for source in moving]}
    return Draft("moving.any", {}, text, (), steps, truth, Balance("moving.any", str(bool(moving)), 2))


def any_at(view: SceneView, rng: random.Random) -> Draft | None:
    """Whether anything sounds on a side."""
    found = _on_side(view, rng)
    if found is None:
        return None
    side, inside, steps = found
    text = f"Yes, {_names(inside)}." if inside else "No, I hear nothing there."
    return _side_draft("any_at.yesno", side, inside, text, steps, {"yes": bool(inside)})


def on_side(view: SceneView, rng: random.Random) -> Draft | None:
    """Which sounds are on a side."""
    found = _on_side(view, rng)
    if found is None:
        return None
    side, inside, steps = found
    text = answers.capital(f"{_names(inside)}.") if inside else "Nothing sounds there."
    return _side_draft("side.open", side, inside, text, steps, {"relation": "side"})


def _names(inside: list[Heard]) -> str:
    return answers.joined([source.label.definite for source in inside])


def _side_draft(
    ask: str, side: str, inside: list[Heard], text: str, steps: tuple[str, ...], truth: dict[str, object]
) -> Draft:
    labels = [source.key for source in inside]
    balance = Balance(f"{ask}:{side}", str(bool(inside)), 2)
    return Draft(ask, {"place": PLACES[side]}, text, (), steps, {"labels": labels, **truth}, balance)


def _on_side(view: SceneView, rng: random.Random) -> tuple[str, list[Heard], tuple[str, ...]] | None:
    """A side, the sounds on it, and the steps that sort them; None where one is neither on it nor off it."""
    side = rng.choice(list(SIDES))
    found = parted(view.heard, side)
    if found is None:
        return None
    inside, words = found
    verdicts = [f"{s.name} {s.azimuth_deg} {word}" for s, word in zip(view.heard, words, strict=True)]
    # Names, not their number: the answer only has to copy them. The tenth model was trained on numbers and copies wrong names.
    names = ", ".join(source.name for source in inside) or "none"
    return side, inside, (", ".join(verdicts) or NOTHING_HEARD, f"{side}: {names}")


def what_is_where(view: SceneView, rng: random.Random) -> Draft | None:
    """All sounds with their directions."""
    if not view.heard:
        return _silence("where_all.open")
    first, *others = view.heard
    start = f"{first.label.definite} {first.label.verb} {answers.place(first.azimuth_deg)}"
    text = answers.joined([start, *(f"{s.label.definite} {answers.place(s.azimuth_deg)}" for s in others)])
    truth = {"labels": [source.key for source in view.heard], "relation": "where"}
    return Draft("where_all.open", {}, answers.capital(f"{text}."), (), (), truth)


def _silence(ask: str) -> Draft:
    return Draft(ask, {}, "I can't hear any sound.", truth={"absent": True})
