"""`earshot simulate --board BOARD`: a profile, measured or estimated, as a workload on a board, and what comes of it."""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.board import BOARDS, Board, Outcome, Thermal, simulate_board
from earshot.firmware_sim.board_workload import Workload
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.names import EARS, NAMES_EVERY
from earshot.runtime.interfaces.profile_compare import read_document

TURNS = 500
"""Hops after which the times of hearing repeat."""
DROP_POLICY = "the oldest waiting hop is dropped"
MAX_HOURS = 24.0
LEAST_ASK_S = 0.01
"""Questions come no more often."""
_TAIL = 1.5
"""The slowest hop takes so many times the 99th percentile; a profile does not tell it."""


@dataclass(frozen=True)
class Asking:
    """How long it runs and who asks.

    Attributes
    ----------
    minutes : float
        Simulated time.
    every_s : float
        A question comes so often, seconds; 0 = none.
    threads : int
        Of the language model.
    """

    minutes: float = 10.0
    every_s: float = 30.0
    threads: int = 1


def demand_possible(asking: Asking, most_minutes: float) -> None:
    """Require times that can be simulated or listened to.

    Raises
    ------
    UsageError
        For others.
    """
    if not 0 < asking.minutes <= most_minutes:
        raise UsageError(f"--minutes must be from 0 to {most_minutes:.0f}, not {asking.minutes:g}")
    if asking.every_s != 0 and not LEAST_ASK_S <= asking.every_s < math.inf:
        raise UsageError(f"--ask-every {asking.every_s:g}: give {LEAST_ASK_S:g} seconds or more; 0 asks nothing")


def workload_of(document: Mapping[str, Any], asking: Asking, seed: int = 0) -> Workload:
    """What a profile says has to be computed.

    Measured times of hearing are drawn from their percentiles (straight lines between them in the logarithm); of estimated
    ones means are known, of hops with names and of hops without (`estimated_hops_s`).
    """
    hop_s = float(document["hop_s"])
    if document["kind"] == "ESTIMATE":
        hearing = estimated_hops_s(document)
        first_s, answer_s = _estimated_s(document, "first_token"), _estimated_s(document, "answer")
    else:
        hearing = draw_times_s(document["hearing"], TURNS, seed)
        first_s, answer_s = float(document["first_token_s"]), float(document["answer_s"])
    ends_s = 60 * asking.minutes
    questions = np.arange(asking.every_s / 2, ends_s, asking.every_s) if asking.every_s > 0 and answer_s > 0 else ()
    return Workload(
        hop_s,
        hearing,
        deadline_s=hop_s,
        prefill_s=first_s,
        decode_s=max(0.0, answer_s - first_s),
        threads=asking.threads,
        questions_s=[float(at_s) for at_s in questions],
    )


def _estimated_s(document: Mapping[str, Any], stage: str) -> float:
    return float(document["stages"].get(stage, {"ms": 0.0})["ms"]) / 1e3


def estimated_hops_s(document: Mapping[str, Any]) -> list[float]:
    """Ten hops of an estimate, seconds: two of them take longer, in each of which names are heard at one ear."""
    mean_s, names_s = _estimated_s(document, "hearing"), _estimated_s(document, "names")
    alone_s = max(0.0, mean_s - EARS / NAMES_EVERY * names_s)
    return [alone_s] * (NAMES_EVERY - EARS) + [alone_s + names_s] * EARS


def draw_times_s(spread: Mapping[str, float], count: int, seed: int) -> list[float]:
    """Times with given percentiles in random order, seconds."""
    levels = (np.arange(count) + 0.5) / count
    logs = np.log([spread["p50_ms"], spread["p50_ms"], spread["p95_ms"], spread["p99_ms"], _TAIL * spread["p99_ms"]])
    times_ms = np.exp(np.interp(levels, [0.0, 0.5, 0.95, 0.99, 1.0], logs))
    return [float(ms) / 1e3 for ms in np.random.default_rng(seed).permutation(times_ms)]


def demand_known(board: str) -> None:
    """Require a board that can be simulated.

    Raises
    ------
    UsageError
        For another one.
    """
    if board not in ("host", *BOARDS):
        raise UsageError(f"--board {board}: not known; one of host, {', '.join(BOARDS)}")


def board_of(name: str, document: Mapping[str, Any], power: Sequence[float], kelvin_per_w: float) -> Board:
    """The board with what the user knows of its power and heat.

    Raises
    ------
    UsageError
        For an unknown board, or a profile of another one.
    """
    demand_known(name)
    if document["board"] != name:
        remedy = f"make one with: earshot profile --board {name} --json"
        raise UsageError(f"--board {name}: the profile is of {document['board']}; {remedy}")
    if name == "host":
        machine = document["machine"]
        board = Board("host", int(machine["cores"]), memory_mb=float(machine["memory_mb"]))
    else:
        board = BOARDS[name]
    idle_w, core_w = power
    thermal = Thermal(kelvin_per_w) if kelvin_per_w > 0 and idle_w + core_w > 0 else None
    return replace(board, idle_w=idle_w, core_w=core_w, thermal=thermal)


