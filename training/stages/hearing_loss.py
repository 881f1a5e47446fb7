"""Losses of the two encoders and the figures that tell how well they hear."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from earshot.training.models.semantic import SemanticOutput
from earshot.training.models.spatial import BIN_CENTRES_DEG, SlotOutput, SpatialOutput
from earshot.training.stages.remix import Batch


@dataclass(frozen=True)
class LossWeights:
    """Balance of the parts. A class loss far larger than the others stops direction from being learned."""

    classes: float = 0.4
    clip_class: float = 0.5
    azimuth: float = 1.0
    direction: float = 1.5
    distance: float = 0.6
    off: float = 1.0
    activity: float = 0.4
    mask: float = 1.0
    room: float = 0.1
    count: float = 0.15
    taught: float = 1.0
    first_look: float = 0.3


# Who listens is misled by half a metre, wherever the sound is (Zheng et al. 2024 count such errors); the slope is that of a soft count.
TOLERANCE_M, SLOPE_M = 0.5, 0.15
# Width of the soft azimuth target; about one bin, so that neighbours share the evidence (von Mises).
AZIMUTH_KAPPA = 24.0


def hearing_loss(
    semantic: SemanticOutput,
    spatial: SpatialOutput,
    batch: Batch,
    weights: LossWeights,
    pupil: nn.Linear | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum and its parts; all in float32. ``pupil`` says from the embedding what the teacher would."""
    parts = {
        "classes": _class_loss(semantic.logits.float(), batch),
        "clip_class": _frame_softmax_loss(semantic.logits.float(), batch),
        **_slot_losses(spatial, batch),
        **_scene_losses(spatial, batch),
    }
    first = _slot_losses(spatial.first, batch)
    parts["first_look"] = torch.stack([getattr(weights, name) * value for name, value in first.items()]).sum()
    if pupil is not None:
        parts["taught"] = taught_loss(pupil(semantic.embedding.float()), batch)
    total = torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum()
    return total, parts


def class_targets(batch: Batch, classes: int) -> Tensor:
    """Multi-label frame targets [B, T, classes] from the events."""
    heard = (batch.event * batch.present[..., None]).transpose(1, 2)  # [B, T, Q]
    target = torch.zeros(*heard.shape[:2], classes)
    index = batch.queries[:, None, :].expand(-1, heard.shape[1], -1)
    return target.scatter_reduce(2, index, heard, "amax")


def _class_loss(logits: Tensor, batch: Batch) -> Tensor:
    target = class_targets(batch, logits.shape[-1])
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1).mean()


def _frame_softmax_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy over classes in audible frames, shared among the sources by their power."""
    share = (batch.share.mean(-1) * batch.active).transpose(1, 2)  # [B, T, Q]
    total = share.sum(-1, keepdim=True)
    log_probability = F.log_softmax(logits, dim=-1)
    index = batch.queries[:, None, :].expand(-1, logits.shape[1], -1)
    chosen = torch.gather(log_probability, 2, index)
    heard = (total[..., 0] > 0.05).float()
    loss = -(chosen * share / (total + 1e-6)).sum(-1) * heard
    return loss.sum() / (heard.sum() + 1.0)


def taught_loss(said: Tensor, batch: Batch) -> Tensor:
    """1 - cosine of ``said`` [B, T, D] and the teacher's vectors, weighted by power where several sound."""
    known = (batch.taught.abs().sum(-1, keepdim=True) > 0).float()
    share = batch.share.mean(-1) * batch.active * known
    wanted = torch.einsum("bqt,bqd->btd", share, batch.taught)
    heard = (share.sum(1) > 0.05).float()
    return ((1.0 - F.cosine_similarity(said, wanted, dim=-1)) * heard).sum() / (heard.sum() + 1.0)


def _slot_losses(spatial: SlotOutput, batch: Batch) -> dict[str, Tensor]:
    weight = batch.active * batch.present[..., None]
    norm = weight.sum() + 1.0
    level = torch.sqrt(1 - batch.direction[..., 2].clamp(-1, 1) ** 2)  # azimuth means little near the zenith
    centres = torch.deg2rad(torch.tensor(BIN_CENTRES_DEG))
    offset = torch.deg2rad(batch.azimuth_deg)[..., None] - centres
    target = torch.softmax(AZIMUTH_KAPPA * torch.cos(offset), dim=-1)
    cross_entropy = -(target * F.log_softmax(spatial.azimuth.float(), dim=-1)).sum(-1)
    miss = (spatial.direction.float() - batch.direction).square().sum(-1)
    known = torch.isfinite(batch.log_distance) * weight
    log_distance = torch.nan_to_num(batch.log_distance)
    far = F.smooth_l1_loss(spatial.log_distance.float(), log_distance, reduction="none", beta=0.3)
    off_m = (spatial.log_distance.float().clamp(max=3.0).exp() - log_distance.exp()).abs()
    off = torch.sigmoid((off_m - TOLERANCE_M) / SLOPE_M)
    mask = F.binary_cross_entropy_with_logits(spatial.mask.float(), batch.share.clamp(0, 1), reduction="none")
    activity = F.binary_cross_entropy_with_logits(spatial.activity.float(), batch.active, reduction="none")
    heard = batch.active.amax(1, keepdim=True)
    return {
        "azimuth": (cross_entropy * weight * level).sum() / norm,
        "direction": (miss * weight).sum() / norm,
        "distance": (far * known).sum() / (known.sum() + 1.0),
        "off": (off * known).sum() / (known.sum() + 1.0),
        "activity": activity.mean(),
        "mask": (mask.mean(-1) * heard).sum() / (heard.sum() * mask.shape[1] + 1.0),
    }


def _scene_losses(spatial: SpatialOutput, batch: Batch) -> dict[str, Tensor]:
    some = (batch.active.amax(1).cumsum(-1) > 5).float()  # the room can be judged once something was heard
    known = torch.isfinite(batch.log_t60)[:, None] * some
    target = torch.nan_to_num(batch.log_t60)[:, None].expand_as(known)
    room = F.smooth_l1_loss(spatial.log_t60.float(), target, reduction="none")
    so_far = (batch.active.cumsum(-1) > 3).sum(1)  # sources heard so far, [B, T]
    count = F.cross_entropy(spatial.count.float().transpose(1, 2), so_far, reduction="mean")
    return {"room": (room * known).sum() / (known.sum() + 1.0), "count": count}
