"""How sure the place of a track is: an ellipse around it, derived from what the tracks already tell.

Across, the spread of the azimuth posterior within its main lobe (the mirror image front/back is told by another field);
along, how much the distance has varied in the last second, not less than what a listener can tell at all. It is the
spread of what the networks say, not a calibrated error: a network that is surely wrong has a small ellipse.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.posterior import bin_centres_deg
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot

LOBE_DEG = 60.0
WINDOW_S = 1.0
LEAST_DEG = 1.0
"""No ear tells less than about one degree (Mills, "On the minimum audible angle", 1958)."""
LEAST_DISTANCE_SHARE = 0.15
"""Nor less than some 15 percent of a distance (Zahorik et al., 2005)."""


@dataclass(frozen=True)
class Ellipse:
    """One standard deviation of a track's place, as half axes.

    Attributes
    ----------
    azimuth_deg : float
        Across, as an angle seen by the listener, degrees.
    across_m, along_m : float
        Across and along the line of sight, metres.
    """

    azimuth_deg: float
    across_m: float
    along_m: float

    def as_dict(self) -> dict[str, Any]:
        """The ellipse as a JSON object."""
        return {
            "azimuth_deg": round(self.azimuth_deg, 1),
            "across_m": round(self.across_m, 2),
            "along_m": round(self.along_m, 2),
        }


class UncertaintyView:
    """Stage: `SceneSnapshot`s in, an ellipse for each of their tracks out."""

    latency_s = 0.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; equals a fresh object."""
        self._logs: dict[int, deque[tuple[float, float]]] = {}

    def process(self, snapshot: SceneSnapshot) -> dict[int, Ellipse]:
        """Ellipses by track id."""
        present = {track.track_id for track in snapshot.tracks}
        self._logs = {key: kept for key, kept in self._logs.items() if key in present}
        return {track.track_id: self._ellipse(track, snapshot.time_s) for track in snapshot.tracks}

    def flush(self) -> dict[int, Ellipse]:
        """Nothing is held back."""
        return {}

    def _ellipse(self, track: TrackSnapshot, time_s: float) -> Ellipse:
        kept = self._logs.setdefault(track.track_id, deque())
        if track.active:
            kept.append((time_s, math.log(track.distance_m)))
        while kept and time_s - kept[0][0] > WINDOW_S:
            kept.popleft()
        share = max(LEAST_DISTANCE_SHARE, float(np.std([log for _, log in kept])) if kept else 0.0)
        azimuth_deg = max(LEAST_DEG, lobe_spread_deg(track.azimuth_posterior, track.azimuth_deg))
        across_m = track.distance_m * math.sin(math.radians(min(90.0, azimuth_deg)))
        return Ellipse(azimuth_deg, across_m, track.distance_m * share)


def lobe_spread_deg(posterior: NDArray[np.floating[Any]], azimuth_deg: float) -> float:
    """Standard deviation of a posterior around its main lobe.

    Parameters
    ----------
    posterior : ndarray [36]
        Over azimuth, 10 degrees each; not negative.
    azimuth_deg : float
        Where the lobe is.

    Returns
    -------
    float
        Degrees, from what lies within 60 degrees of the lobe; 0 to 60.
    """
    away = angle_between_azimuths(bin_centres_deg(), azimuth_deg)
    weights = np.where(away <= LOBE_DEG, np.maximum(posterior, 0.0), 0.0)
    total = float(weights.sum())
    return math.sqrt(float(weights @ away**2) / total) if total > 0 else LOBE_DEG
