"""When on the machine's clock a moment of the stream was heard, for what comes beside the sound (the yaw of the head)."""

from __future__ import annotations

from collections import deque

_STEP_S, _STEPS = 5.0, 12
"""The least delay of the last minute counts: long enough to bridge a listener that lags, short enough for clocks that drift."""


class StreamClock:
    """Stage: the ends of chunks and when they came in, the clock of the machine for any time of the stream out.

    Chunks come late by as much as the listener lags, never early; so the least difference between the two clocks is the true
    one. A recording has no truth of its own: what is heard now is now.

    Parameters
    ----------
    live : bool
        Whether the stream runs by itself.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._now_s = 0.0
        self._least: deque[tuple[float, float]] = deque(maxlen=_STEPS)

    def process(self, end_s: float, now_s: float) -> None:
        """A chunk that ends at `end_s` of the stream has come at `now_s` of the machine, seconds."""
        self._now_s = now_s
        ahead_s = now_s - end_s
        if not self._least or now_s - self._least[-1][0] >= _STEP_S:
            self._least.append((now_s, ahead_s))
        elif ahead_s < self._least[-1][1]:
            self._least[-1] = (self._least[-1][0], ahead_s)

    def machine_s(self, stream_s: float) -> float:
        """Clock of the machine at a time of the stream, seconds; only after `process`."""
        if not self._live:
            return self._now_s
        return stream_s + min(ahead_s for _, ahead_s in self._least)
