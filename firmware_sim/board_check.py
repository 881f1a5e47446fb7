"""Is the simulation of a board true? Predicted and measured in the same run of the real listener, by turns.

A machine is never twice equally busy, so a prediction from an older profile mostly compares two loads. Here three kinds
of turns follow each other: one measures each part alone, which is all that the prediction knows; one hears; one hears and
answers at once. Whatever else the machine does, it does in all three.
"""

from __future__ import annotations

import itertools
import json as json_module
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.board import Board, Outcome, Workload, simulate_board
from earshot.firmware_sim.board_report import Asking, percentiles_ms
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.commands.profile import make_noise
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.measure import QUESTIONS, hops
from earshot.runtime.interfaces.profile_runs import machine_facts
from earshot.runtime.language.answerer import Answerer

AGREES = 0.25
"""A prediction within this part of the measured 95th percentile is called true."""
DISTURBED = 1.25
"""From here on, time on the wall re processor time, other programs decide."""
TURN_S = 10.0
MAX_CHECK_MINUTES = 60.0
_NEVER_FULL = 1_000_000
"""The real loop below drops nothing."""


@dataclass
class Times:
    """What turns of one kind measured, seconds.

    Attributes
    ----------
    wakes_s : list of float
        From the coming of a hop to the thread's running, where it waited for the hop.
    services_s, cpu_s : list of float
        Each hop by the wall, from when the thread was free for it, and by the processor time of the thread.
    latencies_s : list of float
        From its coming to done.
    stalled_s, stalled_cpu_s : list of float
        Latency and processor time of those hops during which an answer was made.
    first_token_s, answer_s, answer_cpu_s : list of float
        From the question on; the last by processor time of the answering thread.
    """

    wakes_s: list[float] = field(default_factory=list)
    services_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    stalled_s: list[float] = field(default_factory=list)
    stalled_cpu_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    answer_cpu_s: list[float] = field(default_factory=list)


@dataclass
class Round:
    """Times of one turn of each kind."""

    parts: Times = field(default_factory=Times)
    hearing: Times = field(default_factory=Times)
    together: Times = field(default_factory=Times)


class RealListener:
    """The listener of the product, its times noted.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    answerer : Answerer
        Loaded.
    turn_s : float
        Length of a turn.
    """

    def __init__(self, encoders: Encoders, answerer: Answerer, turn_s: float) -> None:
        self._encoders, self._answerer = encoders, answerer
        self._hearing = Hearing(encoders)
        self._noise = [chunk.samples for chunk in hops(make_noise(turn_s))]
        self._heard = 0
        self._questions = itertools.cycle(QUESTIONS)
        self._hear_next()  # the first run of a network is slow, and not asked about

    def hear(self, times: Times) -> list[tuple[float, float]]:
        """One turn of sound in true time; gives when each hop came and was done."""
        spans = []
        start_s = done_s = time.perf_counter()
        for number in range(len(self._noise)):
            came_s, free_s = start_s + (number + 1) * FRAME_S, done_s
            if free_s < came_s:
                time.sleep(came_s - free_s)
                times.wakes_s.append(time.perf_counter() - came_s)
                free_s = time.perf_counter()
            cpu_s = time.thread_time()
            self._hear_next()
            done_s = time.perf_counter()
            times.cpu_s.append(time.thread_time() - cpu_s)
            times.services_s.append(done_s - free_s)
            times.latencies_s.append(done_s - came_s)
            spans.append((came_s, done_s))
        return spans

    def answer(self, times: Times, asked_s: float) -> tuple[float, float]:
        """One question about the last 10 s, asked at a time of the clock; gives when it was under way."""
        cpu_s = time.thread_time()
        embeddings = self._encoders.project(self._hearing.window().tokens)
        began_s = time.perf_counter()
        answer = self._answerer.answer(next(self._questions), embeddings)
        times.first_token_s.append(began_s - asked_s + answer.first_token_s)
        times.answer_s.append(began_s - asked_s + answer.answer_s)
        times.answer_cpu_s.append(time.thread_time() - cpu_s)
        return asked_s, time.perf_counter()

    def hear_and_answer(self, times: Times, questions_s: Sequence[float]) -> None:
        """One turn of sound, and answers in another thread at times from its start."""
        answering: list[tuple[float, float]] = []
        start_s, before = time.perf_counter(), len(times.cpu_s)

        def ask() -> None:
            for at_s in questions_s:
                time.sleep(max(0.0, start_s + at_s - time.perf_counter()))
                answering.append(self.answer(times, start_s + at_s))

        asking = threading.Thread(target=ask, name="questions")
        asking.start()
        try:
            spans = self.hear(times)
        finally:
            asking.join()
        for (came_s, done_s), cpu_s in zip(spans, times.cpu_s[before:], strict=True):
            if any(began_s < done_s and came_s < ended_s for began_s, ended_s in answering):
                times.stalled_s.append(done_s - came_s)
                times.stalled_cpu_s.append(cpu_s)

    def _hear_next(self) -> None:
        samples = self._noise[self._heard % len(self._noise)]
        self._hearing.process(AudioChunk(samples, self._heard * FRAME_SAMPLES))
        self._heard += 1


