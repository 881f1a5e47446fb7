"""A profile on a simulated board: what is measured is what is simulated, and what is not known is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.firmware_sim.board import Board, Thermal, simulate_board
from earshot.firmware_sim.board_report import Asking, board_of, draw_times_s, report_of, workload_of
from earshot.firmware_sim.board_workload import Workload
from earshot.firmware_sim.command import simulate
from earshot.firmware_sim.estimate import CALIBRATIONS, Counts, to_document
from earshot.runtime.errors import InputError, UsageError

NONE = (0.0, 0.0)
MEASURED: dict[str, Any] = {
    "board": "host",
    "kind": "measured",
    "hop_s": 0.04,
    "stages": {},
    "hearing": {"p50_ms": 2.0, "p95_ms": 5.0, "p99_ms": 9.0},
    "first_token_s": 0.1,
    "answer_s": 0.5,
    "machine": {"cores": 2, "memory_mb": 4000},
    "memory": {"high_water_mb": 200.0},
    "notes": [],
}


def estimated(*, language: bool) -> dict[str, Any]:
    stages = {"hearing": 8e6, **({"first_token": 3e8, "answer": 9e8} if language else {})}
    written = {"answer": "A dog.", "prompt_tokens": 26, "reasoning_tokens": 5} if language else None
    return to_document(CALIBRATIONS["pi4"], Counts(stages, stages, stages, written), 3_000_000)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(0.01, 10), st.floats(1, 5), st.floats(1, 5), st.integers(0, 99))
def test_drawn_times_have_the_percentiles_they_were_drawn_from(p50: float, up: float, more: float, seed: int) -> None:
    spread = {"p50_ms": p50, "p95_ms": p50 * up, "p99_ms": p50 * up * more}
    times_ms = 1e3 * np.asarray(draw_times_s(spread, 2000, seed))
    found = np.percentile(times_ms, [50, 95, 99])
    assert found == pytest.approx(list(spread.values()), rel=0.02)


def test_a_board_alone_hears_as_measured() -> None:
    report = report_of(board_of("host", MEASURED, NONE, 0.0), MEASURED, Asking(1.0, every_s=0.0), 0.0)
    assert report["latency_ms"]["p50"] == pytest.approx(2.0, rel=0.05)
    assert report["latency_ms"]["p95"] == pytest.approx(5.0, rel=0.05)
    assert (report["deadline_misses"], report["dropped"], report["questions"]) == (0, 0, 0)
    assert report["memory"] == {"listener_mb": 200.0, "board_mb": 4000.0, "part": 0.05}
    assert any("heat is not simulated" in note for note in report["notes"])


def test_answers_stall_hearing_on_one_core_and_not_on_two() -> None:
    asking = Asking(1.0, every_s=2.0)
    one = report_of(Board("host", 1), MEASURED, asking, 0.0)
    two = report_of(Board("host", 2), MEASURED, asking, 0.0)
    assert one["questions"] == two["questions"] == 30
    assert one["latency_while_answering_ms"]["p50"] > two["latency_while_answering_ms"]["p50"] + 0.5
    assert two["answer_ms"]["p50"] == pytest.approx(500, rel=0.01)
    assert one["answer_ms"]["p50"] > 510, "hearing takes its part of the only core"


def test_an_estimate_is_simulated_and_called_one() -> None:
    """8 M instructions at 1.66 G a second: 4.8 ms a hop."""
    report = report_of(board_of("pi4", estimated(language=True), NONE, 0.0), estimated(language=True), Asking(1.0), 0.0)
    assert report["kind"] == "simulated from an ESTIMATE"
    assert report["latency_ms"]["p50"] == pytest.approx(4.82, abs=0.01)
    assert report["first_token_ms"]["p50"] == pytest.approx(180.7, abs=0.2)
    assert report["memory"] is None


def test_hops_in_which_names_are_heard_are_estimated_by_themselves() -> None:
    """8 M instructions a hop and 45 M more in two of ten: 9.3 and 61.6 ms at 0.86 G a second, a mean of half a hop."""
    stages = {"hearing": 17e6, "names": 45e6}
    document = to_document(CALIBRATIONS["zero2w"], Counts(stages, stages, stages, None), None)
    hearing_s = workload_of(document, Asking(1.0)).hearing_s
    assert isinstance(hearing_s, list) and len(hearing_s) == 10
    assert np.mean(hearing_s) == pytest.approx(0.01977, abs=1e-5)
    assert max(hearing_s) == pytest.approx(0.06163, abs=1e-5)
    report = report_of(board_of("zero2w", document, NONE, 0.0), document, Asking(1.0), 0.0)
    assert report["deadline_misses"] / report["hops"] == pytest.approx(0.3, abs=0.01), (
        "the hop after both waits for them"
    )
    assert report["deepest_queue"] == 2


def test_an_estimate_without_language_asks_nothing_and_says_so() -> None:
    document = estimated(language=False)
    report = report_of(board_of("pi4", document, NONE, 0.0), document, Asking(1.0), 0.0)
    assert report["questions"] == 0
    assert any("no language model" in note for note in report["notes"])


def test_a_core_too_slow_drops_the_oldest_and_the_queue_stays_bounded() -> None:
    slow = {**MEASURED, "hearing": {"p50_ms": 60.0, "p95_ms": 61.0, "p99_ms": 62.0}}
    report = report_of(board_of("host", slow, NONE, 0.0), slow, Asking(1.0, every_s=0.0), 0.0)
    assert report["deepest_queue"] == report["queue_bound"]
    assert report["dropped"] == pytest.approx(report["hops"] / 3, rel=0.1)
    assert report["drop_policy"] == "the oldest waiting hop is dropped"


def test_heat_slows_a_board_down_as_worked_out_by_hand() -> None:
    """2 W + 4 W x 1 core at 10 K/W over 25 degrees: 85 degrees in the end, where speed is 40 %."""
    thermal = Thermal(kelvin_per_w=10.0, time_constant_s=60.0)
    assert thermal.speed(79.0) == 1.0
    assert thermal.speed(82.5) == pytest.approx(0.7)
    assert thermal.speed(99.0) == pytest.approx(0.4)
    assert thermal.after(25.0, 6.0, 60.0) == pytest.approx(85 - 60 / np.e)
    hot = Board("hot", 1, idle_w=2.0, core_w=4.0, thermal=thermal)
    busy = Workload(0.04, 0.039, 0.04)
    outcome = simulate_board(hot, busy, 600.0)
    assert outcome.hottest_c is not None
    assert 80 < outcome.hottest_c < 85.5
    assert outcome.slowest_speed < 1.0
    assert outcome.misses > 0, "cool, it would have met every deadline"
    assert simulate_board(Board("cool", 1), busy, 600.0).misses == 0


def test_a_cool_board_stays_fast() -> None:
    document = estimated(language=True)
    report = report_of(board_of("pi4", document, (2.0, 1.0), 8.0), document, Asking(10.0), battery_wh=10.0)
    assert report["thermal"]["slowest_speed"] == 1.0
    assert 41 <= report["thermal"]["hottest_c"] < 50
    assert 4 < report["battery_hours"] < 5


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 60), st.floats(0.1, 60))
def test_the_longer_hearing_takes_the_later_it_is_done(first_ms: float, second_ms: float) -> None:
    def median(ms: float) -> float:
        document = {**MEASURED, "hearing": {"p50_ms": ms, "p95_ms": ms, "p99_ms": ms}}
        work = workload_of(document, Asking(0.2, every_s=0.0))
        return float(np.median(simulate_board(Board("host", 1), work, 12.0).latencies_s))

    fast, slow = sorted((first_ms, second_ms))
    assert median(fast) <= median(slow) + 1e-9


def test_the_command_prints_a_table_and_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "profile.json"
    path.write_text("a table before\n" + json.dumps(estimated(language=True)) + "\n")
    simulate(board="pi4", profile=path, minutes=1.0, ask_every=10.0)
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    assert document["answered"] == 6
    assert any("deadlines missed" in line for line in lines)


def test_a_profile_of_another_board_is_refused() -> None:
    with pytest.raises(UsageError, match="earshot profile --board pi5 --json"):
        board_of("pi5", estimated(language=True), NONE, 0.0)
    with pytest.raises(UsageError, match="the profile is of host"):
        board_of("pi4", MEASURED, NONE, 0.0)
    with pytest.raises(UsageError, match="one of host, zero2w"):
        board_of("toaster", {**MEASURED, "board": "toaster"}, NONE, 0.0)


def test_a_board_without_profile_or_with_impossible_figures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(estimated(language=True)))
    with pytest.raises(UsageError, match="needs --profile"):
        simulate(board="pi4")
    with pytest.raises(UsageError, match="--minutes"):
        simulate(board="pi4", profile=path, minutes=0.0)
    with pytest.raises(UsageError, match="negative"):
        simulate(board="pi4", profile=path, battery_wh=-1.0)
    for name in ("battery_wh", "idle_w", "core_w", "kelvin_per_w"):
        for value in (float("nan"), float("inf")):
            with pytest.raises(UsageError, match="negative"):
                simulate(board="pi4", profile=path, **{name: value})
    for every_s in (-1.0, 1e-9, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--ask-every"):
            simulate(board="pi4", profile=path, ask_every=every_s)
    path.write_text(json.dumps({**estimated(language=True), "board": "host"}))
    with pytest.raises(InputError, match="host is measured"):
        simulate(board="host", profile=path)
    path.write_text('{"some": "json"}')
    with pytest.raises(InputError, match="is no profile"):
        simulate(board="pi4", profile=path)
