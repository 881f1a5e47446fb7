"""Channels that have changed places behind the microphones are put back while sound goes on.

`EarMarks` takes three seconds to be certain enough to tell of it. By then the tracks stand on the wrong side, and after the end of
such a fault they would do so again. So here tenths of a second decide, where they are clear. They can mislead, but a mistake is
noticed by the next tenths just as quickly, and what whole seconds do not confirm is given up. Where tenths are not clear, an
end could not be noticed in time: then the channels are left as they come, and it is only told.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from earshot.runtime.audio.ear_marks import PATIENCE, TOLD_ID, EarMarks
from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk

PIECE_SAMPLES = SAMPLE_RATE_HZ // 10
AWAY_PIECES, BACK_PIECES = 4, 2
"""So many pieces in a row must have the ears exchanged, or in their places again: the way back leads to what the device says."""
REMEMBERED = 300
"""Pieces that tell how much the difference of both ears varies."""
CLEAR = 5.0
"""The offsets must differ by so many times that, or pieces are too short to tell."""
UNCLEAR_PIECES = 10
"""After so many that are not clear the channels are left as they come."""
UNCONFIRMED_PIECES = 10 * (PATIENCE + 2)
"""After so many, whole seconds must have said the same."""
MOST_FINDINGS = 16
"""So many are kept for who takes them late."""
_PUT_BACK = (
    "left and right have changed places behind the microphones (each channel carries the other's constant offset) "
    "and are put back for listening; restart the device"
)
_DEVIATIONS = 1.4826  # standard deviations of Gaussian noise in one median absolute deviation


class EarOrder:
    """Stage: audio chunks in, the same with the ears in their places out; findings through `take_findings()`.

    Attributes
    ----------
    putting_back : bool
        Whether the channels are exchanged at present.
    """

    latency_s = 0.0

    def __init__(self) -> None:
        self._marks = EarMarks()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._marks.reset()
        self.putting_back = False
        self._found: deque[Finding] = deque(maxlen=MOST_FINDINGS)
        self._differences: deque[float] = deque(maxlen=REMEMBERED)
        self._sum, self._count = np.zeros(2), 0
        self._alive = np.zeros(2, bool)
        self._against = self._unconfirmed = self._unclear = 0  # pieces in a row

    def process(self, chunk: AudioChunk) -> AudioChunk:
        """Take the next chunk, shorter than 0.2 s; returns it with its channels as they should be, all of it alike."""
        told = self._marks.process(chunk)
        samples = chunk.samples
        while samples.shape[1]:
            part = samples[:, : PIECE_SAMPLES - self._count]
            self._sum += part.sum(axis=1, dtype=np.float64)
            self._alive |= part.any(axis=1)
            self._count += part.shape[1]
            samples = samples[:, part.shape[1] :]
            if self._count == PIECE_SAMPLES:
                self._judge()
        self._found += [replace(f, text=_PUT_BACK) if f.id == TOLD_ID and self.putting_back else f for f in told]
        return replace(chunk, samples=np.ascontiguousarray(chunk.samples[::-1])) if self.putting_back else chunk

    def take_findings(self) -> list[Finding]:
        """Changes of place since the last call."""
        found = list(self._found)
        self._found.clear()
        return found

    def flush(self) -> list[AudioChunk]:
        """Nothing is held back."""
        return []

    def _put_back(self, exchanged: bool) -> None:
        self.putting_back, self._against, self._unconfirmed, self._unclear = exchanged, 0, 0, 0

    def _judge(self) -> None:
        """Judge a complete piece; one in which an ear is all zeros says nothing."""
        difference, alive = float(self._sum[0] - self._sum[1]) / PIECE_SAMPLES, bool(self._alive.all())
        self._sum, self._count = np.zeros(2), 0
        self._alive = np.zeros(2, bool)
        confirmed = self.putting_back == self._marks.exchanged
        self._unconfirmed = 0 if confirmed or not self.putting_back else self._unconfirmed + 1
        if alive:
            self._compare(difference)
            if confirmed:
                self._differences.append(-difference if self.putting_back else difference)
        if self._unconfirmed >= UNCONFIRMED_PIECES or (self.putting_back and self._unclear >= UNCLEAR_PIECES):
            self._put_back(False)

    def _compare(self, difference: float) -> None:
        usual = self._marks.usual
        right = 0.0 if usual is None else float(usual[0] - usual[1])
        spread = (
            _DEVIATIONS * float(np.median(np.abs(np.array(self._differences) - right))) if self._differences else 0.0
        )
        clear = abs(right) > CLEAR * spread
        self._unclear = 0 if clear else self._unclear + 1
        part = difference / right if clear else 0.0  # 1 in place, -1 exchanged
        against = part >= 0.5 if self.putting_back else -1.5 <= part <= -0.5
        self._against = self._against + 1 if against else 0
        if self._against >= (BACK_PIECES if self.putting_back else AWAY_PIECES):
            self._put_back(not self.putting_back)
