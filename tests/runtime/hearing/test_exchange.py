"""Exchanged ears: evidence of one source over a turn, votes of many, and what is said in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.exchange import (
    ALIKE,
    LOOK_S,
    MEMORY_S,
    MOST_LOOKS,
    SURE,
    TELL_ODDS,
    EarExchange,
    Look,
    exchange_evidence,
    log_odds,
    weighed,
)
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.turning import View, Views
from tests.runtime.hearing.frames import Heard, frame, lobe

HearAs = Callable[[float], float]
"""Where ears put a sound that is at an azimuth beside the head."""


def right(azimuth_deg: float) -> float:
    return azimuth_deg


def exchanged(azimuth_deg: float) -> float:
    return -azimuth_deg


def in_front_only(azimuth_deg: float) -> float:
    """Ears without pinnae: right or left is heard, behind never."""
    return azimuth_deg if abs(azimuth_deg) <= 90 else wrap_deg(180.0 - azimuth_deg)


def behind_only(azimuth_deg: float) -> float:
    return azimuth_deg if abs(azimuth_deg) > 90 else wrap_deg(180.0 - azimuth_deg)


def views_of(azimuth_deg: float, hear_as: HearAs, turn_deg: float = 40.0) -> list[View]:
    views = Views()
    for k, yaw_deg in enumerate(np.linspace(0.0, turn_deg, 25)):
        views.add(lobe(hear_as(wrap_deg(azimuth_deg - yaw_deg))), float(yaw_deg), 0.04 * k)
    return views.views


posteriors = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).dirichlet(np.full(36, 0.2)))
some_views = st.lists(st.tuples(posteriors, st.floats(-180, 180)), min_size=1, max_size=8)


@given(some_views)
def test_exchanging_the_ears_changes_the_sign_of_the_evidence_and_nothing_else(
    heard: list[tuple[np.ndarray, float]],
) -> None:
    straight = [View(yaw_deg, posterior, 1, 0.0) for posterior, yaw_deg in heard]
    mirrored = [View(yaw_deg, posterior[::-1], 1, 0.0) for posterior, yaw_deg in heard]
    assert exchange_evidence(mirrored) == -exchange_evidence(straight)


@given(posteriors, st.floats(-180, 180))
def test_a_head_that_stays_tells_nothing(posterior: np.ndarray, yaw_deg: float) -> None:
    assert exchange_evidence([View(yaw_deg, posterior, 9, 0.0)]) == pytest.approx(0.0, abs=0.02)


@given(st.floats(-180, 180))
def test_what_stays_beside_the_head_tells_nothing(azimuth_deg: float) -> None:
    beside = [View(yaw_deg, lobe(azimuth_deg), 1, 0.0) for yaw_deg in (0.0, 20.0, 40.0)]
    assert abs(exchange_evidence(beside)) < 0.1 * SURE


@pytest.mark.parametrize("turn_deg", [25.0, -40.0, 90.0])
@pytest.mark.parametrize("azimuth_deg", [0.0, 35.0, -50.0, 140.0, 180.0, -125.0])
def test_a_still_source_over_a_turn_tells_which_ears_heard_it(azimuth_deg: float, turn_deg: float) -> None:
    assert exchange_evidence(views_of(azimuth_deg, right, turn_deg)) < -SURE
    assert exchange_evidence(views_of(azimuth_deg, exchanged, turn_deg)) > SURE


@given(st.floats(0, 60), st.floats(0, 60))
def test_odds_are_even_for_equal_votes_and_fair_to_both_sides(votes_for: float, against: float) -> None:
    assert log_odds(votes_for, against) == pytest.approx(-log_odds(against, votes_for), abs=1e-6)
    assert log_odds(votes_for + 1.0, against) > log_odds(votes_for, against)
    assert log_odds(votes_for, votes_for) == pytest.approx(0.0, abs=1e-6)


def test_nine_sounds_that_all_say_so_are_a_thousand_to_one() -> None:
    assert log_odds(8.0, 0.0) < TELL_ODDS <= log_odds(9.0, 0.0)
    assert log_odds(9.0, 2.0) < TELL_ODDS


def test_many_sounds_of_one_kind_are_worth_a_few() -> None:
    same = [Look(3, True, 1.0, float(k)) for k in range(40)]
    others = [Look(k, False, -0.5, float(k)) for k in range(6)]
    (front_yes, front_no), (back_yes, back_no) = (weighed([*same, *others])[side] for side in (True, False))
    assert 2.0 < front_yes < 1.0 / ALIKE and front_no == 0.0
    assert (back_yes, back_no) == (0.0, pytest.approx(3.0))


PLACES_DEG = (30.0, 150.0, -45.0, -140.0, 0.0, 180.0, 60.0, -115.0)
SOUND_S = 3.0


def day(
    hear_as: HearAs, sounds: int, labels: int = 12, places_deg: tuple[float, ...] = PLACES_DEG
) -> Iterator[tuple[HearingFrame, float]]:
    """One sound after another around a head that looks to and fro by 50 degrees, with the yaw."""
    frames = round(SOUND_S / 0.04)
    for k in range(sounds * frames):
        sound, part = divmod(k, frames)
        yaw_deg = 25.0 * np.sin(2 * np.pi * part / frames)
        azimuth_deg = wrap_deg(places_deg[sound % len(places_deg)] - yaw_deg)
        yield frame(k + 1, [Heard((5 * sound) % labels, azimuth_deg=hear_as(azimuth_deg))]), float(yaw_deg)


def said(stage: EarExchange, day_of: Iterator[tuple[HearingFrame, float]], since_s: float = 0.0) -> list[str]:
    return [f.id for heard, yaw_deg in day_of for f in stage.process(heard, yaw_deg, since_s + heard.time_s)]


def test_exchanged_ears_are_told_once_and_taken_back_when_they_are_right_again() -> None:
    stage = EarExchange()
    assert said(stage, day(exchanged, 40)) == ["swapped-ears"]
    assert [finding.id for finding in stage.active] == ["swapped-ears"]
    assert said(stage, day(right, 40), 200.0) == ["ears-in-place"]
    assert stage.active == ()


def test_ears_that_were_right_for_long_are_told_when_they_are_put_in_wrongly() -> None:
    stage = EarExchange()
    assert said(stage, day(right, 100)) == []
    assert said(stage, day(exchanged, 60), 400.0) == ["swapped-ears"]


@pytest.mark.parametrize("hear_as", [right, in_front_only, behind_only])
def test_right_ears_are_never_told(hear_as: HearAs) -> None:
    stage = EarExchange()
    assert said(stage, day(hear_as, 60)) == []
    behind = tuple(azimuth for azimuth in PLACES_DEG if abs(azimuth) > 90)
    assert said(stage, day(hear_as, 60, places_deg=behind), 200.0) == []


def test_one_sound_that_is_heard_on_the_wrong_side_all_day_is_never_told() -> None:
    assert said(EarExchange(), day(in_front_only, 120, labels=1, places_deg=(150.0, -160.0))) == []
    assert said(EarExchange(), day(exchanged, 120, labels=1)) == []


def test_without_a_yaw_nothing_is_kept() -> None:
    stage = EarExchange()
    assert not [f for heard, _ in day(exchanged, 30) for f in stage.process(heard, None, heard.time_s)]
    assert not stage.looks


def test_a_look_ends_with_the_yaw_and_after_its_time() -> None:
    stage = EarExchange()
    turning = [(frame(k, [Heard(3, azimuth_deg=wrap_deg(20.0 - k))]), float(k)) for k in range(1, 41)]
    said(stage, iter(turning))
    assert not stage.looks
    stage.process(frame(41, [Heard(3)]), None, 1.64)
    assert len(stage.looks) == 1 and stage.looks[0].vote == -1.0 and stage.looks[0].in_front
    said(stage, iter(turning), 10.0)
    stage.process(frame(41, [Heard(3)]), 40.0, 10.0 + LOOK_S + 0.1)
    assert len(stage.looks) == 2


def test_memory_is_bounded_in_number_and_in_time() -> None:
    stage = EarExchange()
    said(stage, day(right, MOST_LOOKS + 12))
    assert len(stage.looks) == MOST_LOOKS
    said(stage, day(right, 3), 1000.0 + MEMORY_S)
    assert len(stage.looks) == 2


def test_reset_equals_a_fresh_object() -> None:
    used, fresh = EarExchange(), EarExchange()
    said(used, day(exchanged, 33))
    used.reset()
    assert used.active == ()
    assert said(used, day(exchanged, 40)) == said(fresh, day(exchanged, 40))
    assert used.looks == fresh.looks
