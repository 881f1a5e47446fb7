"""Drills: what is said to follow does follow."""

from __future__ import annotations

import random
import re

import pytest

from earshot.runtime.labels import load_labels
from earshot.training.questions.drills import DRILL_LINES, KINDS, drill
from earshot.training.questions.tasks_l2 import OPPOSITES, RELATIONS
from earshot.training.questions.view import SECTORS, sector_of, wrap_int

LINES = [line for seed in range(300) for line in drill(random.Random(seed))]


def test_a_page_has_its_lines_and_the_same_seed_gives_the_same() -> None:
    assert len(LINES) == 300 * DRILL_LINES
    assert drill(random.Random(3)) == drill(random.Random(3))


def test_sums_add_up_and_end_within_half_a_turn() -> None:
    sums = [(left, right) for left, right in LINES if left.endswith("=") and ":" in left]
    assert len(sums) > 500
    for left, right in sums:
        first, sign, second = re.findall(r"-?\d+|[+-](?= )", left.partition(":")[2])
        raw = int(first) + (int(second) if sign == "+" else -int(second))
        steps = [int(number) for number in re.findall(r"(?:^ |= )(-?\d+)", right)]
        assert steps[0] == raw and (steps[-1] - raw) % 360 == 0 and -180 < steps[-1] <= 180


def test_sectors_are_those_of_the_angle() -> None:
    found = [(left, right.strip()) for left, right in LINES if right.strip() in SECTORS]
    assert len(found) > 100
    for left, word in found:
        sector = sector_of(int(left.rsplit(" ", 1)[1]))
        assert sector is None or SECTORS[sector] == word


def test_comparisons_read_both_values_and_name_the_one_that_wins() -> None:
    found = [(left, right) for left, right in LINES if re.match(r" \S+ [<>] ", right)]
    assert len(found) > 100
    for left, right in found:
        word, _, read = left.rstrip(":").partition(": ")
        values = {name: float(value) for name, value in (part.rsplit(" ", 1) for part in read.split(", "))}
        first, sign, second, *wins = right.replace(",", "").split()
        assert [float(first), float(second)] == list(values.values())
        assert (float(first) < float(second)) == (sign == "<")
        relation = next(r for r in (*RELATIONS.values(), *OPPOSITES.values()) if r.word == word)
        best = (min if relation.lower else max)(values, key=lambda name: values[name])
        assert " ".join(wins) == (best if relation.clear(*values.values()) else "same")


def test_the_extreme_of_a_list_follows_its_value() -> None:
    lower = {relation.word: relation.lower for relation in (*RELATIONS.values(), *OPPOSITES.values())}
    listed = [line for line in LINES if line[0].partition(":")[0] in lower]
    extremes = [(left, right) for left, right in listed if not re.match(r" \S+ [<>=] ", right)]
    assert len(extremes) > 100
    for left, right in extremes:
        word, _, read = left.rstrip(":").partition(": ")
        values = dict(part.rsplit(" ", 1) for part in read.split(", "))
        value, _, name = right.strip().partition(" ")
        assert values[name] == value
        assert float(value) == (min if lower[word] else max)(map(float, values.values()))


def test_what_stands_at_a_place_is_the_nearest() -> None:
    found = [(left, right) for left, right in LINES if "\n" in left]
    assert len(found) > 50
    for left, right in found:
        listed, place = left.rstrip(":").split("\n")
        places = {name: int(azimuth) for azimuth, name in (part.split(" ", 1) for part in listed.split(", "))}
        off = {name: abs(wrap_int(azimuth - int(place))) for name, azimuth in places.items()}
        assert off[right.strip()] == min(off.values()) <= 15


def test_membership_is_told_by_the_list() -> None:
    found = [(left, right) for left, right in LINES if right.endswith(("heard", "none"))]
    assert len(found) > 100
    for left, right in found:
        heard = left.partition(".")[0].split(", ")
        for answer in right.strip().split(", "):
            name, verdict = answer.rsplit(" ", 1)
            assert (name in heard) == (verdict == "heard")


def test_synonyms_lead_to_the_label() -> None:
    phrases = {(phrase, f" {label.spoken}") for label in load_labels() for phrase in label.phrases}
    assert len(phrases & set(LINES)) > 50


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_gives_two_filled_halves(kind) -> None:  # type: ignore[no-untyped-def]
    left, right = kind(random.Random(1))
    assert left.strip() and right.strip()
