"""Level 2, relations: nearer, louder, earlier, further left, what is where, where one is from another.

Pair questions have four answers that are equally often true: the first, the second, about the same, and that only one of
the two can be heard.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from earshot.runtime.language.prompt import NOTHING_HEARD
from earshot.training.questions import answers
from earshot.training.questions.items import Balance, Draft, Form, coin, pick, sound_choice, task
from earshot.training.questions.options import SECTOR_MARGIN_DEG, degree_options
from earshot.training.questions.sides import SIDES, parted
from earshot.training.questions.tasks_l1 import COUNT_WORDS, PLACES
from earshot.training.questions.think import LEVEL, compare, listing, not_heard, read_off
from earshot.training.questions.view import SECTORS, Heard, SceneView, sector_of, side_words, wrap_int

ABOUT_THE_SAME = "about the same"
ONLY_ONE = "only one of them can be heard"


@dataclass(frozen=True)
class Relation:
    """A comparison of two sources by one attribute.

    Attributes
    ----------
    name : str
        Name of the task.
    attribute : str
        Field of `Heard` that is compared, and the first word of the step line is `word`.
    lower : bool
        Whether the smaller value answers the question.
    clear, same : callable
        Whether two values differ clearly, or are about the same (neither: ambiguous, no question).
    comparative : str
        Used in answers: `closer than`.
    """

    name: str
    word: str
    attribute: str
    lower: bool
    clear: Callable[[float, float], bool]
    same: Callable[[float, float], bool]
    comparative: str


def _apart(limit: float) -> Callable[[float, float], bool]:
    return lambda a, b: abs(a - b) >= limit - 1e-6


def _within(limit: float) -> Callable[[float, float], bool]:
    return lambda a, b: abs(a - b) <= limit + 1e-6


# Margins are a few just-noticeable differences, and larger than what rounding in evidence lines can change.
CLOSER = Relation(
    "closer", "distance", "distance_m", True,
    lambda a, b: max(a / b, b / a) >= 1.4 and abs(a - b) > 0.15, lambda a, b: max(a / b, b / a) <= 1.12, "closer than",
)  # fmt: skip
LOUDER = Relation("louder", LEVEL, "level_db", False, _apart(4), _within(1), "louder than")
EARLIER = Relation("earlier", "start", "onset_s", True, _apart(0.4), _within(0.1), "earlier than")
ENDS_LATER = Relation("ends_later", "end", "offset_s", False, _apart(0.4), _within(0.1), "longer on than")
LEFTMOST = Relation("further_left", "azimuth", "azimuth_deg", False, _apart(20), _within(5), "further left than")
RELATIONS = {relation.name: relation for relation in (CLOSER, LOUDER, EARLIER, ENDS_LATER, LEFTMOST)}
OPPOSITES = {
    name: replace(relation, name=name, word=word, lower=not relation.lower, comparative=comparative)
    for relation, name, word, comparative in (
        (CLOSER, "farther", "far", "farther away than"), (LOUDER, "quieter", "quiet", "quieter than"),
        (EARLIER, "later", "late", "later than"), (ENDS_LATER, "ends_earlier", "over", "over before"),
        (LEFTMOST, "further_right", "right", "further right than"),
    )
}  # fmt: skip
"""The same comparisons asked for the other end, by the name of the relation; only training asks them (see `tasks_everyday`)."""


def _comparable(relation: Relation, heard: tuple[Heard, ...]) -> list[Heard]:
    """Sources a relation can be asked about: left and right only in front, where they are not mirrored."""
    if relation.attribute == "azimuth_deg":
        return [source for source in heard if abs(source.azimuth_deg) <= 80]
    return list(heard)


def compared(relation: Relation, view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Draft a question of one relation: a pair, yes or no, or the extreme of all sounds."""
    if form == "choice" and coin(rng, 0.6):
        return _pair(relation, view, rng)
    candidates = _comparable(relation, view.heard)
    if len(candidates) < 2:
        return None
    if form == "yesno":
        return _pair_yesno(relation, view, candidates, rng)
    return _extreme(relation, view, candidates, form, rng)


def _pair(relation: Relation, view: SceneView, rng: random.Random) -> Draft | None:
    if view.heard and coin(rng, 0.4):
        return _pair_one_absent(relation, view, rng)
    candidates = _comparable(relation, view.heard)
    if len(candidates) < 2:
        return None
    first, second = rng.sample(candidates, 2)
    winner = _winner(relation, first, second)
    if winner == "ambiguous":
        return None
    options = {"first": f"the {first.name}", "second": f"the {second.name}", "same": ABOUT_THE_SAME, "one": ONLY_ONE}
    wins = {"first": first, "second": second}.get(winner)
    steps = (compare(relation.word, first, second, relation.attribute, wins),)
    return _pair_draft(relation, options, winner, {"x": first.label, "y": second.label}, steps, [first.key, second.key])


