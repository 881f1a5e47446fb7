"""Quick scores of the encoders on fixed validation batches, for the training curve. The benchmark scores the bundle."""

from __future__ import annotations

import torch
from torch import Tensor

from earshot.training.models.hearing import Hearing
from earshot.training.models.spatial import BIN_CENTRES_DEG
from earshot.training.stages.remix import Batch


def posterior_azimuth_deg(posterior: Tensor) -> Tensor:
    """Azimuth of posteriors [..., 36]: circular mean over the strongest bin and its two neighbours on each side."""
    centres = torch.deg2rad(torch.tensor(BIN_CENTRES_DEG))
    peak = posterior.argmax(-1, keepdim=True)
    near = (peak + torch.arange(-2, 3)) % posterior.shape[-1]
    weight = torch.gather(posterior, -1, near)
    angle = centres[near]
    return torch.rad2deg(torch.atan2((weight * angle.sin()).sum(-1), (weight * angle.cos()).sum(-1)))


def lateral_deg(azimuth_deg: Tensor) -> Tensor:
    """Angle from the median plane of a source at the height of the ears, front and back folded: -90 (right) .. 90 (left).

    Batches hold the azimuths that are trained; benchmarks measure whole directions (`earshot.training.benchmark.statistics.lateral_deg`).
    """
    return torch.rad2deg(torch.asin(torch.sin(torch.deg2rad(azimuth_deg)).clamp(-1, 1)))


@torch.no_grad()
def score_batches(model: Hearing, batches: list[Batch]) -> dict[str, float]:
    """Azimuth (mean, median), lateral error, front/back confusions, class top-1, distance errors over 0.5 m."""
    azimuth, truth, top, far, bounds = [], [], [], [], []
    middle = batches[0].active.shape[-1] // 2  # validation scenes stand still
    for batch in batches:
        semantic, spatial = model(batch.audio, batch.queries)
        weight = batch.active * batch.present[..., None]
        posterior = (torch.softmax(spatial.azimuth, -1) * weight[..., None]).sum(2)
        distance = (spatial.log_distance * weight).sum(-1) / (weight.sum(-1) + 1e-6)
        probability = torch.sigmoid(semantic.logits)
        heard = (weight.sum(-1) > 0) & (batch.direction[:, :, middle, 2].abs() < 0.9)
        for slot in range(batch.queries.shape[1]):
            rows = heard[:, slot]
            azimuth.append(posterior_azimuth_deg(posterior[rows, slot]))
            truth.append(batch.azimuth_deg[rows, slot, middle])
            clip = (probability * weight[:, slot, :, None]).sum(1)[rows]
            top.append(clip.argmax(-1) == batch.queries[rows, slot])
            true = batch.log_distance[rows, slot, middle].exp()
            near = (distance[rows, slot].exp() - true).abs() <= 0.5  # an estimate that is no number is none
            far.append(~near[torch.isfinite(true)])
            bounds.append(rows.sum())
    estimate, actual = torch.cat(azimuth), torch.cat(truth)
    error = ((estimate - actual + 180) % 360 - 180).abs()
    side = (lateral_deg(estimate) - lateral_deg(actual)).abs()
    clear = lateral_deg(actual).abs() < 75
    flipped = (torch.cos(torch.deg2rad(estimate)) * torch.cos(torch.deg2rad(actual))) < 0
    return {
        "azimuth": float(error.mean()),
        "median": float(error.median()),
        "lateral": float(side.mean()),
        "flips": float(flipped[clear].float().mean()),
        "top1": float(torch.cat(top).float().mean()),
        "far": float(torch.cat(far).float().mean()),
    }
