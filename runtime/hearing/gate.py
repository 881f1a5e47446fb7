"""The silence gate: while nothing at all happens, the encoders and their features rest.

In a quiet room nearly all of hearing's time goes into encoders that say "nothing". The gate decides on whole encoder
frames of 40 ms, whose borders do not depend on how the stream was cut. It closes only when the encoders themselves have
found nothing for a while, and opens at the first rise over the background it closed on.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

Float32 = NDArray[np.float32]

_GROUPS = 16
_LOWEST_HZ = 50.0
_DEVIATIONS = 8.0
_MEDIAN_OF_NOISE = math.log(2.0)
"""Median re mean of the power of one spectral bin of Gaussian noise, which is exponentially distributed."""
_SUNK = 0.7
"""The background has become quieter when its average is below this share of what it was; less is chance."""
_TINY = np.float32(1e-12)
"""About -150 dB re full scale, added to every bin so that digital silence has a background too."""


@dataclass(frozen=True)
class GateSettings:
    """When the encoders rest.

    Attributes
    ----------
    ceiling_db : float
        A background louder than this is always heard by the encoders, dB re full scale (root mean square of both ears).
        Minus infinity: the encoders never rest.
    hold_s : float
        They rest after they have found nothing for this long, seconds.
    margin_db : float
        They wake when the power in any of sixteen bands rises over the background by this, dB. Narrow bands need more:
        eight standard deviations of Gaussian noise, which is 7 dB for the lowest.
    preroll_s : float
        What they are given first when they wake: the last sound before it, seconds.
    settle_s : float
        Time constant with which the background follows when it becomes quieter, seconds. It never follows a rise.
    """

    ceiling_db: float = -50.0
    hold_s: float = 2.0
    margin_db: float = 3.0
    preroll_s: float = 0.4
    settle_s: float = 2.0

    def __post_init__(self) -> None:
        if self.margin_db <= 0.0 or self.settle_s < FRAME_S or self.hold_s < FRAME_S or self.preroll_s < 0.0:
            raise ValueError(f"margin_db > 0, settle_s and hold_s >= {FRAME_S} and preroll_s >= 0 needed")


class SilenceGate:
    """Stage: frames of sound in, what the encoders are to hear out.

    Parameters
    ----------
    settings : GateSettings, optional

    Notes
    -----
    While the gate is open its owner hears every frame, and tells it with `heard`. While it is closed `process` is asked.
    """

    latency_s = 0.0

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings or GateSettings()
        self._hold = max(1, round(self.settings.hold_s / FRAME_S))
        self._kept = 1 + round(self.settings.preroll_s / FRAME_S)  # one more, for the history of the first window
        margin = 10.0 ** (self.settings.margin_db / 10.0)
        self._limits = np.maximum(margin, 1.0 + _DEVIATIONS / np.sqrt(_group_sizes()))
        self._ceiling = 10.0 ** (self.settings.ceiling_db / 10.0)
        self._gain = FRAME_S / self.settings.settle_s
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._closed = False
        self._quiet: deque[Float32] = deque(maxlen=self._hold)
        self._preroll: deque[Float32] = deque(maxlen=self._kept)
        self._background: Float32 = np.zeros(0, np.float32)
        self._scale = self._average = np.ones(_GROUPS)

    @property
    def closed(self) -> bool:
        """Whether the encoders rest."""
        return self._closed

    def heard(self, samples: Float32, something: bool) -> None:
        """Note a frame that the encoders have heard; closes the gate after enough quiet ones.

        Parameters
        ----------
        samples : ndarray, float32 [2, 640]
        something : bool
            Whether the encoders follow any sound.
        """
        self._preroll.append(samples)
        powers = None if something else bin_powers(samples)  # the spectrum is a twentieth of all hearing
        if powers is None or float(powers.sum()) > self._ceiling:
            self._quiet.clear()
            return
        self._quiet.append(powers)
        if len(self._quiet) == self._hold:
            self._close()

    def process(self, samples: Float32) -> Float32 | None:
        """Take a frame while the gate is closed; opens it when something is to be heard.

        Parameters
        ----------
        samples : ndarray, float32 [2, 640]

        Returns
        -------
        ndarray, float32 [2, n] or None
            When it opens: the pre-roll and this frame. Features of its first frame lack their history.
        """
        powers = bin_powers(samples)
        ratios = np.add.reduceat(powers / self._background, _group_starts()) / _group_sizes()
        self._preroll.append(samples)
        if (ratios > self._limits * self._scale).any() or float(powers.sum()) > self._ceiling:
            due = np.concatenate(list(self._preroll), axis=1)
            self.reset()
            return due
        self._follow(ratios)
        return None

    def flush(self) -> None:
        """Nothing is held back."""

    def _close(self) -> None:
        """Rest. The background is a median, so that a click within the hold time does not raise it."""
        self._closed = True
        self._background = (np.median(np.stack(self._quiet), axis=0) / _MEDIAN_OF_NOISE).astype(np.float32)
        self._scale = self._average = np.ones(_GROUPS)

    def _follow(self, ratios: NDArray[np.floating]) -> None:
        """Let the background sink with the room; a rise is for the encoders to judge."""
        self._average = self._average + self._gain * (ratios - self._average)
        self._scale = np.where(self._average < _SUNK * self._scale, self._average, self._scale)


def bin_powers(samples: Float32) -> Float32:
    """Power of both ears in bins of 25 Hz from 50 Hz to 8 kHz, without a window.

    A window would be deaf to a click at its edge; what leaks between bins leaks in the background too. A constant offset
    leaks nowhere.

    Parameters
    ----------
    samples : ndarray, float32 [2, 640]

    Returns
    -------
    ndarray, float32 [319]
        They add up to the mean square of the ears above 50 Hz (Parseval).
    """
    spectrum = np.fft.rfft(samples)[:, _first_bin() :]
    powers: Float32 = (spectrum.real**2 + spectrum.imag**2).sum(axis=0) * np.float32(1.0 / FRAME_SAMPLES**2)
    return powers.astype(np.float32) + _TINY


def _first_bin() -> int:
    return round(_LOWEST_HZ * FRAME_SAMPLES / SAMPLE_RATE_HZ)


@cache
def _group_starts() -> NDArray[np.intp]:
    """Index of the first bin of each band; bands are equally wide on the HTK mel scale."""
    low, high = (2595.0 * math.log10(1.0 + limit_hz / 700.0) for limit_hz in (_LOWEST_HZ, SAMPLE_RATE_HZ / 2))
    edges_hz = 700.0 * (10.0 ** (np.linspace(low, high, _GROUPS + 1)[:-1] / 2595.0) - 1.0)
    starts: NDArray[np.intp] = np.round(edges_hz * FRAME_SAMPLES / SAMPLE_RATE_HZ).astype(np.intp) - _first_bin()
    return starts


@cache
def _group_sizes() -> NDArray[np.float64]:
    """Bins in each band."""
    bins = FRAME_SAMPLES // 2 + 1 - _first_bin()
    return np.diff([*_group_starts(), bins]).astype(np.float64)
