"""What a turning head tells: front from back, and one place in the room instead of a place beside the head.

A sound in front moves to the right when the head turns left, one behind moves to the left (Wallach 1940); so the posteriors of
a source that stays where it is agree in the room only for its true side. Posteriors heard with the head in nearly the
same place hold the same errors and are averaged; those of different yaws are multiplied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, FRONT_FOR_BACK

BIN_DEG = 360.0 / AZIMUTH_BINS
VIEW_DEG = 10.0
"""Yaws nearer than this are one view: the ears hear nearly the same."""
FLOOR = 0.15
"""Share of a uniform distribution in each view, so that no single view can rule out the truth."""
MIRRORED = 0.46
"""Share of its front-back mirror image that is mixed into each view. One view says with much confidence what it has from
the colour of a sound, wrongly for one in five, and all views alike; where the ears' differences agree over a turn is worth far more.
What is left of the colour decides where they say nothing. (Wrong side after a turn of 30, 10, 6 degrees, 170 sounds each: with 0.35
6.9, 14.0, 16.7 %; 0.46: 4.0, 6.1, 14.7 %; 0.5: 3.4, 4.9, 17.9 %.)"""
FADE_S = 8.0
"""Time constant after which an older view counts less: sources move, and yaw sensors drift."""
SURE_FRAMES = 20
"""A view of fewer frames counts less, in proportion: what was heard for a moment may be another sound, or ears out of order."""
MOST_VIEWS = 12

Floats = NDArray[np.floating[Any]]


def turned(posterior: Floats, by_deg: float) -> NDArray[np.float64]:
    """A posterior with everything moved to the left by an angle, between bins by linear interpolation.

    Parameters
    ----------
    posterior : ndarray [..., 36]
    by_deg : float
        Any angle; positive = left.
    """
    whole, part = divmod(by_deg / BIN_DEG, 1.0)
    moved = np.roll(np.asarray(posterior, np.float64), int(whole), axis=-1)
    return np.asarray((1.0 - part) * moved + part * np.roll(moved, 1, axis=-1))


@dataclass
class View:
    """What was heard of a source with the head in about one place: mean posterior as from the first yaw.

    Attributes
    ----------
    yaw_deg : float
        Positive = left.
    posterior : ndarray of float64 [36]
    frames : int
        How many it is the mean of.
    last_s : float
        Time of the latest, seconds.
    """

    yaw_deg: float
    posterior: NDArray[np.float64]
    frames: int
    last_s: float

    def log_belief(self, yaw_deg: float, time_s: float) -> NDArray[np.float64]:
        """Logarithm of what the view says of directions from another yaw [36], the less the older and shorter it is."""
        weight = math.exp(-(time_s - self.last_s) / FADE_S) * min(1.0, self.frames / SURE_FRAMES)
        return np.asarray(weight * np.log(turned(floored(self.posterior), wrap_deg(self.yaw_deg - yaw_deg))))


class Views:
    """Posteriors of one source by head yaw, and what they say together.

    Attributes
    ----------
    views : list of View
        At most `MOST_VIEWS`, the latest last.
    """

    def __init__(self) -> None:
        self.views: list[View] = []

    def add(self, posterior: Floats, yaw_deg: float, time_s: float, frames: int = 1) -> None:
        """Take the posterior [36] of a frame, or the mean of some, heard with the head at a yaw (positive = left) at a time in seconds."""
        near = [view for view in self.views if abs(wrap_deg(yaw_deg - view.yaw_deg)) <= VIEW_DEG / 2]
        if not near:
            self.views.append(View(yaw_deg, np.asarray(posterior, np.float64), frames, time_s))
            del self.views[:-MOST_VIEWS]
            return
        view = min(near, key=lambda view: abs(wrap_deg(yaw_deg - view.yaw_deg)))
        view.frames += frames
        gain = max(frames / view.frames, 0.04)
        here = turned(posterior, wrap_deg(yaw_deg - view.yaw_deg))
        view.posterior, view.last_s = view.posterior + gain * (here - view.posterior), time_s

    def sharpened(self, latest: Floats, yaw_deg: float, time_s: float) -> NDArray[np.float64]:
        """The latest posterior, multiplied with those of other yaws as they would be seen from here; sums to 1.

        Parameters
        ----------
        latest : ndarray [36]
            What is heard now.
        yaw_deg, time_s : float
            Where the head is now, and when.

        Returns
        -------
        ndarray of float64 [36]
        """
        here = np.asarray(latest, np.float64)
        others = [view for view in self.views if abs(wrap_deg(view.yaw_deg - yaw_deg)) > VIEW_DEG / 2]
        if not others:
            return np.asarray(here / max(float(here.sum()), 1e-12))
        said = sum(view.log_belief(yaw_deg, time_s) for view in others)
        return agreed(floored(here), said)


def agreed(posterior: Floats, log_beliefs: Any) -> NDArray[np.float64]:
    """A floored posterior [..., 36] multiplied with what other views say, the sum of their `View.log_belief`; sums to 1."""
    log_belief = np.log(posterior) + log_beliefs
    belief = np.exp(log_belief - log_belief.max(axis=-1, keepdims=True))
    return np.asarray(belief / belief.sum(axis=-1, keepdims=True))


def floored(posterior: Floats) -> NDArray[np.float64]:
    """A posterior [..., 36] as one view counts: nearly as likely mirrored, and nothing impossible."""
    p = np.asarray(posterior, np.float64)
    p = p / np.maximum(p.sum(axis=-1, keepdims=True), 1e-12)
    p = (1.0 - MIRRORED) * p + MIRRORED * p[..., FRONT_FOR_BACK]
    return np.asarray((1.0 - FLOOR) * p + FLOOR / AZIMUTH_BINS)
