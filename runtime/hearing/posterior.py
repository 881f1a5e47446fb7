"""Reading an azimuth posterior of 36 bins: direction, spread, and whether front and back are confused.

Bin i is centred at -175 + 10 i degrees; the circle closes between bin 35 and bin 0. Circular statistics as in
Mardia & Jupp, Directional Statistics (2000).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import wrap_deg

AZIMUTH_BINS = 36
LOBE_BINS = 2
AMBIGUOUS_RATIO = 0.35

_PHASORS = np.exp(1j * np.deg2rad(-175.0 + 10.0 * np.arange(AZIMUTH_BINS)))
_LOBE = np.arange(-LOBE_BINS, LOBE_BINS + 1)
FRONT_FOR_BACK = (AZIMUTH_BINS // 2 - 1 - np.arange(AZIMUTH_BINS)) % AZIMUTH_BINS
"""Of each bin the one mirrored at the ear axis: azimuth -> 180 - azimuth."""

Floats = NDArray[np.floating]


def bin_centres_deg() -> NDArray[np.float64]:
    """Azimuths of the bin centres: -175, -165, ... 175 degrees."""
    return -175.0 + 10.0 * np.arange(AZIMUTH_BINS, dtype=np.float64)


def lobe_azimuth_deg(posterior: Floats) -> float:
    """Circular mean of the posterior around its peak (+-2 bins), degrees in (-180, 180].

    Parameters
    ----------
    posterior : ndarray [36]
        Not negative; need not sum to 1.
    """
    bins = _lobe_of(int(np.argmax(posterior)))
    mean = complex(np.sum(np.asarray(posterior, np.float64)[bins] * _PHASORS[bins]))
    # Rounding to a picodegree keeps mirrored posteriors at +-180 from landing on different sides by chance.
    return float(wrap_deg(round(float(np.rad2deg(np.angle(mean))), 12)))


def spread_deg(posterior: Floats) -> float:
    """Circular standard deviation of the whole posterior, degrees, 0 (sure) to 180 (no idea)."""
    weights = np.asarray(posterior, np.float64)
    resultant = abs(np.sum(weights * _PHASORS)) / max(float(weights.sum()), 1e-12)
    if resultant >= 1.0:
        return 0.0
    return float(min(180.0, np.rad2deg(np.sqrt(-2.0 * np.log(max(resultant, 1e-12))))))


def front_back_ambiguous(posterior: Floats, ratio: float = AMBIGUOUS_RATIO) -> bool:
    """Whether the lobe mirrored at the ear axis (azimuth -> 180 - azimuth) is a rival of the peak lobe.

    The two lobes of a cone of confusion give the ears the same time and level difference (Blauert, Spatial
    Hearing, 1997). Near the ear axis the lobes overlap and there is nothing to confuse.

    Parameters
    ----------
    posterior : ndarray [36]
    ratio : float
        Rival when its mass is more than this part of the peak lobe's.
    """
    peak = int(np.argmax(posterior))
    mirrored = int(FRONT_FOR_BACK[peak])
    apart = abs(peak - mirrored)
    if min(apart, AZIMUTH_BINS - apart) <= 2 * LOBE_BINS:
        return False
    weights = np.asarray(posterior, np.float64)
    return bool(weights[_lobe_of(mirrored)].sum() > ratio * weights[_lobe_of(peak)].sum())


def _lobe_of(peak: int) -> NDArray[np.int64]:
    return (peak + _LOBE) % AZIMUTH_BINS
