"""Heads that nobody measured: measured ones made larger or smaller, with other pinnae.

A network that hears a few dozen heads learns their spectral details by heart. Every varied head has the directions of a
measured one, a scaled size (time is stretched, which scales interaural delays and pinna resonances alike) and gains that
vary smoothly with direction and frequency, the same for both ears mirrored at the median plane.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, Head, finish_head

SIZE_RANGE = (0.93, 1.08)
PINNA_DB = 2.0
_BINS = 129
_CONTROL_HZ = (0.0, 700.0, 1500.0, 2500.0, 3500.0, 4500.0, 5500.0, 6500.0, 8000.0)
# Individual differences between pinnae grow with frequency; below 1.5 kHz heads differ by their size alone.
_CONTROL_WEIGHT = (0.0, 0.0, 0.3, 0.6, 0.9, 1.0, 1.0, 1.0, 1.0)


def varied_head(head: Head, rng: np.random.Generator) -> Head:
    """A random variation of a head.

    Parameters
    ----------
    head : Head
        Measured or parametric.
    rng : numpy.random.Generator

    Returns
    -------
    Head
        Same directions; ``head_id`` is kept, for it still belongs to the split of the measured head.
    """
    size = float(np.exp(rng.uniform(*np.log(SIZE_RANGE))))
    gain = _gains(head.directions.astype(np.float64), rng)
    count, ears, taps = head.hrirs.shape
    spectrum = np.fft.rfft(head.hrirs.astype(np.float64), 2 * (_BINS - 1), axis=-1) * gain
    filtered = np.fft.irfft(spectrum, axis=-1)
    # Zero-phase gains ring before the onset: rotate them in front of it rather than around the end.
    filtered = np.roll(filtered, 16, axis=-1)
    stretched = soxr.resample(filtered.reshape(count * ears, -1).T, SAMPLE_RATE_HZ / size, SAMPLE_RATE_HZ, quality="HQ")
    return finish_head(head.head_id, head.directions, stretched.T.reshape(count, ears, -1)[..., : 2 * taps])


def _gains(directions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Gains [D, 2, bins]: first and second order spherical harmonics of the direction, smooth in frequency."""
    orders = rng.standard_normal((8, len(_CONTROL_HZ))) * np.asarray(_CONTROL_WEIGHT) * PINNA_DB / np.sqrt(8.0)
    frequency = np.linspace(0.0, SAMPLE_RATE_HZ / 2, _BINS)
    curves = np.stack([np.interp(frequency, _CONTROL_HZ, row) for row in orders])
    gain_db = np.stack([_harmonics(directions * np.array([1.0, side, 1.0])) @ curves for side in (1.0, -1.0)], axis=1)
    return np.asarray(10.0 ** (gain_db / 20.0))


def _harmonics(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real spherical harmonics of orders 1 and 2 with unit mean square, [D, 8]."""
    x, y, z = directions.T
    first = np.sqrt(3.0) * np.stack([x, y, z])
    second = np.stack([x * y, y * z, x * z, (x**2 - y**2) / 2.0, (3.0 * z**2 - 1.0) / (2.0 * np.sqrt(3.0))]) * np.sqrt(
        15.0
    )
    return np.asarray(np.concatenate([first, second]).T)
