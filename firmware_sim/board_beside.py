"""What hearing and answering cost each other on this machine, measured apart from what is to be predicted.

Hearing in true time beside answers to questions that the check does not ask, about sound that stands still: whatever they
wait for each other (Python's interpreter, caches, a core) is in these times, and none of it has to be known. There are
pauses between the answers, as there are in use: a thread that wakes to answer is often put on the core of the thread that hears,
which then waits a time slice of 3 ms for it; one that answers without a pause keeps a core of its own.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from earshot.firmware_sim.board_workload import Beside
from earshot.firmware_sim.real_listener import RealListener, Times
from earshot.runtime.hearing.listener import HearingWindow

QUESTIONS = ("How many sounds are there?", "Is anything behind me?")
"""None of those that the check asks."""
PAUSES_S = (0.02, 0.08)
"""Between answers, at random."""
ALONE = 8
"""So many answers to each show how long it takes without hearing."""

Span = tuple[float, float]


def measure_beside(listener: RealListener, hops: int) -> Beside:
    """Hear so many hops while answers are made, one after the other.

    Parameters
    ----------
    listener : RealListener
        That has heard something.
    hops : int
    """
    window = listener.window()
    shorter = replace(window, tokens=window.tokens.last(len(window.tokens) - 1))
    # By turns about two windows, or the language model would know the sound from the question before.
    topics = list(zip(QUESTIONS, (window, shorter), strict=True))
    pauses = random.Random(hops)

    def answer(question: str, about: HearingWindow) -> Span:
        time.sleep(pauses.uniform(*PAUSES_S))
        return listener.answer_about(about, question)

    usual_s = np.median([[_lasts_s(answer(*topic)) for topic in topics] for _ in range(ALONE)], axis=0)
    spans: list[Span] = []
    over = threading.Event()

    def answer_on() -> None:
        for topic in itertools.cycle(topics):
            if over.is_set():
                return
            spans.append(answer(*topic))

    times, answering = Times(), threading.Thread(target=answer_on, name="questions")
    answering.start()
    try:
        heard = listener.hear(times, hops)
    finally:
        over.set()
        answering.join()
    came_s = [came_s for came_s, _ in heard]
    waits_s = [latency_s - service_s for latency_s, service_s in zip(times.latencies_s, times.services_s, strict=True)]
    wakes_s = [wait_s for at_s, wait_s in zip(came_s, waits_s, strict=True) if _is_within(at_s, spans)]
    return Beside(times.services_s, wakes_s, stalls(came_s, spans, itertools.cycle(float(s) for s in usual_s)))


def stalls(came_s: Sequence[float], answers: Sequence[Span], usual_s: Iterable[float]) -> list[float]:
    """What answers lost to each hop that came while they were made, seconds.

    Parameters
    ----------
    came_s : sequence of float
        When hops came.
    answers : sequence of (float, float)
        When each began and ended.
    usual_s : iterable of float
        How long each would have taken alone.
    """
    found: list[float] = []
    for (began_s, ended_s), alone_s in zip(answers, usual_s, strict=False):
        hops = sum(began_s <= at_s < ended_s for at_s in came_s)
        found += hops * [max(0.0, ended_s - began_s - alone_s) / max(1, hops)]
    return found


def _is_within(at_s: float, spans: Iterable[Span]) -> bool:
    return any(began_s <= at_s < ended_s for began_s, ended_s in spans)


def _lasts_s(span: Span) -> float:
    return span[1] - span[0]
