"""What is left out, and in which order, when a machine is too slow for everything: declared steps, never silent lag.

A live source does not wait. When hearing it takes longer than it lasts, the encoders first hear fewer frames; when that
is not enough, the language model is silent, since it takes the same cores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

MOST_THREADS = 64
"""That may be asked for."""


class Effort(str, Enum):
    """How much is done, most first."""

    FULL = "full"
    HALF = "half"
    HEARING_ONLY = "hearing-only"

    @property
    def stride(self) -> int:
        """The encoders hear one of so many frames."""
        return {Effort.FULL: 1, Effort.HALF: 2, Effort.HEARING_ONLY: 3}[self]

    @property
    def answers(self) -> bool:
        """Whether the language model answers."""
        return self is not Effort.HEARING_ONLY

    @property
    def text(self) -> str:
        """One line for a person."""
        return _TEXTS[self]

    @property
    def less(self) -> Effort:
        """The next step down; the last one stays."""
        return _STEPS[min(_STEPS.index(self) + 1, len(_STEPS) - 1)]

    @property
    def more(self) -> Effort:
        """The next step up; the first one stays."""
        return _STEPS[max(_STEPS.index(self) - 1, 0)]


_STEPS = tuple(Effort)
_TEXTS = {
    Effort.FULL: "this machine keeps up; everything is heard and answered",
    Effort.HALF: "this machine is too slow at the moment: every second frame is heard",
    Effort.HEARING_ONLY: "this machine is too slow at the moment: every third frame is heard, questions are not answered",
}
REFUSAL = "this machine is too busy with hearing to answer now; ask again when it keeps up, or end other programs"


@dataclass(frozen=True)
class EffortSettings:
    """When a step is taken.

    Attributes
    ----------
    average_s : float
        Time constant of the averaged load, seconds of sound.
    over_load : float
        Above this load (time to hear re length of the sound) less is done, after `patience_s`.
    fits_load : float
        More is done again when the load would be below this with it ...
    patience_s, calm_s : float
        ... for `calm_s`. Seconds of sound.
    """

    average_s: float = 1.0
    over_load: float = 0.9
    fits_load: float = 0.6
    patience_s: float = 2.0
    calm_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.fits_load < self.over_load:
            raise ValueError("0 < fits_load < over_load needed")
        if min(self.average_s, self.patience_s, self.calm_s) <= 0.0:
            raise ValueError("times must be positive")


class EffortKeeper:
    """Stage: how long hearing took in, changes of the effort out.

    Parameters
    ----------
    start : Effort
        What a test has found that the machine can hold.
    settings : EffortSettings, optional
    """

    latency_s = 0.0

    def __init__(self, start: Effort = Effort.FULL, settings: EffortSettings | None = None) -> None:
        self.settings = settings or EffortSettings()
        self._start = self._effort = start
        self._weight = self._sum = 0.0  # of the averaged load
        self._over_s = self._fits_s = 0.0  # for how long it has been too much, or little enough for more

    @property
    def effort(self) -> Effort:
        """What is done at the moment."""
        return self._effort

    def reset(self) -> None:
        """Back to a fresh object."""
        self._enter(self._start)

    def process(self, processing_s: float, audio_s: float) -> Effort | None:
        """Take one measurement.

        Parameters
        ----------
        processing_s : float
            Time that hearing took, seconds.
        audio_s : float
            Length of the sound it took it for, seconds.

        Returns
        -------
        Effort or None
            The new effort when it has changed.
        """
        if audio_s <= 0.0:
            return None
        keep = math.exp(-audio_s / self.settings.average_s)
        self._weight = keep * self._weight + (1.0 - keep)
        self._sum = keep * self._sum + (1.0 - keep) * processing_s / audio_s
        load = self._sum / self._weight
        with_more = load * self._effort.stride / self._effort.more.stride
        self._over_s = self._over_s + audio_s if load > self.settings.over_load else 0.0
        self._fits_s = self._fits_s + audio_s if with_more < self.settings.fits_load else 0.0
        if self._over_s >= self.settings.patience_s:
            return self._change(self._effort.less)
        if self._fits_s >= self.settings.calm_s:
            return self._change(self._effort.more)
        return None

    def flush(self) -> None:
        """Nothing is held back."""

    def _change(self, effort: Effort) -> Effort | None:
        before = self._effort
        self._enter(effort)
        return None if effort is before else effort

    def _enter(self, effort: Effort) -> None:
        """Begin to measure anew: what was measured before belongs to another effort."""
        self._effort = effort
        self._weight = self._sum = 0.0
        self._over_s = self._fits_s = 0.0


def effort_for(load: float, settings: EffortSettings | None = None) -> Effort:
    """The most that a machine can hold.

    Parameters
    ----------
    load : float
        Time to hear re length of the sound when every frame is heard, e.g. from a self-test.
    settings : EffortSettings, optional
    """
    limit = (settings or EffortSettings()).over_load
    return next((effort for effort in _STEPS if load / effort.stride < limit), Effort.HEARING_ONLY)
