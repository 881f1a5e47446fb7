"""Asking by name: a class that a question names is looked for in what was heard, though hearing had not told of it.

Live, the spatial network is asked for four classes at a time, the likeliest ones, and what is told of must be likely. Of several
sounds at once half are not told of under their name. A question says which class matters: then one that was only
possible is worth to be asked for, over all of the last ten seconds. Whoever does not name it never hears of it.

The same code makes the rows that the language model is trained with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshot.runtime.hearing.encoders import Encoders, sigmoid
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.networks import Tensors
from earshot.runtime.hearing.objects import OBJECT_WIDTH, object_rows
from earshot.runtime.hearing.seen import seen_from_now
from earshot.runtime.hearing.slots import CLASSES, SLOTS, SlotSettings, gain_per_frame, running_average
from earshot.runtime.hearing.tokens import Tokens, pool_frames

POSSIBLE = 0.06
"""A class is asked for when its averaged probability rose over this. On mixtures of one to three sounds that training never saw, of the
classes that sound 80 % are then told of or asked for, and 11 % of the others; without asking 65 and 4 %."""
MOST_ASKED = 8

Float32 = NDArray[np.float32]


def possible_classes(probabilities: ArrayLike, among: Iterable[int] = range(CLASSES)) -> list[int]:
    """Classes that may have sounded, the likeliest first, at most 8.

    Parameters
    ----------
    probabilities : array [frames, 61]
        Class probabilities of the window, 0 to 1.
    among : iterable of int
        Class ids that matter.
    """
    rows = np.asarray(probabilities, np.float64).reshape(-1, CLASSES)
    if not len(rows):
        return []
    averages = running_average(rows, gain_per_frame(SlotSettings().average_s), np.zeros(CLASSES))
    highest = averages.max(axis=0)
    possible = [label for label in dict.fromkeys(among) if highest[label] > POSSIBLE]
    return sorted(possible, key=lambda label: -highest[label])[:MOST_ASKED]


def ask_by_name(
    encoders: Encoders,
    frames: Sequence[HearingFrame],
    classes: Sequence[int],
    told: Sequence[int] = (),
    turned_deg: Sequence[float] = (),
) -> Float32:
    """Hear a window again, asked for some classes from its first frame on.

    Slots that are left are asked for what was told of anyway: they claim what is theirs, and it is not taken for the sound asked for.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    frames : sequence of HearingFrame
        Whole tokens: a multiple of 10.
    classes : sequence of int
        Class ids.
    told : sequence of int
        Other classes that sounded, the strongest first.
    turned_deg : sequence of float
        For each token, see `HearingWindow`; none where the head has not turned.

    Returns
    -------
    ndarray, float32 [K, 299]
        One object of each class, to be added to those of the window (`projector_inputs`).
    """
    if not frames or not classes:
        return np.zeros((0, OBJECT_WIDTH), np.float32)
    rows: dict[int, Float32] = {}
    for named, slots in rounds(classes, told):
        rows |= object_rows(seen_from_now(_heard_again(encoders, frames, named, slots), turned_deg))
    return np.stack([rows[label] for label in classes])


def rounds(classes: Sequence[int], told: Sequence[int] = ()) -> list[tuple[list[int], list[int]]]:
    """How classes are asked for together with what was told of: the named ones and what all slots are asked for (at most 4), by round."""
    at_once = max(SLOTS // 2, SLOTS - len(told))
    parts = [list(classes[start : start + at_once]) for start in range(0, len(classes), at_once)]
    return [(named, [*named, *told][:SLOTS]) for named in parts]


def _heard_again(
    encoders: Encoders, frames: Sequence[HearingFrame], named: Sequence[int], slots: Sequence[int]
) -> Tokens:
    """Tokens of the named classes, the first of those that the slots are asked for all the time."""
    asked = np.zeros((1, SLOTS), np.int64)
    asked[0, : len(slots)] = slots
    claims = (np.arange(SLOTS) < len(slots)).astype(np.float32)[None]
    heard = zip(frames, _where(encoders, frames, asked, claims), strict=True)
    return pool_frames([_holding(frame, where, asked[0, : len(named)]) for frame, where in heard])


def _holding(frame: HearingFrame, where: Tensors, classes: NDArray[np.int64]) -> HearingFrame:
    """The frame with these classes in its slots, and what the spatial network says of them."""
    slots = slice(len(classes))
    return replace(
        frame,
        slot_class=classes,
        activity=sigmoid(where["slot_activity"][0, slots]),
        azimuth_posterior=where["slot_azimuth"][0, slots],
        direction=where["slot_direction"][0, slots],
        log_distance=where["slot_log_distance"][0, slots],
        level_db=where["slot_level"][0, slots],
    )


def _where(
    encoders: Encoders, frames: Sequence[HearingFrame], asked: NDArray[np.int64], claims: Float32
) -> list[Tensors]:
    """Outputs of the spatial network for each frame; while the encoders rested it stays as it was."""
    network = encoders.network("spatial")
    state, before = network.initial_state(), None
    outputs: list[Tensors] = []
    for frame in frames:
        heard = frame.evidence
        if heard is None:
            raise ValueError("frames without evidence cannot be asked about")
        if not outputs or heard is not before:
            inputs: Tensors = {
                "features": heard.features,
                "semantic_embedding": frame.semantic_embedding[None],
                "semantic_keys": heard.semantic_keys,
                "slot_class": asked,
                "slot_keep": np.full((1, SLOTS), float(bool(outputs)), np.float32),
                "slot_claims": claims,
            }
            where, state = network.run(inputs, state)
        outputs.append(where)
        before = heard
    return outputs
