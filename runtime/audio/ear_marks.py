"""Have left and right changed places behind the microphones? Each converter has a constant offset of its own to know it by.

A slip of one slot on a digital audio bus, or a packet put together wrongly after a restart, exchanges the channels while the device
runs. Nothing in the sound need change then, but each channel suddenly carries the other's offset. Earpieces that are worn
the wrong way round take their microphones along and look the same as before: those are found by
`earshot.runtime.hearing.exchange`. A device that filters its offsets away gives no evidence, and nothing is said.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk

WINDOW_SAMPLES = SAMPLE_RATE_HZ
"""Offsets are means of whole seconds: speech and music leave little below 1 Hz."""
REMEMBERED = 30
"""Seconds that the usual offsets are the medians of; slower changes (heat) are followed."""
LEAST_KNOWN = 8
CLEAR = 12.0
"""The offsets of both ears must differ by so many times their own spread, or they tell nothing."""
LEAST_SPREAD = 1e-5
"""Re full scale: a third of a step of 16 bits."""
NEAR = 0.25
"""A second is in place, or exchanged, when both ears are as near as this to that, re the difference of the offsets."""
PATIENCE = 3
"""So many seconds in a row must agree."""

TOLD_ID, TAKEN_BACK_ID = "swapped-ears", "ears-in-place"
_TOLD = (
    "left and right have changed places behind the microphones (each channel carries the other's constant offset), "
    "so directions are mirrored; restart the device"
)
_TAKEN_BACK = "left and right are in their places again: each channel carries its own offset"
_DEVIATIONS = 1.4826  # standard deviations of Gaussian noise in one median absolute deviation

Floats = NDArray[np.float64]


class EarMarks:
    """Stage: audio chunks in, a finding out when the channels change places, and when they change back.

    Only while it runs: which ear is which at the start, it cannot know. Seconds in which an ear is all zeros say nothing.

    Attributes
    ----------
    exchanged : bool
        Whether the channels are taken to have changed places.
    """

    latency_s = PATIENCE * WINDOW_SAMPLES / SAMPLE_RATE_HZ

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self.exchanged = False
        self._known: deque[Floats] = deque(maxlen=REMEMBERED)
        self._sum, self._count = np.zeros(2), 0
        self._alive = np.zeros(2, bool)
        self._other = 0  # seconds in a row that speak against what is believed
        self._strange = 0  # seconds in a row that are neither in place nor exchanged

    @property
    def usual(self) -> Floats | None:
        """Offsets of both ears when they are in their places, [2]; None where they tell nothing."""
        return self._usual()

    def process(self, chunk: AudioChunk) -> list[Finding]:
        """Take the next chunk; returns the finding that it completes, if any."""
        new: list[Finding] = []
        samples, end_s = chunk.samples, chunk.start_s
        while samples.shape[1]:
            part = samples[:, : WINDOW_SAMPLES - self._count]
            self._sum += part.sum(axis=1, dtype=np.float64)
            self._alive |= part.any(axis=1)
            self._count += part.shape[1]
            end_s += part.shape[1] / SAMPLE_RATE_HZ
            samples = samples[:, part.shape[1] :]
            if self._count == WINDOW_SAMPLES:
                new += self._judge(end_s)
        return new

    def flush(self) -> list[Finding]:
        """A second that is not complete says nothing."""
        return []

    def _judge(self, end_s: float) -> list[Finding]:
        """Judge a complete second."""
        offsets, alive = self._sum / WINDOW_SAMPLES, bool(self._alive.all())
        self._sum, self._count = np.zeros(2), 0
        self._alive = np.zeros(2, bool)
        if not alive:
            return []
        usual = self._usual()
        if usual is None:
            self._known.append(offsets)
            return []
        return self._compare(offsets, usual, end_s)

    def _usual(self) -> Floats | None:
        """Offsets of both ears as they were, [2]; None where they tell nothing."""
        if len(self._known) < LEAST_KNOWN:
            return None
        known = np.array(self._known)
        usual: Floats = np.median(known, axis=0)
        spread = _DEVIATIONS * np.median(np.abs(known - usual), axis=0).max()
        return usual if abs(usual[0] - usual[1]) >= CLEAR * max(spread, LEAST_SPREAD) else None

    def _compare(self, offsets: Floats, usual: Floats, end_s: float) -> list[Finding]:
        limit = NEAR * abs(usual[0] - usual[1])
        in_place = bool(np.abs(offsets - usual).max() <= limit)
        exchanged = bool(np.abs(offsets - usual[::-1]).max() <= limit)
        self._strange = 0 if in_place or exchanged else self._strange + 1
        if self._strange == REMEMBERED:  # another device, or other microphones
            self.reset()
            return []
        if in_place:
            self._known.append(offsets)
        self._other = self._other + 1 if (in_place if self.exchanged else exchanged) else 0
        if self._other < PATIENCE:
            return []
        self._other, self.exchanged = 0, not self.exchanged
        id_, text = (TOLD_ID, _TOLD) if self.exchanged else (TAKEN_BACK_ID, _TAKEN_BACK)
        return [Finding(id_, text, max(0.0, end_s - self.latency_s))]
