"""Why an alert did not come: what was heard of its source around the time at which it should have come.

Only the last of the reasons is the fault of the watch: all that it waits for was heard, and it did not fire.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot, TrackSnapshot
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.watches import WatchEvent, WatchRule
from earshot.runtime.scene.watching import Alert

NEAR_DEG = 30.0
"""Within so much of its true direction something was told of the source."""


class Reason(str, Enum):
    """Why a true alert was missed."""

    SILENT = "nothing told of there"
    NAME = "under another name"
    PLACE = "in another direction"
    CONFIDENCE = "not sure enough"
    DISTANCE = "its distance was not followed"
    RULE = "the watch did not fire"


def why_missed(
    alert: Alert, truth: Sequence[SceneSnapshot], heard: Sequence[SceneSnapshot], early_s: float, late_s: float
) -> Reason:
    """Find the first thing that went wrong on the way to an alert.

    Parameters
    ----------
    alert : Alert
        That should have come.
    truth, heard : sequence of SceneSnapshot
        The scene as it is and as it was heard, ten times a second each.
    early_s, late_s : float
        From so long before the alert to so long after it what was heard counts, seconds. What stops was heard before.
    """
    if alert.rule.event is WatchEvent.STOPS:
        early_s, late_s = late_s, early_s
    places_deg = {
        _tick(snapshot): track.azimuth_deg
        for snapshot in truth
        if alert.time_s - early_s <= snapshot.time_s <= alert.time_s + late_s
        for track in snapshot.tracks
        if track.track_id == alert.track.track_id
    }
    tracks = [
        (track, abs(wrap_deg(track.azimuth_deg - places_deg[_tick(snapshot)])) <= NEAR_DEG)
        for snapshot in heard
        if _tick(snapshot) in places_deg
        for track in snapshot.tracks
        if track.active
    ]
    return _reason(alert.rule, [track for track, _ in tracks], any(near for _, near in tracks))


def _reason(rule: WatchRule, tracks: Sequence[TrackSnapshot], near: bool) -> Reason:
    """Of tracks that were heard, and whether any of them was at the true place."""
    named = [track for track in tracks if not rule.labels or load_labels()[track.class_id].key in rule.labels]
    if not named:
        return Reason.NAME if near else Reason.SILENT
    placed = [track for track in named if rule.sector is None or rule.sector.contains(track.azimuth_deg, 0.0)]
    if not placed:
        return Reason.PLACE
    if not any(track.confidence >= rule.min_confidence for track in placed):
        return Reason.CONFIDENCE
    moves = rule.event in (WatchEvent.APPROACHES, WatchEvent.RECEDES) or rule.within_m is not None
    return Reason.DISTANCE if moves else Reason.RULE


def _tick(snapshot: SceneSnapshot) -> int:
    return round(snapshot.time_s / SNAPSHOT_S)
