"""Is the simulation of a board true? Predicted and measured in the same run of the real listener, by turns.

A machine is never twice equally busy, so a prediction from an older profile mostly compares two loads. Here four kinds of
turns follow each other: one measures each part alone, one what hearing and other answers cost each other, which is all that
the prediction knows; one hears; one hears and answers at once. Whatever else the machine does, it does in all four.
"""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.board import Board, Outcome, simulate_board
from earshot.firmware_sim.board_beside import measure_beside
from earshot.firmware_sim.board_report import Asking, demand_possible, percentiles_ms
from earshot.firmware_sim.board_workload import Beside, Workload
from earshot.firmware_sim.real_listener import RealListener, Times
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.names import NAMES_EVERY
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.profile_runs import machine_facts
from earshot.runtime.language.answerer import Answerer

AGREES = 0.25
"""A prediction within this part of the measured 95th percentile is called true."""
DISTURBED = 1.25
"""From here on, time on the wall re processor time, other programs decide."""
TURN_S = 10.0
MAX_CHECK_MINUTES = 60.0
CYCLE_HOPS = NAMES_EVERY
"""Two of so many hops take longer: in each, names are heard at one ear."""
CYCLE_S = CYCLE_HOPS * FRAME_S
BESIDE_PART = 0.8
"""A turn that measures what hearing and answering cost each other is so much of the others."""
DRAWS = 8
"""So often each round is predicted, what hearing and answering cost each other drawn anew: it depends on chance more than on the hop."""
_GOLDEN = 0.618
"""Questions fall at all moments between two hops: multiples of this, modulo 1, are spread evenly."""
_NEVER_FULL = 1_000_000
"""The real loop below drops nothing."""


@dataclass
class Round:
    """Times of one turn of each kind, and when questions came in each, seconds from its start."""

    questions_s: Sequence[float] = ()
    parts: Times = field(default_factory=Times)
    beside: Beside = field(default_factory=Beside)
    hearing: Times = field(default_factory=Times)
    together: Times = field(default_factory=Times)


def listen_by_turns(listener: RealListener, every_s: float, rounds: int) -> list[Round]:
    """Measure parts, their cost for each other, hearing, and both together, round after round.

    Parameters
    ----------
    listener : RealListener
        A turn of it is a whole number of cycles.
    every_s : float
        Seconds from question to question; 0: none.
    rounds : int
    """
    done = []
    for number in range(rounds):
        questions_s = asked_at(listener.turn_hops * FRAME_S, every_s, number)
        times = Round(questions_s)
        listener.one_at_a_time(times.parts, questions_s)
        if questions_s:
            cycles = max(1, round(BESIDE_PART * listener.turn_hops / CYCLE_HOPS))
            times.beside = measure_beside(listener, cycles * CYCLE_HOPS)
        listener.hear(times.hearing)
        listener.hear_and_answer(times.together, questions_s)
        done.append(times)
    return done


def predicted(known: Round, turn_s: float, questions_s: Sequence[float], threads: int, draw: int = 0) -> Outcome:
    """What the simulation makes of the first two turns of a round; other draws put what they cost each other in other orders."""
    parts, beside, rng = known.parts, known.beside, np.random.default_rng(draw)
    wakes_s, stalls_s = (rng.permutation(times_s).tolist() for times_s in (beside.wake_s, beside.stall_s))
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
        beside=Beside(_other_cycles(beside.hearing_s, rng), wakes_s, stalls_s),
        sound_s=turn_s,
    )
    until_done_s = turn_s + 2 * (sum(parts.services_s) + sum(parts.answer_s)) + 1.0
    # What sharing a core costs is in the times beside each other, so here each thread has one.
    return simulate_board(Board("host", 1 + threads), work, until_done_s)


def _other_cycles(times_s: Sequence[float], rng: np.random.Generator) -> list[float]:
    """The same cycles of hops in another order; a hop keeps its place within them, for in two of ten names are heard."""
    whole = len(times_s) // CYCLE_HOPS * CYCLE_HOPS
    cycles = rng.permutation(np.reshape(times_s[:whole], (-1, CYCLE_HOPS)))
    return [*cycles.ravel().tolist(), *times_s[whole:]]


