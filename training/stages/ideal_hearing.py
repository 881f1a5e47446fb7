"""What good ears would make of a scene that was only described: projector inputs without audio, in endless number.

In a feature bank four of ten sounds are missed or taken for another class, so half of what the language model is asked to
read there cannot be read. These inputs hold what the scene holds, with the spread of real posteriors, so that reading
directions, distances and times off an object is learned first and fast. They are mixed into training, never into a score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.objects import ProjectorInputs, projector_inputs
from earshot.runtime.hearing.posterior import bin_centres_deg
from earshot.runtime.hearing.slots import CLASSES, SLOTS
from earshot.runtime.hearing.tokens import (
    ACTIVITY_VALUES,
    LEVEL_SCALE,
    SCENE_WIDTH,
    SEMANTIC_WIDTH,
    SLOT_LAYOUT,
    SLOT_WIDTH,
    TOKEN_S,
    Tokens,
)
from earshot.runtime.labels import class_id
from earshot.training.synthesis.scenes import places_at

Float32 = NDArray[np.float32]
AZIMUTH_ERROR_DEG = 4.0
LOG_DISTANCE_ERROR = 0.2
_STEP_S = TOKEN_S / ACTIVITY_VALUES


def ideal_inputs(scene: Mapping[str, Any], rng: np.random.Generator) -> ProjectorInputs:
    """Projector inputs of a described scene of at most 10 s and four sources of different classes."""
    count = max(1, int(scene["duration_s"] / TOKEN_S))
    slots = np.zeros((count, SLOTS, SLOT_WIDTH), np.float32)
    semantic = rng.normal(0.0, 0.1, (count, SEMANTIC_WIDTH))
    semantic[:, -CLASSES:] = rng.uniform(0.0, 0.03, (count, CLASSES))
    scene_part = rng.normal(0.0, 0.1, (count, SCENE_WIDTH))
    for slot, source in zip(rng.permutation(SLOTS), scene["sources"], strict=False):
        label = class_id(source["label"])
        activity = _activity(source, count)
        held = activity.any(axis=1)
        slots[held, slot, label] = 1.0
        slots[held, slot, SLOT_LAYOUT["activity"]] = activity[held] * rng.uniform(0.8, 1.0, (held.sum(), 1))
        slots[held, slot, SLOT_LAYOUT["where"]] = _where(source, (np.flatnonzero(held) + 0.5) * TOKEN_S, rng)
        semantic[held, SEMANTIC_WIDTH - CLASSES + label] = rng.uniform(0.5, 1.0)
    return projector_inputs(Tokens(semantic.astype(np.float32), scene_part.astype(np.float32), slots))


def _activity(source: Mapping[str, Any], count: int) -> Float32:
    """Share of every step of 80 ms in which the source sounds, [tokens, 5]."""
    start = _STEP_S * np.arange(count * ACTIVITY_VALUES)
    heard = np.minimum(start + _STEP_S, source["offset_s"]) - np.maximum(start, source["onset_s"])
    share: Float32 = np.clip(heard / _STEP_S, 0.0, 1.0).reshape(count, ACTIVITY_VALUES).astype(np.float32)
    return share


def _where(source: Mapping[str, Any], time_s: NDArray[np.floating], rng: np.random.Generator) -> Float32:
    """Azimuth posterior, direction, log distance and level at some times [N, 41]; the errors are those of the whole sound."""
    azimuth_deg, elevation_deg, distance_m = places_at(source["trajectory"], time_s)
    azimuth_deg = azimuth_deg + rng.normal(0.0, AZIMUTH_ERROR_DEG)
    elevation = np.deg2rad(elevation_deg + rng.normal(0.0, 5.0))
    mirrored = rng.uniform(0.0, 0.35) if rng.random() < 0.5 else 0.0
    sharpness = math.exp(rng.uniform(math.log(6.0), math.log(40.0)))
    posterior = (1.0 - mirrored) * _lobe(azimuth_deg, sharpness) + mirrored * _lobe(180.0 - azimuth_deg, sharpness)
    azimuth, level = np.deg2rad(azimuth_deg), np.cos(elevation)
    direction = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=1)
    log_distance = np.log(distance_m) + rng.normal(0.0, LOG_DISTANCE_ERROR)
    loudness = np.full(len(time_s), LEVEL_SCALE * source["level_db"])
    rows = np.column_stack([posterior, (1.0 - mirrored) * direction, log_distance, loudness])
    noise = np.concatenate([np.zeros(36), rng.normal(0.0, 0.03, 3), [0.0, 0.0]])
    out: Float32 = (rows + noise + rng.normal(0.0, 0.01, rows.shape)).astype(np.float32)
    return out


def _lobe(azimuth_deg: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    """Von Mises weights of directions [N] over the 36 bins, every row summing to 1: [N, 36]."""
    weight = np.exp(sharpness * (np.cos(np.deg2rad(bin_centres_deg() - azimuth_deg[:, None])) - 1.0))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
