"""The deadline simulation against cases worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.firmware_sim.board import BOARDS, SLICE_S, Board, simulate_board
from earshot.firmware_sim.board_workload import Beside, Workload
from earshot.runtime.errors import UsageError

ONE = Board("one core", 1)
TWO = Board("two cores", 2)
EASY = Workload(hop_s=0.04, hearing_s=0.01, deadline_s=0.04)


def test_a_quarter_of_the_time_keeps_a_quarter_of_a_core_busy_and_no_deadline_is_missed() -> None:
    outcome = simulate_board(ONE, EASY, 4.0)
    assert outcome.hops == 99, "the hundredth comes with the end"
    assert (outcome.misses, outcome.dropped, outcome.deepest_queue) == (0, 0, 1)
    assert outcome.latencies_s == pytest.approx([0.01] * 99)
    assert outcome.busy_cores == pytest.approx(0.25, abs=0.003)


def test_work_for_two_cores_on_one_thread_falls_behind_and_drops_every_other_piece() -> None:
    """50 ms of work every 25 ms: one of two is done, the queue fills to its bound of 4 and stays there."""
    outcome = simulate_board(TWO, Workload(0.025, 0.05, 0.1, queue_hops=4), 10.0)
    assert outcome.deepest_queue == 4
    assert outcome.dropped == pytest.approx(outcome.hops / 2, abs=8)
    # A piece waits at most until four newer ones have come (100 ms), then has its own 50 ms.
    assert max(outcome.latencies_s) + 1e-9 > 0.125
    assert max(outcome.latencies_s) < 0.150 + 1e-9
    assert outcome.busy_cores == pytest.approx(1.0, abs=0.01)


def test_an_answer_alone_takes_prefill_and_decode() -> None:
    work = Workload(10.0, 0.0, 1.0, prefill_s=0.4, decode_s=1.0, questions_s=(1.0,))
    outcome = simulate_board(ONE, work, 5.0)
    assert outcome.first_token_s == pytest.approx([0.4])
    assert outcome.answer_s == pytest.approx([1.4])


def test_two_threads_on_one_core_take_twice_as_long() -> None:
    work = Workload(10.0, 0.0, 1.0, prefill_s=0.4, threads=2, questions_s=(1.0,))
    assert simulate_board(ONE, work, 5.0).first_token_s == pytest.approx([0.8])
    assert simulate_board(TWO, work, 5.0).first_token_s == pytest.approx([0.4])


def test_on_one_core_hearing_waits_one_slice_at_most_and_the_answer_pays_for_it() -> None:
    """1 s of prefill against 25 % hearing: 1 / 0.75 s; each hop waits for the slice in progress."""
    work = Workload(0.04, 0.01, 0.04, prefill_s=1.0, questions_s=(1.0,))
    outcome = simulate_board(ONE, work, 5.0)
    assert outcome.misses == 0
    assert max(outcome.latencies_s) <= 0.01 + SLICE_S + 1e-9
    assert outcome.first_token_s == pytest.approx([4 / 3], abs=0.015)


def test_with_a_core_of_its_own_hearing_does_not_notice_the_answer() -> None:
    work = Workload(0.04, 0.01, 0.04, prefill_s=1.0, questions_s=(1.0,))
    outcome = simulate_board(TWO, work, 5.0)
    assert max(outcome.latencies_s) == pytest.approx(0.01)
    assert outcome.first_token_s == pytest.approx([1.0])


def test_a_second_question_waits_for_the_first() -> None:
    work = Workload(10.0, 0.0, 1.0, prefill_s=0.5, decode_s=0.5, questions_s=(1.0, 1.2))
    assert simulate_board(ONE, work, 5.0).answer_s == pytest.approx([1.0, 1.8])


def test_times_are_taken_by_turns() -> None:
    work = Workload(0.1, (0.01, 0.03), 1.0, prefill_s=(0.2, 0.4), decode_s=(0.1, 0.5), questions_s=(0.5, 1.5))
    outcome = simulate_board(TWO, work, 3.05)
    assert outcome.latencies_s == pytest.approx([0.01, 0.03] * 15)
    assert outcome.first_token_s == pytest.approx([0.2, 0.4])
    assert outcome.answer_s == pytest.approx([0.3, 0.9])


def test_a_thread_that_wakes_late_is_late_only_where_it_waited() -> None:
    """5 ms to wake and 50 ms of work each 40 ms: only the first piece was waited for, then they queue up."""
    outcome = simulate_board(TWO, Workload(0.04, 0.05, 1.0, wake_s=0.005), 0.21)
    assert outcome.latencies_s == pytest.approx([0.055, 0.065, 0.075])
    asked = Workload(10.0, 0.0, 1.0, prefill_s=0.4, questions_s=(1.0,), wake_s=0.005)
    assert simulate_board(TWO, asked, 2.0).first_token_s == pytest.approx([0.405])


def test_beside_an_answer_a_piece_takes_what_was_measured_beside_answers() -> None:
    """10 ms of work alone, 2 + 14 ms beside an answer of 1 s, which loses 5 ms to each of 26 pieces."""
    beside = Beside(hearing_s=(0.014,), wake_s=(0.002,), stall_s=(0.005,))
    work = Workload(0.04, 0.01, 0.04, prefill_s=0.5, decode_s=0.5, questions_s=(1.015,), beside=beside)
    outcome = simulate_board(TWO, work, 5.0)
    assert min(outcome.latencies_s) == pytest.approx(0.010)
    assert outcome.stalled_s == pytest.approx([0.016] * 28)
    assert outcome.first_token_s == pytest.approx([0.5 + 14 * 0.005])
    assert outcome.answer_s == pytest.approx([1.0 + 28 * 0.005])


def test_a_question_waits_until_the_piece_under_way_is_heard() -> None:
    """Hearing lets nobody ask about the last ten seconds while it adds to them."""
    work = Workload(0.04, 0.03, 0.04, prefill_s=0.001, questions_s=(0.05, 0.115))
    assert simulate_board(TWO, work, 0.3).first_token_s == pytest.approx([0.021, 0.001])


def test_battery_hours_follow_from_power_and_busy_cores() -> None:
    """2 W idle and a quarter of a core of 4 W: 3 W, so 12 Wh last 4 h."""
    outcome = simulate_board(Board("measured", 1, idle_w=2.0, core_w=4.0), EASY, 100.0, battery_wh=12.0)
    assert outcome.battery_hours == pytest.approx(4.0, rel=0.01)
    assert simulate_board(BOARDS["pi4"], EASY, 1.0, battery_wh=12.0).battery_hours is None


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.floats(0.0, 0.2), st.integers(1, 10), st.integers(1, 4))
def test_every_hop_is_done_dropped_or_still_waiting(cores: int, hearing_s: float, queue: int, threads: int) -> None:
    work = Workload(0.04, hearing_s, 0.08, queue, prefill_s=0.3, threads=threads, questions_s=(0.5,))
    outcome = simulate_board(Board("any", cores), work, 3.0)
    left = outcome.hops - len(outcome.latencies_s) - outcome.dropped
    assert 0 <= left <= queue + 1
    assert outcome.busy_cores <= cores + 1e-9
    assert outcome.deepest_queue <= queue


@pytest.mark.parametrize("work", [Workload(0.0, 0.1, 0.1), Workload(0.1, 0.1, 0.1, threads=0)])
def test_impossible_figures_are_refused(work: Workload) -> None:
    with pytest.raises(UsageError):
        simulate_board(ONE, work, 1.0)