def _pair_one_absent(relation: Relation, view: SceneView, rng: random.Random) -> Draft:
    labels = [rng.choice(view.heard).label, view.absent(rng)[0]]
    step = not_heard(labels[1].spoken)
    rng.shuffle(labels)
    options = {"first": labels[0].definite, "second": labels[1].definite, "same": ABOUT_THE_SAME, "one": ONLY_ONE}
    slots = {"x": labels[0], "y": labels[1]}
    return _pair_draft(relation, options, "one", slots, (step,), [label.key for label in labels])


def _pair_draft(
    relation: Relation,
    options: dict[str, str],
    key: str,
    slots: Mapping[str, object],
    steps: tuple[str, ...],
    labels: list[str],
) -> Draft:
    right = options[key]
    wrong = tuple(text for name, text in options.items() if name != key)
    truth = {"labels": labels, "relation": relation.name, "winner": key}
    return Draft(f"{relation.name}.pair", slots, right, wrong, steps, truth, Balance(f"{relation.name}.pair", key, 4))


def _winner(relation: Relation, first: Heard, second: Heard) -> str:
    a, b = getattr(first, relation.attribute), getattr(second, relation.attribute)
    if relation.clear(a, b):
        return "first" if (a < b) == relation.lower else "second"
    return "same" if relation.same(a, b) else "ambiguous"


def _pair_yesno(relation: Relation, view: SceneView, candidates: list[Heard], rng: random.Random) -> Draft | None:
    first, second = rng.sample(candidates, 2)
    winner = _winner(relation, first, second)
    if winner in ("ambiguous", "same"):
        return None
    yes = winner == "first"
    steps = (compare(relation.word, first, second, relation.attribute, first if yes else second),)
    near, far = (first, second) if yes else (second, first)
    text = f"{'Yes' if yes else 'No'}, {near.label.definite} {near.label.verb} {relation.comparative} {far.label.definite}."
    truth = {"labels": [first.key, second.key], "relation": relation.name, "yes": yes}
    slots = {"x": first.label, "y": second.label}
    return Draft(
        f"{relation.name}.yesno", slots, text, (), steps, truth, Balance(f"{relation.name}.yesno", str(yes), 2)
    )


def _extreme(
    relation: Relation, view: SceneView, candidates: list[Heard], form: Form, rng: random.Random
) -> Draft | None:
    if len(candidates) < len(view.heard):
        return None
    top = clear_first(relation, candidates)
    if top is None:
        return None
    steps = (listing(relation.word, view.heard, relation.attribute, top),)
    truth = {"label": top.key, "relation": relation.name}
    if form == "open":
        return Draft(f"{relation.name}.extreme", {}, answers.capital(f"{top.label.definite}."), (), steps, truth)
    wrong = sound_choice(view, top, rng, _in_order(relation, candidates))
    return Draft(f"{relation.name}.extreme", {}, f"the {top.name}", wrong, steps, truth)


def clear_first(relation: Relation, heard: Sequence[Heard]) -> Heard | None:
    """The sound that answers a relation among all; None where none does clearly."""
    ordered = _in_order(relation, heard)
    if len(ordered) > 1 and not relation.clear(*(getattr(source, relation.attribute) for source in ordered[:2])):
        return None
    return ordered[0] if ordered else None


def _in_order(relation: Relation, heard: Sequence[Heard]) -> list[Heard]:
    return sorted(heard, key=lambda source: getattr(source, relation.attribute), reverse=not relation.lower)


