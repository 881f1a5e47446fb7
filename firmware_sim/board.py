"""Will this board keep up? Hops of sound and answers of the language model share a few cores, in simulated time.

Durations are given, not guessed: measure them on the board (`earshot profile --json`) or estimate them elsewhere.
The scheduler is modelled as time slices; hearing has priority when a slice ends, but never cuts one short, as with
ordinary threads of different nice values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from earshot.runtime.errors import UsageError

SLICE_S = 0.004
"""Length of a time slice of a busy Linux core, about."""


@dataclass(frozen=True)
class Board:
    """What computes.

    Attributes
    ----------
    name : str
    cores : int
    idle_w, core_w : float
        Power when idle, and more for each busy core, watts; 0 when unknown, then no battery hours are given.
    """

    name: str
    cores: int
    idle_w: float = 0.0
    core_w: float = 0.0


BOARDS: dict[str, Board] = {
    board.name: board for board in (Board("zero2w", 4), Board("pi4", 4), Board("pi5", 4), Board("rk3588", 8))
}
"""Cores by the makers' data sheets; power must be measured with the sound hardware attached."""


@dataclass(frozen=True)
class Workload:
    """What is to be computed.

    Attributes
    ----------
    hop_s : float
        A piece of sound comes this often, seconds.
    hearing_s : float
        One core works so long on it.
    deadline_s : float
        It should be done so long after it came.
    queue_hops : int
        Pieces that wait at most; then the oldest is dropped.
    prefill_s, decode_s : float
        An answer takes these one after the other on `threads` cores, seconds.
    threads : int
    questions_s : sequence of float
        When questions come.
    """

    hop_s: float
    hearing_s: float
    deadline_s: float
    queue_hops: int = 25
    prefill_s: float = 0.0
    decode_s: float = 0.0
    threads: int = 1
    questions_s: Sequence[float] = ()


@dataclass
class Outcome:
    """What came of it.

    Attributes
    ----------
    hops, misses, dropped : int
        Pieces that came, were done too late, were never done.
    deepest_queue : int
    latencies_s : list of float
        From coming to done, one per piece done.
    first_token_s, answer_s : list of float
        From question to end of prefill, and to the end of the answer.
    busy_cores : float
        Mean number of busy cores.
    battery_hours : float or None
        None when the power is not known.
    """

    hops: int = 0
    misses: int = 0
    dropped: int = 0
    deepest_queue: int = 0
    latencies_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    busy_cores: float = 0.0
    battery_hours: float | None = None


def simulate_board(board: Board, work: Workload, duration_s: float, battery_wh: float = 0.0) -> Outcome:
    """Run a workload on a board.

    Parameters
    ----------
    board : Board
    work : Workload
    duration_s : float
        Simulated seconds.
    battery_wh : float
        Capacity for the battery hours, watt hours.

    Raises
    ------
    UsageError
        When a figure is impossible.
    """
    if board.cores < 1 or work.threads < 1 or work.queue_hops < 1:
        raise UsageError("a board needs at least one core, one thread and room for one hop")
    if not (work.hop_s > 0 and work.hearing_s >= 0 and work.deadline_s > 0 and duration_s > 0):
        raise UsageError("times of a workload must be positive")
    run = _Run(board, work)
    run.env.run(until=duration_s)
    run.outcome.busy_cores = run.busy_s / duration_s
    power_w = board.idle_w + board.core_w * run.outcome.busy_cores
    if board.idle_w > 0 and battery_wh > 0:
        run.outcome.battery_hours = battery_wh / power_w
    return run.outcome


class _Run:
    """The processes of one simulation."""

    def __init__(self, board: Board, work: Workload) -> None:
        self.env = simpy.Environment()
        self.outcome = Outcome()
        self.busy_s = 0.0
        self._work = work
        self._cores = simpy.PriorityResource(self.env, capacity=board.cores)
        self._waiting: deque[float] = deque()
        self._came = self.env.event()
        self._model_free = simpy.Resource(self.env, capacity=1)  # one thread owns the language model
        self.env.process(self._sound())
        self.env.process(self._hearing())
        for at_s in work.questions_s:
            self.env.process(self._question(at_s))

    def _sound(self) -> Generator[Any, Any, None]:
        number = 0
        while True:
            number += 1
            yield self.env.timeout(number * self._work.hop_s - self.env.now)
            self.outcome.hops += 1
            self._waiting.append(self.env.now)
            if len(self._waiting) > self._work.queue_hops:
                self._waiting.popleft()
                self.outcome.dropped += 1
            self.outcome.deepest_queue = max(self.outcome.deepest_queue, len(self._waiting))
            self._came.succeed()
            self._came = self.env.event()

    def _hearing(self) -> Generator[Any, Any, None]:
        while True:
            if not self._waiting:
                yield self._came
            came_s = self._waiting.popleft()
            yield self.env.process(self._compute(self._work.hearing_s, priority=0, slice_s=self._work.hearing_s))
            latency_s = self.env.now - came_s
            self.outcome.latencies_s.append(latency_s)
            self.outcome.misses += latency_s > self._work.deadline_s + 1e-9

    def _question(self, at_s: float) -> Generator[Any, Any, None]:
        yield self.env.timeout(at_s)
        with self._model_free.request() as turn:
            yield turn
            yield from self._on_all_threads(self._work.prefill_s)
            self.outcome.first_token_s.append(self.env.now - at_s)
            yield from self._on_all_threads(self._work.decode_s)
            self.outcome.answer_s.append(self.env.now - at_s)

    def _on_all_threads(self, seconds: float) -> Generator[Any, Any, None]:
        """All threads work as long, and the slowest decides."""
        threads = [self.env.process(self._compute(seconds, 1, SLICE_S)) for _ in range(self._work.threads)]
        yield self.env.all_of(threads)

    def _compute(self, seconds: float, priority: int, slice_s: float) -> Generator[Any, Any, None]:
        """Use one core for so long in all, slice by slice."""
        left_s = seconds
        while left_s > 1e-12:
            with self._cores.request(priority=priority) as core:
                yield core
                piece_s = min(slice_s, left_s)
                yield self.env.timeout(piece_s)
                self.busy_s += piece_s
                left_s -= piece_s
