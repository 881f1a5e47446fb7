"""What hearing and answering cost each other on this machine, measured apart from what is to be predicted.

Hearing in true time beside answers without a pause, to questions that the check does not ask, about sound that stands
still: whatever they wait for each other (Python's interpreter, caches, a core) is in these times, and none of it has to be
known.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from earshot.firmware_sim.board_workload import Beside
from earshot.firmware_sim.real_listener import RealListener, Times

QUESTIONS = ("How many sounds are there?", "Is anything behind me?")
"""None of those that the check asks."""
ALONE = 8
"""So many answers to each show how long it takes without hearing."""

Span = tuple[float, float]


def measure_beside(listener: RealListener, hops: int) -> Beside:
    """Hear so many hops while answers are made without a pause.

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
    alone = [[_lasts_s(listener.answer_about(about, question)) for question, about in topics] for _ in range(ALONE)]
    usual_s = np.median(alone, axis=0)
    spans: list[Span] = []
    over = threading.Event()

    def answer() -> None:
        for question, about in itertools.cycle(topics):
            if over.is_set():
                return
            spans.append(listener.answer_about(about, question))

    times, answering = Times(), threading.Thread(target=answer, name="questions")
    answering.start()
    try:
        heard = listener.hear(times, hops)
    finally:
        over.set()
        answering.join()
    stalls_s = stalls([came_s for came_s, _ in heard], spans, itertools.cycle(float(s) for s in usual_s))
    return Beside(times.services_s, times.wakes_s, stalls_s)


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


def _lasts_s(span: Span) -> float:
    return span[1] - span[0]
