"""Questions that the benchmark asks with options, as people ask them: without any; and questions about sounds that are not there.

For training only. The frozen question sets draw from the table of tasks, which knows nothing of these: a form more there would
be another set. A draft with options becomes one that is answered in a sentence; what was understood and the steps stay the same,
so only the last line is new to a model that has learned to choose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from earshot.runtime.labels import Label, by_key
from earshot.training.questions import answers, tasks_everyday
from earshot.training.questions.items import TASKS, Draft, Form, coin, pick
from earshot.training.questions.tasks_l2 import (
    ABOUT_THE_SAME,
    LEFTMOST,
    OPPOSITES,
    RELATIONS,
    Relation,
    compared,
    difference,
)
from earshot.training.questions.tasks_motion import MovingView
from earshot.training.questions.think import not_heard, read_off
from earshot.training.questions.turns import draw_turn
from earshot.training.questions.view import SceneView, wrap_int

NOTHING_IN_FRONT_SHARE = 0.2
NOTHING_MOVES_SHARE = 0.3
ABSENT_PART = 0.6
"""Questions with a sound in them that is not there, as a part of the share of such questions elsewhere (`SceneView.absent_share`);
a model that has never been asked so tells where it is."""
WINS = {
    "closer": ("is closer", "are closer"), "louder": ("is louder", "are louder"), "earlier": ("starts first", "start first"),
    "ends_later": ("ends last", "end last"), "further_left": ("is further left", "are further left"),
    "farther": ("is farther away", "are farther away"), "quieter": ("is quieter", "are quieter"),
    "later": ("starts later", "start later"), "ends_earlier": ("ends first", "end first"),
    "further_right": ("is further right", "are further right"),
    "walk": ("would be closer", "would be closer"), "twice": ("would be closer", "would be closer"),
}  # fmt: skip
"""What is said of the sound that wins a comparison, singular and plural, by task."""
ABSENT_KINDS: dict[str, tuple[tuple[str, Form], ...]] = {
    "L1": (("height", "number"), ("moving", "yesno")),
    "L2": (("apart", "number"), ("together", "yesno"), ("seen_from", "choice"), ("course", "choice")),
    "L3": (("turn", "open"), ("face", "open"), ("turn_to", "number"), ("walk", "number"), ("stop_nearest", "open")),
}
"""Tasks and forms in which a sound is asked about that is not there, by level."""

Drafted = tuple[str, Form, Draft]
"""Name of the task, form, draft."""
Spoken = tuple[str, Mapping[str, Any]]
"""A sentence and the truth by which it is judged."""


def spoken_draft(level: str, view: SceneView, rng: random.Random) -> Drafted | None:
    """Draft a question of one level that is answered in a sentence; None where the scene gives none of the kind that was drawn."""
    if coin(rng, ABSENT_PART * view.absent_share):
        name, form = rng.choice(ABSENT_KINDS[level])
        draft = TASKS[name].make(view, form, rng)
        return None if draft is None else (name, "open", about_absent(draft, view, rng))
    name, make = rng.choice(_MAKERS[level])
    draft = make(view, rng)
    return None if draft is None else (name, _form_of(draft), draft)


def opposite_draft(name: str, view: SceneView, rng: random.Random) -> Drafted | None:
    """Draft a question about the other end of a comparison (a name of `OPPOSITES`), answered in a sentence."""
    draft = _opposite(name, view, rng)
    return None if draft is None else (_COMPARED[name], _form_of(draft), draft)


def levels_draft(view: SceneView, rng: random.Random) -> Drafted | None:
    """Draft a question about the levels of all sounds."""
    draft = tasks_everyday.how_loud(view, rng)
    return None if draft is None else ("louder", "open", draft)


def rare_draft(view: SceneView, rng: random.Random) -> Drafted | None:
    """Draft a question of a kind that is learned last: those that few scenes allow come first."""
    for makers in _RARE:
        for name, make in rng.sample(makers, len(makers)):
            draft = make(view, rng)
            if draft is not None:
                return name, _form_of(draft), draft
    return None


def _form_of(draft: Draft) -> Form:
    return "yesno" if "yes" in draft.truth else "number" if "between_deg" in draft.truth else "open"


def about_absent(draft: Draft, view: SceneView, rng: random.Random) -> Draft:
    """The draft with one of its sounds exchanged for one that is not heard, which is all that the answer says."""
    slot = rng.choice([name for name, value in draft.slots.items() if isinstance(value, Label)])
    label = view.absent(rng)[0]
    truth = {"label": label.key, "absent": True}
    steps = (not_heard(label.spoken),)
    return Draft(draft.ask, {**draft.slots, slot: label}, answers.absent(label, rng), (), steps, truth)


def between(view: SceneView, rng: random.Random) -> Draft | None:
    """How many degrees lie between two directions, to whichever side."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    start, goal = pair
    degrees = abs(wrap_int(goal.azimuth_deg - start.azimuth_deg))
    steps = (read_off(start, "azimuth_deg"), difference(goal, start))
    exact_deg = abs(180.0 - (180.0 - goal.exact[0] + start.exact[0]) % 360.0)
    truth = {"labels": [goal.key, start.key], "between_deg": exact_deg}
    return Draft("between.ask", {"x": goal.label, "y": start.label}, f"{degrees} degrees", (), steps, truth)


