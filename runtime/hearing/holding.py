"""What this machine can hold, found out by hearing a moment of noise at the start: threads, and how much is done.

On a machine that is fast enough for one thread this takes fifteen hops, some 20 ms. More threads are tried only where one is too
slow for every frame: the graphs are so small that waiting for each other mostly costs more than it brings.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.effort import Effort, effort_for
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.names import EARS, NAMES_EVERY, NAMES_SAMPLES

Clock = Callable[[], float]

THREADS = (1, 2, 4)
BUDGET_S = 0.06
"""Of timed hops; at least three are timed all the same."""
MOST_HOPS = 12
_WARM_UP_HOPS, _LEAST_HOPS = 3, 3
_EFFORTS = tuple(Effort)


@dataclass(frozen=True)
class Holding:
    """What a machine holds.

    Attributes
    ----------
    threads : int
        For the encoders.
    effort : Effort
        To begin with.
    load : float
        Time to hear re length of the sound when every frame is heard, with these threads.
    """

    threads: int
    effort: Effort
    load: float

    @property
    def text(self) -> str:
        """One line for a person."""
        threads = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return f"self-test: hearing every frame takes {self.load:.1%} of real time on {threads}; {self.effort.text}"


def time_hops(
    encoders: Encoders,
    clock: Clock = time.perf_counter,
    budget_s: float = BUDGET_S,
    most_hops: int = MOST_HOPS,
) -> float:
    """Time to hear a hop of noise re its length: 0.03 = 3 %.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    clock : callable, optional
        Seconds.
    budget_s : float
        No further hop is timed after this.
    most_hops : int
        That are timed, at least three.
    """
    hearing, rng = Hearing(encoders), np.random.default_rng(0)
    times_s: list[float] = []
    for hop in range(_WARM_UP_HOPS + most_hops):
        noise = 0.05 * rng.standard_normal((2, FRAME_SAMPLES)).astype(np.float32)
        start_s = clock()
        hearing.process(AudioChunk(noise, hop * FRAME_SAMPLES))
        times_s.append(clock() - start_s)
        timed_s = times_s[_WARM_UP_HOPS:]
        if len(timed_s) >= _LEAST_HOPS and sum(timed_s) >= budget_s:
            break
    return (float(np.median(times_s[_WARM_UP_HOPS:])) + _names_s(encoders, clock)) / FRAME_S


def _names_s(encoders: Encoders, clock: Clock) -> float:
    """What a hop takes longer on average because of the names network: it hears each ear once in ten, too seldom for a median."""
    if not encoders.has("names"):
        return 0.0
    noise = 0.05 * np.random.default_rng(0).standard_normal((1, NAMES_SAMPLES)).astype(np.float32)
    encoders.name_sounds(noise)  # the first run allocates
    start_s = clock()
    encoders.name_sounds(noise)
    return EARS * (clock() - start_s) / NAMES_EVERY


def what_holds(load_with: Callable[[int], float], cores: int, threads: int | None = None) -> Holding:
    """Choose threads and effort.

    Parameters
    ----------
    load_with : callable
        Number of threads -> load, see `time_hops`.
    cores : int
        That there are; more threads than these are not tried.
    threads : int, optional
        What somebody has chosen; only the effort is then found out.

    Returns
    -------
    Holding
        The most effort, with the fewest threads that hold it.
    """
    counts = [count for count in THREADS if count <= max(1, cores)] if threads is None else [threads]
    tried: list[Holding] = []
    for count in counts:
        load = load_with(count)
        tried.append(Holding(count, effort_for(load), load))
        if tried[-1].effort is Effort.FULL:
            break
    return min(tried, key=lambda holding: (_EFFORTS.index(holding.effort), holding.threads))
