"""Will this board keep up? Hops of sound and answers of the language model share a few cores, in simulated time.

Durations are given, not guessed: measure them on the board (`earshot profile --json`) or estimate them elsewhere
(`earshot profile --board BOARD --json`); `board_report.py` makes a workload of either.
The scheduler is modelled as time slices; hearing has priority when a slice ends, but never cuts one short, as with
ordinary threads of different nice values.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from earshot.firmware_sim.board_workload import TurnTimes, Workload, turns
from earshot.runtime.errors import UsageError

SLICE_S = 0.004
"""Length of a time slice of a busy Linux core, about."""
_HEAT_STEP_S = 1.0


@dataclass(frozen=True)
class Thermal:
    """A processor that warms up as a body of one heat capacity, and slows down when hot.

    Attributes
    ----------
    kelvin_per_w : float
        Thermal resistance from the processor to the air, above 0.
    time_constant_s : float
        After so long, 63 % of a change are reached; above 0.
    ambient_c : float
        Temperature of the air and at the start.
    throttle_c, limit_c : float
        Full speed up to the first; slowest from the second on, linear between. The Raspberry Pi's firmware has 80 and 85.
    slowest : float
        Speed there as a part of full speed, above 0.
    """

    kelvin_per_w: float
    time_constant_s: float = 120.0
    ambient_c: float = 25.0
    throttle_c: float = 80.0
    limit_c: float = 85.0
    slowest: float = 0.4

    def speed(self, temperature_c: float) -> float:
        """Part of full speed at a temperature, `slowest` to 1."""
        excess = (temperature_c - self.throttle_c) / (self.limit_c - self.throttle_c)
        return 1.0 - (1.0 - self.slowest) * min(1.0, max(0.0, excess))

    def after(self, temperature_c: float, power_w: float, seconds: float) -> float:
        """Temperature after some seconds of constant power."""
        steady_c = self.ambient_c + self.kelvin_per_w * power_w
        return steady_c + (temperature_c - steady_c) * math.exp(-seconds / self.time_constant_s)


@dataclass(frozen=True)
class Board:
    """What computes.

    Attributes
    ----------
    name : str
    cores : int
    idle_w, core_w : float
        Power when idle, and more for each busy core, watts; 0 when unknown, then no battery hours are given.
    memory_mb : float
        Of the smallest model on sale; 0 when unknown.
    thermal : Thermal or None
        How it heats up; None when unknown, then it never slows down.
    """

    name: str
    cores: int
    idle_w: float = 0.0
    core_w: float = 0.0
    memory_mb: float = 0.0
    thermal: Thermal | None = None


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board("zero2w", 4, memory_mb=512.0),
        Board("pi4", 4, memory_mb=1024.0),
        Board("pi5", 4, memory_mb=1024.0),
        Board("rk3588", 8, memory_mb=4096.0),
    )
}
"""Cores and memory by the makers' data sheets; power and heat must be measured in the housing, with the sound hardware."""


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
    stalled_s : list of float
        Those of the pieces that were heard while the language model was at work.
    first_token_s, answer_s : list of float
        From question to end of prefill, and to the end of the answer.
    busy_cores : float
        Mean number of busy cores.
    battery_hours : float or None
        None when the power is not known.
    hottest_c : float or None
        None when the board has no thermal model.
    slowest_speed : float
        Least part of full speed that it came down to.
    """

    hops: int = 0
    misses: int = 0
    dropped: int = 0
    deepest_queue: int = 0
    latencies_s: list[float] = field(default_factory=list)
    stalled_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    busy_cores: float = 0.0
    battery_hours: float | None = None
    hottest_c: float | None = None
    slowest_speed: float = 1.0


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
    times_s = [turns(times) for times in (work.hearing_s, work.prefill_s, work.decode_s, work.wake_s)]
    beside_s = (0.0, *work.beside.hearing_s, *work.beside.wake_s, *work.beside.stall_s)
    least_s = min(*map(min, times_s), *beside_s) if all(times_s) else -1.0
    if least_s < 0 or min(work.hop_s, work.deadline_s, duration_s) <= 0:
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
        self._speed = 1.0
        self._asked = 0  # questions that wait or are answered
        self._answering = False
        self._lost_s = 0.0  # by answers to hearing, so far
        self._work = work
        self._times = TurnTimes(work)
        self._cores = simpy.PriorityResource(self.env, capacity=board.cores)
        self._waiting: deque[tuple[int, float]] = deque()  # number of a piece and when it came
        self._came = self.env.event()
        if board.thermal is not None:
            self.env.process(self._heat(board, board.thermal))
        self._model_free = simpy.Resource(self.env, capacity=1)  # one thread owns the language model
        self._ears_free = simpy.Resource(self.env, capacity=1)  # nothing can be asked of them while they hear a piece
        self.env.process(self._sound())
        self.env.process(self._hearing())
        prefills_s, decodes_s = itertools.cycle(turns(work.prefill_s)), itertools.cycle(turns(work.decode_s))
        for at_s in work.questions_s:
            self.env.process(self._question(at_s, next(prefills_s), next(decodes_s)))

    def _sound(self) -> Generator[Any, Any, None]:
        number = 0
        while (number + 1) * self._work.hop_s <= self._work.sound_s + 1e-9:
            number += 1
            yield self.env.timeout(number * self._work.hop_s - self.env.now)
            self.outcome.hops += 1
            self._waiting.append((number - 1, self.env.now))
            if len(self._waiting) > self._work.queue_hops:
                self._waiting.popleft()
                self.outcome.dropped += 1
            self.outcome.deepest_queue = max(self.outcome.deepest_queue, len(self._waiting))
            self._came.succeed()
            self._came = self.env.event()

    def _heat(self, board: Board, thermal: Thermal) -> Generator[Any, Any, None]:
        """Once a second: warmer by what was computed, and as fast as the temperature allows."""
        temperature_c, busy_s = thermal.ambient_c, 0.0
        while True:
            self.outcome.hottest_c = max(temperature_c, self.outcome.hottest_c or temperature_c)
            yield self.env.timeout(_HEAT_STEP_S)
            power_w = board.idle_w + board.core_w * (self.busy_s - busy_s) / _HEAT_STEP_S
            busy_s = self.busy_s
            temperature_c = thermal.after(temperature_c, power_w, _HEAT_STEP_S)
            self._speed = thermal.speed(temperature_c)
            self.outcome.slowest_speed = min(self.outcome.slowest_speed, self._speed)

    def _hearing(self) -> Generator[Any, Any, None]:
        while True:
            if not self._waiting:
                yield self._came
                yield self.env.timeout(self._times.wake_s(self._answering))
            number, came_s = self._waiting.popleft()
            stalled = self._asked > 0
            with self._ears_free.request() as mine:
                yield mine
                self._lost_s += self._times.stall_s(self._answering)
                seconds = self._times.hearing_s(number, self._answering)
                yield from self._compute(seconds, priority=0, slice_s=seconds)
            latency_s = self.env.now - came_s
            self.outcome.latencies_s.append(latency_s)
            if stalled or self._asked:
                self.outcome.stalled_s.append(latency_s)
            self.outcome.misses += latency_s > self._work.deadline_s + 1e-9

    def _question(self, at_s: float, prefill_s: float, decode_s: float) -> Generator[Any, Any, None]:
        yield self.env.timeout(at_s)
        self._asked += 1
        yield self.env.timeout(self._times.wake_s(False))
        with self._model_free.request() as turn:
            yield turn
            with self._ears_free.request() as now:
                yield now
            self._answering = True
            yield from self._on_all_threads(prefill_s)
            self.outcome.first_token_s.append(self.env.now - at_s)
            yield from self._on_all_threads(decode_s)
            self.outcome.answer_s.append(self.env.now - at_s)
            self._answering = False
        self._asked -= 1

    def _on_all_threads(self, seconds: float) -> Generator[Any, Any, None]:
        """All threads work as long, and the slowest decides; what is lost to hearing meanwhile comes on top."""
        lost_s = self._lost_s
        threads = [self.env.process(self._compute(seconds, 1, SLICE_S)) for _ in range(self._work.threads)]
        yield self.env.all_of(threads)
        while lost_s < self._lost_s:
            more_s, lost_s = self._lost_s - lost_s, self._lost_s
            yield self.env.timeout(more_s)

    def _compute(self, seconds: float, priority: int, slice_s: float) -> Generator[Any, Any, None]:
        """Use one core for so long in all, slice by slice."""
        left_s = seconds
        while left_s > 1e-12:
            with self._cores.request(priority=priority) as core:
                yield core
                piece_s = min(slice_s, left_s)
                lasts_s = piece_s / self._speed
                yield self.env.timeout(lasts_s)
                self.busy_s += lasts_s
                left_s -= piece_s
