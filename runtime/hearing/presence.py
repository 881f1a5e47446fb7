"""Which slots are told of: those that a class has taken, and a scout that the spatial network hears something in.

What a sound is called may be doubtful for long while its direction is clear. The spatial network says of each class asked for
whether it sounds; while nothing else is told of that sounds, the likeliest scout that does is told of too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.slots import EMPTY, SLOTS, Allocation, Bool, Float32, Float64, Int64


@dataclass(frozen=True)
class PresenceSettings:
    """When a scout is told of.

    Attributes
    ----------
    activity : float
        A class sounds in frames in which its activity is over this, 0 to 1.
    minimum_s : float
        A scout must have sounded for so long without a pause, seconds.
    hold_s : float
        A scout that has not sounded for so long is no longer told of, seconds.
    """

    activity: float = 0.5
    minimum_s: float = 0.16
    hold_s: float = 1.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.activity <= 1.0 or self.minimum_s < 0.0 or self.hold_s < 0.0:
            raise ValueError("activity must be 0 to 1, minimum_s and hold_s not negative")


class Presence:
    """Stage: allocation and activity of the slots in, classes told of out; one per stream, causal."""

    latency_s = 0.0

    def __init__(self, settings: PresenceSettings | None = None) -> None:
        self.settings = settings or PresenceSettings()
        self._minimum = max(1, round(self.settings.minimum_s / FRAME_S))
        self._hold = max(1, round(self.settings.hold_s / FRAME_S))
        self.reset()

    def reset(self) -> None:
        """Nothing has sounded yet."""
        self._promoted: Bool = np.zeros(SLOTS, bool)
        self._frames: Int64 = np.zeros(SLOTS, np.int64)
        self._quiet_frames: Int64 = np.zeros(SLOTS, np.int64)

    def process(self, allocation: Allocation, activity: Float32) -> Int64:
        """Classes that are told of, int64 [T, 4], -1 for none.

        Parameters
        ----------
        allocation : Allocation
            Of T frames.
        activity : ndarray, float32 [T, 4]
            Probability that the class asked for sounds, 0 to 1.
        """
        sounding = (activity > self.settings.activity) & (allocation.asked != EMPTY)
        told = allocation.taken.copy()
        for frame, kept in enumerate(allocation.keep == 1.0):
            self._follow(sounding[frame], kept)
            if not (told[frame] | self._promoted)[sounding[frame]].any():
                self._promote(told[frame], allocation.likelihood[frame])
            told[frame] |= self._promoted
        return np.where(told, allocation.asked, EMPTY)

    def flush(self) -> None:
        """Nothing is held back."""

    def _follow(self, sounding: Bool, kept: Bool) -> None:
        """Count for how many frames the slots have sounded or not; one that is asked for another class starts anew."""
        self._frames = np.where(sounding, np.where(kept, self._frames, 0) + 1, 0)
        self._quiet_frames = np.where(sounding, 0, self._quiet_frames + 1)
        self._promoted &= kept & (self._quiet_frames < self._hold)

    def _promote(self, told: Bool, likelihood: Float64) -> None:
        """Tell of the likeliest slot that has sounded for long enough, if there is any."""
        ready = np.flatnonzero(~told & (self._frames >= self._minimum))
        if ready.size:
            self._promoted[ready[likelihood[ready].argmax()]] = True


def present(allocation: Allocation, activity: Float32, settings: PresenceSettings | None = None) -> Int64:
    """Classes told of in a whole clip: a fresh `Presence` run over it."""
    return Presence(settings).process(allocation, activity)
