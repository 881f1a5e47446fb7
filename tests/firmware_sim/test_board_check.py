"""Predictions against the real listener: the comparison is right, and the listener really hears and answers meanwhile."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.firmware_sim.board_check import CYCLE_HOPS, Round, asked_at, check, compared, predicted, table_of
from earshot.firmware_sim.board_report import Asking
from earshot.firmware_sim.board_workload import Beside
from earshot.firmware_sim.command import simulate
from earshot.firmware_sim.real_listener import Times
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answerer


def test_a_prediction_is_judged_by_the_95th_percentile() -> None:
    found = compared([0.001] * 100, [0.001] * 90 + [0.002] * 10)
    assert found is not None
    assert found["p95_difference"] == -0.5
    assert not found["agrees"]
    same = compared([0.0011] * 9, [0.001] * 9)
    assert same is not None
    assert same["agrees"]
    assert compared([], [0.1]) is None


def test_a_check_compares_hearing_with_and_without_answers(tiny_bundle: Path) -> None:
    directory, encoders = open_encoders(tiny_bundle)
    answerer = Answerer(directory)
    answerer.load()
    report = check(encoders, answerer, Asking(minutes=0.025, every_s=0.25), turn_s=0.4)
    answerer.close()
    assert report["turns"] == {"seconds": 0.4, "rounds": 1, "questions": 2}
    # With so small a model an answer may be over before the next hop.
    assert all(figures for name, figures in report["figures"].items() if "hop during an answer" not in name)
    assert table_of(report).row_count == sum(bool(figures) for figures in report["figures"].values()) >= 6


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0.001, 0.03), min_size=1, max_size=40), st.floats(0.0, 0.005))
def test_what_is_alone_and_fits_is_predicted_as_it_was_measured(services_s: list[float], wake_s: float) -> None:
    parts = Times(wakes_s=[wake_s], services_s=services_s, cpu_s=services_s)
    outcome = predicted(Round((), parts), FRAME_S * len(services_s), questions_s=[], threads=1)
    assert outcome.latencies_s == pytest.approx([wake_s + seconds for seconds in services_s])


def test_what_hearing_and_answering_cost_each_other_is_in_the_prediction() -> None:
    """An answer of 60 ms from 10 ms after a hop on loses 5 ms to the next one, which takes 4 instead of 1 ms."""
    parts = Times(services_s=[0.001] * 5, first_token_s=[0.05], answer_s=[0.06])
    known = Round((), parts, Beside(hearing_s=[0.004], wake_s=[0.0005], stall_s=[0.005]))
    outcome = predicted(known, 5 * FRAME_S, [0.05], threads=1)
    assert outcome.first_token_s == pytest.approx([0.055])
    assert outcome.answer_s == pytest.approx([0.065])
    assert outcome.stalled_s == pytest.approx([0.0045])


def test_a_hop_in_which_names_are_heard_stays_one_beside_answers() -> None:
    """Answers always meet the third hop of ten; only the first of ten takes long, alone and beside them."""
    parts = Times(services_s=[0.003, *[0.001] * 9] * 4, first_token_s=[0.02] * 4, answer_s=[0.03] * 4)
    known = Round((), parts, Beside(hearing_s=[0.009, *[0.002] * 9] * 3))
    for draw in range(4):
        outcome = predicted(known, 40 * FRAME_S, [FRAME_S * (10 * cycle + 2.8) for cycle in range(4)], 1, draw)
        assert outcome.stalled_s == pytest.approx([0.002] * 4)
        assert max(outcome.latencies_s) == pytest.approx(0.003)


def test_questions_fall_at_no_fixed_place_between_two_hops() -> None:
    times_s = asked_at(10.0, 1.2)
    assert len(times_s) == 8
    phases = sorted(at_s / FRAME_S % 1.0 for at_s in times_s)
    assert max(b - a for a, b in itertools.pairwise([*phases, phases[0] + 1.0])) < 0.3
    assert asked_at(10.0, 0.0) == []
    cycle_s = CYCLE_HOPS * FRAME_S
    among = sorted(at_s / cycle_s % 1.0 for turn in range(12) for at_s in asked_at(10.0, 0.4, turn))
    assert max(b - a for a, b in itertools.pairwise([*among, among[0] + 1.0])) < 0.1
    assert asked_at(0.5, 0.25) == pytest.approx([0.125, 0.375 + 0.618 * FRAME_S])


def test_an_answer_that_lasts_longer_than_the_turn_is_predicted_to_its_end() -> None:
    parts = Times(services_s=[0.001] * 5, first_token_s=[2.0], answer_s=[3.0])
    outcome = predicted(Round((), parts), 5 * FRAME_S, [0.1], threads=1)
    assert outcome.answer_s == pytest.approx([3.0])
    assert outcome.hops == 5


def test_other_programs_are_told_of(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, encoders = open_encoders(tiny_bundle)
    monkeypatch.setattr("earshot.firmware_sim.board_check.DISTURBED", 0.0)
    report = check(encoders, Answerer(directory), Asking(minutes=0.01, every_s=0.0), turn_s=0.1)
    assert "times their processor time" in report["notes"][0]
    assert report["figures"]["question to answer"] is None


def test_only_this_machine_can_be_listened_to() -> None:
    with pytest.raises(UsageError, match="use --board host"):
        simulate(board="pi4", check=True)
    with pytest.raises(UsageError, match="--minutes must be"):
        simulate(board="host", check=True, minutes=100.0)
    for every_s in (1e-9, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--ask-every"):
            simulate(board="host", check=True, ask_every=every_s)