def asked_at(turn_s: float, every_s: float, turn: int = 0) -> list[float]:
    """When questions come within a turn, seconds from its start: at no fixed place between two hops, nor among ten.

    Parameters
    ----------
    turn_s, every_s : float
        Length of the turn, and seconds from question to question; 0: none.
    turn : int
        In each turn at other times.
    """
    count = max(0, math.ceil(turn_s / every_s - 0.5)) if every_s > 0 else 0
    first_s = every_s * ((0.5 + turn * _GOLDEN) % 1.0)
    between = ((turn * count + number) * _GOLDEN % 1.0 for number in range(count))
    times_s = (first_s + every_s * number + FRAME_S * part for number, part in enumerate(between))
    return [at_s for at_s in times_s if at_s < turn_s]


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
        Shortest turn; one question fits in at least, and it ends with a cycle of hops.
    """
    turn_s = math.ceil(max(turn_s, asking.every_s) / CYCLE_S - 1e-9) * CYCLE_S
    rounds = max(1, round(60 * asking.minutes / ((3 + BESIDE_PART) * turn_s)))
    machine = machine_facts()
    done = listen_by_turns(RealListener(encoders, answerer, turn_s), asking.every_s, rounds)
    disturbed = sum(sum(r.parts.services_s) for r in done) / sum(sum(r.parts.cpu_s) for r in done)
    return {
        "board": "host",
        "kind": "check",
        "turns": {"seconds": turn_s, "rounds": rounds, "questions": sum(len(r.questions_s) for r in done)},
        "load_average": machine["load_average"],
        "cores": machine["cores"],
        "disturbed": round(disturbed, 3),
        "beside": _costs(done),
        "figures": _figures(done, turn_s, asking.threads),
        "notes": _notes(disturbed),
    }


def _costs(done: Sequence[Round]) -> dict[str, Any]:
    """What hearing and answering cost each other, as the prediction knows it."""
    return {
        "hop_alone_ms": percentiles_ms(_all([r.parts for r in done], "services_s")),
        "hop_beside_answers_ms": percentiles_ms(_all([r.beside for r in done], "hearing_s")),
        "answer_loses_to_a_hop_ms": percentiles_ms(_all([r.beside for r in done], "stall_s")),
    }


def _figures(done: Sequence[Round], turn_s: float, threads: int) -> dict[str, Any]:
    """Predicted and measured of all rounds, each round predicted from its own parts."""
    alone = [predicted(r, turn_s, [], threads) for r in done]
    both = [predicted(r, turn_s, r.questions_s, threads, draw) for r in done for draw in range(DRAWS)]
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


def _all(parts: Sequence[Outcome] | Sequence[Times] | Sequence[Beside], name: str) -> list[float]:
    return [value for part in parts for value in getattr(part, name)]


def _notes(disturbed: float) -> list[str]:
    if disturbed < DISTURBED:
        return []
    text = f"other programs had the processor: hops lasted {disturbed:.1f} times their processor time"
    return [f"{text}; only the rows of processor time tell about this machine itself"]


def compared(predicted_s: Sequence[float], measured_s: Sequence[float]) -> dict[str, Any] | None:
    """Percentiles of both and the difference of the 95th, as a part of the measured one; None when one is empty.

    ``measured`` is how many times that percentile is of: of forty, it hangs on the two longest.
    """
    expected, found = percentiles_ms(predicted_s), percentiles_ms(measured_s)
    if expected is None or found is None:
        return None
    difference = expected["p95"] / found["p95"] - 1
    return {
        "predicted_ms": expected,
        "measured_ms": found,
        "measured": len(measured_s),
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
    demand_possible(asking, MAX_CHECK_MINUTES)
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
    title = f"predicted against measured, {turns['rounds']} rounds of turns of {turns['seconds']:.0f} s"
    table = Table(title=title, title_justify="left")
    for heading in ("time of", "predicted 50 % ms", "95 %", "measured 50 % ms", "95 %", "of", "difference of 95 %"):
        table.add_column(heading, justify="left" if heading == "time of" else "right")
    for name, figures in report["figures"].items():
        if figures:
            cells = [f"{figures[who][part]:.1f}" for who in ("predicted_ms", "measured_ms") for part in ("p50", "p95")]
            table.add_row(name, *cells, str(figures["measured"]), f"{figures['p95_difference']:+.0%}")
    return table
