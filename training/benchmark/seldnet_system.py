"""A trained SELDnet as a system of ``earshot bench seld`` and ``hearing``: its detections as tracks and as sources."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angles_of, unit_vector
from earshot.runtime.hearing.tracks import TrackerSettings
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.sources import SourceEstimate
from earshot.training.benchmark.frame_tables import CENTIMETRES, FRAME_S, FrameTable, table_of
from earshot.training.models.seldnet import load_seldnet
from earshot.training.models.seldnet_features import LABEL_SAMPLES
from earshot.training.models.seldnet_hear import Heard, hear

LEAST_DISTANCE_M = 0.01
Audio = NDArray[np.float32]


class SeldnetSystem:
    """The network of a run directory of ``earshot train seldnet``.

    Parameters
    ----------
    run : Path
        The run directory.

    Attributes
    ----------
    name : str
        The run, its features and its threshold.

    Raises
    ------
    InputError
        It holds no such network.
    """

    def __init__(self, run: Path) -> None:
        self._model, self._threshold = load_seldnet(run)
        self.name = f"{run} (SELDnet, {self._model.config.features}, threshold {self._threshold:g})"

    def table(self, audio: Audio) -> FrameTable:
        """Sources of every 100 ms of a recording [2, samples]: whole degrees and centimetres, as bundles are scored."""
        rows = [
            (h.frame, h.class_id, h.source, round(h.azimuth_deg), round(h.elevation_deg), _whole_cm(h.distance_m))
            for h in hear(self._model, self._threshold, audio)
        ]
        return table_of(rows)

    def sources(self, audio: Audio) -> list[SourceEstimate]:
        """Sources of a clip [2, samples], in order of onset."""
        frames = audio.shape[1] // LABEL_SAMPLES
        return summarized(hear(self._model, self._threshold, audio), frames)


def summarized(heard: list[Heard], frames: int) -> list[SourceEstimate]:
    """One estimate for each source of a clip of some frames.

    What sounds for less than a track of a bundle must is left out. Direction and distance are means, weighted with
    activity; the confidence is the activity summed over the clip's frames, so that what sounds surely and long comes first.
    """
    name = lambda h: (h.class_id, h.source)  # noqa: E731
    lives = [list(life) for _, life in groupby(sorted(heard, key=name), key=name)]
    least = TrackerSettings().minimum_s / FRAME_S
    estimates = [_estimate(life, frames) for life in lives if len(life) >= least]
    return sorted(estimates, key=lambda estimate: estimate.onset_s)


def _estimate(life: list[Heard], frames: int) -> SourceEstimate:
    weight = np.array([h.activity for h in life])
    places = unit_vector([h.azimuth_deg for h in life], [h.elevation_deg for h in life])
    azimuth, elevation = angles_of(weight @ places)
    log_distance = weight @ np.log([max(LEAST_DISTANCE_M, h.distance_m) for h in life]) / weight.sum()
    return SourceEstimate(
        label=load_labels()[life[0].class_id].name,
        confidence=min(1.0, float(weight.sum()) / frames),
        azimuth_deg=float(azimuth),
        elevation_deg=float(elevation),
        distance_m=float(np.exp(log_distance)),
        onset_s=min(h.frame for h in life) * FRAME_S,
        offset_s=(max(h.frame for h in life) + 1) * FRAME_S,
    )


def _whole_cm(distance_m: float) -> float:
    return round(CENTIMETRES * distance_m) / CENTIMETRES
