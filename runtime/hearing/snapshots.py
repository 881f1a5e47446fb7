"""What is told of the tracks ten times a second: the records that the scene, the screens and programs are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.beliefs import ClassBelief, beliefs
from earshot.runtime.labels import load_labels

SNAPSHOT_S = 0.1

Floats = NDArray[np.floating[Any]]


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
