"""`earshot simulate SCENARIO --endurance`: a long bad day through receiver and encoders, as fast as it goes, and what held.

Four things are asked: did memory and queues stay bounded, was every fault told, did the tracks come back within a second
of its end, and did nothing crash. Time is simulated, so that an hour costs a few minutes of one core. The same hour is then
heard once more without any fault: where no track is in place then either, a fault has nothing to do with it.
"""

from __future__ import annotations

import gc
import json as json_module
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from earshot.firmware_sim.audible import Audible
from earshot.firmware_sim.scenario import Scenario
from earshot.firmware_sim.trial import Trial
from earshot.firmware_sim.verdicts import (
    RECOVERY_S,
    TOLD_LATE_S,
    Verdict,
    against_control,
    end_of,
    in_time,
    too_small,
    usual_share,
    verdict_on,
)
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.profile_runs import line_fit

SAMPLE_S = 10.0
"""Memory is looked at so often, simulated seconds."""


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


class Endurance:
    """A run that may be broken off and is reported all the same.

    Parameters
    ----------
    scenario : Scenario
    encoders : Encoders
        Loaded.
    with_control : bool
        Whether to hear it once more without faults when it has been heard to its end.
    """

    def __init__(self, scenario: Scenario, encoders: Encoders, with_control: bool = False) -> None:
        self.trial = Trial(scenario, encoders)
        self._control = Trial(scenario.without_faults(), encoders) if with_control else None
        self._has_control = False
        self._faults = scenario.schedule().faults
        self._memory = MemoryWatch()
        self._heard_s = 0.0
        self._minute = 0

    def run(self, console: Console | None = None) -> None:
        """Hear it all, or until Ctrl-C; a line per simulated minute on the console."""
        try:
            self.trial.run(lambda trial: self._look(trial, console))
            if self._control is not None:
                self._control.run()
                self._has_control = True
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
        control = self._control if self._has_control else None
        audible = Audible(self.trial.scenario)
        verdicts = [verdict_on(fault, self.trial, self._faults, control, audible) for fault in over]
        usual_ppm = self.trial.scenario.device.clock_ppm
        expected = [v for v in verdicts if not too_small(v.fault, usual_ppm)]
        judged = [v for v in verdicts if v.counts]
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
            "recovered": sum(in_time(v) for v in judged),
            "not_recovered": [_named(v) for v in judged if not in_time(v)],
            "no_evidence": [{**_named(v), "why": v.no_evidence} for v in verdicts if v.judged and not v.counts],
            "control": against_control(judged) if self._has_control else None,
            "usual_share": usual_share(self.trial, self._heard_s, self._faults),
        }


def _named(verdict: Verdict) -> dict[str, Any]:
    fault = verdict.fault
    ends = {"start_s": round(fault.start_s, 1), "end_s": round(end_of(fault), 1)}
    after = {"recovery_s": _rounded(verdict.recovery_s), "as_without_s": _rounded(verdict.as_without_s)}
    return {"kind": fault.kind, **ends, "value": round(fault.value, 3), **after}


def _rounded(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s, 2)


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
    table.add_row("  no evidence in that second, not counted", str(len(report["no_evidence"])))
    if control := report["control"]:
        table.add_row("as in the run without faults within 1 s", f"{control['alike']} of {control['heard']}")
    table.add_row("the same in seconds far from a fault", usual)
    for fault in report["not_recovered"]:
        after = "not within 10 s" if fault["recovery_s"] is None else f"{fault['recovery_s']:.1f} s"
        same = "" if fault["as_without_s"] is None else f" (as without faults: {fault['as_without_s']:.1f} s)"
        table.add_row("  later", f"{fault['kind']} until {fault['end_s']:.0f} s: {after}{same}")
    for fault in report["no_evidence"]:
        table.add_row("  no evidence", f"{fault['kind']} until {fault['end_s']:.0f} s: {fault['why']}")
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
    run = Endurance(scenario, encoders, with_control=True)
    run.run(Console(stderr=True))
    report = run.report()
    Console().print(table_of(report))
    typer.echo(json_module.dumps(report))