def report_of(board: Board, document: Mapping[str, Any], asking: Asking, battery_wh: float) -> dict[str, Any]:
    """Simulate and gather the figures."""
    work = workload_of(document, asking)
    outcome = simulate_board(board, work, 60 * asking.minutes, battery_wh)
    return {
        "board": board.name,
        "kind": "simulated from an ESTIMATE" if document["kind"] == "ESTIMATE" else "simulated from measured times",
        "minutes": asking.minutes,
        "hops": outcome.hops,
        "deadline_misses": outcome.misses,
        "dropped": outcome.dropped,
        "drop_policy": DROP_POLICY,
        "queue_bound": work.queue_hops,
        "deepest_queue": outcome.deepest_queue,
        "latency_ms": percentiles_ms(outcome.latencies_s),
        "latency_while_answering_ms": percentiles_ms(outcome.stalled_s),
        "first_token_ms": percentiles_ms(outcome.first_token_s),
        "answer_ms": percentiles_ms(outcome.answer_s),
        "questions": len(work.questions_s),
        "answered": len(outcome.answer_s),
        "busy_cores": round(outcome.busy_cores, 4),
        "memory": _memory(board, document),
        "thermal": _thermal(board, outcome),
        "battery_hours": outcome.battery_hours,
        "notes": _notes(board, document, battery_wh),
    }


def percentiles_ms(times_s: Sequence[float]) -> dict[str, float] | None:
    """Median, 95 % and the longest in milliseconds; None of nothing."""
    if not times_s:
        return None
    values = np.percentile(times_s, [50, 95, 100]) * 1e3
    return dict(zip(("p50", "p95", "max"), (round(float(v), 3) for v in values), strict=True))


def _memory(board: Board, document: Mapping[str, Any]) -> dict[str, float] | None:
    measured = document.get("memory")
    if not measured or board.memory_mb <= 0:
        return None
    used_mb = float(measured["high_water_mb"])
    return {"listener_mb": used_mb, "board_mb": board.memory_mb, "part": round(used_mb / board.memory_mb, 3)}


def _thermal(board: Board, outcome: Outcome) -> dict[str, float] | None:
    if board.thermal is None or outcome.hottest_c is None:
        return None
    return {"hottest_c": round(outcome.hottest_c, 1), "slowest_speed": round(outcome.slowest_speed, 3)}


def _notes(board: Board, document: Mapping[str, Any], battery_wh: float) -> list[str]:
    notes = list(document.get("notes", ()))
    if board.thermal is None:
        notes.append("heat is not simulated: give --idle-w, --core-w and --kelvin-per-w as measured on the board")
    if battery_wh > 0 and board.idle_w <= 0:
        notes.append("battery hours need --idle-w and --core-w")
    if "memory" not in document:
        notes.append("memory is not known from an estimate; measure on the board")
    if document["kind"] == "ESTIMATE" and not _estimated_s(document, "answer"):
        notes.append("no questions were asked: the estimate has no language model")
    return notes


def table_of(report: Mapping[str, Any]) -> Table:
    """The report for people."""
    table = Table(title=f"{report['board']}, {report['minutes']:.0f} minutes, {report['kind']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    hops = max(1, report["hops"])
    table.add_row(
        "deadlines missed", f"{report['deadline_misses']} of {report['hops']} ({report['deadline_misses'] / hops:.2%})"
    )
    table.add_row("deepest queue", f"{report['deepest_queue']} of {report['queue_bound']} hops")
    table.add_row(f"dropped ({report['drop_policy']})", str(report["dropped"]))
    for name, key in (
        ("hop heard after", "latency_ms"),
        ("the same while answering", "latency_while_answering_ms"),
        ("question to first token", "first_token_ms"),
        ("question to answer", "answer_ms"),
    ):
        if figures := report[key]:
            table.add_row(name, f"{figures['p50']:.1f} ms, 95 % {figures['p95']:.1f}, longest {figures['max']:.1f}")
    table.add_row("busy cores", f"{report['busy_cores']:.2f}")
    if memory := report["memory"]:
        table.add_row("memory", f"{memory['listener_mb']:.0f} of {memory['board_mb']:.0f} MB ({memory['part']:.0%})")
    if thermal := report["thermal"]:
        table.add_row("hottest", f"{thermal['hottest_c']:.1f} °C, slowest {thermal['slowest_speed']:.0%} of full speed")
    if report["battery_hours"] is not None:
        table.add_row("battery", f"{report['battery_hours']:.1f} h")
    return table


def show_board(
    name: str, profile: Path | None, asking: Asking, power: Sequence[float], kelvin_per_w: float, battery_wh: float
) -> None:
    """What `earshot simulate --board` prints; the last line is one JSON document.

    Raises
    ------
    UsageError
        When figures are impossible, or no profile is given.
    InputError
        When the profile cannot be read.
    """
    demand_known(name)
    if profile is None:
        raise UsageError(f"--board {name} needs --profile FILE, the output of: earshot profile --board {name} --json")
    demand_possible(asking, 60 * MAX_HOURS)
    if not all(0 <= value < math.inf for value in (*power, kelvin_per_w, battery_wh)):
        raise UsageError("--idle-w, --core-w, --kelvin-per-w and --battery-wh must be finite and not negative")
    document = read_document(profile, needs_runs=False)
    report = report_of(board_of(name, document, power, kelvin_per_w), document, asking, battery_wh)
    console = Console()
    console.print(table_of(report))
    for note in report["notes"]:
        console.print(f"note: {note}", highlight=False)
    typer.echo(json_module.dumps(report))
