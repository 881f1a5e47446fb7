"""How long hearing takes: figures of the last seconds, for people who watch and for programs that decide."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass

import numpy as np

_KEPT_CHUNKS = 500
"""20 s of 40 ms chunks."""


@dataclass(frozen=True)
class HearingLoad:
    """Figures of the last seconds.

    Attributes
    ----------
    processing_p50_s, processing_p95_s : float
        Time to hear one chunk, median and 95th percentile, seconds.
    load : float
        Time to hear re length of the sound heard; above 1 the listener falls behind.
    """

    processing_p50_s: float
    processing_p95_s: float
    load: float

    def as_dict(self) -> dict[str, float]:
        """The figures, seconds to 10 microseconds."""
        return {name: round(value, 5) for name, value in asdict(self).items()}


class LoadMeter:
    """Collects one measurement per chunk; written by one thread and read by any."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, float]] = deque(maxlen=_KEPT_CHUNKS)
        self._lock = threading.Lock()

    def add(self, processing_s: float, audio_s: float) -> None:
        """Note that hearing `audio_s` of sound took `processing_s`."""
        with self._lock:
            self._chunks.append((processing_s, audio_s))

    def read(self) -> HearingLoad:
        """The figures now; zeros before the first chunk."""
        with self._lock:
            chunks = list(self._chunks)
        if not chunks:
            return HearingLoad(0.0, 0.0, 0.0)
        processing_s, audio_s = np.array(chunks).T
        median_s, high_s = np.percentile(processing_s, (50, 95))
        return HearingLoad(float(median_s), float(high_s), float(processing_s.sum() / max(audio_s.sum(), 1e-9)))
