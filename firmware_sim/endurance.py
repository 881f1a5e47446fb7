"""`earshot simulate SCENARIO --endurance`: a long bad day through receiver and encoders, as fast as it goes, and what held.

Four things are asked: did memory and queues stay bounded, was every fault told, did the tracks come back within a second
of its end, and did nothing crash. Time is simulated, so that an hour costs a few minutes of one core.
"""

from __future__ import annotations

import gc
import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.faults import Fault, Kind
from earshot.firmware_sim.scenario import Scenario
from earshot.firmware_sim.trial import Floats, Trial, error_deg
from earshot.runtime.audio.reporting import REPEAT_S
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.tracks import SNAPSHOT_S
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.profile_runs import line_fit

SAMPLE_S = 10.0
"""Memory is looked at so often, simulated seconds."""
RECOVERY_S = 1.0
NEAR_DEG = 20.0
"""A track this near to a sound that is there, or to where one was placed before the fault, has found it."""
_BEFORE_S = 3.0
TOLD_LATE_S = REPEAT_S + 2.0
"""What was said a moment ago is said again after 10 s at the earliest."""
LEAST_DRIFT_PPM = 30.0
"""Less is corrected without a word; the crystals of two good devices differ by as much."""

_HARMLESS: tuple[Kind, ...] = ("drift", "low_battery")
"""These last for minutes and leave directions as they are, so what recovers meanwhile can be judged."""

TOLD_BY: dict[Kind, tuple[str, ...]] = {
    "loss": ("packet-loss",),
    "jitter": ("jitter",),
    "reorder": ("reordered-packets", "late-packets"),
    "duplicate": ("duplicate-packets",),
    "bit_errors": ("damaged-packets",),
    "reboot": ("reboot",),
    "stall": ("stall",),
    "drift": ("clock-drift",),
    "rate_mismatch": ("rate-mismatch",),
    "dead_left": ("dead-left",),
    "dead_right": ("dead-right",),
    "swapped": ("swapped-ears",),
    "same_ear": ("identical-ears",),
    "low_battery": ("low-battery",),
    "hot": ("hot",),
}
"""Findings of which one must come for a fault."""


@dataclass(frozen=True)
class Verdict:
    """What became of one fault.

    Attributes
    ----------
    fault : Fault
    told : bool
        Whether one of its findings came.
    recovery_s : float or None
        From its end to the first moment with a track in place, see `in_place`; None when not within the next 10 s.
    judged : bool
        Whether its recovery can be judged: no other fault that matters to directions held in the second after its end.
    """

    fault: Fault
    told: bool
    recovery_s: float | None
    judged: bool


class MemoryWatch:
    """Resident memory against simulated time."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._due_s = 0.0
        self.times_s: list[float] = []
        self.memory_mb: list[float] = []

    def look(self, now_s: float) -> None:
        """Take a sample when one is due."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + SAMPLE_S
        self.times_s.append(now_s)
        self.memory_mb.append(self._process.memory_info().rss / 1e6)

    def figures(self) -> dict[str, float]:
        """Peak, and the slope of a straight line with its standard error, the first third left out: buffers fill then."""
        start = len(self.times_s) // 3
        slope, error = line_fit(self.times_s[start:], self.memory_mb[start:])
        return {
            "peak_mb": round(max(self.memory_mb, default=0.0), 1),
            "slope_mb_per_hour": round(3600 * slope, 2),
            "slope_error_mb_per_hour": round(3600 * error, 2),
        }


def end_of(fault: Fault) -> float:
    """When a fault is over; a reboot lasts as long as its value says."""
    return fault.start_s + fault.value if fault.kind == "reboot" else fault.end_s


