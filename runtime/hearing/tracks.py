"""From encoder frames to tracks, told ten times a second.

A track starts when a source has sounded for a minimum time, survives short pauses, and leaves the scene when the slot of its
class is given up. What is hardly likely, or may be a surer sound under a second name, is told of only while nothing surer sounds.
Most slots hold one source; of several of one class each has its track (`kin.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from earshot.runtime.geometry import angle_between_cones
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.kin import Kin, Past
from earshot.runtime.hearing.slots import EMPTY, SLOTS
from earshot.runtime.hearing.snapshots import SNAPSHOT_S, Floats, SceneSnapshot, TrackSnapshot
from earshot.runtime.hearing.track import TrackerSettings

__all__ = ["SNAPSHOT_S", "SceneSnapshot", "TrackSnapshot", "Tracker", "TrackerSettings"]


class Tracker:
    """Stage: `HearingFrame`s in, a `SceneSnapshot` every 100 ms out."""

    latency_s = 0.0

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self.reset()

    def reset(self) -> None:
        """Back to a fresh object: no tracks, ids count from 1 again."""
        self._next_id = 1
        self.forget()

    def forget(self) -> None:
        """Drop all tracks and begin at time 0, but never give an id twice."""
        self._kin: list[Kin | None] = [None] * SLOTS
        self._past = Past(self.settings)
        self._probable: deque[Floats] = deque(maxlen=1 + round(self.settings.lookback_s / FRAME_S))
        self._told: frozenset[int] = frozenset()
        self._frames = 0
        self._yaw_deg: float | None = None

    def process(self, frame: HearingFrame, yaw_deg: float | None = None) -> list[SceneSnapshot]:
        """Take one frame, with the yaw of the head if it is known; returns the snapshot that became due, if any."""
        self._frames += 1
        self._yaw_deg = yaw_deg
        self._probable.append(frame.class_probability)
        labels = frame.slot_class.tolist()
        for slot, label in enumerate(labels):  # a class may have moved from one slot to another
            self._give_up(slot, label)
        for slot, label in enumerate(labels):
            if label != EMPTY:
                self._follow(frame, slot, label)
        # In whole milliseconds, so that no rounding of seconds ever skips or doubles a snapshot.
        frame_ms, snapshot_ms = round(FRAME_S * 1000), round(SNAPSHOT_S * 1000)
        now_ms = self._frames * frame_ms
        if now_ms // snapshot_ms == (now_ms - frame_ms) // snapshot_ms:
            return []
        return [SceneSnapshot(now_ms // snapshot_ms * SNAPSHOT_S, self._snapshots(), self._yaw_deg)]

    def flush(self) -> list[SceneSnapshot]:
        """Nothing is held back."""
        return []

    def _give_up(self, slot: int, label: int) -> None:
        """Remember the tracks of a slot that no longer holds their class."""
        kin = self._kin[slot]
        if kin is not None and kin.class_id != label:
            self._past.keep(kin.tracks)
            self._kin[slot] = None

    def _follow(self, frame: HearingFrame, slot: int, label: int) -> None:
        kin = self._kin[slot] = self._kin[slot] or Kin(label, self.settings, self._past)
        kin.turn(self._yaw_deg)
        kin.hear(frame, slot, self._frames, self._lead_in(label), self._yaw_deg)
        for track in kin.tracks:
            if track.track_id == 0:
                track.track_id, self._next_id = self._next_id, self._next_id + 1

    def _lead_in(self, label: int) -> int:
        """Frames just before this one in which the class was probable already."""
        frames = 0
        for probability in list(self._probable)[-2::-1]:
            if probability[label] < self.settings.lookback_probability:
                break
            frames += 1
        return frames

    def _snapshots(self) -> tuple[TrackSnapshot, ...]:
        held = [kin for kin in self._kin if kin is not None]
        classes = [kin.class_id for kin in held]
        snapshots = [track.snapshot(self._frames, classes) for kin in held for track in kin.tracks]
        self._told = frozenset(self._likely(snapshots))
        told = (snapshot for snapshot in snapshots if snapshot.track_id in self._told)
        return tuple(sorted(told, key=lambda snapshot: snapshot.track_id))

    def _likely(self, snapshots: list[TrackSnapshot]) -> Iterator[int]:
        """Numbers of the tracks that are to be told of: the surest that sounds, and those that are likely by themselves."""
        surest = max((snapshot.confidence for snapshot in snapshots if snapshot.active), default=0.0)
        for snapshot in snapshots:
            before = snapshot.track_id in self._told
            least = self.settings.kept_confidence if before else self.settings.told_confidence
            likely = snapshot.confidence >= min(least, surest) if snapshot.active else before
            if likely and not self._is_second_name(snapshot, snapshots, before):
                yield snapshot.track_id

    def _is_second_name(self, snapshot: TrackSnapshot, others: list[TrackSnapshot], before: bool) -> bool:
        """Whether a sound that is heard may be another one under a less sure name, front and back perhaps exchanged.

        Where the yaw of the head is known, tracks tell front from back.
        """
        if self._yaw_deg is not None or not snapshot.active:
            return False
        share = self.settings.kept_second_name if before else self.settings.second_name
        return any(
            other.active
            and other.class_id != snapshot.class_id
            and snapshot.confidence < share * other.confidence
            and angle_between_cones(snapshot.azimuth_deg, other.azimuth_deg) <= self.settings.cone_deg
            for other in others
        )
