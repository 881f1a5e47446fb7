"""How many alerts a listener misses, why, and how many are false, on simulated scenarios.

The truth of a watch is what the same watch says of the true scene: its alerts, from tracks made of the scenario
instead of the sound. An alert about the sound is right when there is a true one of the same watch at nearly the same time.

    python -m earshot.firmware_sim.watch_check [SCENARIO ...] [--bundle DIR]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from earshot.firmware_sim.missed_watches import Reason, why_missed
from earshot.firmware_sim.scenario import Scenario, load_scenario
from earshot.firmware_sim.source import SimulatedSource
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.labels import class_id
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watches import WatchRule
from earshot.runtime.scene.watching import Alert, Watcher

EARLY_S, LATE_S = 1.5, 6.0
SCENARIOS = ("kitchen", "meeting", "quiet_night", "street_crossing")
WATCHES = (
    "when a car approaches from behind",
    "when a car approaches",
    "when a siren comes closer",
    "when a car honks",
    "when someone walks behind me",
    "when someone approaches from behind",
    "when someone knocks",
    "when the alarm goes off",
    "when the vacuum cleaner stops",
    "when a vacuum cleaner is heard behind me",
    "when water pours in front of me",
    "when a clock ticks on my left",
    "when someone talks",
    "when someone types",
    "when someone snores on my left",
    "when crickets are heard on my right",
    "when a tap drips behind me",
)


@dataclass(frozen=True)
class Score:
    """Alerts of one watch on one scenario.

    Attributes
    ----------
    true, told, right : int
        That should have come, that came, that were right.
    """

    true: int
    told: int
    right: int

    @property
    def missed(self) -> int:
        """That should have come and did not."""
        return self.true - self.right

    @property
    def false(self) -> int:
        """That came for nothing."""
        return self.told - self.right

    def __add__(self, other: Score) -> Score:
        return Score(self.true + other.true, self.told + other.told, self.right + other.right)


@dataclass(frozen=True)
class Miss:
    """A true alert that was not told: of which watch, when in seconds, and why."""

    watch: str
    time_s: float
    reason: Reason


def true_snapshots(scenario: Scenario) -> Iterator[SceneSnapshot]:
    """The scene as a listener without fault would have it, ten times a second."""
    onsets: dict[int, float] = {}
    for number in range(1, int(scenario.duration_s / SNAPSHOT_S) + 1):
        time_s = number * SNAPSHOT_S
        tracks = [
            _true_track(index, scenario.sources[index].label, place, onsets.setdefault(index, time_s), time_s)
            for index, place in scenario.sounding(time_s).items()
        ]
        yield SceneSnapshot(time_s, tuple(tracks))


def heard_snapshots(scenario: Scenario, encoders: Encoders) -> Iterator[SceneSnapshot]:
    """The scene as it is heard through the simulated device, which also tells the yaw of the head if it can."""
    hearing = Hearing(encoders)
    with SimulatedSource(scenario, pace="fast") as source:
        hearing.yaw_at = source.yaw_at  # as in use: what the device says of the head
        for chunk in source:
            yield from hearing.process(chunk)


def alerts(snapshots: Iterable[SceneSnapshot], rules: Sequence[WatchRule]) -> list[list[Alert]]:
    """What each of the watches tells."""
    watcher = Watcher(rules)
    found: list[list[Alert]] = [[] for _ in rules]
    for snapshot in snapshots:
        for alert in watcher.process(snapshot):
            found[rules.index(alert.rule)].append(alert)
    return found


def matched(true_s: Sequence[float], told_s: Sequence[float]) -> list[bool]:
    """Which of the true alerts were told; in order of time, each matches one that was told at most."""
    free = list(told_s)
    found = []
    for time_s in true_s:
        match = next((t for t in free if time_s - EARLY_S <= t <= time_s + LATE_S), None)
        if match is not None:
            free.remove(match)
        found.append(match is not None)
    return found


def check(scenario: Scenario, encoders: Encoders, rules: Sequence[WatchRule]) -> tuple[list[Score], list[Miss]]:
    """Score of every watch on one scenario, and what was missed."""
    truth, heard = list(true_snapshots(scenario)), list(heard_snapshots(scenario, encoders))
    scores, misses = [], []
    for true, told in zip(alerts(truth, rules), alerts(heard, rules), strict=True):
        found = matched([alert.time_s for alert in true], [alert.time_s for alert in told])
        scores.append(Score(len(true), len(told), sum(found)))
        for alert, right in zip(true, found, strict=True):
            if not right:
                reason = why_missed(alert, truth, heard, EARLY_S, LATE_S)
                misses.append(Miss(alert.rule.text, alert.time_s, reason))
    return scores, misses


def main(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Names or paths; the short shipped ones by default.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
) -> None:
    """Print missed alarms with why, and false ones; the last line is one JSON document."""
    _, encoders = open_encoders(bundle)
    rules = [compile_watch(text)[0] for text in WATCHES]
    totals = [Score(0, 0, 0)] * len(rules)
    misses: list[tuple[str, Miss]] = []
    hours = 0.0
    for name in scenarios or SCENARIOS:
        scenario = load_scenario(name)
        scores, missed = check(scenario, encoders, rules)
        totals = [a + b for a, b in zip(totals, scores, strict=True)]
        misses += [(name, miss) for miss in missed]
        hours += scenario.duration_s / 3600
    typer.echo(f"{'watch':<44}{'true':>6}{'right':>7}{'missed':>8}{'false':>7}")
    for rule, total in zip(rules, totals, strict=True):
        typer.echo(f"{rule.text:<44}{total.true:>6}{total.right:>7}{total.missed:>8}{total.false:>7}")
    for name, miss in misses:
        typer.echo(f"missed: {name} {miss.time_s:5.1f} s  {miss.watch}: {miss.reason.value}")
    whole = sum(totals, Score(0, 0, 0))
    reasons = {reason.value: count for reason in Reason if (count := sum(miss.reason is reason for _, miss in misses))}
    document = {"true": whole.true, "right": whole.right, "missed": whole.missed, "false": whole.false, "why": reasons}
    rate = round(whole.false / (hours * len(rules)), 2)
    typer.echo(json.dumps({**document, "hours": round(hours, 3), "false_per_hour_and_watch": rate}))


def _true_track(
    index: int, label: str, place: tuple[float, float, float], onset_s: float, now_s: float
) -> TrackSnapshot:
    azimuth_deg, elevation_deg, distance_m = place
    return TrackSnapshot(
        track_id=index + 1,
        class_id=class_id(label),
        active=True,
        confidence=1.0,
        azimuth_deg=azimuth_deg,
        elevation_deg=elevation_deg,
        distance_m=distance_m,
        spread_deg=0.0,
        front_back_ambiguous=False,
        onset_s=onset_s,
        last_heard_s=now_s,
        azimuth_posterior=np.full(36, 1 / 36),
    )


if __name__ == "__main__":
    typer.run(main)
