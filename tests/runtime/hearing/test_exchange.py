"""Exchanged ears: evidence of one source over a turn, votes of many, and what is said in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.source import ArraySource
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.happenings import Happening, Note
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.exchange import (
    LOOK_S,
    MEMORY_S,
    MOST_LOOKS,
    MOST_TURNS,
    SAME_KIND,
    SAME_MOMENT,
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
from earshot.runtime.loop import HearingLoop
from tests.runtime.hearing.frames import Heard, frame, lobe
from tests.runtime.hearing.sounds import bursts

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
    assert exchange_evidence(mirrored)[0] == -exchange_evidence(straight)[0]


@given(posteriors, st.floats(-180, 180))
def test_a_head_that_stays_tells_nothing(posterior: np.ndarray, yaw_deg: float) -> None:
    assert exchange_evidence([View(yaw_deg, posterior, 9, 0.0)])[0] == pytest.approx(0.0, abs=0.02)


@given(st.floats(-180, 180))
def test_what_stays_beside_the_head_tells_nothing(azimuth_deg: float) -> None:
    beside = [View(yaw_deg, lobe(azimuth_deg), 1, 0.0) for yaw_deg in (0.0, 20.0, 40.0)]
    assert abs(exchange_evidence(beside)[0]) < 0.1 * SURE


@pytest.mark.parametrize("turn_deg", [25.0, -40.0, 90.0])
@pytest.mark.parametrize("azimuth_deg", [0.0, 35.0, -50.0, 140.0, 180.0, -125.0])
def test_a_still_source_over_a_turn_tells_which_ears_heard_it(azimuth_deg: float, turn_deg: float) -> None:
    evidence, place_deg = exchange_evidence(views_of(azimuth_deg, right, turn_deg))
    assert evidence < -SURE and abs(wrap_deg(place_deg - azimuth_deg)) <= 10.0
    evidence, place_deg = exchange_evidence(views_of(azimuth_deg, exchanged, turn_deg))
    assert evidence > SURE and abs(wrap_deg(place_deg - azimuth_deg)) <= 10.0


@given(st.floats(0, 60), st.floats(0, 60))
def test_odds_are_even_for_equal_votes_and_fair_to_both_sides(votes_for: float, against: float) -> None:
    assert log_odds(votes_for, against) == pytest.approx(-log_odds(against, votes_for), abs=1e-6)
    assert log_odds(votes_for + 1.0, against) > log_odds(votes_for, against)
    assert log_odds(votes_for, votes_for) == pytest.approx(0.0, abs=1e-6)


def test_ten_sounds_that_all_say_so_are_enough() -> None:
    assert log_odds(8.0, 0.0) < TELL_ODDS <= log_odds(10.0, 0.0)
    assert log_odds(10.0, 1.0) < TELL_ODDS <= log_odds(13.0, 1.0)


def test_sounds_of_one_kind_and_sounds_of_one_moment_are_worth_less_than_others() -> None:
    apart_s = 2 * LOOK_S
    kind = [Look(3, True, 0.0, 1.0, apart_s * k) for k in range(20)]
    assert weighed(kind)[True] == (pytest.approx(20 / (1 + 19 * SAME_KIND)), 0.0)
    moment = [Look(k, False, 0.0, -0.5, 0.0) for k in range(4)]
    assert weighed(moment)[False] == (0.0, pytest.approx(2 / (1 + 3 * SAME_MOMENT)))
    others = [Look(k, bool(k % 2), 0.0, 1.0, apart_s * k) for k in range(6)]
    assert weighed(others) == {True: (3.0, 0.0), False: (3.0, 0.0)}


def test_one_source_has_one_vote_however_often_the_head_turns() -> None:
    first, again = Look(3, True, 170.0, 1.0, 0.0), Look(3, True, -170.0, -1.0, 60.0)
    assert again.same_source(first)
    assert again.after(first).vote == 0.0
    often = first
    for k in range(1, 30):
        often = Look(3, True, 170.0, -1.0, 60.0 * k).after(often)
    assert often.vote == pytest.approx(-1.0, abs=2 * (MOST_TURNS / (MOST_TURNS + 1)) ** 20)
    for other in (Look(4, True, 170.0, 1.0, 60.0), Look(3, False, 170.0, 1.0, 60.0), Look(3, True, 90.0, 1.0, 60.0)):
        assert not other.same_source(first)
    assert Look(4, True, 170.0, 1.0, 1.0).same_source(first), "two names of one sound"


PLACES_DEG = (30.0, 150.0, -45.0, -140.0, 0.0, 180.0, 60.0, -115.0)
SOUND_S, STEP_S = 3.0, 0.15


def day(
    hear_as: HearAs, sounds: int, labels: int = 12, places_deg: tuple[float, ...] = PLACES_DEG
) -> Iterator[tuple[HearingFrame, float]]:
    """One sound after another around a head that looks to and fro by 50 degrees, with the yaw; the room turns once on the way."""
    steps = round(SOUND_S / STEP_S)
    for k in range(sounds * steps):
        sound, part = divmod(k, steps)
        yaw_deg = 25.0 * np.sin(2 * np.pi * part / steps) + 360.0 * sound / sounds
        azimuth_deg = places_deg[sound % len(places_deg)] - 25.0 * np.sin(2 * np.pi * part / steps)
        heard = frame(k + 1, [Heard((5 * sound) % labels, azimuth_deg=hear_as(wrap_deg(azimuth_deg)))])
        yield replace(heard, time_s=STEP_S * (k + 1)), float(wrap_deg(yaw_deg))


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
    assert said(stage, day(right, 60)) == []
    assert said(stage, day(exchanged, 60), 300.0) == ["swapped-ears"]


@pytest.mark.parametrize("hear_as", [right, in_front_only, behind_only])
def test_right_ears_are_never_told(hear_as: HearAs) -> None:
    stage = EarExchange()
    assert said(stage, day(hear_as, 60)) == []
    behind = tuple(azimuth for azimuth in PLACES_DEG if abs(azimuth) > 90)
    assert said(stage, day(hear_as, 60, places_deg=behind), 200.0) == []


def test_one_sound_that_is_heard_on_the_wrong_side_all_day_is_never_told() -> None:
    assert said(EarExchange(), day(in_front_only, 60, labels=1, places_deg=(150.0, -160.0))) == []


def test_doubtful_sounds_are_kept_up_to_a_number() -> None:
    stage = EarExchange()
    doubtful = (
        (replace(heard, azimuth_posterior=heard.azimuth_posterior[:, :: 1 if heard.time_s % 6 < 3 else -1]), yaw_deg)
        for heard, yaw_deg in day(right, 150, labels=60)
    )
    assert said(stage, doubtful) == []
    assert len(stage.looks) == MOST_LOOKS


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
    assert len(stage.looks) == 1 and stage.looks[0].turns == 2


def test_small_turns_are_no_look() -> None:
    stage = EarExchange()
    said(stage, iter((frame(k, [Heard(3, azimuth_deg=20.0 - 0.4 * k)]), 0.4 * k) for k in range(1, 41)))
    stage.process(frame(41, []), 16.0, 2.0)
    assert not stage.looks


def test_memory_is_bounded_in_number_and_in_time() -> None:
    stage = EarExchange()
    assert said(stage, day(right, 60)) == []
    assert 5 < len(stage.looks) < 20, "surer that the ears are right than 1000 to 1 it never is"
    said(stage, day(right, 3), 2000.0 + MEMORY_S)
    assert 0 < len(stage.looks) <= 3 and all(look.time_s > 2000.0 + MEMORY_S for look in stage.looks)


def test_reset_equals_a_fresh_object() -> None:
    used, fresh = EarExchange(), EarExchange()
    said(used, day(exchanged, 33))
    used.reset()
    assert used.active == ()
    assert said(used, day(exchanged, 40)) == said(fresh, day(exchanged, 40))
    assert used.looks == fresh.looks


class Sure(EarExchange):
    """Says it at the third frame."""

    def process(self, frame: HearingFrame, yaw_deg: float | None, time_s: float) -> list[Finding]:
        if round(time_s / 0.04) != 3:
            return []
        self.active = (Finding("swapped-ears", "the ears are exchanged", 0.0),)
        return list(self.active)


def test_the_listener_says_it_once_and_holds_it(encoders: Encoders) -> None:
    told: list[Happening] = []
    loop = HearingLoop(encoders, told.append)
    loop.hearing.exchange = Sure()
    with ArraySource(bursts()) as source:
        loop.run(source)
    notes = [happening for happening in told if isinstance(happening, Note)]
    assert [note.text for note in notes].count("the ears are exchanged") == 1
    assert "the ears are exchanged" in loop.findings
    loop.hearing.reset()
    assert loop.hearing.findings == ()
