"""What is worth telling: a source that is new, has moved, or has ended. Made from the 10 Hz snapshots."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot

ChangeKind = Literal["new", "moved", "ended"]


@dataclass(frozen=True)
class ChangeSettings:
    """When a change is told.

    Attributes
    ----------
    moved_deg : float
        A source has moved when it is this far from where it was last told: in the room, where the yaw of the head is known.
    settle_s : float
        Least time between two tellings of one source, seconds.
    ended_after_s : float
        A source has ended after this long a pause, seconds.
    """

    moved_deg: float = 25.0
    settle_s: float = 0.5
    ended_after_s: float = 1.0


@dataclass(frozen=True, eq=False)
class TrackChange:
    """One thing that happened.

    Attributes
    ----------
    kind : {"new", "moved", "ended"}
    time_s : float
        When it was noticed, seconds since stream start.
    track : TrackSnapshot
    """

    kind: ChangeKind
    time_s: float
    track: TrackSnapshot

    def as_dict(self) -> dict[str, Any]:
        """The change as a JSON object."""
        return {"event": self.kind, "time_s": round(self.time_s, 1), **self.track.as_dict()}


class ChangeDetector:
    """Stage: `SceneSnapshot`s in, `TrackChange`s out."""

    latency_s = 0.0

    def __init__(self, settings: ChangeSettings | None = None) -> None:
        self.settings = settings or ChangeSettings()
        self.reset()

    def reset(self) -> None:
        """Forget what was told."""
        self._told: dict[int, TrackChange] = {}
        self._latest: dict[int, TrackSnapshot] = {}

    def process(self, snapshot: SceneSnapshot) -> list[TrackChange]:
        """Compare a snapshot with what was told before."""
        now_s = snapshot.time_s
        present = {track.track_id: track for track in snapshot.tracks}
        self._latest.update((key, track) for key, track in present.items() if key in self._told)
        changes = [
            self._ended(key, now_s)
            for key, track in list(self._latest.items())
            if key not in present or now_s - track.last_heard_s >= self.settings.ended_after_s
        ]
        for track in snapshot.tracks:
            kind = self._kind(track, now_s)
            if kind is not None:
                self._told[track.track_id] = TrackChange(kind, now_s, track)
                self._latest[track.track_id] = track
                changes.append(self._told[track.track_id])
        return changes

    def flush(self) -> list[TrackChange]:
        """End whatever still sounds at the end of the stream."""
        return [self._ended(key, track.last_heard_s) for key, track in list(self._latest.items())]

    def _kind(self, track: TrackSnapshot, now_s: float) -> ChangeKind | None:
        told = self._told.get(track.track_id)
        if not track.active:
            return None
        if told is None:
            return "new"
        away_deg = _away_deg(track, told.track)
        settled = now_s - told.time_s >= self.settings.settle_s
        return "moved" if settled and away_deg >= self.settings.moved_deg else None

    def _ended(self, key: int, now_s: float) -> TrackChange:
        del self._told[key]
        return TrackChange("ended", now_s, replace(self._latest.pop(key), active=False))


def _away_deg(track: TrackSnapshot, told: TrackSnapshot) -> float:
    """How far a source is from where it was told; a head that turns moves no source."""
    if track.room_azimuth_deg is None or told.room_azimuth_deg is None:
        return angle_between_azimuths(track.azimuth_deg, told.azimuth_deg)
    return angle_between_azimuths(track.room_azimuth_deg, told.room_azimuth_deg)