def turn_front(view: SceneView, rng: random.Random) -> Draft | None:
    """What is in front after a turn; mostly something, else nothing."""
    if not view.heard:
        return None
    turned = draw_turn(rng)
    ordered = sorted(view.heard, key=lambda source: abs(turned.after(source)))
    nearest_deg = abs(turned.after(ordered[0]))
    nothing = nearest_deg >= 60
    if not nothing and (nearest_deg > 30 or (len(ordered) > 1 and abs(turned.after(ordered[1])) < 60)):
        return None
    if nothing and not coin(rng, NOTHING_IN_FRONT_SHARE):
        return None
    slots, steps = {"turn": turned.words}, (turned.step_for(view.heard),)
    if nothing:
        return Draft("turn_front.ask", slots, "Then nothing is in front of you.", (), steps, {"absent": True})
    label = ordered[0].label
    text = f"Then {label.definite} {label.verb} in front of you."
    return Draft("turn_front.ask", slots, text, (), steps, {"label": label.key, "relation": "front"})


def _moves(view: SceneView, rng: random.Random) -> Draft | None:
    """Which sound moves, or that none does."""
    if isinstance(view, MovingView) and view.heard and view.listener_still and coin(rng, NOTHING_MOVES_SHARE):
        motions = view.motions
        if len(motions) != len(view.heard) or any(motion.moves is not False for motion in motions):
            return None
        steps = tuple(motion.step for motion in motions)[:3]
        return Draft("moving.which", {}, "Nothing is moving.", (), steps, {"absent": True})
    return _without_options("moving", view, rng)


def _without_options(name: str, view: SceneView, rng: random.Random) -> Draft | None:
    """A draft of a task with options, answered in a sentence instead."""
    draft = TASKS[name].make(view, "choice", rng)
    return None if draft is None else _said(name, draft, view)


def _said(name: str, draft: Draft, view: SceneView) -> Draft | None:
    """The draft without its options; the extreme of all sounds has a form without them already."""
    if draft.ask.endswith(".extreme"):
        return None
    text, truth = _SENTENCES[name](name, draft, view)
    balance = draft.balance and replace(draft.balance, group=f"{draft.balance.group}:spoken")
    return Draft(draft.ask, draft.slots, text, (), draft.steps, truth, balance)


def _opposite(name: str, view: SceneView, rng: random.Random) -> Draft | None:
    """The other end of a comparison, in a sentence."""
    found = tasks_everyday.opposite(name, view, rng)
    if found is None:
        return None
    form, draft = found
    return _said(name, draft, view) if form == "choice" else draft


def _comparison(name: str, draft: Draft, view: SceneView) -> Spoken:
    key = draft.truth["winner"]
    if key == "one":
        heard = {source.key for source in view.heard}
        label = next(label for label in map(by_key, draft.truth["labels"]) if label.key not in heard)
        return f"I can't hear {label.article}.", {"label": label.key, "absent": True}
    then = "then " if name in ("walk", "twice") else ""
    if key == "same":
        return answers.capital(f"{then}they are {ABOUT_THE_SAME}."), {"says": ABOUT_THE_SAME}
    label = by_key(draft.truth["labels"][0 if key in ("first", "goal") else 1])
    return answers.capital(f"{then}{label.definite} {WINS[name][label.plural]}."), {
        "label": label.key,
        "relation": name,
    }


