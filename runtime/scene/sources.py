"""What a source is to people and programs outside: the JSON of the contract, the summary of a clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from earshot.runtime.geometry import angle_between_azimuths, angle_between_cones, wrap_deg
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackerSettings, TrackSnapshot
from earshot.runtime.hearing.turning import turned
from earshot.runtime.labels import load_labels

MERGE_ANGLE_DEG = 30.0
DOUBLE_ANGLE_DEG = 20.0
DOUBLE_CONFIDENCE = 0.7
SECOND_NAMES = TrackerSettings()
"""A less sure name at the same time on the same cone of confusion is mostly the same sound, live and in a summary: without such names one
source in fifteen fewer is told of, and three or four of a hundred more are right (docs/lab-notebook.md, eighteenth session)."""
_DOUBLE_OVERLAP = 0.3
SURE_AFTER_S = 0.5
"""A name is believed by so much of its probability as this time constant leaves: what was likely for a tenth of a second was often
something else. With it the confidence is nearer to how often names are right (docs/lab-notebook.md, eleventh session)."""

LEAST_CONFIDENCE = 0.2
"""A source less sure than this is left out beside a surer one: of those that are told of then, half instead of three in eight have the
right name and place, and of those that are there one in thirty fewer is told of."""


class SourceEstimate(BaseModel):
    """One source of a clip or of the last seconds; `model_dump()` is the JSON of the contract.

    Attributes
    ----------
    label : str
        AudioSet-ontology name, e.g. "Alarm clock".
    confidence : float
        0 to 1.
    azimuth_deg : float
        0 = front, positive = left, in (-180, 180].
    elevation_deg : float
        Positive = up, -90 to 90.
    distance_m : float
    onset_s, offset_s : float
        First and last sound, seconds since stream start.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    confidence: float = Field(ge=0.0, le=1.0)
    azimuth_deg: float = Field(gt=-180.0, le=180.0)
    elevation_deg: float = Field(ge=-90.0, le=90.0)
    distance_m: float = Field(gt=0.0)
    onset_s: float = Field(ge=0.0)
    offset_s: float = Field(ge=0.0)


@dataclass(frozen=True)
class _Life:
    """A track over its whole life: sums over its snapshots, so that two lives can be added."""

    class_id: int
    weight: float
    posterior: np.ndarray
    confidence: float
    elevation_deg: float
    log_distance: float
    onset_s: float
    offset_s: float

    @property
    def azimuth_deg(self) -> float:
        return lobe_azimuth_deg(self.posterior)

    def agrees_with(self, other: _Life) -> bool:
        """Same class and nearly the same direction."""
        angle = angle_between_azimuths(self.azimuth_deg, other.azimuth_deg)
        return self.class_id == other.class_id and angle <= MERGE_ANGLE_DEG

    def doubles(self, other: _Life) -> bool:
        """Whether this is the sound of `other` under a second, much less sure name: same direction, same time."""
        return (
            self.confidence < DOUBLE_CONFIDENCE * other.confidence
            and self._sounds_with(other)
            and angle_between_azimuths(self.azimuth_deg, other.azimuth_deg) <= DOUBLE_ANGLE_DEG
        )

    def is_second_name_of(self, other: _Life) -> bool:
        """Whether this is the sound of `other` under a second, less sure name, front and back perhaps exchanged: same cone, same time."""
        return (
            self.class_id != other.class_id
            and self.confidence < SECOND_NAMES.second_name * other.confidence
            and self._sounds_with(other)
            and angle_between_cones(self.azimuth_deg, other.azimuth_deg) <= SECOND_NAMES.cone_deg
        )

    def _sounds_with(self, other: _Life) -> bool:
        overlap = min(self.offset_s, other.offset_s) - max(self.onset_s, other.onset_s)
        shorter = min(self.offset_s - self.onset_s, other.offset_s - other.onset_s)
        return overlap > _DOUBLE_OVERLAP * shorter

    def joined_with(self, other: _Life) -> _Life:
        """Both lives as one: sums add up, the confidence is that of the surer one."""
        return _Life(
            class_id=self.class_id,
            weight=self.weight + other.weight,
            posterior=self.posterior + other.posterior,
            confidence=max(self.confidence, other.confidence),
            elevation_deg=self.elevation_deg + other.elevation_deg,
            log_distance=self.log_distance + other.log_distance,
            onset_s=min(self.onset_s, other.onset_s),
            offset_s=max(self.offset_s, other.offset_s),
        )


