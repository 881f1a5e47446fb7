"""Level 3, reasoning: what changes when the listener turns or walks, or when a sound stops; which description fits."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from earshot.training.questions import answers
from earshot.training.questions.items import Balance, Draft, Form, coin, pick, sound_choice, task
from earshot.training.questions.options import SECTOR_MARGIN_DEG, degree_options, direction_options, mirrored
from earshot.training.questions.tasks_l2 import (
    ABOUT_THE_SAME,
    CLOSER,
    ONLY_ONE,
    difference,
    flip_front_back,
    flip_left_right,
)
from earshot.training.questions.think import listing, named, not_heard, plus, read_off
from earshot.training.questions.turns import TURNS_DEG, Turn, draw_turn
from earshot.training.questions.view import SECTORS, Heard, SceneView, sector_of, side_words, wrap_int

STEPS_M = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
LEVEL_DEG = 20
"""Walking is asked about sources near ear height only: the floor plan is enough."""


@task("turn", "L3", "choice", "number", "open")
def turn(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Where a sound is after the listener turned by some degrees."""
    if not view.heard:
        return None
    source, angle = rng.choice(view.heard), rng.choice(TURNS_DEG)
    turned = Turn(angle, to_left=coin(rng))
    slots = {"x": source.label, "turn": turned.words}
    steps = (read_off(source, "azimuth_deg"), f"{turned.step}: {plus(source.azimuth_deg, turned.change_deg)}")
    exact_deg = source.exact[0] + turned.change_deg
    truth = {"label": source.key, "azimuth_deg": 180.0 - (180.0 - exact_deg) % 360.0}
    return _after_turn("turn", form, turned.after(source), slots, steps, truth, source, rng)


