"""What was heard in a window as it is for the head as it looks now: places turn with it, and views of other yaws settle front and back.

Tracks do the same for the radar (`turning.py`), frame by frame; here it is done for what the language model is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.posterior import bin_centres_deg
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import FRAMES_PER_TOKEN, SLOT_LAYOUT, TOKEN_S, Tokens
from earshot.runtime.hearing.turning import VIEW_DEG, Views, agreed, floored, turned

LEAST_TURN_DEG = 2.0
"""Heads and their trackers are never quite still; what has turned by less stays as it was heard."""
_POSTERIOR = slice(SLOT_LAYOUT["where"].start, SLOT_LAYOUT["where"].start + 36)
_AHEAD = _POSTERIOR.stop
_AHEAD_AND_LEFT = slice(_AHEAD, _AHEAD + 2)

Float32 = NDArray[np.float32]


def seen_from_now(tokens: Tokens, turned_deg: Sequence[float]) -> Tokens:
    """Tokens with the places of their slots where they are for a head that has turned since, on the side that all views agree on.

    Parameters
    ----------
    tokens : Tokens
    turned_deg : sequence of N float
        How far everything has moved to the left since each token, degrees; under 2 it is left as it was heard.
    """
    if all(abs(by_deg) < LEAST_TURN_DEG for by_deg in turned_deg):
        return tokens
    slots = tokens.slots.copy()
    for token, by_deg in zip(slots, turned_deg, strict=True):
        if abs(by_deg) >= LEAST_TURN_DEG:
            angle = np.deg2rad(by_deg)
            rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            token[:, _AHEAD_AND_LEFT] = token[:, _AHEAD_AND_LEFT] @ rotation.T
            token[:, _POSTERIOR] = turned(token[:, _POSTERIOR], by_deg)
    for label in np.flatnonzero(slots[..., :CLASSES].any(axis=(0, 1))):
        _settle_sides(tokens.slots, slots, int(label), np.asarray(turned_deg, np.float64))
    return Tokens(tokens.semantic, tokens.scene, slots)


def _settle_sides(heard: Float32, seen: Float32, label: int, yaws_deg: NDArray[np.float64]) -> None:
    """Multiply the posteriors of a class with those of other yaws.

    Parameters
    ----------
    heard, seen : ndarray, float32 [N, slots, 107]
        Tokens as each was heard, and as seen from now: these are changed in place.
    label : int
    yaws_deg : ndarray [N]
        Where the head looked in each token, from where it looks now.
    """
    at, slot = np.nonzero(heard[..., label])
    posteriors, end_s = heard[at, slot, _POSTERIOR], len(heard) * TOKEN_S
    frames = np.rint(FRAMES_PER_TOKEN * heard[at, slot, SLOT_LAYOUT["activity"]].mean(axis=1)).astype(int)
    views = Views()
    for number in np.flatnonzero(frames):
        yaw_deg, time_s = float(yaws_deg[at[number]]), (at[number] + 1) * TOKEN_S
        views.add(posteriors[number], yaw_deg, time_s, int(frames[number]))
    if len(views.views) < 2:
        return
    away = np.abs(yaws_deg[at][:, None] - [view.yaw_deg for view in views.views])
    others = np.minimum(away, 360.0 - away) > VIEW_DEG / 2
    said = others @ np.stack([view.log_belief(0.0, end_s) for view in views.views])
    alone = [turned(posterior, yaw_deg) for posterior, yaw_deg in zip(floored(posteriors), yaws_deg[at], strict=True)]
    settled = agreed(np.stack(alone), said)
    changed = others.any(axis=1)
    seen[at[changed], slot[changed], _POSTERIOR] = settled[changed]
    for number in np.flatnonzero(changed):
        _mirror(seen[at[number], slot[number]], float(yaws_deg[at[number]]))


def _mirror(cell: Float32, yaw_deg: float) -> None:
    """Bring the unit vector of a cell [107] to the side of the ears that its posterior is on, for a head that looked at a yaw; in place."""
    ear_axis = np.exp(1j * np.deg2rad(yaw_deg))
    place = complex(cell[_AHEAD], cell[_AHEAD + 1]) / ear_axis
    peak_deg = float(bin_centres_deg()[int(cell[_POSTERIOR].argmax())]) - yaw_deg
    if np.cos(np.deg2rad(peak_deg)) * place.real < 0.0:
        place = complex(-place.real, place.imag) * ear_axis
        cell[_AHEAD_AND_LEFT] = place.real, place.imag
