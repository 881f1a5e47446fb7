"""From encoder frames to audio tokens, one per 400 ms (docs/architecture.md).

The pure function pools whole clips for training; the stage pools a stream with it, token by token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.slots import CLASSES, EMPTY, SLOTS

FRAMES_PER_TOKEN = 10
TOKEN_S = FRAMES_PER_TOKEN * FRAME_S
MAX_TOKENS = 25
ACTIVITY_VALUES = FRAMES_PER_TOKEN // 2
SEMANTIC_WIDTH = 256 + CLASSES
SCENE_WIDTH = 128 + 1 + 5
LOG_T60 = 128
"""Column of the scene that holds the logarithm of the reverberation time, behind the embedding."""
SLOT_WIDTH = CLASSES + ACTIVITY_VALUES + 36 + 3 + 1 + 1
SLOT_LAYOUT = {
    "label": slice(0, CLASSES),
    "activity": slice(CLASSES, CLASSES + ACTIVITY_VALUES),
    "where": slice(CLASSES + ACTIVITY_VALUES, SLOT_WIDTH),
}
"""Parts of a slot: one-hot class, activities, and where (azimuth posterior 36, direction 3, log distance 1, level 1)."""
LEVEL_SCALE = 0.1
"""Levels are kept in tens of decibels, of the size of the other inputs."""

Float32 = NDArray[np.float32]
ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class Tokens:
    """Pooled encoder outputs of N audio tokens; `objects.projector_inputs` makes the projector's inputs of them.

    Attributes
    ----------
    semantic : ndarray, float32 [N, 317]
    scene : ndarray, float32 [N, 134]
    slots : ndarray, float32 [N, 4, 107]
        As many slots as classes where they were asked for by name (`asked.py`).
    """

    semantic: Float32
    scene: Float32
    slots: Float32

    def __len__(self) -> int:
        return len(self.semantic)

    def as_dict(self) -> dict[str, Float32]:
        """The arrays by name."""
        return {"semantic": self.semantic, "scene": self.scene, "slots": self.slots}

    def last(self, count: int) -> Tokens:
        """The last `count` tokens; all when there are fewer."""
        start = max(0, len(self) - max(0, count))
        return Tokens(self.semantic[start:], self.scene[start:], self.slots[start:])

    @classmethod
    def join(cls, parts: Sequence[Tokens]) -> Tokens:
        """All tokens of `parts` one after the other; none for an empty sequence."""
        if not parts:
            return cls(_zeros(0, SEMANTIC_WIDTH), _zeros(0, SCENE_WIDTH), _zeros(0, SLOTS, SLOT_WIDTH))
        return cls(
            np.concatenate([part.semantic for part in parts]),
            np.concatenate([part.scene for part in parts]),
            np.concatenate([part.slots for part in parts]),
        )


def pool_tokens(
    *,
    semantic_embedding: ArrayLike,
    class_probability: ArrayLike,
    slot_class: ArrayLike,
    activity: ArrayLike,
    azimuth_posterior: ArrayLike,
    direction: ArrayLike,
    log_distance: ArrayLike,
    level_db: ArrayLike,
    scene_embedding: ArrayLike,
    log_t60: ArrayLike,
    count_probability: ArrayLike,
) -> Tokens:
    """Pool the encoder outputs of a clip into T // 10 tokens; an incomplete last token is left out.

    Parameters
    ----------
    semantic_embedding : array [T, 256]
    class_probability : array [T, 61]
        After the sigmoid.
    slot_class : integer array [T, 4]
        -1 when empty, as `allocate` returns it. Any other number of slots will do as well.
    activity : array [T, 4]
        After the sigmoid.
    azimuth_posterior : array [T, 4, 36]
    direction : array [T, 4, 3]
    log_distance : array [T, 4]
        Natural logarithm of metres.
    level_db : array [T, 4]
        Level of what the slot owns of the mixture.
    scene_embedding : array [T, 128]
    log_t60 : array [T]
    count_probability : array [T, 5]
        After the softmax.

    Returns
    -------
    Tokens
        Semantic and scene parts are means. The slot part belongs to the class the slot held last within the
        token: one-hot class, five means of activity over frame pairs, and means of the posterior, direction,
        log distance and level (in tens of dB) over the frames in which it held that class.
    """
    classes = _by_token(np.asarray(slot_class, np.int64))
    where = np.concatenate(
        [
            np.asarray(azimuth_posterior, np.float32),
            np.asarray(direction, np.float32),
            np.asarray(log_distance, np.float32)[..., None],
            LEVEL_SCALE * np.asarray(level_db, np.float32)[..., None],
        ],
        axis=-1,
    )
    log_t60_column = np.asarray(log_t60, np.float32)[:, None]
    return Tokens(
        semantic=_joined_means(semantic_embedding, class_probability),
        scene=_joined_means(scene_embedding, log_t60_column, count_probability),
        slots=_pool_slots(classes, _by_token(np.asarray(activity, np.float32)), _by_token(where)),
    )


class TokenPooler:
    """Stage that turns ten `HearingFrame`s into one token.

    Attributes
    ----------
    frames : list of HearingFrame
        Those of the token under way; after its last one was taken, until the next comes, the ten of the token completed.
    yaws_deg : list of float or None
        Where the head looked in each of them.
    """

    latency_s = TOKEN_S

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Drop the frames of the token under way."""
        self.frames: list[HearingFrame] = []
        self.yaws_deg: list[float | None] = []

    def process(self, frame: HearingFrame, yaw_deg: float | None = None) -> Tokens | None:
        """Take one frame, with the yaw of the head if it is known; returns the token (N = 1) it completes, else None."""
        if len(self.frames) == FRAMES_PER_TOKEN:
            self.reset()
        self.frames.append(frame)
        self.yaws_deg.append(yaw_deg)
        return pool_frames(self.frames) if len(self.frames) == FRAMES_PER_TOKEN else None

    @property
    def yaw_deg(self) -> float | None:
        """Mean yaw of the frames; None where it is not known of all of them."""
        known = [yaw_deg for yaw_deg in self.yaws_deg if yaw_deg is not None]
        if not known or len(known) < len(self.yaws_deg):
            return None
        return known[0] + sum(wrap_deg(yaw_deg - known[0]) for yaw_deg in known) / len(known)

    def flush(self) -> None:
        """An incomplete token is dropped, as in training."""
        self.reset()