@task("face", "L3", "choice", "number", "open")
def face(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Where a sound is when the listener faces another one."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    goal, other = pair
    after = wrap_int(other.azimuth_deg - goal.azimuth_deg)
    slots = {"x": goal.label, "y": other.label}
    steps = (read_off(goal, "azimuth_deg"), difference(other, goal))
    exact_deg = other.exact[0] - goal.exact[0]
    truth = {"label": other.key, "azimuth_deg": 180.0 - (180.0 - exact_deg) % 360.0}
    return _after_turn("face", form, after, slots, steps, truth, other, rng)


def _after_turn(
    name: str, form: Form, after: int, slots: Mapping[str, object], steps: tuple[str, ...], truth: Mapping[str, object],
    source: Heard, rng: random.Random,
) -> Draft | None:  # fmt: skip
    if form == "number":
        return Draft(f"{name}.ask", slots, side_words(after), (), steps, truth)
    if form == "open":
        text = f"Then {source.label.definite} {source.label.verb} {answers.place(after)}."
        return Draft(f"{name}.ask", slots, text, (), steps, truth)
    options = direction_options(after, rng)
    if options is None:
        return None
    if options[0] in SECTORS:
        steps = (*steps, named(after))
    balance = Balance(f"{name}.choice", str(round(after / 45) % 8), 8)
    return Draft(f"{name}.ask", slots, options[0], options[1:], steps, truth, balance)


@task("turn_to", "L3", "choice", "number", "yesno")
def turn_to(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which way, and how far, the listener must turn to face a sound."""
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    degrees = source.azimuth_deg
    truth = {"label": source.key, "azimuth_deg": source.exact[0]}
    if not 20 <= abs(degrees) <= 160:
        return None
    steps = (read_off(source, "azimuth_deg"),)
    if form == "yesno":
        left = coin(rng)
        yes = (degrees > 0) == left
        side = "left" if degrees > 0 else "right"
        slots = {"x": source.label, "way": "left" if left else "right"}
        text = f"{'Yes' if yes else 'No'}, turn {side}."
        balance = Balance(f"turn_to.yesno:{left}", str(yes), 2)
        return Draft("turn_to.yesno", slots, text, (), steps, {**truth, "yes": yes}, balance)
    if form == "number":
        return Draft("turn_to.ask", {"x": source.label}, side_words(degrees), (), steps, truth)
    options = degree_options(degrees, rng) if abs(degrees) % 90 else tuple(map(side_words, mirrored(degrees)))
    if len(set(options)) < 4 or any("straight" in option for option in options):
        return None
    return Draft("turn_to.ask", {"x": source.label}, options[0], options[1:], steps, truth)


def _after_walk(goal: Heard, other: Heard, walked_m: float) -> tuple[int, float]:
    """Angle between two sources (whole degrees) and the new distance of the other one, by the law of cosines."""
    angle = abs(wrap_int(other.azimuth_deg - goal.azimuth_deg))
    square = other.distance_m**2 + walked_m**2 - 2 * other.distance_m * walked_m * math.cos(math.radians(angle))
    return angle, round(math.sqrt(max(square, 0.0)), 1)


@task("walk", "L3", "choice", "number")
def walk(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How far a sound is, or which of two is nearer, after walking towards one."""
    if form == "choice":
        return _walk_nearer(view, rng)
    if not view.heard:
        return None
    goal = rng.choice(view.heard)
    if abs(goal.elevation_deg) > LEVEL_DEG:
        return None
    fitting = [metres for metres in STEPS_M if metres < goal.distance_m - 0.2]
    if not fitting:
        return None
    walked_m = rng.choice(fitting)
    left_m = round(goal.distance_m - walked_m, 1)
    truth = {"label": goal.key, "distance_m": goal.exact[2] - walked_m}
    slots = {"x": goal.label, "m": f"{walked_m:g}"}
    steps = (f"{goal.distance_m} - {walked_m} = {left_m}",)
    return Draft("walk.distance", slots, f"{left_m} metres", (), steps, truth)


def _walk_nearer(view: SceneView, rng: random.Random) -> Draft | None:
    if view.heard and coin(rng, 0.3):
        return _walk_one_absent(view, rng)
    pair = pick(view, rng, 2)
    if pair is None or max(abs(source.elevation_deg) for source in pair) > LEVEL_DEG:
        return None
    goal, other = pair
    walked_m = rng.choice(STEPS_M)
    left_m = round(goal.distance_m - walked_m, 1)
    if left_m < 0.2:
        return None
    angle, other_m = _after_walk(goal, other, walked_m)
    if other_m < 0.2:
        return None
    key = "goal" if left_m < other_m else "other"
    if not CLOSER.clear(left_m, other_m):
        if not CLOSER.same(left_m, other_m):
            return None
        key = "same"
    sign = "<" if left_m < other_m else ">" if left_m > other_m else "="
    steps = (
        f"{goal.name} {goal.distance_m} - {walked_m} = {left_m}",
        f"{other.name} {other.distance_m} at {angle} -> {other_m}; {left_m} {sign} {other_m}",
    )
    return _walk_draft(goal, other, walked_m, key, steps)


def _walk_draft(goal: Heard, other: Heard, walked_m: float, key: str, steps: tuple[str, ...]) -> Draft:
    options = {"goal": f"the {goal.name}", "other": f"the {other.name}", "same": ABOUT_THE_SAME, "one": ONLY_ONE}
    wrong = tuple(text for name, text in options.items() if name != key)
    slots = {"x": goal.label, "y": other.label, "m": f"{walked_m:g}"}
    truth = {"labels": [goal.key, other.key], "winner": key}
    balance = Balance(f"walk.nearer:{walked_m:g}", key, 4)
    return Draft("walk.nearer", slots, options[key], wrong, steps, truth, balance)


def _walk_one_absent(view: SceneView, rng: random.Random) -> Draft:
    goal, absent, walked_m = rng.choice(view.heard), view.absent(rng)[0], rng.choice(STEPS_M)
    options = (f"the {goal.name}", absent.definite, ABOUT_THE_SAME)
    slots = {"x": goal.label, "y": absent, "m": f"{walked_m:g}"}
    truth = {"labels": [goal.key, absent.key], "winner": "one"}
    balance = Balance(f"walk.nearer:{walked_m:g}", "one", 4)
    return Draft("walk.nearer", slots, ONLY_ONE, options, (not_heard(absent.spoken),), truth, balance)


@task("stop_nearest", "L3", "choice", "open")
def stop_nearest(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """What is nearest when a sound stops."""
    if len(view.heard) != 3:
        return None
    stopped = rng.choice(view.heard)
    rest = [source for source in view.heard if source is not stopped]
    near, far = sorted(rest, key=lambda source: source.distance_m)
    if not CLOSER.clear(near.distance_m, far.distance_m):
        return None
    steps = (listing("left", rest, "distance_m", near),)
    truth = {"stopped": stopped.key, "label": near.key}
    if form == "open":
        text = f"Then {near.label.definite} {near.label.verb} the nearest, {near.distance_m} metres away."
        return Draft("stop_nearest.ask", {"x": stopped.label}, text, (), steps, truth)
    wrong = sound_choice(view, near, rng, rest)
    return Draft("stop_nearest.ask", {"x": stopped.label}, f"the {near.name}", wrong, steps, truth)


@task("stop_remains", "L3", "choice", "open")
def stop_remains(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """What remains when a sound stops: one of two named, the other, both, or nothing."""
    if not 1 <= len(view.heard) <= 3:
        return None
    stopped = rng.choice(view.heard)
    rest = [source.label for source in view.heard if source is not stopped]
    steps = ("left: " + (", ".join(label.spoken for label in rest) or "nothing"),)
    truth = {"stopped": stopped.key, "labels": [label.key for label in rest]}
    slots = {"x": stopped.label}
    if form == "open":
        text = (
            f"Then {answers.joined([label.definite for label in rest])} would remain."
            if rest
            else "Nothing would remain."
        )
        return Draft("stop_remains.ask", slots, text, (), steps, truth)
    asked = [*rest, *view.absent(rng, 2)][:2]
    rng.shuffle(asked)
    key = "both" if len(rest) == 2 else "nothing" if not rest else "first" if asked[0] is rest[0] else "second"
    options = {
        "first": f"only {asked[0].definite}", "second": f"only {asked[1].definite}",
        "both": f"{asked[0].definite} and {asked[1].definite}", "nothing": "no sound at all",
    }  # fmt: skip
    wrong = tuple(text for name, text in options.items() if name != key)
    return Draft("stop_remains.ask", slots, options[key], wrong, steps, truth, Balance("stop_remains", key, 4))


@task("describe", "L3", "choice")
def describe(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which of four descriptions of two sounds fits: their order and places are exchanged or mirrored."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    first, second = sorted(pair, key=lambda source: source.onset_s)
    sectors = tuple(sector_of(source.azimuth_deg, SECTOR_MARGIN_DEG) for source in (first, second))
    if second.onset_s - first.onset_s < 0.4 or sectors[0] is None or sectors[1] is None:
        return None
    flip = rng.choice((flip_left_right, flip_front_back, None))
    a, b = sectors[0], sectors[1]
    other = (b, a) if flip is None else (flip(a), flip(b))
    if other == (a, b):
        return None
    options = [
        _story(one, two, places) for places in ((a, b), other) for one, two in ((first, second), (second, first))
    ]
    steps = tuple(f"{s.onset_s} {s.name} {SECTORS[k]}" for s, k in ((first, a), (second, b)))
    return Draft("describe.ask", {}, options[0], tuple(options[1:]), steps, {"labels": [first.key, second.key]})


def _story(one: Heard, two: Heard, places: tuple[int, int]) -> str:
    return f"first {one.label.article} ({SECTORS[places[0]]}), then {two.label.article} ({SECTORS[places[1]]})"


@task("turn_front", "L3", "choice")
def turn_front(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which sound is in front after a turn."""
    if len(view.heard) < 2:
        return None
    turned = draw_turn(rng)
    ordered = sorted(view.heard, key=lambda source: abs(turned.after(source)))
    if abs(turned.after(ordered[0])) > 30 or abs(turned.after(ordered[1])) < 60:
        return None
    steps = (turned.step_for(view.heard),)
    truth = {"label": ordered[0].key}
    wrong = sound_choice(view, ordered[0], rng, ordered)
    return Draft("turn_front.ask", {"turn": turned.words}, f"the {ordered[0].name}", wrong, steps, truth)
