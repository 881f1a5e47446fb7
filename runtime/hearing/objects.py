"""From audio tokens to what the projector sees: what sounded through time, and one row for each sound object.

A slot of the spatial network holds one class; all that was heard of a class within the window makes one object, with its
times, directions and distances side by side. What belongs together is then in one embedding, and the language model need
not find out which parts of which moments belong to the same sound. A class that a question names may be an object too
though hearing had not told of it (see `asked.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import ACTIVITY_VALUES, MAX_TOKENS, SLOT_LAYOUT, Tokens

Float32 = NDArray[np.float32]

TOKENS_PER_MOMENT = 2
"""Two tokens of 400 ms are one moment of 0.8 s."""
MAX_OBJECTS = 8
TIMELINE = MAX_TOKENS * ACTIVITY_VALUES
"""Activity values of 80 ms over the longest window."""
_WHERE = 36 + 3 + 1 + 1
OBJECT_WIDTH = 2 * CLASSES + TIMELINE + _WHERE + 2 * (3 + 1) + 3
WHERE = slice(2 * CLASSES + TIMELINE, OBJECT_WIDTH - 3)
"""What a row says of places: posterior, direction, distance and level on average, then of both halves."""
POSTERIOR = slice(WHERE.start, WHERE.start + 36)
DIRECTION = slice(WHERE.start + 36, WHERE.start + 39)
LOG_DISTANCE = WHERE.start + 39
LEVEL = WHERE.start + 40
TOTAL_ACTIVITY, PEAK_LEVEL = OBJECT_WIDTH - 3, OBJECT_WIDTH - 2
_SOUNDING = 0.5
_LEAST_CLEAR = 0.02
_LEAST_POWER = 1e-6


@dataclass(frozen=True)
class ProjectorInputs:
    """What the projector turns into embeddings: N moments, then M objects.

    Attributes
    ----------
    semantic : ndarray, float32 [N, 317]
    scene : ndarray, float32 [N, 134]
        Means over 0.8 s.
    objects : ndarray, float32 [M, 299]
        In order of onset: class one-hot 61, mean class probabilities while it sounded 61, its activity in 125 steps of 80 ms
        from the start of the window, azimuth posterior 36, direction 3, log distance 1 and level 1 averaged
        by activity times class probability, direction and log distance of its first and its second half 2 x 4, then total activity, peak level and
        length of the window. Levels are means of power in tens of dB re the loudest object: the gain of the microphones says nothing.
        The last row is zero: it says that there are no more.
    """

    semantic: Float32
    scene: Float32
    objects: Float32

    def as_dict(self) -> dict[str, Float32]:
        """The arrays under the names of the projector's inputs."""
        return {"semantic": self.semantic, "scene": self.scene, "objects": self.objects}

    def __len__(self) -> int:
        return len(self.semantic) + len(self.objects)


def projector_inputs(tokens: Tokens, asked: Float32 | None = None) -> ProjectorInputs:
    """Gather the tokens of a window (at most 25) into moments and objects.

    Parameters
    ----------
    tokens : Tokens
    asked : ndarray, float32 [K, 299], optional
        Objects that were asked for by name; those of classes that were told of anyway change nothing.
    """
    return ProjectorInputs(_moments(tokens.semantic), _moments(tokens.scene), gather_objects(tokens, asked))


def gather_objects(tokens: Tokens, asked: Float32 | None = None) -> Float32:
    """Rows of the sound objects in a window, in order of onset, and a last row of zeros: float32 [M, 299].

    Of more than 8 classes those that sounded least are left out, but none that was asked for.
    """
    told = object_rows(tokens)
    named = [] if asked is None else [row for row in asked if class_of(row) not in told]
    rows = sorted(told.values(), key=_total_activity, reverse=True)[: MAX_OBJECTS - min(len(named), MAX_OBJECTS)]
    rows = sorted([*rows, *named[:MAX_OBJECTS]], key=_onset)
    return np.concatenate([_re_loudest(rows), np.zeros((1, OBJECT_WIDTH), np.float32)])


