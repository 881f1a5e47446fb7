"""Three seconds from a source for the check of the ears: records, in memory only, and judges."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.ear_check import EarFinding, check_ears, check_rate
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioSource
from earshot.runtime.errors import DeviceError, InputError

CHECK_S = 3.0
SNAP_REQUEST = f"Within {CHECK_S:.0f} seconds, snap your fingers once, close to your LEFT ear."
_SETTLING_S = 0.3
"""Live only: automatic gains and coupling capacitors settle after switching on."""
_PATIENCE_S = 5.0
_LEAST_S = 0.1


@dataclass(frozen=True, eq=False)
class Recording:
    """What was heard.

    Attributes
    ----------
    samples : ndarray, float32 [2, n]
        At 16 kHz.
    measured_rate_hz : float or None
        Samples per second of the clock; None when the source is not live.
    """

    samples: NDArray[np.float32]
    measured_rate_hz: float | None

    @property
    def level_db(self) -> float:
        """Root mean square of both ears re full scale."""
        return float(10 * np.log10((self.samples.astype(np.float64) ** 2).mean() + 1e-20))


def record(source: AudioSource, duration_s: float = CHECK_S) -> Recording:
    """Take the first seconds of a source.

    Parameters
    ----------
    source : AudioSource
        Not open; closed afterwards. A live one is given some seconds more to begin.
    duration_s : float

    Raises
    ------
    DeviceError
        When no sound arrives from a live source.
    InputError
        When a recording is too short to judge.
    EarshotError
        When the source cannot be opened.
    """
    with source:
        live = source.duration_s is None
        settling_s = _SETTLING_S if live else 0.0
        alarm = threading.Timer(settling_s + duration_s + _PATIENCE_S, source.close)  # ends the iteration
        alarm.daemon = True
        alarm.start()
        try:
            return _collect(source, settling_s, duration_s, live)
        finally:
            alarm.cancel()


def _collect(source: AudioSource, settling_s: float, duration_s: float, live: bool) -> Recording:
    pieces: list[NDArray[np.float32]] = []
    counts, times_s = [0], []
    for chunk in source:
        if chunk.start_s < settling_s:
            continue
        pieces.append(chunk.samples)
        counts.append(counts[-1] + chunk.samples.shape[1])
        times_s.append(time.monotonic())
        if counts[-1] >= duration_s * SAMPLE_RATE_HZ:
            break
    if counts[-1] < _LEAST_S * SAMPLE_RATE_HZ:
        if not live:
            raise InputError(
                f"{source.name}: {counts[-1] / SAMPLE_RATE_HZ:.2f} s is too short; give {_LEAST_S} s or more"
            )
        raise DeviceError(f"{source.name}: no sound arrives; check that it is switched on and that no program holds it")
    rate_hz = _slope(times_s, counts[1:]) if live and counts[-1] - counts[1] >= SAMPLE_RATE_HZ else None
    return Recording(np.concatenate(pieces, axis=1), rate_hz)


def _slope(times_s: list[float], counts: list[int]) -> float:
    """Samples per second, of a straight line through all pieces: each alone comes when it was looked for."""
    return float(np.polyfit(np.array(times_s) - times_s[0], counts, 1)[0])


def examine_ears(recording: Recording, snapped: bool = True) -> list[EarFinding]:
    """All findings about a recording; see `check_ears`."""
    rate_hz = recording.measured_rate_hz
    rate = [] if rate_hz is None else check_rate(SAMPLE_RATE_HZ, rate_hz)
    return rate + check_ears(recording.samples, snapped)
