"""From encoder frames to tracks: one track per life of a slot, told ten times a second.

A track starts when its class has sounded for a minimum time, survives short pauses, and ends when the slot is
given up. Its direction is read from a posterior that is averaged over time, not from averaged angles.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angles_of, wrap_deg
from earshot.runtime.hearing.beliefs import ClassBelief, beliefs
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, front_back_ambiguous, lobe_azimuth_deg, spread_deg
from earshot.runtime.hearing.slots import EMPTY, SLOTS
from earshot.runtime.hearing.turning import Views, turned
from earshot.runtime.labels import load_labels

SNAPSHOT_S = 0.1
_MIN_DISTANCE_M, _MAX_DISTANCE_M = 0.1, 50.0

Floats = NDArray[np.floating[Any]]

_POSTERIOR = slice(0, AZIMUTH_BINS)
_DIRECTION = slice(AZIMUTH_BINS, AZIMUTH_BINS + 3)
_LOG_DISTANCE = AZIMUTH_BINS + 3
_CLASSES = slice(AZIMUTH_BINS + 4, None)


@dataclass(frozen=True)
class TrackerSettings:
    """How frames become tracks.

    Attributes
    ----------
    smoothing_s : float
        Time constant of the averaged posterior, direction and distance, seconds.
    on_activity, off_activity : float
        A pause ends at the first and begins below the second, 0 to 1.
    minimum_s : float
        A track is told once it has sounded for this long, seconds.
    coast_s : float
        A pause up to this long is bridged, seconds.
    lookback_s : float
        A slot is taken a moment after the sound begins; the onset is moved back by this at most, seconds.
    lookback_probability : float
        ... over the frames in which the class was at least this probable, 0 to 1.
    """

    smoothing_s: float = 0.4
    on_activity: float = 0.5
    off_activity: float = 0.3
    minimum_s: float = 0.16
    coast_s: float = 0.3
    lookback_s: float = 0.4
    lookback_probability: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 <= self.off_activity <= self.on_activity <= 1.0:
            raise ValueError("0 <= off_activity <= on_activity <= 1 needed")
        if self.smoothing_s <= 0.0 or min(self.minimum_s, self.coast_s, self.lookback_s) < 0.0:
            raise ValueError("smoothing_s must be positive, the other times not negative")


@dataclass(frozen=True, eq=False)
class TrackSnapshot:
    """A track at one moment.

    Attributes
    ----------
    track_id : int
        Counts up from 1 within a stream.
    class_id : int
    active : bool
        Sounding now, or in a pause that is still bridged.
    confidence : float
        Averaged class probability while sounding, 0 to 1.
    azimuth_deg : float
        (-180, 180], positive = left.
    elevation_deg : float
        -90 to 90, positive = up.
    distance_m : float
    spread_deg : float
        Circular standard deviation of the azimuth posterior, 0 to 180.
    front_back_ambiguous : bool
        The mirror direction (front against back) is nearly as probable.
    onset_s, last_heard_s : float
        First and last sound, seconds since stream start.
    azimuth_posterior : ndarray [36]
        Averaged posterior that the azimuth is read from.
    class_probability : ndarray [61] or None
        Averaged like the confidence, and 0 for classes that sound in another slot; None when nothing tells.
    room_azimuth_deg : float or None
        Direction in the room, (-180, 180], positive = left of yaw 0; None when nothing tells where the head looks.
    """

    track_id: int
    class_id: int
    active: bool
    confidence: float
    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    spread_deg: float
    front_back_ambiguous: bool
    onset_s: float
    last_heard_s: float
    azimuth_posterior: Floats
    class_probability: Floats | None = None
    room_azimuth_deg: float | None = None

    @property
    def label(self) -> str:
        """AudioSet-ontology name of the class."""
        return load_labels()[self.class_id].name

    @property
    def classes(self) -> tuple[ClassBelief, ...]:
        """The three likeliest kinds, the likeliest first; none when nothing tells.

        It need not be the class by which the track is held: that one took its slot when the sound began.
        """
        return () if self.class_probability is None else beliefs(self.class_probability)

    def as_dict(self) -> dict[str, Any]:
        """The track as a JSON object, angles to 0.1 degree, distance to 1 cm, times to 10 ms.

        It holds the direction in the room where that is known.
        """
        room = {} if self.room_azimuth_deg is None else {"room_azimuth_deg": round(self.room_azimuth_deg, 1)}
        return {
            "track": self.track_id,
            "label": self.label,
            "active": self.active,
            "confidence": round(self.confidence, 3),
            "azimuth_deg": round(self.azimuth_deg, 1),
            "elevation_deg": round(self.elevation_deg, 1),
            "distance_m": round(self.distance_m, 2),
            "spread_deg": round(self.spread_deg, 1),
            "front_back_ambiguous": self.front_back_ambiguous,
            "onset_s": round(self.onset_s, 2),
            "last_heard_s": round(self.last_heard_s, 2),
            "classes": [belief.as_dict() for belief in self.classes],
            **room,
        }


@dataclass(frozen=True, eq=False)
class SceneSnapshot:
    """All tracks at one moment; one snapshot every 100 ms, also of an empty scene.

    Attributes
    ----------
    time_s : float
        Seconds since stream start; the snapshot tells the 100 ms before it.
    tracks : tuple of TrackSnapshot
        Confirmed tracks that hold a slot, in order of their ids.
    yaw_deg : float or None
        Where the head looked, (-180, 180], positive = left of yaw 0; None when nothing tells. An azimuth plus this is the
        direction in the room.
    """

    time_s: float
    tracks: tuple[TrackSnapshot, ...]
    yaw_deg: float | None = None

    def later_by(self, shift_s: float) -> SceneSnapshot:
        """The same snapshot with all times moved."""
        tracks = (replace(t, onset_s=t.onset_s + shift_s, last_heard_s=t.last_heard_s + shift_s) for t in self.tracks)
        return SceneSnapshot(self.time_s + shift_s, tuple(tracks), self.yaw_deg)

    def as_dict(self) -> dict[str, Any]:
        """The snapshot as a JSON object; with yaw and directions in the room where the yaw is known."""
        yaw = {} if self.yaw_deg is None else {"yaw_deg": round(self.yaw_deg, 1)}
        return {"time_s": round(self.time_s, 1), **yaw, "tracks": [track.as_dict() for track in self.tracks]}


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
        self._tracks: list[_Track | None] = [None] * SLOTS
        self._past: deque[Floats] = deque(maxlen=1 + round(self.settings.lookback_s / FRAME_S))
        self._frames = 0
        self._yaw_deg: float | None = None

    def process(self, frame: HearingFrame, yaw_deg: float | None = None) -> list[SceneSnapshot]:
        """Take one frame, with the yaw of the head if it is known; returns the snapshot that became due, if any."""
        self._frames += 1
        self._yaw_deg = yaw_deg
        self._past.append(frame.class_probability)
        for slot, label in enumerate(frame.slot_class.tolist()):
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

    def _follow(self, frame: HearingFrame, slot: int, label: int) -> None:
        track = self._tracks[slot]
        if label == EMPTY:
            self._tracks[slot] = None
            return
        if track is None or track.class_id != label:
            track = self._tracks[slot] = _Track(label, self._frames, self.settings)
        track.turn(self._yaw_deg)
        track.hear(frame, slot, self._frames, self._lead_in(label))
        if track.confirmed and track.track_id == 0:
            track.track_id, self._next_id = self._next_id, self._next_id + 1

    def _lead_in(self, label: int) -> int:
        """Frames just before this one in which the class was probable already."""
        frames = 0
        for probability in list(self._past)[-2::-1]:
            if probability[label] < self.settings.lookback_probability:
                break
            frames += 1
        return frames

    def _snapshots(self) -> tuple[TrackSnapshot, ...]:
        held = [track for track in self._tracks if track is not None]
        classes = [track.class_id for track in held]
        confirmed = (track for track in held if track.confirmed)
        return tuple(sorted((t.snapshot(self._frames, classes) for t in confirmed), key=lambda s: s.track_id))


class _Track:
    """The life of one slot: averages that update while the class sounds and rest while it pauses."""

    def __init__(self, class_id: int, born: int, settings: TrackerSettings) -> None:
        self.class_id, self.track_id = class_id, 0
        self._settings = settings
        self._sounding = False
        self._frames_heard = 0
        self._onset = self._last_heard = born - 1
        self._gain = 1.0 - math.exp(-FRAME_S / settings.smoothing_s)
        self._mean: Floats | None = None  # all that is averaged in one row, since each step costs more than its numbers
        self._yaw_deg: float | None = None
        self._views = Views()

    @property
    def confirmed(self) -> bool:
        """Whether the class has sounded for the minimum time."""
        return self._frames_heard * FRAME_S >= self._settings.minimum_s and self._frames_heard > 0

    def turn(self, yaw_deg: float | None) -> None:
        """Move the averages with the head, whether the class sounds or not."""
        if yaw_deg is None or self._yaw_deg is None:
            if self._yaw_deg is not None:
                self._views = Views()
            self._yaw_deg = yaw_deg
            return
        by_deg, self._yaw_deg = wrap_deg(self._yaw_deg - yaw_deg), yaw_deg
        if by_deg == 0.0 or self._mean is None:
            return
        mean = self._mean.copy()  # snapshots hold pieces of the old one
        mean[_POSTERIOR] = turned(mean[_POSTERIOR], by_deg)
        x, y, z = mean[_DIRECTION]
        flat = complex(x, y) * np.exp(1j * np.deg2rad(by_deg))
        mean[_DIRECTION] = flat.real, flat.imag, z
        self._mean = mean

    def hear(self, frame: HearingFrame, slot: int, now: int, lead_in: int) -> None:
        """Take frame number `now` (1 = first of the stream)."""
        activity = float(frame.activity[slot])
        threshold = self._settings.off_activity if self._sounding else self._settings.on_activity
        self._sounding = activity >= threshold
        if not self._sounding:
            return
        if self._frames_heard == 0:
            self._onset = now - 1 - lead_in
        self._frames_heard += 1
        self._last_heard = now
        if self._yaw_deg is not None:
            self._views.add(frame.azimuth_posterior[slot], self._yaw_deg, now * FRAME_S)
        self._average(_row(frame, slot))

    def _average(self, row: Floats) -> None:
        """Exponential average that starts as the plain mean, so that the first frames do not linger."""
        if self._mean is None:
            self._mean = row
            return
        gain = max(self._gain, 1.0 / self._frames_heard)
        self._mean = self._mean + gain * (row - self._mean)

    def snapshot(self, now: int, held: list[int]) -> TrackSnapshot:
        """The track at frame `now`, while classes are `held` by all tracks; only for a confirmed track."""
        mean = self._mean
        assert mean is not None, "a confirmed track has been heard"
        posterior = mean[_POSTERIOR]
        if self._yaw_deg is not None:
            posterior = self._views.sharpened(posterior, self._yaw_deg, now * FRAME_S)
        distance_m = math.exp(min(10.0, float(mean[_LOG_DISTANCE])))
        azimuth_deg, yaw_deg = lobe_azimuth_deg(posterior), self._yaw_deg
        return TrackSnapshot(
            track_id=self.track_id,
            class_id=self.class_id,
            active=(now - self._last_heard) * FRAME_S <= self._settings.coast_s,
            confidence=float(mean[_CLASSES][self.class_id]),
            azimuth_deg=azimuth_deg,
            elevation_deg=float(angles_of(mean[_DIRECTION])[1]),
            distance_m=min(_MAX_DISTANCE_M, max(_MIN_DISTANCE_M, distance_m)),
            spread_deg=spread_deg(posterior),
            front_back_ambiguous=front_back_ambiguous(posterior),
            onset_s=self._onset * FRAME_S,
            last_heard_s=self._last_heard * FRAME_S,
            azimuth_posterior=posterior,
            class_probability=self._own(mean[_CLASSES], held),
            room_azimuth_deg=None if yaw_deg is None else float(wrap_deg(azimuth_deg + yaw_deg)),
        )

    def _own(self, probability: Floats, held: list[int]) -> Floats:
        """Class probabilities [61] of this sound: classes that other tracks hold are theirs."""
        others = [label for label in held if label != self.class_id]
        if others:
            probability = probability.copy()
            probability[others] = 0.0
        return probability


def _row(frame: HearingFrame, slot: int) -> Floats:
    """What a frame says of a slot, float64 [101], in the order of the places above."""
    distance = frame.log_distance[slot : slot + 1]
    parts = (frame.azimuth_posterior[slot], frame.direction[slot], distance, frame.class_probability)
    return np.concatenate(parts, dtype=np.float64)
