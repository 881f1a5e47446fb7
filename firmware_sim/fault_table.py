"""`earshot simulate --fault-table`: each fault by itself, what the listener says of it, and what it does to directions.

One known source, a head that turns, one fault in the middle; the same without a fault is what each is held against.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from earshot.firmware_sim.faults import Kind
from earshot.firmware_sim.scenario import Scenario
from earshot.firmware_sim.trial import Trial, error_deg
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.tracks import SNAPSHOT_S
from earshot.runtime.interfaces.loading import open_encoders

START_S = 8.0
"""The fault begins here, when the tracks are settled."""
AFTER_S = 6.0
"""Heard after its end."""
_SAID_LATE_S = 3.0
"""A report may come so much after the end."""
_YAWS_DEG = (0.0, 40.0, 40.0, -40.0, -40.0, 0.0)
_YAW_STEP_S = 3.0
_LONGEST_S = 200.0
_OFFSETS = (0.002, -0.001)
"""Of the converters, as in the worst day: what tells that channels change places behind the microphones."""


@dataclass(frozen=True)
class Case:
    """A fault of the table.

    Attributes
    ----------
    name : str
    kind : str or None
        None is the run without a fault.
    value : float or None
        See `KIND_INFO`; the usual one when None.
    lasts_s : float
    """

    name: str
    kind: Kind | None
    value: float | None = None
    lasts_s: float = 12.0

    @property
    def ends_s(self) -> float:
        """When it is over; a reboot lasts as long as its value says."""
        return START_S + (self.value if self.kind == "reboot" and self.value else self.lasts_s)


CASES = (
    Case("bursty loss, 20 %", "loss", 0.2),
    Case("jitter, 60 ms mean", "jitter", 60.0),
    Case("reordering, 20 %", "reorder", 0.2),
    Case("duplication, 20 %", "duplicate", 0.2),
    Case("bit errors, 10 %", "bit_errors", 0.1),
    Case("reboot, 3 s away", "reboot", 3.0),
    Case("stall, 3 s", "stall", lasts_s=3.0),
    Case("clock +200 ppm", "drift", 200.0, 90.0),
    Case("clock -200 ppm", "drift", -200.0, 90.0),
    Case("rate 2 % low", "rate_mismatch", 0.98),
    Case("left ear dead", "dead_left"),
    Case("right ear dead", "dead_right"),
    Case("ears swapped", "swapped"),
    Case("one ear twice", "same_ear"),
    Case("battery at 8 %", "low_battery", 8.0),
    Case("66 degrees, throttled", "hot", 66.0),
)


def scene_of(case: Case) -> Scenario:
    """The scene with one fault: a voice to the left in a furnished room, a head that looks around."""
    whole = int(_LONGEST_S / _YAW_STEP_S)
    head = [{"time_s": k * _YAW_STEP_S, "yaw_deg": _YAWS_DEG[k % len(_YAWS_DEG)]} for k in range(whole)]
    source = {"label": "speech", "level_db": -24.0, "path": [{"azimuth_deg": 50.0, "distance_m": 1.5}]}
    faults = []
    if case.kind is not None:
        lasts_s = 0.0 if case.kind == "reboot" else case.lasts_s
        faults = [{"kind": case.kind, "start_s": START_S, "duration_s": lasts_s, "value": case.value}]
    parts = {"duration_s": case.ends_s + AFTER_S, "ambience_db": -60.0, "room": {}, "head": head, "sources": [source]}
    parts["device"] = {"dc": _OFFSETS}
    return Scenario.model_validate({"title": case.name, "seed": 21, **parts, "faults": faults, "folder": Path()})


def run_case(case: Case, encoders: Encoders) -> Trial:
    """Hear a case."""
    trial = Trial(scene_of(case), encoders)
    trial.run()
    return trial


def row_of(case: Case, trial: Trial, clean: Trial) -> dict[str, Any]:
    """What a fault did.

    Parameters
    ----------
    case : Case
    trial, clean : Trial
        With the fault, and without one; the second at least as long.
    """
    end_s = case.ends_s
    return {
        "fault": case.name,
        "told": sorted(trial.told_within(START_S, end_s + _SAID_LATE_S)),
        "states": trial.states_within(START_S, end_s + _SAID_LATE_S),
        "without_fault": direction_of(clean, START_S, end_s),
        "with_fault": direction_of(trial, START_S, end_s),
        "after_without_fault": direction_of(clean, end_s + 1.0, end_s + AFTER_S),
        "after": direction_of(trial, end_s + 1.0, end_s + AFTER_S),
        "longest_lag_s": _longest_lag_s(trial, START_S, end_s),
    }


def direction_of(trial: Trial, from_s: float, to_s: float) -> dict[str, float | None]:
    """Share of the time in which something was heard, and mean azimuth error of the surest track then, degrees."""
    rows = trial.sights.rows(from_s, to_s)
    errors = [error_deg(trial.scenario, SNAPSHOT_S * (row + 1), trial.sights.surest_deg(row)) for row in rows]
    heard = [error for error in errors if not np.isnan(error)]
    mean_deg = round(float(np.mean(heard)), 1) if heard else None
    return {"heard": round(len(heard) / max(1, len(errors)), 3), "error_deg": mean_deg}


def _longest_lag_s(trial: Trial, from_s: float, to_s: float) -> float:
    """How late the listener knew at worst."""
    rows = np.array(trial.sights.rows(from_s, to_s))
    late_s = trial.sights.told_s[rows] - SNAPSHOT_S * (rows + 1)
    return round(float(np.nanmax(late_s)), 2) if np.isfinite(late_s).any() else 0.0


def fault_table(encoders: Encoders, cases: Sequence[Case] = CASES) -> dict[str, Any]:
    """Run all cases and one run without a fault as long as the longest."""
    clean = run_case(Case("none", None, lasts_s=max(case.ends_s for case in cases) - START_S), encoders)
    # The silent console of a pipe shows nothing, so that the last line stays the document.
    shown = progress(cases, description="faults", console=Console(stderr=True), transient=True)
    rows = [row_of(case, run_case(case, encoders), clean) for case in shown]
    return {
        "kind": "fault-table",
        "source": "speech at 50 degrees, 1.5 m; the head turns by 40 degrees",
        "faults": rows,
    }


def table_of(document: Mapping[str, Any]) -> Table:
    """The table for people."""
    table = Table(title=f"faults of the device; {document['source']}", title_justify="left")
    table.add_column("fault")
    table.add_column("the listener says")
    for heading in ("without: error, heard", "with", "from 1 s after, without", "with", "latest by s"):
        table.add_column(heading, justify="right")
    for row in document["faults"]:
        states = f" [{' > '.join(row['states'])}]" if row["states"] else ""
        cells = [_cell(row[key]) for key in ("without_fault", "with_fault", "after_without_fault", "after")]
        table.add_row(
            row["fault"],
            (", ".join(row["told"]) or "nothing") + states.replace("[", "\\["),
            *cells,
            f"{row['longest_lag_s']:.1f}",
        )
    return table


def _cell(figures: Mapping[str, float | None]) -> str:
    error = "-" if figures["error_deg"] is None else f"{figures['error_deg']:.0f}°"
    return f"{error}, {figures['heard']:.0%}"


def show_fault_table(bundle: Path | None) -> None:
    """What `earshot simulate --fault-table` prints; the last line is one JSON document.

    Raises
    ------
    BundleError
        When the bundle is missing or refused.
    """
    directory, encoders = open_encoders(bundle)
    document = {**fault_table(encoders), "bundle": directory.name}
    Console().print(table_of(document))
    typer.echo(json_module.dumps(document))
