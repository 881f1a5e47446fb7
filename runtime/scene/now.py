"""The scene at one moment, as programs get it from the listener."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from earshot.runtime.hearing.beliefs import rival
from earshot.runtime.hearing.tracks import TrackSnapshot
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.uncertainty import Ellipse
from earshot.runtime.scene.words import place_words


@dataclass(frozen=True, eq=False)
class Scene:
    """What sounds now, where, and whether that can be trusted.

    Iterating gives the tracks; `len` counts them.

    Attributes
    ----------
    time_s : float
        Seconds since stream start.
    state : str
        "idle" before the start; "starting", "listening", "lagging", "deaf" or "reconnecting" for a live source;
        "playing" for a recording; "ended" or "failed" afterwards.
    tracks : tuple of TrackSnapshot
        Sources that sound now; none while no sound arrives.
    findings : tuple of str
        What is wrong with the ears, or with what tells where the head looks, at the moment; one line each.
    ellipses : mapping of int to Ellipse
        How sure the place of each track is, by its number.
    yaw_deg : float or None
        Where the head looks, (-180, 180], positive = left; None when nothing tells.
    """

    time_s: float
    state: str
    tracks: tuple[TrackSnapshot, ...]
    findings: tuple[str, ...] = ()
    ellipses: Mapping[int, Ellipse] = field(default_factory=dict)
    yaw_deg: float | None = None

    def __iter__(self) -> Iterator[TrackSnapshot]:
        return iter(self.tracks)

    def __len__(self) -> int:
        return len(self.tracks)

    def as_dict(self) -> dict[str, Any]:
        """The scene as a JSON object; tracks as `earshot track` prints them, with their `uncertainty`."""
        return {
            "time_s": round(self.time_s, 1),
            "state": self.state,
            "yaw_deg": None if self.yaw_deg is None else round(self.yaw_deg, 1),
            "tracks": [{**track.as_dict(), "uncertainty": self.uncertainty(track)} for track in self.tracks],
            "findings": list(self.findings),
        }

    def uncertainty(self, track: TrackSnapshot) -> dict[str, Any] | None:
        """How sure the place of a track is, as a JSON object; None when it is not known."""
        ellipse = self.ellipses.get(track.track_id)
        return None if ellipse is None else ellipse.as_dict()

    def lines(self) -> list[str]:
        """One line of plain language per source: ``"dog, or cat: directly to your left, about 2 metres away"``."""
        return [f"{names_of(track)}: {words_of(track)}" for track in self.tracks]


def name_of(track: TrackSnapshot) -> str:
    """The noun that answers use: "alarm clock"."""
    return load_labels()[track.class_id].spoken


def names_of(track: TrackSnapshot) -> str:
    """The noun, with a second one where the kind of sound is doubtful: "dog, or cat"."""
    other = rival(track.classes, track.class_id)
    return name_of(track) if other is None else f"{name_of(track)}, or {load_labels()[other.class_id].spoken}"


def words_of(track: TrackSnapshot) -> str:
    """Direction and distance in words, with a doubt about front and back when there is one."""
    return place_words(track.azimuth_deg, track.elevation_deg, track.distance_m, track.front_back_ambiguous)
