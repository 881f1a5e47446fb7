"""Conversations about a scene: a full question, then follow-ups that refer back ("and how far?", "and the other one?").

The listener completes a follow-up from what was asked and answered before, then the model hears a full question; so these
are for examining the two together, with what the model itself answered. Each turn is an item, its truth that of the scene.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from earshot.training.questions import answers
from earshot.training.questions.items import Form, Item, coin
from earshot.training.questions.phrasing import Split, ask
from earshot.training.questions.tasks_l1 import PLACES
from earshot.training.questions.view import SECTORS, Heard, SceneView, sector_of, wrap_int

APART_DEG = 45
"""Between a sound that is asked for by its direction, and all others."""
SIDE_DEG = 67.5
"""A sound is "on my left" within this angle of it, and "not there" beyond 180 degrees less this."""


@dataclass(frozen=True)
class Turn:
    """One question of a conversation.

    Attributes
    ----------
    item : Item
        As it is asked; its id is unique among conversations of a set.
    in_full : str
        The same question for someone who has not heard what was said before.
    """

    item: Item
    in_full: str

    @property
    def follows_up(self) -> bool:
        """Whether it cannot be understood alone."""
        return self.item.question != self.in_full


@dataclass(frozen=True)
class Conversation:
    """Turns about one scene, the first of them a full question."""

    id: str
    kind: str
    scene: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class _Plan:
    """A turn before words: kind of phrasing, and that of the full question when it is a follow-up."""

    task: str
    form: Form
    truth: dict[str, Any]
    answer: str
    full: str
    slots: dict[str, Any]
    short: str | None = None


_Maker = Callable[[SceneView, random.Random], list[_Plan] | None]


def converse(view: SceneView, kind: str, name: str, rng: random.Random, split: Split = "train") -> Conversation | None:
    """Make a conversation.

    Parameters
    ----------
    view : SceneView
    kind : str
        One of `KINDS`.
    name : str
        Id.
    rng : random.Random
    split : str
        Phrasings that may be used.

    Returns
    -------
    Conversation or None
        None when the scene gives none of this kind.
    """
    plans = _MAKERS[kind](view, rng)
    if plans is None:
        return None
    turns = tuple(_turn(plan, f"{name}-{number}", view, rng, split) for number, plan in enumerate(plans, start=1))
    return Conversation(name, kind, view.scene_id, turns)


def _turn(plan: _Plan, name: str, view: SceneView, rng: random.Random, split: Split) -> Turn:
    full = ask(plan.full, plan.slots, rng, split)
    asked = full if plan.short is None else ask(plan.short, plan.slots, rng, split)
    item = Item(name, view.scene_id, "L1", plan.task, plan.form, asked, None, plan.answer, None, "", plan.truth)
    return Turn(item, full)


def _where(source: Heard, rng: random.Random) -> _Plan:
    truth = {"label": source.key, "azimuth_deg": source.exact[0]}
    return _Plan("where", "open", truth, answers.where(source, rng), "where.open", {"x": source.label})


def _how_far(source: Heard, rng: random.Random) -> _Plan:
    truth = {"label": source.key, "distance_m": source.exact[2]}
    return _Plan("distance", "number", truth, answers.how_far(source, rng), "distance.number", {"x": source.label})


def _when(source: Heard, rng: random.Random) -> _Plan:
    truth = {"label": source.key, "onset_s": source.exact[3], "offset_s": source.exact[4]}
    return _Plan("when", "open", truth, answers.from_to(source, rng), "when.open", {"x": source.label})


def _aspects(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """One sound, asked about from several sides."""
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    plans = {
        "follow.where": _where(source, rng),
        "follow.far": _how_far(source, rng),
        "follow.when": _when(source, rng),
    }
    shorts = rng.sample(sorted(plans), 3)
    return [plans[shorts[0]], *(replace(plans[short], short=short) for short in shorts[1:])]


def _sounds(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """The same question about one sound after the other."""
    if len(view.heard) < 2:
        return None
    plan = rng.choice((_where, _how_far))
    first, *others = rng.sample(view.heard, len(view.heard))
    return [plan(first, rng), *(replace(plan(other, rng), short="follow.sound") for other in others)]


def _other(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """What there is; where one of two is; and the other one."""
    if len(view.heard) != 2:
        return None
    first, second = rng.sample(view.heard, 2)
    truth = {"labels": [source.key for source in view.heard]}
    what = _Plan("what", "open", truth, answers.sounds(view.heard, rng), "what.open", {})
    return [what, _where(first, rng), replace(_where(second, rng), short="follow.other")]


def _places(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """What sounds in one direction, and in another where there may be nothing."""
    alone = _alone(view)
    if not alone:
        return None
    source, *others = rng.sample(alone, len(alone))
    nothing = not others or coin(rng)
    sector = _empty_sector(view, rng) if nothing else _sector(others[0])
    if sector is None:
        return None
    heard = None if nothing else others[0]
    return [_at(source, _sector(source), rng), replace(_at(heard, sector, rng), short="follow.place")]


def _hours(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """What sounds at an hour of the clock face or a point of the compass, and more about that."""
    alone = _alone(view)
    if not alone:
        return None
    source = rng.choice(alone)
    full = rng.choice(("at.clock", "at.compass"))
    more = rng.choice(
        (replace(_how_far(source, rng), short="follow.far"), replace(_when(source, rng), short="follow.when"))
    )
    return [replace(_at(source, _sector(source), rng), full=full), more]


def _checks(view: SceneView, rng: random.Random) -> list[_Plan] | None:
    """How far or when; and whether it is on a side."""
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    pair, turned_deg = rng.choice(
        ((("left", "right"), abs(wrap_int(source.azimuth_deg - 90))), (("front", "behind"), abs(source.azimuth_deg)))
    )
    if SIDE_DEG < turned_deg < 180 - SIDE_DEG:
        return None
    place, other = pair if turned_deg <= SIDE_DEG else pair[::-1]
    yes = coin(rng)
    truth = {"label": source.key, "azimuth_deg": source.exact[0], "yes": yes}
    slots = {"x": source.label, "place": PLACES[place if yes else other]}
    text = answers.yes_no(yes, source.label, answers.TO_YOU[place])
    first = rng.choice((_how_far, _when))(source, rng)
    return [first, _Plan("where", "yesno", truth, text, "where.yesno", slots, "follow.check")]


def _at(source: Heard | None, sector: str, rng: random.Random) -> _Plan:
    text = answers.nothing_there(sector, rng) if source is None else answers.it_is(source, rng)
    truth = {"label": None if source is None else source.key}
    return _Plan("at", "open", truth, text, "at.sector", {"dir": sector, "place": _PLACE_OF[sector]})


_PLACE_OF = {
    sector: PLACES.get(sector, f"behind me to the {sector[5:]}" if sector.startswith("back") else f"to my {sector}")
    for sector in SECTORS
}


def _alone(view: SceneView) -> list[Heard]:
    """Sources well within a sector and far from all others."""
    return [
        s for s in view.heard
        if sector_of(s.azimuth_deg, 8.0) is not None
        and all(o is s or abs(wrap_int(s.azimuth_deg - o.azimuth_deg)) >= APART_DEG for o in view.heard)
    ]  # fmt: skip


def _sector(source: Heard) -> str:
    return SECTORS[sector_of(source.azimuth_deg) or 0]


def _empty_sector(view: SceneView, rng: random.Random) -> str | None:
    empty = [k for k in range(8) if all(abs(wrap_int(s.azimuth_deg - 45 * k)) >= 60 for s in view.heard)]
    return SECTORS[rng.choice(empty)] if empty else None


_MAKERS: dict[str, _Maker] = {
    "aspects": _aspects, "sounds": _sounds, "other": _other, "places": _places, "hours": _hours, "checks": _checks
}  # fmt: skip
KINDS: Sequence[str] = tuple(_MAKERS)
"""Kinds of conversation."""