def _register(relation: Relation) -> None:
    @task(relation.name, "L2", "choice", "yesno", "open")
    def make(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
        return compared(relation, view, form, rng)


for _relation in RELATIONS.values():
    _register(_relation)


@task("binding", "L2", "choice")
def binding(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Which sound is where: the right pairing among swapped and mirrored ones."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    sectors = [sector_of(source.azimuth_deg, SECTOR_MARGIN_DEG) for source in pair]
    if sectors[0] is None or sectors[1] is None:
        return None
    flip = flip_left_right if coin(rng) else flip_front_back
    a, b = sectors[0], sectors[1]
    sets = list(dict.fromkeys(((a, b), (b, a), (flip(a), flip(b)), (flip(b), flip(a)))))
    if len(sets) < 4:
        return None
    names = [source.name for source in pair]
    options = [f"{names[0]}: {SECTORS[one]}; {names[1]}: {SECTORS[two]}" for one, two in sets]
    steps = (", ".join(f"{s.name} {SECTORS[k]}" for s, k in zip(pair, (a, b), strict=True)),)
    return Draft("binding.choice", {}, options[0], tuple(options[1:]), steps, {"labels": [s.key for s in pair]})


def flip_left_right(sector: int) -> int:
    """Sector mirrored left to right."""
    return -sector % 8


def flip_front_back(sector: int) -> int:
    """Sector mirrored front to back."""
    return (4 - sector) % 8


@task("apart", "L2", "choice", "number")
def apart(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How far apart two directions are, and to which side."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    start, goal = pair
    change = wrap_int(goal.azimuth_deg - start.azimuth_deg)
    if not 20 <= abs(change) <= 160:
        return None
    steps = (read_off(start, "azimuth_deg"), difference(goal, start))
    slots = {"x": goal.label, "y": start.label}
    truth = {"labels": [goal.key, start.key], "change_deg": wrap_int(round(goal.exact[0] - start.exact[0]))}
    if form == "number":
        return Draft("apart.ask", slots, side_words(change), (), steps, truth)
    options = degree_options(change, rng)
    return Draft("apart.ask", slots, options[0], options[1:], steps, truth, Balance("apart", str(change // 45), 8))


def difference(goal: Heard, start: Heard) -> str:
    """The step `voice - dog: 60 + 35 = 95`, with its wrap-around."""
    raw = goal.azimuth_deg - start.azimuth_deg
    sign = "-" if start.azimuth_deg >= 0 else "+"
    text = f"{goal.name}: {goal.azimuth_deg} {sign} {abs(start.azimuth_deg)} = {raw}"
    wrapped = wrap_int(raw)
    return text if wrapped == raw else f"{text} {'+' if wrapped > raw else '-'} 360 = {wrapped}"


@task("seen_from", "L2", "choice")
def seen_from(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Where one sound is from another, in the listener's own directions, by the difference of their places."""
    pair = pick(view, rng, 2)
    if pair is None or max(abs(source.elevation_deg) for source in pair) > 20:
        return None
    places = [place_xy(source) for source in pair]
    dx, dy = (round(one - two, 1) for one, two in zip(*places, strict=True))
    if max(abs(dx), abs(dy)) < 0.5 or min(abs(dx), abs(dy)) > 0.6 * max(abs(dx), abs(dy)):
        return None
    sides = ("further to the front", "further to the back", "further left", "further right")
    side = (0 if dx > 0 else 1) if abs(dx) > abs(dy) else (2 if dy > 0 else 3)
    first, second = pair
    steps = (
        f"{first.name} x {places[0][0]} y {places[0][1]}, {second.name} x {places[1][0]} y {places[1][1]}",
        f"x {dx} y {dy}",
    )
    truth = {"labels": [first.key, second.key], "dx_m": dx, "dy_m": dy}
    wrong = sides[:side] + sides[side + 1 :]
    slots = {"x": first.label, "y": second.label}
    return Draft("seen_from.ask", slots, sides[side], wrong, steps, truth, Balance("seen_from", str(side), 4))


def place_xy(source: Heard) -> tuple[float, float]:
    """Place on the floor plan in metres (x to the front, y to the left), one decimal."""
    angle = math.radians(source.azimuth_deg)
    x, y = source.distance_m * math.cos(angle), source.distance_m * math.sin(angle)
    return round(x, 1) + 0.0, round(y, 1) + 0.0


@task("together", "L2", "yesno")
def together(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """Whether two sounds are heard at the same time."""
    pair = pick(view, rng, 2)
    if pair is None:
        return None
    first, second = sorted(pair, key=lambda source: source.onset_s)
    overlap_s = min(first.offset_s, second.offset_s) - second.onset_s
    if -0.2 < overlap_s < 0.5:
        return None
    yes = overlap_s > 0
    steps = (f"{second.name} {second.onset_s} {'<' if yes else '>'} {first.name} end {first.offset_s}",)
    text = "Yes, they overlap." if yes else f"No, {first.label.definite} ended before."
    truth = {"labels": [pair[0].key, pair[1].key], "yes": yes}
    slots = {"x": pair[0].label, "y": pair[1].label}
    return Draft("together.yesno", slots, text, (), steps, truth, Balance("together", str(yes), 2))


@task("side_count", "L2", "choice", "number")
def side_count(view: SceneView, form: Form, rng: random.Random) -> Draft | None:
    """How many sounds are on one side."""
    side = rng.choice(list(SIDES))
    found = parted(view.heard, side)
    if found is None or len(view.heard) > 3:
        return None
    inside, words = found
    verdicts = [f"{s.name} {s.azimuth_deg} {word}" for s, word in zip(view.heard, words, strict=True)]
    steps = (", ".join(verdicts) or NOTHING_HEARD, f"{side}: {len(inside)}")
    text = COUNT_WORDS[len(inside)]
    truth = {"side": side, "count": len(inside)}
    balance = Balance(f"side_count.{form}:{side}", text, 4)
    wrong = () if form == "number" else tuple(word for word in COUNT_WORDS if word != text)
    return Draft("side_count.ask", {"place": PLACES[side]}, text, wrong, steps, truth, balance)