def listen_by_turns(listener: RealListener, questions_s: Sequence[float], rounds: int) -> list[Round]:
    """Measure parts, hearing, and both together, round after round.

    Parameters
    ----------
    listener : RealListener
    questions_s : sequence of float
        Within a turn, seconds from its start.
    rounds : int
    """
    done = []
    for _ in range(rounds):
        times = Round()
        listener.hear(times.parts)
        for _ in questions_s:
            listener.answer(times.parts, time.perf_counter())
        listener.hear(times.hearing)
        listener.hear_and_answer(times.together, questions_s)
        done.append(times)
    return done


def predicted(parts: Times, turn_s: float, questions_s: Sequence[float], threads: int) -> Outcome:
    """What the simulation makes of the parts of a round."""
    decodes_s = [max(0.0, b - a) for a, b in zip(parts.first_token_s, parts.answer_s, strict=True)]
    work = Workload(
        FRAME_S,
        parts.services_s,
        deadline_s=FRAME_S,
        queue_hops=_NEVER_FULL,
        prefill_s=parts.first_token_s or 0.0,
        decode_s=decodes_s or 0.0,
        threads=threads,
        questions_s=questions_s,
        wake_s=parts.wakes_s or 0.0,
        sound_s=turn_s,
    )
    until_done_s = turn_s + 2 * (sum(parts.services_s) + sum(parts.answer_s)) + 1.0
    return simulate_board(Board("host", os.cpu_count() or 1), work, until_done_s)


def check(encoders: Encoders, answerer: Answerer, asking: Asking, turn_s: float = TURN_S) -> dict[str, Any]:
    """Measure by turns, predict, compare.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    answerer : Answerer
        Loaded, with as many threads as `asking` says.
    asking : Asking
    turn_s : float
        Shortest turn; one question fits in at least.
    """
    turn_s = max(turn_s, asking.every_s)
    questions_s = list(np.arange(asking.every_s / 2, turn_s, asking.every_s)) if asking.every_s > 0 else []
    rounds = max(1, round(60 * asking.minutes / (3 * turn_s)))
    machine = machine_facts()
    done = listen_by_turns(RealListener(encoders, answerer, turn_s), questions_s, rounds)
    disturbed = sum(sum(r.parts.services_s) for r in done) / sum(sum(r.parts.cpu_s) for r in done)
    return {
        "board": "host",
        "kind": "check",
        "turns": {"seconds": turn_s, "rounds": rounds, "questions": rounds * len(questions_s)},
        "load_average": machine["load_average"],
        "cores": machine["cores"],
        "disturbed": round(disturbed, 3),
        "figures": _figures(done, turn_s, questions_s, asking.threads),
        "notes": _notes(disturbed),
    }


