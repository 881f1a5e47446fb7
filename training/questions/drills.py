"""Small steps, many at a time: the sums, words and comparisons that reasoning is made of, without a scene around them.

An item shows one sum among a hundred other tokens; a drill shows thirty. What a drill gives (left) is not to be predicted,
what follows from it (right) is.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from earshot.runtime.labels import load_labels
from earshot.training.questions.tasks_l2 import place_xy
from earshot.training.questions.tasks_l3 import TURNS_DEG
from earshot.training.questions.think import named, plus
from earshot.training.questions.view import Heard, side_words, wrap_int

Line = tuple[str, str]
"""What is given, and what follows from it."""

DRILL_LINES = 28
_NAMES = tuple(label.spoken for label in load_labels())


def drill(rng: random.Random, lines: int = DRILL_LINES) -> list[Line]:
    """A page of one to three kinds of small steps."""
    kinds = rng.sample(KINDS, rng.randint(1, 3))
    return [rng.choice(kinds)(rng) for _ in range(lines)]


def _angle(rng: random.Random) -> int:
    return wrap_int(5 * rng.randrange(72))


def _turn(rng: random.Random) -> Line:
    """`turn left 90: -135 - 90 =` -> ` -225 + 360 = 135`."""
    to_left, angle = rng.random() < 0.5, rng.choice(TURNS_DEG)
    way = "" if angle == 180 else " left" if to_left else " right"
    given, equals, result = plus(_angle(rng), -angle if to_left else angle).partition("=")
    return f"turn{way} {angle}: {given}{equals}", result


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
    """`dog 1.2` and `voice 3.0` -> ` < voice 3.0`; sometimes of levels."""
    if rng.random() < 0.3:
        a, b = (str(-rng.randint(14, 60)) for _ in range(2))
    else:
        most = rng.choice((2.0, 10.0))
        a, b = (f"{rng.uniform(0.1, most):.1f}" for _ in range(2))
    sign = "<" if float(a) < float(b) else ">" if float(a) > float(b) else "="
    one, two = rng.sample(_NAMES, 2)
    right = {"<": one, ">": two, "=": "same"}[sign]
    return f"{one} {a}, {two} {b}:", f" {a} {sign} {b} so lower {right}"


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
    _turn, _turn, _difference, _difference, _sector, _side, _comparison, _subtraction, _place, _membership, _synonym,
)  # fmt: skip
