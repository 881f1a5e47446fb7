"""Excerpts: clips of the manifest that are a part of a file, from ``start_s`` to ``end_s``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from earshot.runtime.errors import InputError

ARRAY_CHANNELS = 4
"""Of first-order Ambisonics, the first of which is omnidirectional, and of the arrays that come with it."""
FloatArray = NDArray[np.float32]


def span_of(row: dict[str, str], where: str) -> tuple[float, float] | None:
    """Start and end of an excerpt in seconds; None where a row of the manifest speaks of the whole file.

    Raises
    ------
    InputError
        Columns start_s and end_s are no stretch of time.
    """
    start, end = row.get("start_s") or "", row.get("end_s") or ""
    if not start and not end:
        return None
    try:
        span = float(start), float(end)
    except ValueError:
        span = math.nan, math.nan
    if not 0.0 <= span[0] < span[1] < math.inf:
        raise InputError(
            f"{where}: start_s {start!r}, end_s {end!r}; expected seconds, 0 <= start_s < end_s, or neither"
        )
    return span


def read_excerpt(path: Path, start_s: float, end_s: float) -> tuple[FloatArray, int]:
    """Mono float32 samples of a part of a file, as far as the file goes, and their rate in Hz.

    Of four channels the first is taken, of others the mean. Raises what soundfile raises.
    """
    with soundfile.SoundFile(path) as file:
        rate = file.samplerate
        file.seek(min(round(start_s * rate), file.frames))
        samples = file.read(math.ceil((end_s - start_s) * rate - 1e-6), dtype="float32", always_2d=True)
    # Directional channels cancel the omnidirectional one, spaced microphones comb, when they are added.
    mono = samples[:, 0].copy() if samples.shape[1] == ARRAY_CHANNELS else samples.mean(axis=1)
    return mono, rate