def _re_loudest(rows: list[Float32]) -> Float32:
    """Rows [M, 299], levels re the loudest of them."""
    if not rows:
        return np.zeros((0, OBJECT_WIDTH), np.float32)
    out = np.stack(rows).astype(np.float32)
    out[:, [LEVEL, PEAK_LEVEL]] -= out[:, [LEVEL, PEAK_LEVEL]].max(axis=0)
    return out


def object_rows(tokens: Tokens) -> dict[int, Float32]:
    """Row float32 [299] of each class that a slot holds somewhere in the window, by class id, in order of ids; levels as they came."""
    held = tokens.slots[..., SLOT_LAYOUT["label"]]
    classes = np.flatnonzero(held.any(axis=(0, 1)))
    return {int(label): _object(tokens, int(label), held[..., label] > 0) for label in classes}


def strongest_first(rows: Mapping[int, Float32]) -> list[int]:
    """Class ids of objects, the one that sounded most first."""
    return sorted(rows, key=lambda label: -_total_activity(rows[label]))


def class_of(row: Float32) -> int:
    """Class id of an object's row."""
    return int(row[:CLASSES].argmax())


def _object(tokens: Tokens, label: int, held: NDArray[np.bool_]) -> Float32:
    """One row from the cells [tokens, slots] that held the class."""
    at = np.flatnonzero(held.any(axis=1))
    cells = tokens.slots[at, held[at].argmax(axis=1)]
    activity = np.clip(cells[:, SLOT_LAYOUT["activity"]], 0.0, 1.0)
    weight = activity.mean(axis=1) + 1e-3
    timeline = np.zeros((MAX_TOKENS, ACTIVITY_VALUES), np.float32)
    timeline[at] = activity
    one_hot = np.zeros(CLASSES, np.float32)
    one_hot[label] = 1.0
    where, heard_as = cells[:, SLOT_LAYOUT["where"]], tokens.semantic[at, -CLASSES:]
    # Where a sound is, is best heard while it is heard for what it is: among others a slot often listens to one of them.
    clear = weight * (np.clip(heard_as[:, label], 0.0, 1.0) + _LEAST_CLEAR)
    passed = np.cumsum(weight) / weight.sum()
    first, second = (_average(where[:, 36:40], part) for part in (clear * (passed <= 0.5), clear * (passed > 0.5)))
    rest = [weight.sum() / 10.0, where[:, -1].max(), len(tokens) / MAX_TOKENS]
    parts = (one_hot, _average(heard_as, weight), timeline.ravel(), _average(where, clear), first, second, rest)
    row = np.concatenate(parts).astype(np.float32)
    row[LEVEL] = np.log10(max(float(_average(10.0 ** where[:, -1], clear)), _LEAST_POWER))
    return row


def _average(values: Float32, weight: Float32) -> Float32:
    """Weighted mean over rows; zeros when nothing weighs."""
    mean: Float32 = weight @ values / max(float(weight.sum()), 1e-6)
    return mean


def _total_activity(row: Float32) -> float:
    return float(row[TOTAL_ACTIVITY])


def _onset(row: Float32) -> int:
    """First step of 80 ms in which the object sounds; the strongest one if it never does surely."""
    timeline = row[2 * CLASSES : 2 * CLASSES + TIMELINE]
    sure = timeline >= _SOUNDING
    return int(sure.argmax() if sure.any() else timeline.argmax())


def _moments(rows: Float32) -> Float32:
    """Means of neighbouring tokens [n, width] -> [ceil(n / 2), width]."""
    count = -(-len(rows) // TOKENS_PER_MOMENT)
    means = [rows[i * TOKENS_PER_MOMENT : (i + 1) * TOKENS_PER_MOMENT].mean(axis=0) for i in range(count)]
    return np.stack(means).astype(np.float32) if means else np.zeros((0, rows.shape[1]), np.float32)
