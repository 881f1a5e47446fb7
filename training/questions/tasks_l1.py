"""Level 1, perception: what is there, where, how high, how far, when, how many, and is there any.

Each function drafts one question from what can be heard, or returns None where the scene gives no unambiguous one.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from earshot.training.questions import answers
from earshot.training.questions.items import Balance, Draft, Form, coin, sound_choice, task
from earshot.training.questions.options import direction_options, grid_options
from earshot.training.questions.think import heard_or_none, not_heard, placed, read_off, sector_step
from earshot.training.questions.view import SECTORS, Heard, SceneView, sector_of, side_words, wrap_int

COUNT_WORDS = ("none", "one", "two", "three")
HEIGHTS = ("below ear height", "at ear height", "somewhat above", "high above")
DISTANCES_M = (0.3, 0.5, 0.8, 1.3, 2.0, 3.2, 5.0, 8.0)
PLACES = {"left": "on my left", "right": "on my right", "front": "in front of me", "behind": "behind me"}


@task("what", "L1", "choice", "open")
def what(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which sounds are there."""
    truth = {"labels": [source.key for source in view.heard]}
    if form == "open":
        return Draft("what.open", {}, answers.sounds(view.heard, rng), truth=truth)
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    wrong = sound_choice(view, source, rng)
    return Draft("what.choice", {}, f"the {source.name}", wrong, truth=truth, check=partial(heard_or_none, view))


