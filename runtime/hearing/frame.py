"""What the encoders say about one moment: the record that tracks and audio tokens are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the spatial network heard a frame in, so that it can be asked again.

    Attributes
    ----------
    features : ndarray, float32 [1, 8, 1, 64]
    semantic_keys : ndarray, float32 [1, 96, 8]
    """

    features: Float32
    semantic_keys: Float32


@dataclass(frozen=True)
class HearingFrame:
    """What the encoders heard in one encoder frame of 40 ms.

    Attributes
    ----------
    time_s : float
        End of the frame, seconds since stream start.
    class_probability : ndarray, float32 [61]
        Sigmoid of the class logits, 0 to 1.
    semantic_embedding : ndarray, float32 [256]
    slot_class : ndarray, int64 [4]
        Class id held by each slot, -1 when empty. All slot arrays are zero for an empty slot.
    slot_keep : ndarray, float32 [4]
        0 where the class of the slot changed at this frame.
    activity : ndarray, float32 [4]
        Probability that the class of the slot sounds now, 0 to 1.
    azimuth_posterior : ndarray, float32 [4, 36]
        Probabilities of 10 degree bins, bin i centred at -175 + 10 i degrees (positive = left).
    direction : ndarray, float32 [4, 3]
        x front, y left, z up; the length is the certainty.
    log_distance : ndarray, float32 [4]
        Natural logarithm of metres.
    level_db : ndarray, float32 [4]
        Level of what the slot owns of the mixture, dB; unscaled microphone units.
    scene_embedding : ndarray, float32 [128]
    log_t60 : float
        Natural logarithm of the reverberation time in seconds.
    count_probability : ndarray, float32 [5]
        Probability of 0 to 4 sources sounding.
    evidence : Evidence or None
        To ask again by name; None where that is not wanted. The same object in the next frame says that the encoders rested.
    """

    time_s: float
    class_probability: Float32
    semantic_embedding: Float32
    slot_class: NDArray[np.int64]
    slot_keep: Float32
    activity: Float32
    azimuth_posterior: Float32
    direction: Float32
    log_distance: Float32
    level_db: Float32
    scene_embedding: Float32
    log_t60: float
    count_probability: Float32
    evidence: Evidence | None = None