def verdict_on(fault: Fault, trial: Trial, faults: tuple[Fault, ...]) -> Verdict:
    """Judge what a trial made of one of its faults."""
    end_s = end_of(fault)
    told = bool(trial.told_within(fault.start_s, end_s + TOLD_LATE_S) & set(TOLD_BY[fault.kind]))
    others = [other for other in faults if other is not fault and other.kind not in _HARMLESS]
    judged = not any(other.start_s < end_s + RECOVERY_S and end_of(other) > end_s for other in others)
    return Verdict(fault, told, recovery_s(trial, fault.start_s, end_s), judged)


def recovery_s(trial: Trial, start_s: float, end_s: float) -> float | None:
    """Seconds from the end of a fault to knowing a track in place, by sound heard after it; None beyond 10 s."""
    before_deg = places_before(trial, start_s)
    for row in trial.sights.rows(end_s, end_s + 10.0):
        if in_place(trial, row, before_deg):
            return max(0.0, float(trial.sights.told_s[row]) - end_s)
    return None


def places_before(trial: Trial, time_s: float) -> Floats:
    """World azimuths where sounds were placed in the 3 s before a time, degrees."""
    found = [_world_deg(trial, row) for row in trial.sights.rows(time_s - _BEFORE_S, time_s)]
    return np.concatenate(found) if found else np.zeros(0)


def in_place(trial: Trial, row: int, before_deg: Floats) -> bool:
    """Whether any track of a moment is near a sound that is there, or near one of the world azimuths.

    What networks place wrongly without any fault is no fault's doing; that they place it as before is enough.
    """
    time_s = SNAPSHOT_S * (row + 1)
    yaw_deg = trial.scenario.yaw_deg(time_s)
    return any(
        error_deg(trial.scenario, time_s, azimuth_deg - yaw_deg) <= NEAR_DEG
        or any(abs(wrap_deg(azimuth_deg - place_deg)) <= NEAR_DEG for place_deg in before_deg)
        for azimuth_deg in _world_deg(trial, row)
    )


def _world_deg(trial: Trial, row: int) -> Floats:
    azimuths = trial.sights.azimuth_deg[row]
    return np.asarray(azimuths[~np.isnan(azimuths)] + trial.scenario.yaw_deg(SNAPSHOT_S * (row + 1)))


def usual_share(trial: Trial, heard_s: float, faults: tuple[Fault, ...]) -> float | None:
    """The same question asked where no fault is near: share of whole seconds with a track in place."""
    found = []
    for second in range(5, int(heard_s)):
        if not any(fault.start_s - 1 < second + 1 and end_of(fault) + 5 > second for fault in faults):
            back_s = recovery_s(trial, second, second)
            found.append(back_s is not None and back_s <= RECOVERY_S)
    return round(float(np.mean(found)), 3) if found else None


class Endurance:
    """A run that may be broken off and is reported all the same.

    Parameters
    ----------
    scenario : Scenario
    encoders : Encoders
        Loaded.
    """

    def __init__(self, scenario: Scenario, encoders: Encoders) -> None:
        self.trial = Trial(scenario, encoders)
        self._faults = scenario.schedule().faults
        self._memory = MemoryWatch()
        self._heard_s = 0.0
        self._minute = 0

    def run(self, console: Console | None = None) -> None:
        """Hear it all, or until Ctrl-C; a line per simulated minute on the console."""
        try:
            self.trial.run(lambda trial: self._look(trial, console))
        except KeyboardInterrupt:
            if console is not None:
                console.print("broken off; what was heard so far is judged")

    def _look(self, trial: Trial, console: Console | None) -> None:
        self._heard_s = trial.source.now_s
        self._memory.look(self._heard_s)
        if console is not None and self._heard_s >= 60 * (self._minute + 1):
            self._minute = int(self._heard_s / 60)
            console.print(f"minute {self._minute}: {self._memory.memory_mb[-1]:.0f} MB, {len(trial.told)} reports")

    def report(self) -> dict[str, Any]:
        """All figures."""
        over = tuple(fault for fault in self._faults if end_of(fault) + TOLD_LATE_S <= self._heard_s)
        verdicts = [verdict_on(fault, self.trial, self._faults) for fault in over]
        expected = [v for v in verdicts if not _too_small(v.fault)]
        judged = [v for v in verdicts if v.judged]
        counts = self.trial.source.receiver.counts
        return {
            "kind": "endurance",
            "scenario": self.trial.scenario.title,
            "simulated_minutes": round(self._heard_s / 60, 2),
            "complete": self._heard_s >= self.trial.scenario.duration_s - 1.0,
            "memory": self._memory.figures(),
            "most_waiting_packets": self.trial.most_waiting,
            "packets": counts.packets,
            "missing_s": round(counts.missing_s, 2),
            "faults": len(verdicts),
            "told": sum(v.told for v in expected),
            "expected": len(expected),
            "not_told": [_named(v) for v in expected if not v.told],
            "too_small_to_tell": len(verdicts) - len(expected),
            "judged": len(judged),
            "recovered": sum(_in_time(v) for v in judged),
            "not_recovered": [_named(v) for v in judged if not _in_time(v)],
            "usual_share": usual_share(self.trial, self._heard_s, self._faults),
        }


