"""Level 3, planning and inference: conditions that must hold together, ways that must be free, what would be if, where I am.

As in `tasks_l3`, each function drafts one question, or returns None where the scene gives no unambiguous one.
"""

from __future__ import annotations

import random

from earshot.runtime.language.prompt import NOTHING_HEARD
from earshot.training.questions.items import Balance, Draft, Form, coin, pick, sound_choice, task
from earshot.training.questions.sides import SIDES, parted
from earshot.training.questions.tasks_l1 import PLACES
from earshot.training.questions.tasks_l2 import ABOUT_THE_SAME, CLOSER, ONLY_ONE
from earshot.training.questions.tasks_l3 import LEVEL_DEG
from earshot.training.questions.think import not_heard, sign_of
from earshot.training.questions.view import Heard, SceneView, wrap_int

WAYS = {"straight ahead": 0, "to my left": 90, "to my right": -90, "backwards": 180}
LIMITS_M = (1.0, 2.0, 3.0)
CLEARLY = 1.3
"""Ratio of two distances from which on nobody mistakes one for the other."""
NOTHING = "nothing"
SITUATIONS: dict[str, frozenset[str]] = {
    "in a kitchen or bathroom": frozenset(
        [
            "toilet_flush",
            "pouring_water",
            "drinking_sipping",
            "can_opening",
            "washing_machine",
            "brushing_teeth",
            "water_drops",
        ]
    ),
    "in a street with traffic": frozenset(["car_horn", "engine", "siren"]),
    "on a farm": frozenset(["cow", "hen", "pig", "rooster", "sheep"]),
    "among musicians": frozenset(
        [
            "music_acoustic_guitar",
            "music_bass_drum",
            "music_cello",
            "music_clarinet",
            "music_double_bass",
            "music_flute",
            "music_hi_hat",
            "music_saxophone",
            "music_snare_drum",
            "music_violin_or_fiddle",
        ]
    ),
    "out in nature": frozenset(["chirping_birds", "crickets", "crow", "frog", "insects_flying", "sea_waves", "wind"]),
    "in an office": frozenset(["keyboard_typing", "mouse_click"]),
    "at a station or an airport": frozenset(["airplane", "helicopter", "train"]),
}


def _far_from(metres: float, limit_m: float) -> bool:
    return max(metres / limit_m, limit_m / metres) >= CLEARLY


