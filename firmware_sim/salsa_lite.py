"""SALSA-Lite features (Nguyen et al. 2022), streaming and for two ears: what our own features are timed against.

Log-power spectrograms of the channels, and between them the phase difference divided by frequency, which is a path
difference. Window and hop are ours, so that only the kind of features differs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 512
HOP_SAMPLES = 320
SPEED_OF_SOUND_M_S = 343.0
ALIASING_HZ = 2_000.0
"""Above it phases of two ears are ambiguous, and SALSA-Lite sets them to zero."""
POWER_FLOOR = 1e-8

Float32 = NDArray[np.float32]


@cache
def window() -> Float32:
    """Periodic Hann window, float32 [512]."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES), np.float32)


@cache
def phase_scale() -> Float32:
    """Metres per radian of bins 1 to 256, zero above the aliasing frequency: float32 [256]."""
    frequency_hz = np.arange(1, WINDOW_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
    scale = -SPEED_OF_SOUND_M_S / (2 * np.pi * frequency_hz)
    return np.where(frequency_hz <= ALIASING_HZ, scale, 0.0).astype(np.float32)


def salsa_lite(samples: Float32) -> Float32:
    """Features of the frames in some samples.

    Parameters
    ----------
    samples : ndarray, float32 [2, 192 + 320 n]
        New samples after the last 192 of the past.

    Returns
    -------
    ndarray, float32 [3, n, 256]
        Log power of both ears, and the path difference in metres (positive when the right ear lags).
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES, axis=1)[:, ::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * window(), axis=-1)[..., 1:].astype(np.complex64)
    features = np.empty((3, frames.shape[1], WINDOW_SAMPLES // 2), np.float32)
    features[:2] = np.log(spectrum.real**2 + spectrum.imag**2 + np.float32(POWER_FLOOR))
    features[2] = np.angle(spectrum[0].conj() * spectrum[1]) * phase_scale()
    return features
