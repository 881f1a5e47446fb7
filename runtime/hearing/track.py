"""One track: averages that update while its source sounds and rest while it pauses.

Its direction is read from a posterior that is averaged over time, not from averaged angles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angles_of, unit_vector, wrap_deg
from earshot.runtime.hearing.alike import Trail
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, front_back_ambiguous, lobe_azimuth_deg, spread_deg
from earshot.runtime.hearing.snapshots import TrackSnapshot
from earshot.runtime.hearing.turning import Views, turned

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
    told_confidence, kept_confidence : float
        Beside a surer sound a track is told of from the first on, and no more below the second, 0 to 1.
    cone_deg : float
        Two names that are heard so near to one cone around the axis of the ears may be names of one sound, degrees.
    second_name, kept_second_name : float
        ... and a less sure one is told of from this share of the confidence of the surer one on, and no more below the second, 0 to 1.
    remember_s : float
        A source that has lost its slot keeps its number when it is heard again in its place within this time, seconds.
    """

    smoothing_s: float = 0.4
    on_activity: float = 0.5
    off_activity: float = 0.3
    minimum_s: float = 0.16
    coast_s: float = 0.3
    lookback_s: float = 0.4
    lookback_probability: float = 0.2
    told_confidence: float = 0.25
    kept_confidence: float = 0.15
    cone_deg: float = 10.0
    second_name: float = 0.85
    kept_second_name: float = 0.5
    remember_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.off_activity <= self.on_activity <= 1.0:
            raise ValueError("0 <= off_activity <= on_activity <= 1 needed")
        if not 0.0 <= self.kept_confidence <= self.told_confidence <= 1.0:
            raise ValueError("0 <= kept_confidence <= told_confidence <= 1 needed")
        if not 0.0 <= self.kept_second_name <= self.second_name <= 1.0:
            raise ValueError("0 <= kept_second_name <= second_name <= 1 needed")
        if self.smoothing_s <= 0.0 or min(self.minimum_s, self.coast_s, self.lookback_s, self.remember_s) < 0.0:
            raise ValueError("smoothing_s must be positive, the other times not negative")


@dataclass(frozen=True, eq=False)
class Moment:
    """What one source may have made of a frame.

    Attributes
    ----------
    frame : HearingFrame
    slot : int
        That holds its class.
    posterior : ndarray [36]
        Of the azimuth.
    lobe : bool
        Whether that is one of two lobes that the slot has.
    number : int
        Of the frame, 1 = first of the stream.
    lead_in : int
        Frames just before it in which the class was probable already.
    yaw_deg : float or None
        Where the head looked.
    """

    frame: HearingFrame
    slot: int
    posterior: Floats
    lobe: bool
    number: int
    lead_in: int
    yaw_deg: float | None

    @property
    def onset(self) -> int:
        """Frames before the sound that begins with this one."""
        return self.number - 1 - self.lead_in

    @property
    def direction(self) -> Floats:
        """x front, y left, z up [3]: as the slot has it; at the azimuth of its lobe where that is one of two."""
        whole: Floats = self.frame.direction[self.slot]
        if not self.lobe:
            return whole
        elevation_deg = float(np.rad2deg(np.arcsin(np.clip(whole[2], -1.0, 1.0))))
        return unit_vector(lobe_azimuth_deg(self.posterior), elevation_deg)


class Track:
    """The life of one source.

    Parameters
    ----------
    class_id : int
    first : Moment
        With which it begins; it is not yet heard.
    settings : TrackerSettings

    Attributes
    ----------
    track_id : int
        0 until it is told of.
    last_heard : int
        Number of the frame.
    """

    def __init__(self, class_id: int, first: Moment, settings: TrackerSettings) -> None:
        self.class_id, self.track_id = class_id, 0
        self.last_heard = first.number - 1
        self._settings = settings
        self._onset = first.onset
        self._frames_heard = 0
        self._gain = 1.0 - math.exp(-FRAME_S / settings.smoothing_s)
        self._mean: Floats | None = None  # all that is averaged in one row, since each step costs more than its numbers
        self._yaw_deg: float | None = None  # that the averages are seen from
        self._yaw_known = False  # now
        self._views, self._trail = Views(), Trail()

    def turn(self, yaw_deg: float | None) -> None:
        """Move the averages with the head, whether the source sounds or not. While nothing tells the yaw they stay as they are."""
        self._yaw_known = yaw_deg is not None
        if yaw_deg is None:
            return
        if self._yaw_deg is None:
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

    def hear(self, moment: Moment) -> None:
        """Take a frame in which it sounds."""
        self.turn(moment.yaw_deg)
        if (
            moment.yaw_deg is None and self._yaw_deg is not None
        ):  # from now on nobody knows what the averages are seen from
            self._yaw_deg, self._views = None, Views()
        since = max(1, moment.number - self.last_heard)
        self.last_heard = max(self.last_heard, moment.number)
        self._frames_heard += 1
        if moment.yaw_deg is not None:
            self._views.add(moment.posterior, moment.yaw_deg, moment.number * FRAME_S)
        self._trail.add(moment.posterior, moment.yaw_deg, since)
        self._average(_row(moment))

    def begin_again(self, first: Moment) -> None:
        """The source is heard again after a long silence: with this moment it begins anew."""
        self._onset = first.onset

    def fit(self, posterior: Floats, moment: Moment) -> float:
        """How well a posterior [36], heard up to a moment, fits this source: 0 (is another one) to 1."""
        assert self._mean is not None, "what has not been heard has no place"
        self.turn(moment.yaw_deg)
        pause_s = (moment.number - 1 - self.last_heard) * FRAME_S
        return self._trail.fit(posterior, self._mean[_POSTERIOR], moment.yaw_deg, pause_s)

    def _average(self, row: Floats) -> None:
        """Exponential average that starts as the plain mean, so that the first frames do not linger."""
        if self._mean is None:
            self._mean = row
            return
        gain = max(self._gain, 1.0 / self._frames_heard)
        self._mean = self._mean + gain * (row - self._mean)

    def snapshot(self, now: int, held: list[int]) -> TrackSnapshot:
        """The track at frame `now`, while classes are `held` by all tracks."""
        mean = self._mean
        assert mean is not None, "a track that is told of has been heard"
        posterior = mean[_POSTERIOR]
        yaw_deg = self._yaw_deg if self._yaw_known else None
        if yaw_deg is not None:
            posterior = self._views.sharpened(posterior, yaw_deg, now * FRAME_S)
        distance_m = math.exp(min(10.0, float(mean[_LOG_DISTANCE])))
        azimuth_deg = lobe_azimuth_deg(posterior)
        return TrackSnapshot(
            track_id=self.track_id,
            class_id=self.class_id,
            active=(now - self.last_heard) * FRAME_S <= self._settings.coast_s,
            confidence=float(mean[_CLASSES][self.class_id]),
            azimuth_deg=azimuth_deg,
            elevation_deg=float(angles_of(mean[_DIRECTION])[1]),
            distance_m=min(_MAX_DISTANCE_M, max(_MIN_DISTANCE_M, distance_m)),
            spread_deg=spread_deg(posterior),
            front_back_ambiguous=front_back_ambiguous(posterior),
            onset_s=self._onset * FRAME_S,
            last_heard_s=self.last_heard * FRAME_S,
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


def _row(moment: Moment) -> Floats:
    """What a moment says, float64 [101], in the order of the places above."""
    frame, slot = moment.frame, moment.slot
    parts = (moment.posterior, moment.direction, frame.log_distance[slot : slot + 1], frame.class_probability)
    return np.concatenate(parts, dtype=np.float64)
