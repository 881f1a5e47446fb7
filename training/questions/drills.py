"""Small steps, many at a time: the sums, words and comparisons that reasoning is made of, without a scene around them.

An item shows one sum among a hundred other tokens; a drill shows twenty. What a drill gives (left) is not to be predicted,
what follows from it (right) is.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from earshot.runtime.labels import load_labels
from earshot.training.questions.tasks_l2 import OPPOSITES, RELATIONS, Relation, place_xy
from earshot.training.questions.think import named, placed, plus, sign_of
from earshot.training.questions.turns import draw_turn
from earshot.training.questions.view import Heard, side_words, wrap_int

Line = tuple[str, str]
"""What is given, and what follows from it."""

DRILL_LINES = 20
_RELATIONS = (*RELATIONS.values(), *OPPOSITES.values())
_NAMES = tuple(label.spoken for label in load_labels())


def drill(rng: random.Random, lines: int = DRILL_LINES) -> list[Line]:
    """A page of one to three kinds of small steps."""
    kinds = rng.sample(KINDS, rng.randint(1, 3))
    return [rng.choice(kinds)(rng) for _ in range(lines)]


def _angle(rng: random.Random) -> int:
    return wrap_int(5 * rng.randrange(72))


def _turn(rng: random.Random) -> Line:
    """`turn left 90: -135 - 90 =` -> ` -225 + 360 = 135`."""
    turned = draw_turn(rng)
    given, equals, result = plus(_angle(rng), turned.change_deg).partition("=")
    return f"{turned.step}: {given}{equals}", result


def _difference(rng: random.Random) -> Line:
    """`dog: 90 + 170 =` -> ` 260 - 360 = -100`."""
    start = _angle(rng)
    raw = plus(_angle(rng), -start) if start >= 0 else plus(_angle(rng), abs(start))
    given, equals, result = raw.partition("=")
    return f"{rng.choice(_NAMES)}: {given}{equals}", result


def _sector(rng: random.Random) -> Line:
    """`dog -35` -> ` front right`."""
    azimuth = _angle(rng)
    given = f"{rng.choice(_NAMES)} {azimuth}"
    return given, named(azimuth).removeprefix(str(azimuth))


def _side(rng: random.Random) -> Line:
    """`dog -35` -> ` so 35 degrees right`."""
    azimuth = _angle(rng)
    return f"{rng.choice(_NAMES)} {azimuth}", f" so {side_words(azimuth)}"


def _comparison(rng: random.Random) -> Line:
    """`distance: dog 1.2, voice 3.0:` -> ` 1.2 < 3.0, dog`."""
    relation = rng.choice(_RELATIONS)
    one, two = rng.sample(_NAMES, 2)
    a, b = _values(relation, 2, rng)
    text = f"{relation.word}: {one} {a}, {two} {b}:"
    same = relation.same(a, b) or not relation.clear(a, b)
    wins = "same" if same else one if (a < b) == relation.lower else two
    return text, f" {a} {sign_of(a, b)} {b}, {wins}"


def _extreme(rng: random.Random) -> Line:
    """`distance: dog 1.2, voice 3.0, car 0.4:` -> ` 0.4 car`."""
    relation = rng.choice(_RELATIONS)
    names = rng.sample(_NAMES, rng.randint(2, 4))
    values = _values(relation, len(names), rng)
    best = (min if relation.lower else max)(values)
    read = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
    return f"{relation.word}: {read}:", f" {best} {names[values.index(best)]}"


def _values(relation: Relation, count: int, rng: random.Random) -> list[float]:
    """Different values of what a relation compares, as evidence rounds them; often close to each other."""
    if relation.attribute == "azimuth_deg":
        return [5 * value for value in rng.sample(range(-16, 17), count)]
    if relation.attribute == "level_db":
        return [-value for value in rng.sample(range(41), count)]
    most = rng.choice((20, 40, 100))
    return [value / 10.0 for value in rng.sample(range(1, most), count)]


def _at(rng: random.Random) -> Line:
    """`-160 hi-hat, -115 sipping`, `-155:` -> ` hi-hat`: the nearest, since what is asked for was never heard to the degree."""
    names = rng.sample(_NAMES, rng.randint(2, 4))
    azimuths = [_angle(rng) for _ in names]
    place = wrap_int(rng.choice(azimuths) + 5 * rng.randint(-3, 3))
    nearest = min(range(len(names)), key=lambda index: abs(wrap_int(azimuths[index] - place)))
    listed = ", ".join(placed(azimuth, name, True) for azimuth, name in zip(azimuths, names, strict=True))
    return f"{listed}\n{place}:", f" {names[nearest]}"


def _subtraction(rng: random.Random) -> Line:
    """`8.1 - 6.2 =` -> ` 1.9`."""
    low, high = sorted(rng.sample(range(100), 2))
    return f"{high / 10:.1f} - {low / 10:.1f} =", f" {(high - low) / 10:.1f}"


def _place(rng: random.Random) -> Line:
    """`engine 45 1.2` -> ` x 0.8 y 0.8`."""
    azimuth, distance_m = _angle(rng), round(0.3 * 27 ** rng.random(), 1)
    x, y = place_xy(Heard(_LABEL, azimuth, 0, distance_m, 0.0, 1.0, -30, (0.0,) * 6))
    return f"{azimuth} {distance_m}", f" x {x} y {y}"


def _membership(rng: random.Random) -> Line:
    """`dog, rain, cat. cow, dog:` -> ` cow none, dog heard`."""
    heard = rng.sample(_NAMES, rng.randint(1, 3))
    asked = rng.sample(_NAMES, 2) + rng.sample(heard, min(2, len(heard)))
    rng.shuffle(asked)
    answers = ", ".join(f"{name} {'heard' if name in heard else 'none'}" for name in asked)
    return f"{', '.join(heard)}. {', '.join(asked)}:", f" {answers}"


def _synonym(rng: random.Random) -> Line:
    """`the cock` -> ` rooster`."""
    label = rng.choice(load_labels())
    return rng.choice(label.phrases), f" {label.spoken}"


_LABEL = load_labels()[0]
KINDS: tuple[Callable[[random.Random], Line], ...] = (
    _turn, _turn, _difference, _difference, _sector, _side, _comparison, _comparison, _extreme, _at, _subtraction, _place, _membership, _synonym,
)  # fmt: skip