def _figures(done: Sequence[Round], turn_s: float, questions_s: Sequence[float], threads: int) -> dict[str, Any]:
    """Predicted and measured of all rounds, each round predicted from its own parts."""
    alone = [predicted(r.parts, turn_s, [], threads) for r in done]
    both = [predicted(r.parts, turn_s, questions_s, threads) for r in done]
    parts, together = [r.parts for r in done], [r.together for r in done]
    pairs = {
        "hop, in the turns that the prediction knows": (_all(alone, "latencies_s"), _all(parts, "latencies_s")),
        "hop, hearing alone": (_all(alone, "latencies_s"), _all([r.hearing for r in done], "latencies_s")),
        "hop, with answers between": (_all(both, "latencies_s"), _all(together, "latencies_s")),
        "hop during an answer": (_all(both, "stalled_s"), _all(together, "stalled_s")),
        "question to first token": (_all(both, "first_token_s"), _all(together, "first_token_s")),
        "question to answer": (_all(both, "answer_s"), _all(together, "answer_s")),
        "processor time of a hop during an answer": (_all(parts, "cpu_s"), _all(together, "stalled_cpu_s")),
        "processor time of an answer": (_all(parts, "answer_cpu_s"), _all(together, "answer_cpu_s")),
    }
    return {name: compared(*pair) for name, pair in pairs.items()}


def _all(parts: Sequence[Outcome] | Sequence[Times], name: str) -> list[float]:
    return [value for part in parts for value in getattr(part, name)]


def _notes(disturbed: float) -> list[str]:
    if disturbed < DISTURBED:
        return []
    text = f"other programs had the processor: hops lasted {disturbed:.1f} times their processor time"
    return [f"{text}; only the rows of processor time tell about this machine itself"]


def compared(predicted_s: Sequence[float], measured_s: Sequence[float]) -> dict[str, Any] | None:
    """Percentiles of both and the difference of the 95th, as a part of the measured one; None when one is empty."""
    expected, found = percentiles_ms(predicted_s), percentiles_ms(measured_s)
    if expected is None or found is None:
        return None
    difference = expected["p95"] / found["p95"] - 1
    return {
        "predicted_ms": expected,
        "measured_ms": found,
        "p95_difference": round(difference, 4),
        "agrees": abs(difference) <= AGREES,
    }


def show_check(board: str, asking: Asking) -> None:
    """What `earshot simulate --board host --check` prints; the last line is one JSON document.

    Raises
    ------
    UsageError
        For another board or impossible times.
    """
    if board != "host":
        raise UsageError("--check listens on this machine: use --board host")
    if not 0 < asking.minutes <= MAX_CHECK_MINUTES or asking.every_s < 0:
        raise UsageError(f"--minutes must be from 0 to {MAX_CHECK_MINUTES:.0f} for --check, --ask-every not negative")
    directory, encoders = open_encoders(None)
    answerer = Answerer(directory, asking.threads)
    answerer.load()
    try:
        report = check(encoders, answerer, asking)
    finally:
        answerer.close()
    console = Console()
    console.print(table_of(report))
    for note in report["notes"]:
        console.print(f"note: {note}", highlight=False)
    typer.echo(json_module.dumps(report))


def table_of(report: Mapping[str, Any]) -> Table:
    """Predicted and measured side by side."""
    turns = report["turns"]
    title = f"predicted against measured, {turns['rounds']} rounds of 3 turns of {turns['seconds']:.0f} s"
    table = Table(title=title, title_justify="left")
    for heading in ("time of", "predicted 50 % ms", "95 %", "measured 50 % ms", "95 %", "difference of 95 %"):
        table.add_column(heading, justify="left" if heading == "time of" else "right")
    for name, figures in report["figures"].items():
        if figures:
            cells = [f"{figures[who][part]:.1f}" for who in ("predicted_ms", "measured_ms") for part in ("p50", "p95")]
            table.add_row(name, *cells, f"{figures['p95_difference']:+.0%}")
    return table
