"""Why an alert was missed: each reason from a scene in which only that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from earshot.firmware_sim.missed_watches import Reason, why_missed
from earshot.firmware_sim.scenario import load_scenario
from earshot.firmware_sim.watch_check import EARLY_S, LATE_S, alerts, true_snapshots
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.labels import class_id
from earshot.runtime.scene.watch_language import compile_watch

TRUTH = list(true_snapshots(load_scenario("kitchen")))
STREET = list(true_snapshots(load_scenario("street_crossing")))
VACUUM, STOPS = "when a vacuum cleaner is heard behind me", "when the vacuum cleaner stops"
Change = Callable[[TrackSnapshot], TrackSnapshot | None]


def misheard(truth: list[SceneSnapshot], change: Change) -> list[SceneSnapshot]:
    """A scene with its tracks changed, or left out."""
    return [
        replace(snapshot, tracks=tuple(heard for track in snapshot.tracks if (heard := change(track)) is not None))
        for snapshot in truth
    ]


def only(label: str, change: Change) -> Change:
    """Change the tracks of one class."""
    return lambda track: change(track) if track.class_id == class_id(label) else track


def why(watch: str, change: Change, truth: list[SceneSnapshot] = TRUTH) -> Reason:
    rule = compile_watch(watch)[0]
    ((alert, *_),) = alerts(truth, [rule])
    return why_missed(alert, truth, misheard(truth, change), EARLY_S, LATE_S)


@pytest.mark.parametrize("watch", [VACUUM, STOPS])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda track: None, Reason.SILENT),
        (lambda track: replace(track, active=False), Reason.SILENT),
        (lambda track: replace(track, class_id=class_id("rain")), Reason.NAME),
        (lambda track: replace(track, confidence=0.1), Reason.CONFIDENCE),
        (lambda track: track, Reason.RULE),
    ],
)
def test_what_was_heard_of_the_source_is_the_reason(watch: str, change: Change, reason: Reason) -> None:
    assert why(watch, only("vacuum_cleaner", change)) is reason


def test_a_source_heard_elsewhere() -> None:
    in_front = only("vacuum_cleaner", lambda track: replace(track, azimuth_deg=0.0))
    assert why(VACUUM, in_front) is Reason.PLACE
    assert why(STOPS, in_front) is Reason.RULE, "it does not matter where"


def test_a_source_whose_distance_stays() -> None:
    stays = only("siren", lambda track: replace(track, distance_m=1.0))
    assert why("when a siren comes closer", stays, STREET) is Reason.DISTANCE
