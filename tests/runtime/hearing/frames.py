"""Synthetic `HearingFrame`s: a scene told frame by frame, without networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths, unit_vector
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.posterior import bin_centres_deg


@dataclass(frozen=True)
class Heard:
    """What one slot holds in one frame."""

    label: int
    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    distance_m: float = 2.0
    activity: float = 0.95
    probability: float = 0.9
    mirrored: float = 0.0


def lobe(azimuth_deg: float, width_deg: float = 10.0) -> NDArray[np.float32]:
    """Posterior with one lobe, float32 [36]."""
    away = angle_between_azimuths(bin_centres_deg(), azimuth_deg)
    weights = np.exp(-0.5 * (away / width_deg) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def frame(number: int, slots: Sequence[Heard | None]) -> HearingFrame:
    """Frame `number` (1 = first of the stream) with up to four slots."""
    probability = np.full(61, 0.01, np.float32)
    arrays = {
        "slot_class": np.full(4, -1),
        "activity": np.zeros(4, np.float32),
        "azimuth_posterior": np.zeros((4, 36), np.float32),
        "direction": np.zeros((4, 3), np.float32),
        "log_distance": np.zeros(4, np.float32),
        "level_db": np.zeros(4, np.float32),
    }
    for slot, heard in enumerate(slots):
        if heard is None:
            continue
        probability[heard.label] = heard.probability
        front, back = lobe(heard.azimuth_deg), lobe(180.0 - heard.azimuth_deg)
        arrays["slot_class"][slot] = heard.label
        arrays["activity"][slot] = heard.activity
        arrays["azimuth_posterior"][slot] = (1 - heard.mirrored) * front + heard.mirrored * back
        arrays["direction"][slot] = unit_vector(heard.azimuth_deg, heard.elevation_deg)
        arrays["log_distance"][slot] = np.log(heard.distance_m)
    return HearingFrame(
        time_s=0.04 * number,
        class_probability=probability,
        semantic_embedding=np.zeros(256, np.float32),
        slot_keep=np.ones(4, np.float32),
        scene_embedding=np.zeros(128, np.float32),
        log_t60=-1.0,
        count_probability=np.full(5, 0.2, np.float32),
        **arrays,
    )