def summarize(snapshots: Iterable[SceneSnapshot]) -> list[SourceEstimate]:
    """Sources of a clip (or of the last seconds) from the 10 Hz snapshots of its tracks.

    Direction and distance are means over the snapshots in which the track sounded, weighted with confidence; the confidence of the
    source is the highest of them, each counted by how long the source had been heard.
    Lives of one class are merged when their directions agree within 30 degrees: a dog barking twice is one. Of two classes
    heard at one time within 20 degrees the much less sure one is left out: it is the same sound under another name,
    and so is a less sure one within 10 degrees of it or of its mirror image behind or in front, and a source under `LEAST_CONFIDENCE`
    that is not the surest.
    Where the yaw of the head is known, directions are those from where the head looks at the end, and tracks tell front from back.

    Parameters
    ----------
    snapshots : iterable of SceneSnapshot
        In order of time.

    Returns
    -------
    list of SourceEstimate
        In order of onset.
    """
    snapshots = list(snapshots)
    yaw_deg = snapshots[-1].yaw_deg if snapshots else None
    tracks = sorted((t for snapshot in snapshots for t in _seen_from(snapshot, yaw_deg)), key=_track_id)
    lives = [_life(list(group), yaw_deg is not None) for _, group in groupby(tracks, key=_track_id)]
    merged: list[_Life] = []
    for life in sorted(lives, key=lambda life: life.onset_s):
        match = next((k for k, earlier in enumerate(merged) if earlier.agrees_with(life)), None)
        if match is None:
            merged.append(life)
        else:
            merged[match] = merged[match].joined_with(life)
    surest = max((life.confidence for life in merged), default=0.0)
    least = min(LEAST_CONFIDENCE, surest)
    told = [life for life in merged if life.confidence >= least and not any(life.doubles(other) for other in merged)]
    if yaw_deg is None:
        told = [life for life in told if not any(life.is_second_name_of(other) for other in merged)]
    return [_estimate(life) for life in told]


def _seen_from(snapshot: SceneSnapshot, yaw_deg: float | None) -> tuple[TrackSnapshot, ...]:
    """Tracks of a snapshot with the directions they would have with the head at a yaw."""
    if yaw_deg is None or snapshot.yaw_deg is None or snapshot.yaw_deg == yaw_deg:
        return snapshot.tracks
    by_deg = wrap_deg(snapshot.yaw_deg - yaw_deg)
    return tuple(replace(t, azimuth_posterior=turned(t.azimuth_posterior, by_deg)) for t in snapshot.tracks)


def _track_id(track: TrackSnapshot) -> int:
    return track.track_id


def _life(snapshots: Sequence[TrackSnapshot], yaw_known: bool) -> _Life:
    sounding = [s for s in snapshots if s.active] or list(snapshots)
    # With the yaw known a track's latest posterior holds all it heard before, front and back told apart.
    told = sounding[-1:] * len(sounding) if yaw_known else sounding
    weights = np.array([max(s.confidence, 1e-3) for s in sounding])
    last = snapshots[-1]
    return _Life(
        class_id=last.class_id,
        weight=float(weights.sum()),
        posterior=weights @ np.stack([s.azimuth_posterior for s in told]),
        confidence=max(_lasting(s) for s in sounding),
        elevation_deg=float(weights @ [s.elevation_deg for s in sounding]),
        log_distance=float(weights @ np.log([s.distance_m for s in sounding])),
        onset_s=min(s.onset_s for s in snapshots),  # a source that falls silent for long begins anew
        offset_s=last.last_heard_s,
    )


def _lasting(snapshot: TrackSnapshot) -> float:
    """Confidence of a snapshot by how long its source had been heard."""
    heard_s = max(0.0, snapshot.last_heard_s - snapshot.onset_s)
    return snapshot.confidence * (1.0 - math.exp(-heard_s / SURE_AFTER_S))


def _estimate(life: _Life) -> SourceEstimate:
    return SourceEstimate(
        label=load_labels()[life.class_id].name,
        confidence=round(min(1.0, life.confidence), 3),
        azimuth_deg=round(life.azimuth_deg, 1),
        elevation_deg=round(life.elevation_deg / life.weight, 1),
        distance_m=round(float(np.exp(life.log_distance / life.weight)), 2),
        onset_s=round(life.onset_s, 2),
        offset_s=round(life.offset_s, 2),
    )
