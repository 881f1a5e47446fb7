"""Targets of the SELDnet baselines at 10 Hz, and the loss of multi-ACCDOA: auxiliary duplicating permutation invariant."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from earshot.training.models.seldnet import TRACKS
from earshot.training.stages.remix import Batch

# A frame of the labels is 2.5 frames of the encoders; what sounds for one of these counts.
AUDIBLE_SHARE = 0.3
BRIDGED_FRAMES = 5
"""Pauses up to half a second count as sounding, as in the truth of ``earshot bench seld``."""


@dataclass(frozen=True)
class SeldTargets:
    """What sounds where, in 100 ms frames; Q sources.

    ``classes`` int64 [B, Q]; ``active`` bool [B, T, Q]; ``direction`` [B, T, Q, 3] unit vectors; ``distance_m`` [B, T, Q] (NaN
    unknown).
    """

    classes: Tensor
    active: Tensor
    direction: Tensor
    distance_m: Tensor


def targets_of(batch: Batch) -> SeldTargets:
    """Targets of remixes whose length is a multiple of 0.2 s; of places, those in the middle of a frame."""
    frames = batch.active.shape[-1] * 2 // 5
    middle = (2.5 * torch.arange(frames) + 1.25).long()
    heard = (batch.active * batch.present[..., None]) @ _overlap(batch.active.shape[-1], frames)
    return SeldTargets(
        classes=batch.queries,
        active=bridged(heard > AUDIBLE_SHARE).transpose(1, 2),
        direction=batch.direction[:, :, middle].transpose(1, 2),
        distance_m=batch.log_distance[:, :, middle].exp().transpose(1, 2),
    )


def _overlap(inputs: int, frames: int) -> Tensor:
    """How much of every 100 ms frame lies in every 40 ms frame, [inputs, frames]; columns add up to 1."""
    first = torch.arange(inputs)[:, None] * 0.4
    start = torch.arange(frames).float()
    return (torch.minimum(first + 0.4, start + 1) - torch.maximum(first, start)).clamp(min=0)


def bridged(active: Tensor, pause: int = BRIDGED_FRAMES) -> Tensor:
    """Activity, bool [B, Q, T], with pauses of up to ``pause`` frames filled: a morphological closing."""
    longer = F.pad(active.float(), (pause, pause))
    spread = F.max_pool1d(longer, pause + 1, 1)  # everything sounds on for the length of a pause
    return -F.max_pool1d(-spread, pause + 1, 1) > 0.5


def adpit_loss(output: Tensor, targets: SeldTargets) -> Tensor:
    """Multi-ACCDOA loss with distance.

    Shimada et al. 2022: of a class with fewer sources than tracks, sources are given to several tracks, in the way that
    suits the tracks best; a class that is silent has vectors of length 0. Squared errors of vectors, and of distances
    relative to the truth (Krause et al. 2024 compare several), averaged over tracks and summed over classes: with 61 of them,
    of which one or two sound, a mean would be all but 0. A distance is asked only where something sounds whose distance is
    known; coupled to the activity, as the DCASE baseline has it, it would shrink with doubt.

    Parameters
    ----------
    output : [B, T, 3, 4, classes]
        Of `Seldnet`.
    targets : SeldTargets
        As many sources as tracks, or fewer.

    Returns
    -------
    Tensor
        Mean over frames.
    """
    same = targets.classes[:, None, :, None] == targets.classes[:, None, None, :]
    wanted = same & targets.active[:, :, None, :]  # [B, T, Q, Q]: sources of the class of q that sound
    earlier = torch.ones(wanted.shape[-2:], dtype=torch.bool).tril(-1)
    leads = targets.active & ~(wanted & earlier).any(-1)  # each class that sounds once
    suited = _best_assignment(_errors(output, targets), wanted)
    heard = torch.where(leads, suited, 0.0).sum(-1)
    silent = output[..., :3, :].square().sum((2, 3)) * (1.0 - _sounding(output, targets))
    return (heard + silent.sum(-1)).mean() / TRACKS


def _errors(output: Tensor, targets: SeldTargets) -> Tensor:
    """Error [B, T, Q, tracks, Q] of every track of the class of a source as every source."""
    index = targets.classes[:, None, None, None, :].expand(*output.shape[:4], -1)
    chosen = output.gather(-1, index).permute(0, 1, 4, 2, 3)[..., None, :]  # [B, T, Q, N, 1, 4]
    vector = (chosen[..., :3] - targets.direction[:, :, None, None]).square().sum(-1)
    known = torch.isfinite(targets.distance_m)
    truth = torch.where(known, targets.distance_m, 1.0)[:, :, None, None]
    far = ((chosen[..., 3] - truth) / truth).square() * known[:, :, None, None]
    return vector + far


def _best_assignment(errors: Tensor, wanted: Tensor) -> Tensor:
    """Least error [B, T, Q] over the ways to give the wanted sources, each at least once, to the tracks."""
    tracks, sources = errors.shape[-2:]
    ways = torch.tensor(list(itertools.product(range(sources), repeat=tracks)))  # [P, tracks]
    used = F.one_hot(ways, sources).amax(1).bool()
    allowed = (used == wanted[..., None, :]).all(-1)  # [B, T, Q, P]
    total = errors[..., torch.arange(tracks), ways].sum(-1)
    return torch.where(allowed, total, torch.inf).amin(-1)


def _sounding(output: Tensor, targets: SeldTargets) -> Tensor:
    """1 for each class that sounds, [B, T, classes]."""
    index = targets.classes[:, None].expand_as(targets.active)
    empty = output.new_zeros(*output.shape[:2], output.shape[-1])
    return empty.scatter_reduce(2, index, targets.active.float(), "amax")
