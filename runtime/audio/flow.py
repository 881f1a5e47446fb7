"""Whether sound comes as fast as time passes: what is late and what was lost, told by the clock alone.

Sound servers never say that they have lost sound, nor how far they are behind; both show in the same way, as samples
that are missing when their time has come. What is late comes later, all at once; what does not come was lost.
"""

from __future__ import annotations

from earshot.runtime.audio.stream_clock import StreamClock


class FlowClock:
    """Stage: numbers of samples as they are fetched in, how late they are out.

    Parameters
    ----------
    rate_hz : int
    lost_above_s, lost_after_s : float
        Sound that has been late by more than the first for as long as the second was lost. Seconds.

    Attributes
    ----------
    first_at_s : float or None
        Clock of the machine at the first sample, seconds.
    last_at_s : float
        The same when sound was fetched last.
    lag_s : float
        Seconds by which sound is late, beyond the least of the last minute: clocks drift.
    """

    def __init__(self, rate_hz: int, lost_above_s: float, lost_after_s: float) -> None:
        self._rate_hz = rate_hz
        self._lost_above_s, self._lost_after_s = lost_above_s, lost_after_s
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._clock = StreamClock(live=True)
        self._samples = 0
        self._late_since_s: float | None = None
        self._least_lag_s = 0.0
        self.first_at_s: float | None = None
        self.last_at_s = self.lag_s = 0.0

    def process(self, count: int, now_s: float, broken: bool = False) -> int:
        """Take note of sound.

        Parameters
        ----------
        count : int
            Samples per ear that were fetched, at least 1.
        now_s : float
            Clock of the machine, seconds.
        broken : bool
            Whether the sound system says that some were lost before them.

        Returns
        -------
        int
            Samples per ear that were lost before these.
        """
        if self.first_at_s is None:
            self.first_at_s = now_s - count / self._rate_hz
        self.last_at_s = now_s
        self._samples += count
        self._measure(now_s)
        lost = round(self._rate_hz * (self.lag_s if broken else self._given_up_s(now_s)))
        if lost:
            self._samples += lost
            self._late_since_s = None
            self._measure(now_s)
        return lost

    def _measure(self, now_s: float) -> None:
        end_s = self._samples / self._rate_hz
        self._clock.process(end_s, now_s)
        self.lag_s = now_s - self._clock.machine_s(end_s)

    def _given_up_s(self, now_s: float) -> float:
        """How much of what is late is not waited for any longer, seconds."""
        if self.lag_s <= self._lost_above_s:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s, self._least_lag_s = now_s, self.lag_s
        self._least_lag_s = min(self._least_lag_s, self.lag_s)
        waited = self._late_since_s is not None and now_s - self._late_since_s >= self._lost_after_s
        return self._least_lag_s if waited else 0.0
