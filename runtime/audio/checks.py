"""What makes sound unusable, said in one line each. Silence is not among them: that is a health finding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError

MIN_LENGTH_S = 0.02
"""One hop of the features; less holds no frame."""
RATE_RANGE_HZ = (4000, 768_000)
"""Below, nothing is left to tell a direction from; above, no converter exists and the header is wrong."""
LOUDEST = 1e6
"""Times full scale. Beyond this the numbers are no sound and their squares leave float32."""


def check_channels(channels: int, name: str) -> None:
    """Require two ears.

    Raises
    ------
    InputError
        For one channel or more than two.
    """
    if channels == 1:
        raise InputError(
            f"{name}: mono; a direction needs two ears; record with two in-ear microphones, left ear first"
        )
    if channels != 2:
        raise InputError(f"{name}: {channels} channels; keep only the two ear channels, left ear first")


def check_shape(samples: NDArray[np.floating], name: str) -> None:
    """Require an array [2, n].

    Raises
    ------
    InputError
        When it has another shape.
    """
    if samples.ndim == 2 and samples.shape[0] > 2 and samples.shape[1] == 2:
        raise InputError(f"{name}: shape {list(samples.shape)}; give [2, samples], so transpose it")
    if samples.ndim not in (1, 2):
        raise InputError(f"{name}: {samples.ndim} dimensions; give [2, samples]")
    check_channels(samples.shape[0] if samples.ndim == 2 else 1, name)


def check_rate(sample_rate_hz: int, name: str) -> None:
    """Require a sample rate in hertz that sound can have.

    Raises
    ------
    InputError
        When it is outside 4 kHz to 768 kHz.
    """
    low, high = RATE_RANGE_HZ
    if not low <= sample_rate_hz <= high:
        raise InputError(f"{name}: a sample rate of {sample_rate_hz} Hz; {low} to {high} Hz work")


def check_length(frames: int, sample_rate_hz: int, name: str) -> None:
    """Require at least 20 ms.

    Raises
    ------
    InputError
        For an empty or shorter stream.
    """
    if frames == 0:
        raise InputError(f"{name}: empty, no samples in it; give at least 20 ms of sound")
    if frames < MIN_LENGTH_S * sample_rate_hz:
        length = f"{frames} sample{'' if frames == 1 else 's'} ({1000 * frames / sample_rate_hz:.1f} ms)"
        raise InputError(f"{name}: only {length}; give at least 20 ms of sound")


def check_values(samples: NDArray[np.floating], name: str, start_s: float) -> None:
    """Require finite samples of a possible size.

    Parameters
    ----------
    samples : ndarray, shape [2, n]
    name : str
    start_s : float
        Seconds before this block, to name the place roughly.

    Raises
    ------
    InputError
        When any sample is NaN, infinite or beyond a million times full scale.
    """
    good = np.abs(samples) <= LOUDEST  # False for NaN as well
    if good.all():
        return
    channel, _ = np.argwhere(~good)[0]
    value = samples[channel][~good[channel]][0]
    kind = "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else "absurdly large"
    raise InputError(f"{name}: {kind} samples near {start_s:.1f} s; export the recording again as 24-bit WAV or FLAC")
