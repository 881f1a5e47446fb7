"""Several sources of one class: whether what is heard now may come from where one of them was heard.

The spatial network answers for a class, not for a source: of two dogs that bark in turn it tells the place of the one that
barks. Places are compared by what the ears' differences tell, the lateral angle; a source and its mirror image at the
ear axis (front for back) are one. The overlap of two posteriors is the Bhattacharyya coefficient (1943), which is large
too where either is unsure: only clear evidence makes two of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.posterior import AZIMUTH_BINS, FRONT_FOR_BACK
from earshot.runtime.hearing.turning import turned

SAME_OVERLAP = 0.55
"""Posteriors that overlap so much may be of one place: of the same still source 99 in 100 overlap by 0.87."""
NEAR_DEG = 35.0
"""Sharp posteriors with lateral angles so near are of one place."""
MOST_DRIFT_DEG = 60.0
"""As far as a moving source may be thought to have gone on in a pause."""
LAG_S = 0.27
"""How far a track's mean lags behind its latest posterior when both follow a moving source, seconds."""
LATEST_GAIN = 0.3
_LATERAL_DEG = -85.0 + 10.0 * np.arange(AZIMUTH_BINS // 2)
_IN_FRONT = slice(AZIMUTH_BINS // 4, 3 * AZIMUTH_BINS // 4)
_LOBE_BINS = 2
SECOND_PEAK, SECOND_SHARE, VALLEY = 0.35, 0.2, 0.35
"""A second lobe: its height re the first, its share of all, and the lowest point between them re its height, at most. One source
has one in 0 to 1 of 100 frames, two at once in 15 to 20."""
_BINS = np.arange(AZIMUTH_BINS // 2)
_APART = (np.abs(_BINS[:, None] - _BINS) >= 4).astype(np.float64)
_LATERAL_BIN = np.minimum(
    (np.arange(AZIMUTH_BINS) - AZIMUTH_BINS // 4) % AZIMUTH_BINS, (FRONT_FOR_BACK - AZIMUTH_BINS // 4) % AZIMUTH_BINS
)

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]


def lateral(posterior: Floats) -> Float64:
    """An azimuth posterior [36] as one over lateral angles of -85 to 85 degrees [18]: front and back added up; sums to 1."""
    both = np.asarray(posterior, np.float64)
    folded = (both + both[FRONT_FOR_BACK])[_IN_FRONT]
    return np.asarray(folded / max(float(folded.sum()), 1e-12))


def overlap(one: Float64, other: Float64) -> float:
    """Bhattacharyya coefficient of two distributions, 0 (apart) to 1 (alike)."""
    return float(np.sqrt(one * other).sum())


def lateral_peak_deg(folded: Float64) -> float:
    """Mean of a lateral distribution [18] around its peak, degrees, positive = left."""
    peak = int(folded.argmax())
    lobe = slice(max(0, peak - _LOBE_BINS), peak + _LOBE_BINS + 1)
    return float(folded[lobe] @ _LATERAL_DEG[lobe] / max(float(folded[lobe].sum()), 1e-12))


def lobes(posterior: Floats) -> tuple[Float64, ...]:
    """A posterior [36] with two lateral lobes as two posteriors, the higher lobe first; any other as it is; each sums to 1."""
    heard = np.asarray(posterior, np.float64) / max(float(np.sum(posterior)), 1e-12)
    folded = lateral(heard)
    first = int(folded.argmax())
    second = int((folded * _APART[first]).argmax())
    if folded[second] <= SECOND_PEAK * folded[first]:
        return (heard,)
    low, high = min(first, second), max(first, second)
    valley = low + 1 + int(folded[low + 1 : high].argmin())
    share = float(folded[max(0, second - _LOBE_BINS) : second + _LOBE_BINS + 1].sum())
    if share < SECOND_SHARE or folded[valley] > VALLEY * folded[second]:
        return (heard,)
    to_the_right = valley > _LATERAL_BIN
    pair = np.where(to_the_right, heard, 0.0), np.where(to_the_right, 0.0, heard)
    return tuple(lobe / lobe.sum() for lobe in (pair if first < valley else pair[::-1]))


class Trail:
    """Where a source was heard last, and whether something heard later may be the same source.

    A place is remembered as it was heard, with the yaw of the head at that time. When the head has turned since, a source
    taken to be in front moves one way, and one taken to be behind the other way; both are allowed for.
    """

    def __init__(self) -> None:
        self._latest: Float64 | None = None
        self._yaw_deg: float | None = None

    def add(self, posterior: Floats, yaw_deg: float | None, frames: int = 1) -> None:
        """Take the posterior [36] of the frame that is `frames` after the latest, with the yaw of the head (None: not known)."""
        heard = np.asarray(posterior, np.float64)
        if self._latest is None:
            self._latest = heard
        else:
            before = self._latest if self._by_deg(yaw_deg) == 0.0 else turned(self._latest, self._by_deg(yaw_deg))
            self._latest = heard + (1.0 - LATEST_GAIN) ** frames * (before - heard)
        self._yaw_deg = yaw_deg

    def fit(self, posterior: Floats, mean: Floats, yaw_deg: float | None, pause_s: float) -> float:
        """How well a frame fits, 0 to 1; 0 when it comes from elsewhere.

        Parameters
        ----------
        posterior, mean : ndarray [36]
            What is heard now, and the average of what was heard of the source, both as seen from where the head looks now.
        yaw_deg : float or None
            Where the head looks now.
        pause_s : float
            Since the source was last heard.
        """
        assert self._latest is not None, "a trail begins with a frame"
        here, places = lateral(posterior), self._seen_from(yaw_deg)
        alike = max(overlap(place, here) for place in places)
        if alike >= SAME_OVERLAP:
            return alike
        on_average = lateral(mean)
        alike = max(alike, overlap(on_average, here))
        if alike >= SAME_OVERLAP:
            return alike
        here_deg, peaks_deg = lateral_peak_deg(here), [lateral_peak_deg(place) for place in places]
        drift_deg = abs(peaks_deg[0] - lateral_peak_deg(on_average)) / LAG_S * pause_s
        reach_deg = NEAR_DEG + min(MOST_DRIFT_DEG, drift_deg)
        return alike if min(abs(here_deg - peak_deg) for peak_deg in peaks_deg) <= reach_deg else 0.0

    def _by_deg(self, yaw_deg: float | None) -> float:
        """How far everything has moved to the left since the latest frame, because the head turned."""
        return 0.0 if yaw_deg is None or self._yaw_deg is None else self._yaw_deg - yaw_deg

    def _seen_from(self, yaw_deg: float | None) -> tuple[Float64, ...]:
        assert self._latest is not None
        by_deg = self._by_deg(yaw_deg)
        if by_deg == 0.0:
            return (lateral(self._latest),)
        return lateral(turned(self._latest, by_deg)), lateral(turned(self._latest[FRONT_FOR_BACK], by_deg))