@task("missing", "L1", "choice")
def missing(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which of four sounds is not there."""
    if len(view.heard) != 3:
        return None
    absent = view.absent(rng)[0]
    wrong = tuple(f"the {source.name}" for source in view.heard)
    check = partial(heard_or_none, view)
    return Draft("missing.choice", {}, absent.definite, wrong, truth={"label": absent.key}, check=check)


@task("presence", "L1", "yesno")
def presence(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Is there any X; as often present as absent, for every label."""
    there = bool(view.heard) and coin(rng)
    label = rng.choice(view.heard).label if there else view.absent(rng)[0]
    text = f"Yes, there {label.verb} {label.article}." if there else f"No, I can't hear {label.article}."
    steps = (f"{label.spoken}: heard" if there else not_heard(label.spoken),)
    balance = Balance(f"presence:{label.key}", str(there), 2)
    return Draft("presence.yesno", {"x": label}, text, (), steps, {"yes": there, "label": label.key}, balance)


@task("at", "L1", "choice", "open")
def at(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """What sounds in a given direction."""
    if form == "open" and coin(rng, 0.25):
        return _at_nothing(view, rng)
    source = _lonely(view, rng)
    if source is None:
        return None
    azimuth_deg = source.azimuth_deg
    sector = sector_of(azimuth_deg, 8.0)
    in_degrees = sector is None or coin(rng)
    place = side_words(azimuth_deg) if sector is None or in_degrees else SECTORS[sector]
    listed = ", ".join(placed(s.azimuth_deg, s.name, in_degrees) for s in view.heard)
    steps = (listed, f"{azimuth_deg if in_degrees else place}: {source.name}")
    ask = "at.degrees" if in_degrees else "at.sector"
    truth = {"label": source.key, "azimuth_deg": source.exact[0]}
    if form == "open":
        return Draft(ask, {"dir": place}, answers.it_is(source, rng), (), steps, truth)
    wrong = sound_choice(view, source, rng, view.heard)
    return Draft(ask, {"dir": place}, f"the {source.name}", wrong, steps, truth)


def _at_nothing(view: SceneView, rng: random.Random) -> Draft | None:
    empty = [k for k in range(8) if all(abs(wrap_int(s.azimuth_deg - 45 * k)) >= 60 for s in view.heard)]
    if not empty:
        return None
    sector = SECTORS[rng.choice(empty)]
    listed = ", ".join(placed(s.azimuth_deg, s.name, in_degrees=False) for s in view.heard)
    steps = (listed, f"{sector}: none") if view.heard else (f"{sector}: none",)
    return Draft("at.sector", {"dir": sector}, answers.nothing_there(sector, rng), (), steps, {"label": None})


def _lonely(view: SceneView, rng: random.Random) -> Heard | None:
    """A source at least 45 degrees from every other one."""
    far = [
        s for s in view.heard if all(o is s or abs(wrap_int(s.azimuth_deg - o.azimuth_deg)) >= 45 for o in view.heard)
    ]
    return rng.choice(far) if far else None


@task("where", "L1", "choice", "yesno", "number", "open")
def where(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """In which direction a sound is."""
    if form in ("open", "number") and coin(rng, view.absent_share):
        return absent_draft(f"where.{form}", view, rng)
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    truth = {"label": source.key, "azimuth_deg": source.exact[0]}
    if form == "yesno":
        return _where_yesno(source, truth, rng)
    steps: tuple[str, ...] = (sector_step(source),)
    slots = {"x": source.label}
    if form == "number":
        step = read_off(source, "azimuth_deg")
        return Draft("where.number", slots, side_words(source.azimuth_deg), (), (step,), truth)
    if form == "open":
        return Draft("where.open", slots, answers.where(source, rng), (), (), truth)
    options = direction_options(source.azimuth_deg, rng)
    if options is None:
        return None
    if options[0] not in SECTORS:
        steps = (read_off(source, "azimuth_deg"),)
    balance = Balance("where.choice", str(round(source.azimuth_deg / 45) % 8), 8)
    return Draft("where.choice", slots, options[0], options[1:], steps, truth, balance)


def _where_yesno(source: Heard, truth: dict[str, Any], rng: random.Random) -> Draft | None:
    sideways = coin(rng)
    turned_deg = abs(source.azimuth_deg) if not sideways else abs(wrap_int(source.azimuth_deg - 90))
    if 70 < turned_deg < 110:
        return None
    pair = ("left", "right") if sideways else ("front", "behind")
    place, other = pair if turned_deg <= 70 else pair[::-1]
    yes = coin(rng)
    asked = place if yes else other
    steps = (sector_step(source),)
    text = answers.yes_no(yes, source.label, answers.TO_YOU[place])
    balance = Balance(f"where.yesno:{asked}", str(yes), 2)
    return Draft(
        "where.yesno", {"x": source.label, "place": PLACES[asked]}, text, (), steps, {**truth, "yes": yes}, balance
    )


def absent_draft(ask: str, view: SceneView, rng: random.Random) -> Draft:
    """A question about a sound that is not there; the answer says so."""
    label = view.absent(rng)[0]
    truth = {"label": label.key, "absent": True}
    return Draft(ask, {"x": label}, answers.absent(label, rng), (), (not_heard(label.spoken),), truth)


@task("height", "L1", "choice", "yesno", "number")
def height(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How high a sound is."""
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    degrees = source.elevation_deg
    truth = {"label": source.key, "elevation_deg": source.exact[1]}
    slots = {"x": source.label}
    steps = (read_off(source, "elevation_deg"),)
    if form == "number":
        sense = "degrees up" if degrees > 0 else "degrees down"
        return Draft("height.number", slots, f"{abs(degrees)} {sense}" if degrees else "level", (), steps, truth)
    if form == "yesno":
        return _height_yesno(source, truth, rng)
    level = 0 if degrees <= -20 else 1 if abs(degrees) <= 10 else 2 if 20 <= degrees <= 40 else 3
    text, wrong = HEIGHTS[level], HEIGHTS[:level] + HEIGHTS[level + 1 :]
    return Draft("height.choice", slots, text, wrong, steps, truth, Balance("height.choice", text, 4))


def _height_yesno(source: Heard, truth: dict[str, Any], rng: random.Random) -> Draft | None:
    if 10 < abs(source.elevation_deg) < 20:
        return None
    above = coin(rng)
    yes = source.elevation_deg >= 20 if above else source.elevation_deg <= -20
    ask = "height.above" if above else "height.below"
    place = (
        "above ear height"
        if source.elevation_deg >= 20
        else "below ear height"
        if source.elevation_deg <= -20
        else "at ear height"
    )
    text = answers.yes_no(yes, source.label, place)
    steps = (read_off(source, "elevation_deg"),)
    return Draft(ask, {"x": source.label}, text, (), steps, {**truth, "yes": yes}, Balance(ask, str(yes), 2))


@task("distance", "L1", "choice", "yesno", "number", "open")
def distance(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How far away a sound is."""
    if form in ("open", "number") and coin(rng, view.absent_share):
        return absent_draft("distance.number", view, rng)
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    metres = source.distance_m
    truth = {"label": source.key, "distance_m": source.exact[2]}
    slots: dict[str, Any] = {"x": source.label}
    read = read_off(source, "distance_m")
    if form == "number":
        return Draft("distance.number", slots, f"{metres} metres", (), (read,), truth)
    if form == "open":
        return Draft("distance.number", slots, answers.how_far(source, rng), (), (), truth)
    if form == "yesno":
        limit_m = rng.choice((1.0, 2.0, 3.0))
        if 1 / 1.3 < metres / limit_m < 1.3:
            return None
        yes = metres < limit_m
        text = answers.yes_no(yes, source.label, f"about {metres} metres away")
        steps = (f"{read} {'<' if yes else '>'} {limit_m:.0f}",)
        balance = Balance(f"distance.yesno:{limit_m}", str(yes), 2)
        return Draft(
            "distance.yesno", {**slots, "m": f"{limit_m:.0f}"}, text, (), steps, {**truth, "yes": yes}, balance
        )
    index = min(range(8), key=lambda i: max(metres / DISTANCES_M[i], DISTANCES_M[i] / metres))
    if max(metres / DISTANCES_M[index], DISTANCES_M[index] / metres) > 1.18:
        return None
    options = grid_options(index, [f"{m:g} metres" for m in DISTANCES_M], rng)
    return Draft(
        "distance.choice", slots, options[0], options[1:], (read,), truth, Balance("distance.choice", str(index), 8)
    )


@task("when", "L1", "choice", "yesno", "number", "open")
def when(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """When a sound begins, or how long it lasts."""
    if form == "open" and coin(rng, view.absent_share):
        return absent_draft("when.open", view, rng)
    if not view.heard:
        return None
    source = rng.choice(view.heard)
    truth = {"label": source.key, "onset_s": source.exact[3], "offset_s": source.exact[4]}
    slots = {"x": source.label}
    if form == "open":
        return Draft("when.open", slots, answers.from_to(source, rng), (), (), truth)
    if form == "yesno":
        return _heard_at(source, view, truth, rng)
    lasting = coin(rng)
    value_s = source.duration_s if lasting else source.onset_s
    ask = f"{'lasts' if lasting else 'starts'}.{form}"
    lasted = f"{source.name} {source.offset_s} - {source.onset_s} = {source.duration_s}"
    steps = (lasted if lasting else read_off(source, "onset_s"),)
    if form == "number":
        return Draft(ask, slots, f"{value_s} seconds", (), steps, truth)
    grid = range(1, 7) if lasting else range(6)
    if round(value_s) not in grid or abs(value_s - round(value_s)) > 0.3:
        return None
    names = [f"{second} seconds" if lasting else f"at {second} seconds" for second in grid]
    options = grid_options(round(value_s) - grid[0], names, rng)
    return Draft(ask, slots, options[0], options[1:], steps, truth, Balance(ask, options[0], len(grid)))


def _heard_at(source: Heard, view: SceneView, truth: dict[str, Any], rng: random.Random) -> Draft | None:
    second = rng.randint(1, max(1, int(view.duration_s) - 1))
    if min(abs(second - source.onset_s), abs(second - source.offset_s)) < 0.3:
        return None
    yes = source.onset_s < second < source.offset_s
    balance = Balance(f"heard_at:{second}", str(yes), 2)
    span = f"from {source.onset_s} to {source.offset_s} seconds"
    text = f"{'Yes' if yes else 'No'}, it sounds {span}."
    steps = (f"{source.name} {source.onset_s}-{source.offset_s}",)
    slots = {"x": source.label, "t": str(second)}
    return Draft("heard_at.yesno", slots, text, (), steps, {**truth, "yes": yes}, balance)


@task("count", "L1", "choice", "number")
def count(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How many sounds there are."""
    total = len(view.heard)
    if total > 3:
        return None
    text, steps, truth = COUNT_WORDS[total], (f"count: {total}",), {"count": total}
    balance = Balance(f"count.{form}", text, 4)
    if form == "number":
        return Draft("count.ask", {}, text, (), steps, truth, balance)
    return Draft("count.ask", {}, text, COUNT_WORDS[:total] + COUNT_WORDS[total + 1 :], steps, truth, balance)
