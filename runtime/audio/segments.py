"""Unbroken pieces of a live stream: resampled to 16 kHz and cut into even chunks that know their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.resample import StreamResampler
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk

Samples = NDArray[np.float32]


class SegmentCutter:
    """Stage: blocks of one unbroken piece in, chunks out; a new piece needs a new object.

    Parameters
    ----------
    rate_hz : int
        Of the blocks.
    chunk_samples : int
        Length of the chunks at 16 kHz.
    start_sample : int
        Place of the first sample at 16 kHz since stream start.
    """

    def __init__(self, rate_hz: int, chunk_samples: int, start_sample: int) -> None:
        self._resampler = StreamResampler(rate_hz, SAMPLE_RATE_HZ)
        self._chunk_samples = chunk_samples
        self._rest: Samples = np.zeros((2, 0), dtype=np.float32)
        self.next_sample = start_sample

    @property
    def latency_s(self) -> float:
        """Most seconds for which sound is held back."""
        return self._resampler.latency_s + self._chunk_samples / SAMPLE_RATE_HZ

    def process(self, samples: Samples) -> list[AudioChunk]:
        """Take the next block, float32 [2, n]; returns the chunks it completes."""
        return self._cut(self._resampler.process(samples))

    def flush(self) -> list[AudioChunk]:
        """The rest: whole chunks, and a shorter one at the end."""
        chunks = self._cut(self._resampler.flush())
        return [*chunks, self._take(self._rest.shape[1])] if self._rest.shape[1] else chunks

    def _cut(self, samples: Samples) -> list[AudioChunk]:
        self._rest = np.concatenate([self._rest, samples], axis=1)
        return [self._take(self._chunk_samples) for _ in range(self._rest.shape[1] // self._chunk_samples)]

    def _take(self, count: int) -> AudioChunk:
        chunk = AudioChunk(np.ascontiguousarray(self._rest[:, :count]), self.next_sample)
        self._rest = self._rest[:, count:]
        self.next_sample += count
        return chunk