def _seen_from(name: str, draft: Draft, view: SceneView) -> Spoken:
    first, second = (by_key(key) for key in draft.truth["labels"])
    text = f"{answers.capital(first.definite)} {first.verb} {draft.answer} than {second.definite}."
    return text, {"says": draft.answer}


def _stated(name: str, draft: Draft, view: SceneView) -> Spoken:
    """The right option, said of the sound that was asked about."""
    return f"{answers.capital(draft.answer)}.", {"label": draft.truth["label"], "says": draft.answer}


def _height(name: str, draft: Draft, view: SceneView) -> Spoken:
    label = by_key(draft.truth["label"])
    place = f"{draft.answer} you" if draft.answer.endswith("above") else draft.answer
    return f"{answers.capital(label.definite)} {label.verb} {place}.", {"label": label.key, "says": draft.answer}


def _situation(name: str, draft: Draft, view: SceneView) -> Spoken:
    return f"Probably {draft.answer}.", {"says": draft.answer}


def _moving(name: str, draft: Draft, view: SceneView) -> Spoken:
    label = by_key(draft.truth["label"])
    return f"{answers.capital(label.definite)} {label.verb} moving.", {"label": label.key, "relation": name}


def _clear_way(name: str, draft: Draft, view: SceneView) -> Spoken:
    if draft.truth["label"] is None:
        return "Nothing that sounds is in the way.", {"absent": True}
    label = by_key(draft.truth["label"])
    return f"{answers.capital(label.definite)} {label.verb} in the way.", {"label": label.key, "relation": name}


_SENTENCES: Mapping[str, Callable[[str, Draft, SceneView], Spoken]] = {
    **dict.fromkeys(WINS, _comparison),
    "seen_from": _seen_from, "height": _height, "course": _stated, "situation": _situation, "moving": _moving,
    "clear_way": _clear_way,
}  # fmt: skip

_COMPARED = dict(zip(OPPOSITES, RELATIONS, strict=True))
"""The task of which a comparison is the other end."""

Maker = Callable[[SceneView, random.Random], Draft | None]


def _open(name: str) -> tuple[str, Maker]:
    return name, partial(_without_options, name)


def _all_of(relation: Relation) -> tuple[str, Maker]:
    """The extreme of all sounds; rarely allowed where only those in front are compared."""
    name = relation.name if relation.name in RELATIONS else _COMPARED[relation.name]
    return name, lambda view, rng: compared(relation, view, "open", rng)


_RARE: Sequence[Sequence[tuple[str, Maker]]] = (
    (_all_of(LEFTMOST), _all_of(OPPOSITES["further_right"])),
    (_all_of(OPPOSITES["ends_earlier"]), ("side_count", tasks_everyday.on_side), _open("height"), _open("seen_from")),
)
"""What the eleventh built-in model answered worst of described scenes, apart from levels."""
_MAKERS: Mapping[str, Sequence[tuple[str, Maker]]] = {
    "L1": (
        _open("height"), ("moving", _moves), ("side_count", tasks_everyday.any_at), ("side_count", tasks_everyday.on_side),
        ("what", tasks_everyday.what_is_where), ("moving", tasks_everyday.any_moving),
    ),
    "L2": (
        *map(_open, RELATIONS), _open("seen_from"), _open("course"), ("apart", between),
        ("where", tasks_everyday.extreme_where), ("where", tasks_everyday.extreme_where),
        ("distance", tasks_everyday.extreme_far),
        *((name, partial(_opposite, other)) for other, name in _COMPARED.items()),
    ),
    "L3": (
        _open("walk"), _open("twice"), ("turn_front", turn_front), ("turn_front", turn_front), _open("clear_way"),
        _open("situation"),
    ),
}  # fmt: skip
"""Task and what drafts it, by level; what is in front after a turn is asked most often of the last."""
