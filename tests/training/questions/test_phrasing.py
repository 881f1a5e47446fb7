"""Clock faces and compass points mean the sectors they stand for."""

from __future__ import annotations

import random

import pytest

from earshot.training.questions.phrasing import CLOCK, COMPASS, ask, bare, phrasings
from earshot.training.questions.tasks_l2 import OPPOSITES, RELATIONS
from earshot.training.questions.view import SECTORS, sector_of, wrap_deg

HOURS = ("twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")


@pytest.mark.parametrize("hour", range(12))
def test_each_hour_lies_in_its_sector(hour: int) -> None:
    sector = SECTORS[sector_of(wrap_deg(-30.0 * hour)) or 0]
    assert HOURS[hour] in CLOCK[sector]
    assert str(hour or 12) in CLOCK[sector]


def test_compass_points_go_round_like_sectors() -> None:
    assert [COMPASS[sector] for sector in SECTORS[::2]] == ["north", "west", "south", "east"]
    for index in (1, 3, 5, 7):
        before, after = SECTORS[index - 1], SECTORS[(index + 1) % 8]
        parts = {COMPASS[before], COMPASS[after]}
        assert COMPASS[SECTORS[index]] in {first + second for first in parts for second in parts}


@pytest.mark.parametrize("sector", SECTORS)
def test_questions_ask_in_hours_and_points_too(sector: str) -> None:
    rng = random.Random(sector)
    asked = {ask("at.sector", {"dir": sector}, rng).lower() for _ in range(600)}
    assert any(COMPASS[sector] in text for text in asked)
    assert any("o'clock" in text and any(hour in text for hour in CLOCK[sector]) for text in asked)
    assert not any("{" in text for text in asked)


def test_what_was_frozen_before_these_wordings_has_none_of_them() -> None:
    rng = random.Random(1)
    asked = {ask("at.sector", {"dir": "left"}, rng, "paraphrase").lower() for _ in range(300)}
    assert not any("clock" in text or "north" in text for text in asked)


def test_no_comparison_is_trained_under_two_names() -> None:
    """Whether x is quieter than y is whether y is louder than x: a wording of both would be taught two meanings."""

    def exchanged(text: str) -> str:
        return bare(text).replace("{x}", "{}").replace("{y}", "{x}").replace("{}", "{y}")

    for name, opposite in zip(RELATIONS, OPPOSITES, strict=True):
        trained = {bare(text) for text in phrasings("train")[f"{opposite}.yesno"]}
        for split in ("train", "paraphrase"):
            assert not trained & {exchanged(text) for text in phrasings(split)[f"{name}.yesno"]}, (name, split)  # type: ignore[arg-type]
