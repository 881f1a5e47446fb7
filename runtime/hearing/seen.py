"""What was heard in a window as it is for the head as it looks now: places turn with it, and views of other yaws settle front and back.

Tracks do the same for the radar (`turning.py`), frame by frame; here it is done for what the language model is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import FRAMES_PER_TOKEN, SLOT_LAYOUT, TOKEN_S, Tokens
from earshot.runtime.hearing.turning import Views, turned

LEAST_TURN_DEG = 2.0
"""Heads and their trackers are never quite still; what has turned by less stays as it was heard."""
_POSTERIOR = slice(SLOT_LAYOUT["where"].start, SLOT_LAYOUT["where"].start + 36)
_AHEAD = _POSTERIOR.stop
_AHEAD_AND_LEFT = slice(_AHEAD, _AHEAD + 2)

Float32 = NDArray[np.float32]


def seen_from_now(tokens: Tokens, turned_deg: Sequence[float]) -> Tokens:
    """Tokens with the places of their slots where they are for a head that has turned since.

    Parameters
    ----------
    tokens : Tokens
    turned_deg : sequence of N float
        How far everything has moved to the left since each token, degrees; under 2 it is left as it was heard.
    """
    if all(abs(by_deg) < LEAST_TURN_DEG for by_deg in turned_deg):
        return tokens
    slots = tokens.slots.copy()
    for label in np.flatnonzero(slots[..., :CLASSES].any(axis=(0, 1))):
        _settle_sides(slots, int(label), turned_deg)
    for token, by_deg in zip(slots, turned_deg, strict=True):
        if abs(by_deg) >= LEAST_TURN_DEG:
            angle = np.deg2rad(by_deg)
            rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            token[:, _AHEAD_AND_LEFT] = token[:, _AHEAD_AND_LEFT] @ rotation.T
            token[:, _POSTERIOR] = [turned(posterior, by_deg) for posterior in token[:, _POSTERIOR]]
    return Tokens(tokens.semantic, tokens.scene, slots)


def _settle_sides(slots: Float32, label: int, yaws_deg: Sequence[float]) -> None:
    """Multiply the posteriors of a class [N, slots, 107] with those of other yaws, in place, each still as from its own yaw."""
    cells = list(zip(*np.nonzero(slots[..., label]), strict=True))
    views, end_s = Views(), len(slots) * TOKEN_S
    for token, slot in cells:
        frames = round(FRAMES_PER_TOKEN * float(slots[token, slot, SLOT_LAYOUT["activity"]].mean()))
        if frames > 0:
            views.add(slots[token, slot, _POSTERIOR], yaws_deg[token], (token + 1) * TOKEN_S, frames)
    if len(views.views) < 2:
        return
    for token, slot in cells:
        row = slots[token, slot]
        row[_POSTERIOR] = views.sharpened(row[_POSTERIOR], yaws_deg[token], end_s)
        if np.cos(np.deg2rad(lobe_azimuth_deg(row[_POSTERIOR]))) * row[_AHEAD] < 0.0:
            row[_AHEAD] = -row[_AHEAD]
