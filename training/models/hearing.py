"""Features and both encoders as one trainable module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earshot.training.models.features import BinauralFeatures
from earshot.training.models.semantic import LEVEL_CHANNELS, SemanticEncoder, SemanticOutput
from earshot.training.models.spatial import SpatialEncoder, SpatialOutput


class Hearing(nn.Module):
    """Features and both encoders as one trainable module."""

    def __init__(self) -> None:
        super().__init__()
        self.features = BinauralFeatures()
        self.semantic = SemanticEncoder()
        self.spatial = SpatialEncoder()

    def forward(self, audio: Tensor, queries: Tensor) -> tuple[SemanticOutput, SpatialOutput]:
        """Audio [B, 2, N] and class ids [B, Q] -> outputs of both encoders."""
        with torch.autocast("cpu", enabled=False):
            features = self.features(audio.float())
        semantic = self.semantic(colour(features) if self.training else features)
        return semantic, self.spatial(features, semantic.embedding, semantic.keys, queries)


def colour(features: Tensor) -> Tensor:
    """Random equalisation and masked bands and times of the level channels (SpecAugment, Park 2019).

    Only the semantic encoder sees it: the sound's colour is what it would otherwise learn by heart.
    """
    batch, _, frames, bands = features.shape
    curve = torch.nn.functional.interpolate(torch.randn(batch, 1, 8) * 0.35, bands, mode="linear")
    out = features.clone()
    levels = out[:, LEVEL_CHANNELS] + curve[:, :, None]
    for row in range(batch):
        low, width = int(torch.randint(bands, (1,))), int(torch.randint(12, (1,)))
        levels[row, :, :, low : low + width] = levels[row].mean()
        start, length = int(torch.randint(frames, (1,))), int(torch.randint(12, (1,)))
        levels[row, :, start : start + length] = levels[row].amin()
    out[:, LEVEL_CHANNELS] = levels
    return out
