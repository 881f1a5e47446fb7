"""Is the simulation of a board true? The real listener in real time on this machine, against what was predicted.

The prediction knows only the profile: each part alone. The real listener hears and answers at the same time, on the
cores and beside the programs that there are.
"""

from __future__ import annotations

import json as json_module
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.board import simulate_board
from earshot.firmware_sim.board_report import Asking, board_of, percentiles_ms, workload_of
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.commands.profile import make_noise
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.measure import QUESTIONS, hops
from earshot.runtime.interfaces.profile_compare import read_document
from earshot.runtime.language.answerer import Answerer

AGREES = 0.25
"""A prediction within this part of the measured 95th percentile is called true."""
MAX_CHECK_MINUTES = 60.0


@dataclass
class Heard:
    """Times of a real listener, seconds: each hop from its coming to done, and the questions."""

    latencies_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)


def listen_for_real(
    directory: Path, encoders: Encoders, samples: NDArray[np.float32], questions_s: Sequence[float], n_threads: int
) -> Heard:
    """Hear in real time, and answer on another thread at given times.

    Parameters
    ----------
    directory : Path
        Bundle.
    encoders : Encoders
        Loaded.
    samples : ndarray, float32 [2, n]
    questions_s : sequence of float
        Seconds from the start.
    n_threads : int
        Of the language model.
    """
    heard, hearing, answerer = Heard(), Hearing(encoders), Answerer(directory, n_threads)
    answerer.load()
    hearing.process(hops(samples)[0])  # the first run of a network is slow, and not asked about
    hearing.reset()
    start_s = time.perf_counter() + FRAME_S

    def ask() -> None:
        for number, at_s in enumerate(questions_s):
            time.sleep(max(0.0, start_s + at_s - time.perf_counter()))
            tokens = hearing.window().tokens
            answer = answerer.answer(QUESTIONS[number % len(QUESTIONS)], encoders.project(tokens))
            heard.first_token_s.append(answer.first_token_s)
            heard.answer_s.append(answer.answer_s)

    asking = threading.Thread(target=ask, name="questions")
    asking.start()
    try:
        for number, chunk in enumerate(hops(samples)):
            came_s = start_s + (number + 1) * FRAME_S
            time.sleep(max(0.0, came_s - time.perf_counter()))
            hearing.process(chunk)
            heard.latencies_s.append(time.perf_counter() - came_s)
    finally:
        asking.join()
        answerer.close()
    return heard


def check(document: Mapping[str, Any], asking: Asking) -> dict[str, Any]:
    """Predict, then measure the same."""
    duration_s = 60 * asking.minutes
    work = workload_of(document, asking)
    predicted = simulate_board(board_of("host", document, (0.0, 0.0), 0.0), work, duration_s)
    directory, encoders = open_encoders(None)
    measured = listen_for_real(directory, encoders, make_noise(duration_s), work.questions_s, asking.threads)
    return {
        "board": "host",
        "kind": "check",
        "minutes": asking.minutes,
        "load_average": document["machine"]["load_average"],
        "figures": {
            "hop": compared(predicted.latencies_s, measured.latencies_s),
            "first_token": compared(predicted.first_token_s, measured.first_token_s),
            "answer": compared(predicted.answer_s, measured.answer_s),
        },
    }


def compared(predicted_s: Sequence[float], measured_s: Sequence[float]) -> dict[str, Any] | None:
    """Percentiles of both and the difference of the 95th, as a part of the measured one; None when one is empty."""
    predicted, measured = percentiles_ms(predicted_s), percentiles_ms(measured_s)
    if predicted is None or measured is None:
        return None
    difference = predicted["p95"] / measured["p95"] - 1
    return {
        "predicted_ms": predicted,
        "measured_ms": measured,
        "p95_difference": round(difference, 4),
        "agrees": abs(difference) <= AGREES,
    }


def show_check(board: str, profile: Path | None, asking: Asking) -> None:
    """What `earshot simulate --board host --check` prints; the last line is one JSON document.

    Raises
    ------
    UsageError
        For another board, no profile or impossible times.
    InputError
        When the profile cannot be read.
    """
    if board != "host" or profile is None:
        raise UsageError("--check listens on this machine: use --board host --profile FILE")
    if not 0 < asking.minutes <= MAX_CHECK_MINUTES or asking.every_s < 0:
        raise UsageError(f"--minutes must be from 0 to {MAX_CHECK_MINUTES:.0f} for --check, --ask-every not negative")
    document = read_document(profile, needs_runs=False)
    report = check(document, asking)
    Console().print(table_of(report))
    typer.echo(json_module.dumps(report))


def table_of(report: Mapping[str, Any]) -> Table:
    """Predicted and measured side by side."""
    table = Table(title=f"predicted against measured, {report['minutes']:.1f} minutes", title_justify="left")
    for heading in ("time of", "predicted 50 % ms", "95 %", "measured 50 % ms", "95 %", "difference of 95 %"):
        table.add_column(heading, justify="left" if heading == "time of" else "right")
    for name, figures in report["figures"].items():
        if figures:
            cells = [f"{figures[who][part]:.1f}" for who in ("predicted_ms", "measured_ms") for part in ("p50", "p95")]
            table.add_row(name, *cells, f"{figures['p95_difference']:+.0%}")
    return table
