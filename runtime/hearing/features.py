"""Canonical binaural features: streaming numpy STFT, mel powers of both ears, normalised cross-spectrum.

Everything that hears starts here. The formula is fixed by docs/architecture.md; training has a torch twin
that must agree to 1e-4. The ears are never normalised separately: that would destroy the level difference.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 512
HOP_SAMPLES = 320
MEL_BANDS = 64
MEL_LOW_HZ = 50.0
MEL_HIGH_HZ = 8_000.0
STFT_PER_FRAME = 2
FRAME_SAMPLES = HOP_SAMPLES * STFT_PER_FRAME
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
FEATURE_CHANNELS = 4 * STFT_PER_FRAME
POWER_FLOOR = 1e-6
MAX_LEVEL_RATIO = 2.0

Float32 = NDArray[np.float32]

_HISTORY_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES


@cache
def mel_filterbank() -> Float32:
    """Triangular mel filters, equally spaced on the HTK mel scale from 50 to 8000 Hz.

    HTK mel: ``2595 log10(1 + f / 700)`` (Young et al., The HTK Book). Triangles are linear in Hz, peak 1.
    A triangle that holds no bin would be deaf: it gets weight 1 at the bin nearest to its centre.

    Returns
    -------
    ndarray, float32 [64, 257]
        Read-only weights of the 257 STFT bins for each band.
    """
    mels = np.linspace(_hz_to_mel(MEL_LOW_HZ), _hz_to_mel(MEL_HIGH_HZ), MEL_BANDS + 2)
    edges_hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins_hz = np.arange(WINDOW_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
    low, centre, high = (edges_hz[i : i + MEL_BANDS, None] for i in range(3))
    rise, fall = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rise, fall))
    empty = np.flatnonzero(weights.sum(axis=1) == 0.0)
    nearest = np.abs(bins_hz[None, :] - centre[empty]).argmin(axis=1)
    weights[empty, nearest] = 1.0
    bank: Float32 = weights.astype(np.float32)
    bank.setflags(write=False)
    return bank


def _hz_to_mel(frequency_hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + frequency_hz / 700.0))


@cache
def _window() -> NDArray[np.float64]:
    """Periodic Hann window, float64 [512]."""
    phase = 2.0 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(phase)
    return window


@cache
def _bins_to_bands() -> Float32:
    """The filterbank transposed and contiguous, float32 [257, 64], for the right side of a product."""
    return np.ascontiguousarray(mel_filterbank().T)


def features_of(samples: Float32) -> Float32:
    """Features of a whole clip, equal bit for bit to those of a stream.

    Parameters
    ----------
    samples : ndarray, float32 [2, n]
        Both ears at 16 kHz, channel 0 = left, full scale = 1.

    Returns
    -------
    ndarray, float32 [n // 640, 8, 64]
        One encoder frame per 40 ms: two STFT frames of four channels each, 64 bands. An incomplete last frame
        is left out.

    Raises
    ------
    ValueError
        If `samples` does not have two rows.
    """
    return FeatureExtractor().process(samples)


class FeatureExtractor:
    """Streaming feature stage: chunks of any size in, encoder frames out.

    Each encoder frame is computed with products of one fixed shape, so the result does not depend on how the
    stream was cut, not even in the last bit.
    """

    latency_s = FRAME_S

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all audio: the next sample is the first of a stream that is preceded by silence."""
        self._pending: Float32 = np.zeros((2, _HISTORY_SAMPLES), np.float32)

    def process(self, chunk: Float32) -> Float32:
        """Take audio and return the frames it completes.

        Parameters
        ----------
        chunk : ndarray, float32 [2, n]
            Both ears at 16 kHz; n may be anything, also 0.

        Returns
        -------
        ndarray, float32 [frames, 8, 64]

        Raises
        ------
        ValueError
            If `chunk` does not have two rows.
        """
        chunk = np.asarray(chunk, np.float32)
        if chunk.ndim != 2 or chunk.shape[0] != 2:
            raise ValueError(f"audio of shape {chunk.shape} given, [2, samples] needed (left ear first)")
        self._pending = np.concatenate([self._pending, chunk], axis=1)
        frames = (self._pending.shape[1] - _HISTORY_SAMPLES) // FRAME_SAMPLES
        if frames == 0:
            return np.zeros((0, FEATURE_CHANNELS, MEL_BANDS), np.float32)
        features = _frame_features(self._pending, frames)
        self._pending = self._pending[:, frames * FRAME_SAMPLES :].copy()
        return features

    def flush(self) -> Float32:
        """Return nothing: less than one frame (40 ms) is left, and a padded one would invent a silence."""
        return np.zeros((0, FEATURE_CHANNELS, MEL_BANDS), np.float32)


def _frame_features(samples: Float32, frames: int) -> Float32:
    """Features of the first `frames` encoder frames of `samples` [2, 192 + n]: float32 [frames, 8, 64]."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES, axis=1)
    windows = windows[:, : frames * FRAME_SAMPLES : HOP_SAMPLES]
    spectrum = np.fft.rfft(windows * _window(), axis=-1).astype(np.complex64)
    powers = _band_powers(spectrum[0], spectrum[1], frames)
    return _ear_features(powers).reshape(frames, FEATURE_CHANNELS, MEL_BANDS)


def _band_powers(left: NDArray[np.complex64], right: NDArray[np.complex64], frames: int) -> Float32:
    """Mel sums of ``|L|^2, |R|^2, Re(L R*), Im(L R*)``: float32 [frames, 2, 4, 64]."""
    bins = np.empty((left.shape[0], 4, left.shape[1]), np.float32)
    bins[:, 0] = left.real**2 + left.imag**2
    bins[:, 1] = right.real**2 + right.imag**2
    # Written out: numpy's complex product rounds differently (fused or not) with the position in the array.
    bins[:, 2] = left.real * right.real + left.imag * right.imag
    bins[:, 3] = left.imag * right.real - left.real * right.imag
    # A stack of 8-row products, not one tall one: BLAS sums differently for different heights.
    powers: Float32 = np.matmul(bins.reshape(frames, FEATURE_CHANNELS, -1), _bins_to_bands())
    return powers.reshape(frames, STFT_PER_FRAME, 4, MEL_BANDS)


def _ear_features(powers: Float32) -> Float32:
    """The four features of docs/architecture.md from band powers [..., 4, 64]."""
    left, right = powers[..., 0, :], powers[..., 1, :]
    floor = np.float32(POWER_FLOOR)
    features = np.empty_like(powers)
    features[..., 0, :] = np.log10((left + right) * np.float32(0.5) + floor)
    level_ratio = np.log10((left + floor) / (right + floor))
    features[..., 1, :] = np.clip(level_ratio, -MAX_LEVEL_RATIO, MAX_LEVEL_RATIO)
    features[..., 2:, :] = powers[..., 2:, :] / (np.sqrt(left * right) + floor)[..., None, :]
    return features
