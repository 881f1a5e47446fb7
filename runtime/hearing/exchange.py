"""Are the ears exchanged? What a turning head and the colour of the sounds say together.

Exchanged ears hear a mirror image. To the differences between the ears, a still sound in front is then one behind, for it moves
the wrong way when the head turns; but the colour that the pinnae give it says "in front" all the same, and the encoders'
azimuth posteriors hold both. So the posteriors of a still source, heard at several yaws, agree on a place in the room
either as they are or mirrored. No single sound proves it (colour is wrong for one in five); many different ones do.

What stays beside the head (one's own voice) says nothing. Right ears beside a head tracker that counts the wrong way look the same as
exchanged ones, and are as wrong.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.health import Finding
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, bin_centres_deg
from earshot.runtime.hearing.slots import EMPTY, SLOTS
from earshot.runtime.hearing.turning import View, Views, turned

FLOOR = 0.3
"""Share of a uniform distribution in each view: the encoders are surer than they should be."""
VIEWS_WORTH = 2.0
"""All views of a look together count as so many independent ones: neighbouring yaws hold the same errors."""
SURE = 0.6
"""Evidence from which on a look is one whole vote; about the median of sounds over a turn of 60 degrees."""
LOOK_S = 8.0
"""A look at a source ends after this at the latest: sources move, and yaw sensors drift."""
SAME_MOMENT, SAME_KIND = 0.4, 0.1
"""Correlation of the votes of two sources that were looked at together, and of two of one kind and side. On heads that training
never saw, sounds of one kind had 0.07, names of one sound at one moment 0.5. Turns towards one sound in one place had
0.97: those are one source, and one vote."""
LEAST_TURN_DEG = 20.0
"""Smaller turns say too little to be asked."""
NEAR_DEG = 30.0
"""Sounds nearer to each other than this are in one place of the room."""
MOST_TURNS = 3
"""So many turns at most count against the latest one towards the same source: ears can be put right."""
MEMORY_S = 3600.0
MOST_LOOKS = 60
"""Sources that are kept."""
TELL_ODDS = math.log(10_000.0)
"""Natural logarithm of the odds from which on exchanged ears are told; a false alarm is worse than a late one."""
LEAST_ON_A_SIDE = 2.0
"""So many votes more for it than against it must come from each side, heard in front and heard behind. Ears that hear everything
in front contradict every turn towards a sound behind; and what moves on faster than the head that follows it, a passing car, looks
mirrored as well, but it is always in front."""
MOST_ODDS_AGAINST = math.log(1000.0)
"""What makes right ears surer than this is forgotten, the oldest first: ears are taken out and put in again."""
TAKE_BACK_ODDS = -math.log(30.0)
"""From all that was heard since it was told."""

TOLD_ID, TAKEN_BACK_ID = "swapped-ears", "ears-in-place"
_TOLD = (
    "the ears seem to be exchanged: while the head turns, sounds move as if left were right; "
    "exchange the two earpieces, or check which way the head tracker counts"
)
_TAKEN_BACK = "the ears are no longer exchanged: sounds move as they should while the head turns"

_ACTIVE = 0.5
_CENTRES_DEG = bin_centres_deg()
_IN_FRONT = np.abs(_CENTRES_DEG) < 90.0
_SHARES = (np.arange(200) + 0.5) / 200
_PRIOR = np.abs(2.0 * _SHARES - 1.0)

Floats = NDArray[np.float64]


def exchange_evidence(views: Sequence[View]) -> tuple[float, float]:
    """Log ratio of what was heard at several yaws: exchanged ears against right ones, for a source that keeps its place.

    Parameters
    ----------
    views : sequence of View

    Returns
    -------
    evidence : float
        Positive speaks for exchanged ears; 0 for a head that did not turn; mirrored posteriors change the sign.
    place_deg : float
        Azimuth in the room on which the views agree best, either way.
    """
    weight = min(1.0, VIEWS_WORTH / max(1, len(views)))
    right = _agreement([(view.posterior, view.yaw_deg) for view in views], weight)
    mirrored = _agreement([(view.posterior[::-1], view.yaw_deg) for view in views], weight)
    place = int(np.argmax(max(right, mirrored, key=_evidence)))
    return _evidence(mirrored) - _evidence(right), float(_CENTRES_DEG[place])


def _agreement(heard: Iterable[tuple[Floats, float]], weight: float) -> Floats:
    """Log of the weighted product of the posteriors [36] heard at yaws, by place in the room [36]."""
    log_belief = np.zeros(AZIMUTH_BINS)
    for posterior, yaw_deg in heard:
        floored = (1.0 - FLOOR) * posterior / max(float(posterior.sum()), 1e-12) + FLOOR / AZIMUTH_BINS
        log_belief += weight * np.log(turned(floored, yaw_deg))
    return log_belief


def _evidence(log_belief: Floats) -> float:
    """Log of the mean over all places; summed in one order, so that a mirrored scene gives the same."""
    return math.log(float(np.exp(np.sort(log_belief)).mean()))


@dataclass(frozen=True)
class Look:
    """What one source said over one turn, or over several.

    Attributes
    ----------
    class_id : int
    in_front : bool
        Where its colour placed it; exchanged ears change nothing about that.
    place_deg : float
        Azimuth in the room, after the better of both explanations.
    vote : float
        -1 (the ears are right) to 1 (they are exchanged).
    time_s : float
        Stream time of the last turn.
    turns : int
        How many the vote is the mean of.
    """

    class_id: int
    in_front: bool
    place_deg: float
    vote: float
    time_s: float
    turns: int = 1

    def same_source(self, other: Look) -> bool:
        """Whether both are about one sound: of one kind, or heard together under two names, in one place."""
        same_kind = self.class_id == other.class_id and self.in_front == other.in_front
        together = abs(self.time_s - other.time_s) < LOOK_S
        return (same_kind or together) and abs(wrap_deg(self.place_deg - other.place_deg)) <= NEAR_DEG

    def after(self, earlier: Look) -> Look:
        """The mean of both; an old vote counts as `MOST_TURNS` turns at most."""
        turns = min(earlier.turns, MOST_TURNS) + 1
        return replace(self, vote=earlier.vote + (self.vote - earlier.vote) / turns, turns=turns)


def log_odds(votes_for: float, votes_against: float) -> float:
    """Log odds that most sounds speak for it, after so many votes; how reliable the sounds are is not known.

    A Bayesian sign test: the posterior of the share that speaks for it, its mass above one half against that below. The prior
    grows from one half, where colour says nothing, to both sides. Ten votes without one against are 20,000 to 1.
    """
    density = _PRIOR * np.exp(votes_for * np.log(_SHARES) + votes_against * np.log1p(-_SHARES))
    half = len(density) // 2
    return math.log(float(density[half:].sum())) - math.log(float(density[:half].sum()))


def weighed(looks: Sequence[Look]) -> dict[bool, tuple[float, float]]:
    """Votes for and against, by whether they were heard in front; n votes that are alike count as n / (1 + (n - 1) rho).

    That is the design effect of a cluster (Kish, Survey Sampling, 1965), with each pair's own correlation rho.
    """
    kind = np.array([1 + look.class_id if look.in_front else -1 - look.class_id for look in looks])
    time_s = np.array([look.time_s for look in looks])
    correlation = np.maximum(
        SAME_MOMENT * (np.abs(time_s[:, None] - time_s) < LOOK_S), SAME_KIND * (kind[:, None] == kind)
    )
    np.fill_diagonal(correlation, 1.0)
    votes, in_front = np.array([look.vote for look in looks]) / correlation.sum(axis=1), kind > 0
    return {side: (_sum(votes[in_front == side]), _sum(-votes[in_front == side])) for side in (True, False)}


def _sum(votes: Floats) -> float:
    return float(np.maximum(votes, 0.0).sum())


def _count(looks: Sequence[Look]) -> tuple[dict[bool, tuple[float, float]], float]:
    """Votes by side, and the log odds of all."""
    votes = weighed(looks)
    return votes, log_odds(*(sum(side) for side in zip(*votes.values(), strict=True)))


class _Watched:
    """A slot during one look."""

    def __init__(self, class_id: int, began_s: float) -> None:
        self.class_id, self._began_s = class_id, began_s
        self._views = Views()
        self._in_front = self._total = 0.0

    def goes_on(self, class_id: int, time_s: float) -> bool:
        return class_id == self.class_id and time_s - self._began_s < LOOK_S

    def add(self, posterior: NDArray[np.float32], yaw_deg: float, time_s: float) -> None:
        self._views.add(posterior, yaw_deg, time_s)
        self._in_front += float(posterior[_IN_FRONT].sum())
        self._total += float(posterior.sum())

    def look(self, time_s: float) -> Look | None:
        """None when the head did not turn enough."""
        yaws_deg = [view.yaw_deg for view in self._views.views]
        if not any(abs(wrap_deg(one - other)) >= LEAST_TURN_DEG for one, other in combinations(yaws_deg, 2)):
            return None
        evidence, place_deg = exchange_evidence(self._views.views)
        vote = min(1.0, max(-1.0, evidence / SURE))
        return Look(self.class_id, 2.0 * self._in_front > self._total, place_deg, vote, time_s)


class EarExchange:
    """Stage: hearing frames with the yaw of the head in, findings out: ears that are exchanged, and no longer are.

    It changes nothing about what is heard. Memory is bounded: `MOST_LOOKS` sources of the last hour.

    Attributes
    ----------
    active : tuple of Finding
        The finding while the ears are taken to be exchanged.
    looks : deque of Look
        What the next word will be based on; after a word it begins anew.
    """

    latency_s = 0.0

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self.active: tuple[Finding, ...] = ()
        self.looks: deque[Look] = deque(maxlen=MOST_LOOKS)
        self._watched: list[_Watched | None] = [None] * SLOTS

    def process(self, frame: HearingFrame, yaw_deg: float | None, time_s: float) -> list[Finding]:
        """Take one frame.

        Parameters
        ----------
        frame : HearingFrame
        yaw_deg : float or None
            Of the head, positive = left; None where nothing tells.
        time_s : float
            Stream time.

        Returns
        -------
        list of Finding
            "swapped-ears" when that is clear, "ears-in-place" when it is taken back.
        """
        new: list[Finding] = []
        for slot, class_id in enumerate(frame.slot_class.tolist()):
            watched = self._watched[slot]
            if watched is not None and (yaw_deg is None or not watched.goes_on(class_id, time_s)):
                new += self._end(slot, time_s)
            if class_id == EMPTY or yaw_deg is None or frame.activity[slot] < _ACTIVE:
                continue
            watched = self._watched[slot] = self._watched[slot] or _Watched(class_id, time_s)
            watched.add(frame.azimuth_posterior[slot], yaw_deg, time_s)
        return new

    def flush(self) -> list[Finding]:
        """Nothing is said of sounds that still go on."""
        return []

    def _end(self, slot: int, time_s: float) -> list[Finding]:
        """Judge what a slot heard."""
        watched, self._watched[slot] = self._watched[slot], None
        look = None if watched is None else watched.look(time_s)
        if look is None:
            return []
        self._keep(look)
        return self._judged()

    def _keep(self, look: Look) -> None:
        """Add a look; what was said of the same source before becomes part of it."""
        for earlier in [earlier for earlier in self.looks if look.same_source(earlier)]:
            self.looks.remove(earlier)
            look = look.after(earlier)
        self.looks.append(look)
        while self.looks[0].time_s < look.time_s - MEMORY_S:
            self.looks.popleft()

    def _judged(self) -> list[Finding]:
        votes, odds = _count(self.looks)
        if self.active:
            return self._say(TAKEN_BACK_ID, _TAKEN_BACK) if odds <= TAKE_BACK_ODDS else []
        while odds < -MOST_ODDS_AGAINST:
            self.looks.popleft()
            votes, odds = _count(self.looks)
        both_sides = min(yes - no for yes, no in votes.values()) >= LEAST_ON_A_SIDE
        return self._say(TOLD_ID, _TOLD) if odds >= TELL_ODDS and both_sides else []

    def _say(self, id_: str, text: str) -> list[Finding]:
        finding = Finding(id_, text, self.looks[0].time_s)
        self.active = (finding,) if id_ == TOLD_ID else ()
        self.looks.clear()
        return [finding]