@task("both", "L3", "choice", "open")
def both(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which sound meets two conditions at once: its side and its distance."""
    if not 2 <= len(view.heard) <= 3:
        return None
    side, limit_m, near = rng.choice(list(SIDES)), rng.choice(LIMITS_M), coin(rng)
    found = parted(view.heard, side)
    if found is None or not all(_far_from(s.distance_m, limit_m) for s in view.heard):
        return None
    inside, words = found
    met = [source for source in inside if (source.distance_m < limit_m) == near]
    if len(met) != 1:
        return None
    right = met[0]
    steps = ", ".join(
        f"{s.name} {s.azimuth_deg} {word} {s.distance_m} {_sign(s.distance_m, limit_m)} {limit_m:.0f}"
        for s, word in zip(view.heard, words, strict=True)
    )
    condition = f"{side} {'<' if near else '>'} {limit_m:.0f}: {right.name}"
    slots = {"place": PLACES[side], "m": f"{limit_m:.0f}"}
    truth = {"label": right.key, "side": side, "limit_m": limit_m, "near": near}
    ask = "both.near" if near else "both.far"
    if form == "open":
        return Draft(ask, slots, f"{right.label.definite.capitalize()}.", (), (steps, condition), truth)
    wrong = sound_choice(view, right, rng, view.heard)
    return Draft(ask, slots, f"the {right.name}", wrong, (steps, condition), truth)


def _sign(value: float, limit: float) -> str:
    return "<" if value < limit else ">"


@task("clear_way", "L3", "yesno", "choice")
def clear_way(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Whether the listener can walk some way without running into a sound, or into which."""
    way, walked_m = rng.choice(list(WAYS)), rng.choice(LIMITS_M)
    if len(view.heard) > 3 or any(abs(source.elevation_deg) > LEVEL_DEG for source in view.heard):
        return None
    gaps = [abs(wrap_int(source.azimuth_deg - WAYS[way])) for source in view.heard]
    if any(20 < gap < 45 for gap in gaps):
        return None
    ahead = [source for source, gap in zip(view.heard, gaps, strict=True) if gap <= 20]
    if not all(_far_from(source.distance_m, walked_m) for source in ahead):
        return None
    met = [source for source in ahead if source.distance_m < walked_m]
    if len(met) > 1:
        return None
    steps = tuple(_on_the_way(s, gap, walked_m) for s, gap in zip(view.heard, gaps, strict=True))
    slots = {"m": f"{walked_m:.0f}", "path": way}
    truth = {"way": way, "walked_m": walked_m, "label": met[0].key if met else None}
    shown = (", ".join(steps) or NOTHING_HEARD,)
    if form == "choice":
        return _what_is_met(view, met, slots, shown, truth, rng)
    text = (
        f"No, {met[0].label.definite} {met[0].label.verb} in the way."
        if met
        else "Yes, nothing that sounds is in the way."
    )
    balance = Balance(f"clear_way.yesno:{way}:{walked_m}", str(bool(met)), 2)
    return Draft("clear_way.yesno", slots, text, (), shown, {**truth, "yes": not met}, balance)


def _on_the_way(source: Heard, gap: int, walked_m: float) -> str:
    if gap > 20:
        return f"{source.name} {source.azimuth_deg} aside"
    return f"{source.name} {source.azimuth_deg} ahead {source.distance_m} {_sign(source.distance_m, walked_m)} {walked_m:.0f}"


def _what_is_met(
    view: SceneView,
    met: list[Heard],
    slots: dict[str, str],
    steps: tuple[str, ...],
    truth: dict[str, object],
    rng: random.Random,
) -> Draft | None:
    if not view.heard:
        return None
    # Three of four are met by something, so that "nothing" is right as often as any other option.
    key = str(rng.randrange(3)) if met else NOTHING
    balance = Balance(f"clear_way.choice:{slots['path']}:{slots['m']}", key, 4)
    if met:
        wrong = (*sound_choice(view, met[0], rng, view.heard)[:2], NOTHING)
        return Draft("clear_way.choice", slots, f"the {met[0].name}", wrong, steps, truth, balance)
    first = view.heard[0]
    wrong = (f"the {first.name}", *sound_choice(view, first, rng, view.heard)[:2])
    return Draft("clear_way.choice", slots, NOTHING, wrong, steps, truth, balance)


@task("twice", "L3", "choice")
def twice(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which of two would be closer if one were twice as far away."""
    steps: tuple[str, ...]
    if view.heard and coin(rng, 0.25):
        other, absent = rng.choice(view.heard).label, view.absent(rng)[0]
        labels = [other, absent] if coin(rng) else [absent, other]
        key, steps = "one", (not_heard(absent.spoken),)
    else:
        pair = pick(view, rng, 2)
        if pair is None:
            return None
        moved, kept = pair
        far_m = round(2 * moved.distance_m, 1)
        key = "same" if CLOSER.same(far_m, kept.distance_m) else "first" if far_m < kept.distance_m else "second"
        if key != "same" and not CLOSER.clear(far_m, kept.distance_m):
            return None
        labels = [moved.label, kept.label]
        nearer = {"first": moved.name, "second": kept.name}.get(key, key)
        steps = (
            f"{moved.name} {moved.distance_m} x 2 = {far_m}, {kept.name} {kept.distance_m}",
            f"{far_m} {sign_of(far_m, kept.distance_m)} {kept.distance_m}, {nearer}",
        )
    options = {"first": labels[0].definite, "second": labels[1].definite, "same": ABOUT_THE_SAME, "one": ONLY_ONE}
    wrong = tuple(text for name, text in options.items() if name != key)
    truth = {"labels": [label.key for label in labels], "winner": key}
    slots = {"x": labels[0], "y": labels[1]}
    return Draft("twice.ask", slots, options[key], wrong, steps, truth, Balance("twice", key, 4))


@task("situation", "L3", "choice")
def situation(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Where the listener probably is, by what sounds there (abduction)."""
    found = [next((name for name, keys in SITUATIONS.items() if s.key in keys), None) for s in view.heard]
    telling = {name for name in found if name is not None}
    if len(telling) != 1:
        return None
    right = telling.pop()
    steps = (", ".join(f"{s.name} {name or 'anywhere'}" for s, name in zip(view.heard, found, strict=True)),)
    wrong = tuple(rng.sample([name for name in SITUATIONS if name != right], 3))
    balance = Balance("situation", right, len(SITUATIONS))
    return Draft("situation.ask", {}, right, wrong, steps, {"situation": right}, balance)
