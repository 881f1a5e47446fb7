"""What a board is to compute: times of pieces of sound and of answers, as they were measured or estimated, to be taken by turns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Beside:
    """What hearing and answering cost each other though each has a core: both need the interpreter, and share caches.

    Attributes
    ----------
    hearing_s, wake_s : sequence of float
        Those of the workload, while an answer is made; empty: as ever.
    stall_s : sequence of float
        An answer loses so long for each piece that is begun while it is made, seconds; by turns.
    """

    hearing_s: Sequence[float] = ()
    wake_s: Sequence[float] = ()
    stall_s: Sequence[float] = ()


@dataclass(frozen=True)
class Workload:
    """What is to be computed.

    Attributes
    ----------
    hop_s : float
        A piece of sound comes this often, seconds.
    hearing_s : float or sequence of float
        One core works so long on it; a sequence by the number of the piece, again and again: names are heard with two of ten.
    deadline_s : float
        It should be done so long after it came.
    queue_hops : int
        Pieces that wait at most; then the oldest is dropped.
    prefill_s, decode_s : float or sequence of float
        An answer takes these one after the other on `threads` cores, seconds; a sequence by turns, as above.
    threads : int
    questions_s : sequence of float
        When questions come.
    wake_s : float or sequence of float
        A thread that waits for sound or a question runs so long after it came, seconds; by turns, as above.
    beside : Beside
        What hearing and answering cost each other, cores apart.
    sound_s : float
        No more pieces come after this, seconds.
    """

    hop_s: float
    hearing_s: float | Sequence[float]
    deadline_s: float
    queue_hops: int = 25
    prefill_s: float | Sequence[float] = 0.0
    decode_s: float | Sequence[float] = 0.0
    threads: int = 1
    questions_s: Sequence[float] = ()
    wake_s: float | Sequence[float] = 0.0
    beside: Beside = field(default_factory=Beside)
    sound_s: float = math.inf


def turns(times_s: float | Sequence[float]) -> Sequence[float]:
    """Times of a workload as a sequence, to be taken in turn, again and again."""
    return times_s if isinstance(times_s, Sequence) else (times_s,)


class TurnTimes:
    """The times of a workload; those of hearing by the number of the piece, the others by turns.

    Parameters
    ----------
    work : Workload
    """

    def __init__(self, work: Workload) -> None:
        beside = work.beside
        alone_s = turns(work.hearing_s)
        self._hearing = alone_s, beside.hearing_s or alone_s
        wakes = itertools.cycle(turns(work.wake_s))
        self._wake = wakes, itertools.cycle(beside.wake_s) if beside.wake_s else wakes
        self._stall = itertools.cycle(beside.stall_s or (0.0,))

    def hearing_s(self, number: int, answering: bool) -> float:
        """Of a piece; the first is number 0."""
        times_s = self._hearing[answering]
        return times_s[number % len(times_s)]

    def wake_s(self, answering: bool) -> float:
        """Of the thread that waits for it."""
        return next(self._wake[answering])

    def stall_s(self, answering: bool) -> float:
        """What an answer loses to the next piece; nothing when none is made."""
        return next(self._stall) if answering else 0.0