def _too_small(fault: Fault) -> bool:
    return fault.kind == "drift" and abs(fault.value) < LEAST_DRIFT_PPM


def _in_time(verdict: Verdict) -> bool:
    return verdict.recovery_s is not None and verdict.recovery_s <= RECOVERY_S + 1e-6


def _named(verdict: Verdict) -> dict[str, Any]:
    fault = verdict.fault
    recovery = None if verdict.recovery_s is None else round(verdict.recovery_s, 2)
    ends = {"start_s": round(fault.start_s, 1), "end_s": round(end_of(fault), 1)}
    return {"kind": fault.kind, **ends, "value": round(fault.value, 3), "recovery_s": recovery}


def table_of(report: Mapping[str, Any]) -> Table:
    """The figures for people."""
    table = Table(title=f"{report['scenario']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    memory = report["memory"]
    broken = "" if report["complete"] else " (broken off)"
    slope = f"{memory['slope_mb_per_hour']:+.1f} ± {memory['slope_error_mb_per_hour']:.1f} MB/h"
    usual = "-" if report["usual_share"] is None else f"{report['usual_share']:.1%}"
    table.add_row("simulated", f"{report['simulated_minutes']:.1f} min{broken}")
    table.add_row("memory", f"peak {memory['peak_mb']:.0f} MB, {slope}")
    table.add_row("packets", f"{report['packets']}, at most {report['most_waiting_packets']} waiting")
    table.add_row("sound that never came", f"{report['missing_s']:.1f} s")
    table.add_row("faults told", f"{report['told']} of {report['expected']}")
    for fault in report["not_told"]:
        table.add_row("  not told", f"{fault['kind']} at {fault['start_s']:.0f} s, {fault['value']:g}")
    table.add_row("drifts too small to tell", str(report["too_small_to_tell"]))
    table.add_row(f"tracks back within {RECOVERY_S:.0f} s", f"{report['recovered']} of {report['judged']}")
    table.add_row("the same in seconds far from a fault", usual)
    for fault in report["not_recovered"]:
        after = "not within 10 s" if fault["recovery_s"] is None else f"{fault['recovery_s']:.1f} s"
        table.add_row("  later", f"{fault['kind']} until {fault['end_s']:.0f} s: {after}")
    return table


def show_endurance(scenario: Scenario, bundle: Path | None) -> None:
    """What `earshot simulate SCENARIO --endurance` prints; the last line is one JSON document.

    Raises
    ------
    BundleError
        When the bundle is missing or refused.
    """
    _, encoders = open_encoders(bundle)
    gc.collect()
    run = Endurance(scenario, encoders)
    run.run(Console(stderr=True))
    report = run.report()
    Console().print(table_of(report))
    typer.echo(json_module.dumps(report))
