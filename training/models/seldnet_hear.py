"""From a recording of any length to what a SELDnet hears in it: windows of 5 s, a threshold, tracks that agree made one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earshot.runtime.geometry import angles_of
from earshot.training.models.seldnet import TRACKS, Seldnet
from earshot.training.models.seldnet_features import LABEL_SAMPLES

WINDOW_FRAMES = 50
"""5 s in frames of 100 ms: as long as what it was trained on."""
STEP_FRAMES = 25
WINDOWS_AT_ONCE = 8
UNIFY_DEG = 15.0
"""Tracks of one class that are closer are one source; as in Shimada et al. 2022 and the DCASE baselines."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """A source in one frame of 100 ms.

    Attributes
    ----------
    frame, class_id, source : int
        Number of the frame and of the class; sources of one class in one frame are counted from 0.
    activity : float
        Length of its vector.
    azimuth_deg, elevation_deg, distance_m : float
    """

    frame: int
    class_id: int
    source: int
    activity: float
    azimuth_deg: float
    elevation_deg: float
    distance_m: float


def hear(model: Seldnet, threshold: float, audio: Floats) -> list[Heard]:
    """Sources in a recording.

    Parameters
    ----------
    model : Seldnet
        In evaluation mode.
    threshold : float
        Length from which on a vector is a source.
    audio : float32 [2, samples]
        A rest shorter than 100 ms is left out.

    Returns
    -------
    list of Heard
        In order of frames, then of classes.
    """
    return list(detections(outputs_of(model, audio), threshold))


@torch.no_grad()
def outputs_of(model: Seldnet, audio: Floats) -> Floats:
    """What a network says about each frame of a recording, [T, 3, 4, classes].

    Windows overlap by half; each frame is taken from the window in whose middle it lies most.
    """
    frames = audio.shape[1] // LABEL_SAMPLES
    width = min(frames, WINDOW_FRAMES)
    if width == 0:
        return np.zeros((0, TRACKS, 4, model.config.classes), np.float32)
    starts = np.unique([*range(0, frames - width, STEP_FRAMES), frames - width])
    windows = torch.from_numpy(np.stack([_cut(audio, int(start), width) for start in starts]))
    said = torch.cat([_said(model, part) for part in torch.split(windows, WINDOWS_AT_ONCE)]).numpy()
    middles = starts + (width - 1) / 2
    chosen = np.abs(np.arange(frames)[:, None] - middles).argmin(1)
    out: Floats = said[chosen, np.arange(frames) - starts[chosen]]
    return out


def _cut(audio: Floats, start: int, width: int) -> Floats:
    return audio[:, start * LABEL_SAMPLES : (start + width) * LABEL_SAMPLES].astype(np.float32)


def _said(model: Seldnet, windows: Tensor) -> Tensor:
    out: Tensor = model(windows)
    return out


def detections(output: Floats, threshold: float) -> Iterator[Heard]:
    """Sources in what a network says, [T, 3, 4, classes]."""
    vectors, distances = np.moveaxis(output[:, :, :3], 2, -1), output[:, :, 3]  # [T, 3, classes, xyz], [T, 3, classes]
    lengths = np.linalg.norm(vectors, axis=-1)
    for frame, class_id in np.argwhere((lengths > threshold).any(axis=1)):
        tracks = np.flatnonzero(lengths[frame, :, class_id] > threshold)
        for source, members in enumerate(unified(vectors[frame, tracks, class_id])):
            same = tracks[members]
            vector = vectors[frame, same, class_id].mean(axis=0)
            azimuth, elevation = angles_of(vector)
            yield Heard(
                frame=int(frame),
                class_id=int(class_id),
                source=source,
                activity=float(np.linalg.norm(vector)),
                azimuth_deg=float(azimuth),
                elevation_deg=float(elevation),
                distance_m=float(distances[frame, same, class_id].mean()),
            )


def unified(vectors: Floats) -> list[list[int]]:
    """Groups of vectors [n, 3] of which each is within 15 degrees of another of its group."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = unit @ unit.T >= np.cos(np.deg2rad(UNIFY_DEG))
    groups: list[list[int]] = []
    for number in range(len(vectors)):
        joined = [group for group in groups if near[number, group].any()]
        groups = [group for group in groups if group not in joined]
        groups.append(sorted([number, *(member for group in joined for member in group)]))
    return sorted(groups)