class TokenRing:
    """The tokens of the last 10 s, at most 25, with their frames: what the language model hears, and what it may ask again."""

    def __init__(self) -> None:
        self._tokens: deque[Tokens] = deque(maxlen=MAX_TOKENS)
        self._yaws_deg: deque[float | None] = deque(maxlen=MAX_TOKENS)
        self._frames: deque[HearingFrame] = deque(maxlen=MAX_TOKENS * FRAMES_PER_TOKEN)

    def reset(self) -> None:
        """Forget all tokens."""
        self._tokens.clear()
        self._yaws_deg.clear()
        self._frames.clear()

    def push(self, token: Tokens, frames: Sequence[HearingFrame], yaw_deg: float | None = None) -> None:
        """Add one token, its ten frames and the yaw of the head; the oldest one falls out when the ring is full."""
        self._tokens.append(token)
        self._yaws_deg.append(yaw_deg)
        self._frames.extend(frames)

    def tokens(self) -> Tokens:
        """All tokens held, oldest first, as they were heard."""
        return Tokens.join(list(self._tokens))

    def turned_deg(self, yaw_deg: float | None) -> tuple[float, ...]:
        """How far everything has moved to the left since each token, seen from a head that looks at a yaw; 0 where that is not known."""
        if yaw_deg is None:
            return (0.0,) * len(self._yaws_deg)
        return tuple(0.0 if then is None else wrap_deg(then - yaw_deg) for then in self._yaws_deg)

    def frames(self) -> tuple[HearingFrame, ...]:
        """Their frames, ten for each token."""
        return tuple(self._frames)


def pool_frames(frames: Sequence[HearingFrame]) -> Tokens:
    """Pool frames of a stream into len(frames) // 10 tokens; see `pool_tokens`."""
    return pool_tokens(
        semantic_embedding=np.stack([f.semantic_embedding for f in frames]),
        class_probability=np.stack([f.class_probability for f in frames]),
        slot_class=np.stack([f.slot_class for f in frames]),
        activity=np.stack([f.activity for f in frames]),
        azimuth_posterior=np.stack([f.azimuth_posterior for f in frames]),
        direction=np.stack([f.direction for f in frames]),
        log_distance=np.stack([f.log_distance for f in frames]),
        level_db=np.stack([f.level_db for f in frames]),
        scene_embedding=np.stack([f.scene_embedding for f in frames]),
        log_t60=np.array([f.log_t60 for f in frames], np.float32),
        count_probability=np.stack([f.count_probability for f in frames]),
    )


def _zeros(*shape: int) -> Float32:
    return np.zeros(shape, np.float32)


def _by_token(frames: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """[T, ...] -> [T // 10, 10, ...]."""
    tokens = len(frames) // FRAMES_PER_TOKEN
    return frames[: tokens * FRAMES_PER_TOKEN].reshape(tokens, FRAMES_PER_TOKEN, *frames.shape[1:])


def _joined_means(*parts: ArrayLike) -> Float32:
    """Token means of several arrays [T, width], side by side: float32 [T // 10, sum of widths]."""
    means = [_by_token(np.asarray(part, np.float32)).mean(axis=1) for part in parts]
    return np.concatenate(means, axis=-1).astype(np.float32)


def _pool_slots(classes: NDArray[np.int64], activity: Float32, where: Float32) -> Float32:
    """Slot parts from classes [N, 10, Q], activity [N, 10, Q] and where [N, 10, Q, 41]: [N, Q, 107]."""
    count = classes.shape[-1]
    label = _last_held(classes)
    held = ((classes == label[:, None]) & (classes != EMPTY)).astype(np.float32)
    pooled = _zeros(len(classes), count, SLOT_WIDTH)
    one_hot = np.arange(CLASSES) == label[..., None]
    pooled[..., :CLASSES] = one_hot
    pairs = (activity * held).reshape(len(classes), ACTIVITY_VALUES, 2, count).mean(axis=2)
    pooled[..., CLASSES : CLASSES + ACTIVITY_VALUES] = pairs.transpose(0, 2, 1)
    frames_held = np.maximum(held.sum(axis=1), 1.0)
    pooled[..., CLASSES + ACTIVITY_VALUES :] = (where * held[..., None]).sum(axis=1) / frames_held[..., None]
    return pooled


def _last_held(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Class each slot held last within its token, -1 if none: [N, 10, Q] -> int64 [N, Q]."""
    from_the_end = classes[:, ::-1]
    last = (from_the_end != EMPTY).argmax(axis=1)
    label: NDArray[np.int64] = np.take_along_axis(from_the_end, last[:, None], axis=1)[:, 0]
    return label
