"""Rewards: hand-worked completions, and what must hold for every item."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.language.prompt import evidence_line, parse_evidence
from earshot.training.questions.generate import item_stream
from earshot.training.questions.items import Item
from earshot.training.questions.view import wrap_int
from earshot.training.stages.rewards import (
    MOST_REWARD,
    REWARDS,
    answer_right,
    azimuths_agree,
    brief,
    distances_agree,
    gold_completion,
    labels_agree,
    read_facts,
    times_agree,
    total_reward,
    well_formed,
)

DOG_AND_RAIN = "dog | -30 | 0 | 2.0 | 0.4-3.2\nrain | 90 | 10 | 1.0 | 0.0-6.0"
CHOICE = Item(
    "i", "s", "L2", "closer", "choice", "Which is closer?", ("the dog", "the rain"), "B) the rain", 1,
    f"{DOG_AND_RAIN}\nso the rain", {},
)  # fmt: skip


def said(evidence: str, answer: str = "B) the rain") -> str:
    return f"{evidence}\nso the rain\n</think>{answer}<eos>"


@lru_cache(maxsize=1)
def items() -> list[Item]:
    return list(itertools.islice(item_stream(21), 400))


def asked(form: str, answer: str) -> Item:
    return replace(CHOICE, form=form, answer=answer, choices=None, choice=None)


@pytest.mark.parametrize(
    ("answer", "reward"),
    [("B) the rain", 1.0), ("B) the dog", 0.5), ("A) the rain", 0.5), ("A) the dog", 0.0), ("rain", 0.0), ("", 0.0)],
)
def test_a_choice_is_half_letter_and_half_words(answer: str, reward: float) -> None:
    assert answer_right(CHOICE, said(DOG_AND_RAIN, answer)) == reward


@pytest.mark.parametrize(
    ("truth", "answer", "reward"),
    [
        ("30 degrees left", "40 degrees left", 1.0),
        ("30 degrees left", "30 degrees right", 0.0),
        ("170 degrees left", "175 degrees right", pytest.approx(30 / 35)),  # 15 degrees apart across the back
        ("straight behind", "170 degrees right", 1.0),
        ("2.0 metres", "2.3 metres", 1.0),
        ("2.0 metres", "6.0 metres", 0.0),
        ("1.4 seconds", "2.3 seconds", pytest.approx(0.5)),
        ("two", "three", 0.0),
        ("level", "10 degrees down", 1.0),
        ("20 degrees up", "20 degrees down", pytest.approx(5 / 35)),
    ],
)
def test_numbers_within_tolerance_are_right_and_others_fall_off(truth: str, answer: str, reward: float) -> None:
    assert answer_right(asked("number", truth), said(DOG_AND_RAIN, answer)) == reward


def test_open_answers_are_judged_by_each_fact_they_should_state() -> None:
    where = asked("open", "The dog is about 30 degrees to your right, 2.0 metres away.")
    assert (
        answer_right(where, said(DOG_AND_RAIN, "The dog is about 30 degrees to your right, roughly 2.0 metres away."))
        == 1
    )
    without_distance = answer_right(where, said(DOG_AND_RAIN, "The dog is about 30 degrees to your right."))
    assert without_distance == pytest.approx(2 / 3)
    assert answer_right(where, said(DOG_AND_RAIN, "I can't hear a dog.")) == 0


def test_yes_and_no_are_judged_by_the_word() -> None:
    item = asked("yesno", "Yes, the dog is on your right.")
    assert answer_right(item, said(DOG_AND_RAIN, "Yes, the dog is behind you.")) == 1
    assert answer_right(item, said(DOG_AND_RAIN, "No, the dog is on your right.")) == 0


def test_facts_of_a_sentence() -> None:
    facts = read_facts("The hi-hat is about 40 degrees to your left, 0.6 metres away.")
    assert facts.azimuths_deg == (40.0,) and facts.metres == (0.6,) and facts.labels == {"hi-hat"} and not facts.absent
    assert read_facts("It sounds from 0.0 to 4.8 seconds.").seconds == (0.0, 4.8)
    assert read_facts("I hear nothing there.").absent


def test_format_wants_one_block_parsable_evidence_an_answer_and_an_end() -> None:
    good = said(DOG_AND_RAIN)
    worse = (
        good.removesuffix("<eos>"),
        good.replace("</think>", ""),
        good.replace("</think>", "</think></think>"),
        good.replace("dog | -30 |", "dog | left |"),
        "so the rain\n" + good,
        good.replace("B) the rain", ""),
        good.replace("dog |", "<user>dog |"),
    )
    assert well_formed(CHOICE, good) == 1
    assert all(well_formed(CHOICE, text) < 1 for text in worse)


def test_evidence_is_compared_source_by_source() -> None:
    moved = said("dog | -75 | 0 | 4.0 | 1.4-4.2\nrain | 90 | 10 | 1.0 | 0.0-6.0")
    assert azimuths_agree(CHOICE, moved) == pytest.approx((0.5 + 1.0) / 2)  # 45 of 90 degrees
    assert distances_agree(CHOICE, moved) == pytest.approx((0.5 + 1.0) / 2)  # a factor of 2 of 4
    assert times_agree(CHOICE, moved) == pytest.approx((2 / 3 + 1.0) / 2)  # 1 of 3 s
    only_dog = said("dog | -30 | 0 | 2.0 | 0.4-3.2")
    assert labels_agree(CHOICE, only_dog) == pytest.approx(2 / 3) and azimuths_agree(CHOICE, only_dog) == 0.5


def test_a_sound_written_twice_or_invented_costs() -> None:
    twice = said(f"{DOG_AND_RAIN}\nrain | 90 | 10 | 1.0 | 0.0-6.0")
    invented = said(f"{DOG_AND_RAIN}\ncat | 0 | 0 | 1.0 | 0.0-6.0")
    assert labels_agree(CHOICE, twice) == labels_agree(CHOICE, invented) == pytest.approx(0.8)


def test_an_empty_scene_wants_the_word_nothing() -> None:
    empty = replace(CHOICE, think="nothing\nso the rain")
    for reward in (labels_agree, azimuths_agree, distances_agree, times_agree, well_formed):
        assert reward(empty, said("nothing")) == 1
        assert reward(empty, "so the rain\n</think>B) the rain<eos>") < 1
    assert labels_agree(empty, said(DOG_AND_RAIN)) == 0


def test_rambling_costs_and_being_short_does_not() -> None:
    gold = gold_completion(CHOICE)
    assert brief(CHOICE, gold) == brief(CHOICE, gold[:10]) == 1
    assert 0 < brief(CHOICE, gold + "." * (len(gold) // 2)) < 1 and brief(CHOICE, gold * 2) == 0


@given(st.integers(0, 399))
@settings(max_examples=200, deadline=None)
def test_the_items_own_completion_gets_everything_and_a_mirrored_one_less(number: int) -> None:
    item = items()[number]
    gold = gold_completion(item)
    assert [part.function(item, gold) for part in REWARDS] == [1.0] * len(REWARDS)
    assert total_reward(item, gold) == pytest.approx(MOST_REWARD)
    sideways = [line for line in parse_evidence(item.think) if line.azimuth_deg not in (0, 180)]
    if sideways:
        assert total_reward(item, mirrored(gold)) < MOST_REWARD


@given(st.integers(0, 399), st.text(alphabet="dograin |-0123456789.\n</thinkeos>AB)", max_size=80))
@settings(max_examples=100, deadline=None)
def test_any_text_gets_a_reward_within_the_range(number: int, text: str) -> None:
    item = items()[number]
    assert all(0.0 <= part.function(item, text) <= 1.0 for part in REWARDS)


@given(st.integers(0, 399), st.integers(0, 35))
@settings(max_examples=100, deadline=None)
def test_turning_further_away_never_pays(number: int, steps: int) -> None:
    item = items()[number]
    gold = gold_completion(item)
    nearer, further = (azimuths_agree(item, turned(gold, 5 * count)) for count in (steps, steps + 1))
    assert further <= nearer or not parse_evidence(item.think)


def mirrored(text: str) -> str:
    """The completion with left and right of its evidence exchanged."""
    return _with_azimuths(text, lambda azimuth_deg: -azimuth_deg)


def turned(text: str, by_deg: int) -> str:
    return _with_azimuths(text, lambda azimuth_deg: wrap_int(azimuth_deg + by_deg))


def _with_azimuths(text: str, change) -> str:  # type: ignore[no-untyped-def]
    def rewrite(match: re.Match[str]) -> str:
        line = parse_evidence(match[0])[0]
        return evidence_line(
            line.label, change(line.azimuth_deg), line.elevation_deg, line.distance_m, line.onset_s, line.offset_s
        )

    return re.sub(r"^.*\|.*$", rewrite, text, flags=re.MULTILINE)
