"""Scores of the SELDnet baselines on fixed mixtures: for the training curve, and to choose the threshold by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from earshot.training.models.seldnet import Seldnet
from earshot.training.stages.hearing_score import lateral_deg
from earshot.training.stages.remix import Batch
from earshot.training.stages.seldnet_loss import SeldTargets, targets_of

WITHIN_DEG = 20.0
THRESHOLDS = tuple(round(0.2 + 0.05 * number, 2) for number in range(11))
"""Lengths of a vector, of which training may choose the one from which on it is a source."""


@dataclass(frozen=True)
class ClassPlaces:
    """What is said of each class: that of its surest track.

    ``length`` [B, T, classes]; ``vector`` [B, T, 3, classes]; ``distance_m`` [B, T, classes].
    """

    length: Tensor
    vector: Tensor
    distance_m: Tensor


@torch.no_grad()
def places_of(model: Seldnet, batch: Batch) -> ClassPlaces:
    """What a network in evaluation mode says about a batch."""
    output = model(batch.audio)
    lengths = output[..., :3, :].norm(dim=-2)
    length, surest = lengths.max(2)
    index = surest[:, :, None, None].expand(-1, -1, 1, output.shape[3], -1)
    chosen = output.gather(2, index)[:, :, 0]
    return ClassPlaces(length, chosen[..., :3, :], chosen[..., 3, :])


def score_batches(model: Seldnet, batches: Sequence[Batch], threshold: float) -> dict[str, float]:
    """Scores of a network in evaluation mode.

    Returns
    -------
    dict
        ``f20``: F-score of frames (class, within 20 degrees); of what sounds, as `hearing_score.score_batches` has them:
        ``azimuth``, ``median`` and ``lateral`` errors in degrees, shares ``flips`` of front and back, ``top1`` of classes,
        ``far`` of distances off by more than 0.5 m.
    """
    said = [places_of(model, batch) for batch in batches]
    wanted = [targets_of(batch) for batch in batches]
    parts = [_sources(places, targets) for places, targets in zip(said, wanted, strict=True)]
    estimate, actual, top, far = (torch.cat(columns) for columns in zip(*parts, strict=True))
    error = ((estimate - actual + 180) % 360 - 180).abs()
    clear = lateral_deg(actual).abs() < 75
    flipped = torch.cos(torch.deg2rad(estimate)) * torch.cos(torch.deg2rad(actual)) < 0
    return {
        "f20": f_score([hits(places, targets, threshold) for places, targets in zip(said, wanted, strict=True)]),
        "azimuth": float(error.mean()),
        "median": float(error.median()),
        "lateral": float((lateral_deg(estimate) - lateral_deg(actual)).abs().mean()),
        "flips": float(flipped[clear].float().mean()),
        "top1": float(top.float().mean()),
        "far": float((far[torch.isfinite(far)] > 0.5).float().mean()),
    }


def _sources(places: ClassPlaces, targets: SeldTargets) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of every source that sounds: azimuth said and true, whether its class was the surest, error of the distance."""
    weight = targets.active.float()
    count = weight.sum(1)
    heard = count > 0

    def mean(values: Tensor) -> Tensor:
        return (values * weight).sum(1) / count.clamp(min=1)

    index = targets.classes[:, None].expand_as(targets.active)
    x, y = (mean(places.vector[:, :, axis].gather(2, index)) for axis in (0, 1))
    true_x, true_y = (mean(targets.direction[..., axis]) for axis in (0, 1))
    surest = torch.einsum("btc,btq->bqc", places.length, weight).argmax(-1) == targets.classes
    far = (mean(places.distance_m.gather(2, index)) - mean(targets.distance_m)).abs()
    said, true = (torch.rad2deg(torch.atan2(side, ahead)) for side, ahead in ((y, x), (true_y, true_x)))
    return said[heard], true[heard], surest[heard], far[heard]


def hits(places: ClassPlaces, targets: SeldTargets, threshold: float) -> tuple[int, int, int]:
    """Right ones among what is said, what is said, and what sounds, in frames."""
    index = targets.classes[:, None].expand_as(targets.active)
    said = places.length > threshold
    vector = places.vector.gather(3, index[:, :, None].expand(-1, -1, 3, -1)).transpose(2, 3)
    cosine = F.cosine_similarity(vector, targets.direction, dim=-1)
    near = cosine > torch.cos(torch.deg2rad(torch.tensor(WITHIN_DEG)))
    right = targets.active & said.gather(2, index) & near
    return int(right.sum()), int(said.sum()), int(targets.active.sum())


def f_score(counts: Sequence[tuple[int, int, int]]) -> float:
    """Harmonic mean of precision and recall of some `hits`; 0 where nothing was said or sounds."""
    right, said, true = (sum(column) for column in zip(*counts, strict=True))
    return float(2 * right / max(1, said + true))


def choose_threshold(model: Seldnet, batches: Sequence[Batch]) -> float:
    """The threshold with the best F-score on some mixtures, which must be of the training set."""
    said = [(places_of(model, batch), targets_of(batch)) for batch in batches]
    scores = {t: f_score([hits(places, targets, t) for places, targets in said]) for t in THRESHOLDS}
    return max(scores, key=lambda threshold: scores[threshold])
