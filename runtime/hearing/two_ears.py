"""When both ears are heard again after an ear was dead, or one was heard twice: what was heard meanwhile has no place.

The spatial encoder goes on for about a second from what it remembers, and it remembers a world that is all in front, or all beside the
head. Channel health (`earshot.runtime.audio.health`) says the same of whole seconds, for a person; here single frames decide, so
that the end is noticed at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.health import DEAD_EAR_DB, IDENTICAL_DB, SILENT_DB
from earshot.runtime.hearing.features import FRAME_S

LEAST_S = 0.5
"""So long only one ear must have been heard, pauses not counted, for its memory to be worth forgetting."""
RISE_DB = 10.0
"""A dead ear is back when it is so much louder than it ever was while dead: in the pauses of a sound its noise is nearly as loud."""
CLEAN_FRAMES = 2
"""The first frame with both ears began with one of them; the second is clean."""

Float32 = NDArray[np.float32]

_LEAST_FRAMES = round(LEAST_S / FRAME_S)
_SILENT, _DEAD, _IDENTICAL, _RISE = (10.0 ** (db / 10.0) for db in (SILENT_DB, -DEAD_EAR_DB, IDENTICAL_DB, RISE_DB))


class TwoEars:
    """Stage: encoder frames of sound in, whether places begin anew with this frame out; one per stream.

    Silence, and sound that was lost, says nothing. Which ear it was makes no difference.
    """

    latency_s = 0.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._alone = 0  # frames heard with one ear since both were heard last
        self._dead = 0.0  # most power of the dead ear in them
        self._clean = 0  # frames with both ears since then; counted where it matters

    def process(self, samples: Float32) -> bool:
        """Take a frame, float32 [2, 640]; True at the first clean one after at least 0.5 s with one ear."""
        weaker, stronger, difference = _powers(samples)
        if stronger < _SILENT:
            return False
        identical, dead = difference < _IDENTICAL * (weaker + stronger), weaker < _DEAD * stronger
        if identical or dead:
            self._alone, self._clean = self._alone + 1, 0
            self._dead = self._dead if identical else max(self._dead, weaker)
            return False
        if self._alone == 0 or weaker <= _RISE * self._dead:
            return False
        self._clean += 1
        if self._clean < CLEAN_FRAMES:
            return False
        long = self._alone >= _LEAST_FRAMES
        self.reset()
        return long

    def flush(self) -> None:
        """Nothing is held back."""


def _powers(samples: Float32) -> tuple[float, float, float]:
    """Mean power of the weaker and of the stronger ear, and of their difference; constant offsets removed.

    From sums and products: to subtract means from the samples first takes twice as long.
    """
    ears, count = samples.astype(np.float64), samples.shape[1]
    left_mean, right_mean = (np.add.reduce(ears, axis=1) / count).tolist()
    (left, both), (_, right) = (np.dot(ears, ears.T) / count).tolist()
    left, right, both = left - left_mean**2, right - right_mean**2, both - left_mean * right_mean
    return min(left, right), max(left, right), left + right - 2.0 * both
