"""What the SELDnet baselines hear: log-mel with GCC-PHAT, or SALSA-Lite, of two ears.

Window and hop are those of our own features, so that only the kind of features differs. Both are [B, 3, T, bins] for
waveforms [B, 2, samples]: a level at the left ear, one at the right ear and what is between the ears, every 20 ms. Rests
shorter than 100 ms, which is a frame of the labels, are dropped. Neither ear is normalised by itself: the level
difference stays.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from earshot.runtime.hearing.features import (
    HOP_SAMPLES,
    POWER_FLOOR,
    SAMPLE_RATE_HZ,
    WINDOW_SAMPLES,
    mel_filterbank,
)

FeatureKind = Literal["gcc", "salsa-lite"]
KINDS: tuple[FeatureKind, ...] = get_args(FeatureKind)

LABEL_SAMPLES = 1_600
"""100 ms, one frame of the labels."""
STFT_PER_LABEL = LABEL_SAMPLES // HOP_SAMPLES
CHANNELS = 3

SPEED_OF_SOUND_M_S = 343.0
MAX_DELAY_S = 1.0e-3
"""Longer than any delay between two ears, near sources included."""
LAGS = 64
PHASE_BAND_HZ = (50.0, 8_000.0)
"""Where SALSA-Lite keeps the phase; see `SalsaLiteFeatures`."""
CROSS_FLOOR = 1e-10


class EarFeatures(nn.Module):
    """Spectra of both ears; a subclass says what is made of them.

    Attributes
    ----------
    bins : int
        Width of the features.
    """

    bins: int
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES, periodic=True), persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Features [B, 3, T, bins] of waveforms [B, 2, samples], T = 5 (samples // 1600); in float32."""
        with torch.autocast(samples.device.type, enabled=False):
            left, right = self._spectra(samples.float()).unbind(1)
            return torch.stack([*self._levels(left, right), self._between(left, right)], dim=1)

    def _spectra(self, samples: Tensor) -> Tensor:
        """Complex [B, 2, T, 257]; before the clip there is silence, as in the runtime."""
        batch, ears, count = samples.shape
        used = samples[..., : count // LABEL_SAMPLES * LABEL_SAMPLES].reshape(batch * ears, -1)
        padded = nn.functional.pad(used, (WINDOW_SAMPLES - HOP_SAMPLES, 0))
        spectra = torch.stft(
            padded, WINDOW_SAMPLES, HOP_SAMPLES, window=self.window, center=False, return_complex=True
        ).transpose(1, 2)
        return spectra.reshape(batch, ears, *spectra.shape[1:])

    def _levels(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def _between(self, left: Tensor, right: Tensor) -> Tensor:
        raise NotImplementedError


class GccFeatures(EarFeatures):
    """Log-mel levels of both ears and the generalised cross-correlation with phase transform.

    As the microphone format of the DCASE baselines (Cao et al., "Polyphonic sound event detection and localization using
    a two-stage strategy", DCASE 2019; GCC-PHAT: Knapp & Carter 1976), with as many lags as mel bands. There the lags are
    32 samples to each side. A head allows no delay beyond 1 ms, so here the 64 lags lie within that, 32 us (half a sample)
    apart and as many on each side; positive = the right ear lags, the source is on the left.
    """

    bins = LAGS
    mel: Tensor
    cosine: Tensor
    sine: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel", torch.from_numpy(mel_filterbank().copy()).T.contiguous(), persistent=False)
        lag_s = torch.linspace(-MAX_DELAY_S, MAX_DELAY_S, LAGS, dtype=torch.float64)
        angle = 2 * math.pi * _bin_hz()[:, None] * lag_s
        bins = len(angle)
        self.register_buffer("cosine", (angle.cos() / bins).float(), persistent=False)
        self.register_buffer("sine", (angle.sin() / bins).float(), persistent=False)

    def _levels(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return torch.log10(_power(left) @ self.mel + POWER_FLOOR), torch.log10(_power(right) @ self.mel + POWER_FLOOR)

    def _between(self, left: Tensor, right: Tensor) -> Tensor:
        cross = left * right.conj()
        white = cross / (cross.abs() + CROSS_FLOOR)
        return white.real.contiguous() @ self.cosine + white.imag.contiguous() @ self.sine


class SalsaLiteFeatures(EarFeatures):
    """Log spectra of both ears and the path difference that their phase difference means, in metres.

    Nguyen, Jones, Watcharasupat, Phan & Gan, "SALSA-Lite: a fast and effective feature for polyphonic sound event
    localization and detection with microphone arrays", ICASSP 2022: log-linear spectrograms, and the phase difference to
    the first microphone divided by frequency (NIPD). What differs from the paper: two ears have one NIPD channel, not
    three; 16 kHz leave the 256 bins up to 8 kHz, not those up to 9 kHz; and the phase is kept in all of them from 50 Hz.
    The paper sets it to zero where it is ambiguous, above 2 kHz for an array of a few centimetres. Ears a delay of
    0.75 ms apart are ambiguous above 670 Hz already, which would leave 20 bins; what a wrapped phase means at each
    frequency, between ears whose distance hardly varies, is left for the network to learn, as with our own features.
    """

    bins = WINDOW_SAMPLES // 2
    metres_per_radian: Tensor

    def __init__(self) -> None:
        super().__init__()
        frequency_hz = _bin_hz()[1:]
        inside = (frequency_hz >= PHASE_BAND_HZ[0]) & (frequency_hz <= PHASE_BAND_HZ[1])
        scale = torch.where(inside, SPEED_OF_SOUND_M_S / (2 * math.pi * frequency_hz), 0.0)
        self.register_buffer("metres_per_radian", scale.float(), persistent=False)

    def _levels(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return torch.log10(_power(left[..., 1:]) + POWER_FLOOR), torch.log10(_power(right[..., 1:]) + POWER_FLOOR)

    def _between(self, left: Tensor, right: Tensor) -> Tensor:
        """Positive = the right ear lags, the source is on the left."""
        cross = left[..., 1:] * right[..., 1:].conj()
        return torch.atan2(cross.imag, cross.real) * self.metres_per_radian


def make_features(kind: FeatureKind) -> EarFeatures:
    """The features of a kind."""
    return GccFeatures() if kind == "gcc" else SalsaLiteFeatures()


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real**2 + spectrum.imag**2


def _bin_hz() -> Tensor:
    """Frequencies of the 257 bins, float64."""
    return torch.arange(WINDOW_SAMPLES // 2 + 1, dtype=torch.float64) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
