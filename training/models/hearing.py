"""Features and both encoders as one trainable module."""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor, nn

from earshot.runtime.hearing.features import MEL_HIGH_HZ, MEL_LOW_HZ
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
        self.names_fixed = False

    def fix_names(self) -> None:
        """Train the spatial encoder only; the semantic one stays as it is and hears as in use."""
        self.names_fixed = True
        self.semantic.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode, but for a semantic encoder that is fixed."""
        super().train(mode)
        self.semantic.train(mode and not self.names_fixed)
        return self

    def forward(
        self, audio: Tensor, queries: Tensor, heard: Tensor | None = None, mistaken: float = 0.0, rival: float = 0.0
    ) -> tuple[SemanticOutput, SpatialOutput]:
        """Outputs of both encoders.

        Parameters
        ----------
        audio : [B, 2, N]
        queries : int64 [B, Q]
            Class ids asked for.
        heard : [B, Q, T], optional
            Where each query's sound is audible; needed when ``mistaken`` is not 0.
        mistaken : float
            Share of the queries that ask with a class the semantic encoder takes the sound for, as in use.
        rival : float
            Share of the queries for absent sounds that ask for one the semantic encoder takes something for, as scouts do in use.
        """
        with torch.autocast("cpu", enabled=False):
            features = self.features(audio.float())
            if self.training:
                features = equalise(features, 0.2)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.names_fixed):
            semantic = self.semantic(colour(features) if self.semantic.training else features)
        if heard is not None and (mistaken or rival):
            logits, asked = semantic.logits.detach().float(), queries
            queries = mistake(queries, heard, logits, mistaken)
            queries = rivals(queries, asked, heard, logits, rival)
        return semantic, self.spatial(features, semantic.embedding, semantic.keys, queries)


def mistake(queries: Tensor, heard: Tensor, logits: Tensor, share: float) -> Tensor:
    """Queries [B, Q] of which a share asks with another class, drawn as likely as the semantic encoder hears it.

    In use the slots are asked with what the semantic encoder heard, which is often a similar class, not the true one. A
    class that the example asks about anyway is never drawn; queries whose sound is not heard stay as they are.
    """
    probability = torch.einsum("bqt,btc->bqc", heard, torch.softmax(logits, dim=-1))
    others = queries[:, None, :].expand(-1, queries.shape[1], -1)
    drawn = torch.multinomial((probability + 1e-9).scatter(2, others, 0.0).flatten(0, 1), 1).view_as(queries)
    chosen = (torch.rand(queries.shape) < share) & (heard.sum(-1) > 0)
    return torch.where(chosen, drawn, queries)


def rivals(queries: Tensor, asked: Tensor, heard: Tensor, logits: Tensor, share: float) -> Tensor:
    """Queries [B, Q] of which a share of those for absent sounds asks for another absent class.

    It is drawn as likely as the semantic encoder hears it somewhere: in use the free slots scout for such classes, and the network
    must not hear the same sound twice. Neither a class that is there (``asked`` holds the true ones) nor one that is asked about is drawn.
    """
    likely = torch.softmax(logits, dim=-1).amax(1)
    taken = torch.cat([queries, asked], dim=1)
    drawn = torch.multinomial((likely + 1e-9).scatter(1, taken, 0.0), queries.shape[1])
    absent = heard.sum(-1) == 0
    # The first draws, which are the likeliest, are for the absent.
    drawn = drawn.gather(1, (absent.cumsum(1) - 1).clamp(min=0))
    return torch.where(absent & (torch.rand(queries.shape) < share), drawn, queries)


def equalise(features: Tensor, spread: float) -> Tensor:
    """Features of the sound through another equaliser at both ears alike: only the level channels change.

    ``spread`` is the standard deviation of the eight points of the curve, in log10 of power.
    """
    bands = features.shape[-1]
    curve = nn.functional.interpolate(spread * torch.randn(len(features), 1, 8), bands, mode="linear")
    out = features.clone()
    out[:, LEVEL_CHANNELS] = out[:, LEVEL_CHANNELS] + curve[:, :, None]
    return out


def colour(features: Tensor) -> Tensor:
    """Random pitch, equalisation, and masked bands and times (SpecAugment, Park 2019).

    Only the semantic encoder sees it: the sound's colour is what it would otherwise learn by heart.
    """
    batch, _, frames, bands = features.shape
    out = warp_bands(equalise(features, 0.3), torch.exp(0.1 * torch.randn(batch)))
    for row in range(batch):
        levels = out[row, LEVEL_CHANNELS]
        mean, least = levels.mean(), levels.amin()
        low, width = int(torch.randint(bands, (1,))), int(torch.randint(12, (1,)))
        _cover(out[row, :, :, low : low + width], mean)
        start, length = int(torch.randint(frames, (1,))), int(torch.randint(12, (1,)))
        _cover(out[row, :, start : start + length], least)
    return out


def _cover(part: Tensor, level: Tensor) -> None:
    """Make a part of the features [8, T, F] say nothing, in place: one level, no difference between the ears."""
    part.zero_()
    part[LEVEL_CHANNELS, :, :] = level


def warp_bands(levels: Tensor, factor: Tensor) -> Tensor:
    """Features [B, C, T, bands] with all frequencies multiplied by ``factor`` [B] (Jaitly and Hinton 2013)."""
    bands = levels.shape[-1]
    mel = torch.linspace(_mel(MEL_LOW_HZ), _mel(MEL_HIGH_HZ), bands + 2)
    source_hz = 700.0 * (10.0 ** (mel[1:-1] / 2595.0) - 1.0) / factor[:, None]
    place = (2595.0 * torch.log10(1.0 + source_hz / 700.0) - mel[1]) / (mel[1] - mel[0])
    place = place.clamp(0.0, bands - 1.0)
    low = place.floor().clamp(max=bands - 2)
    index = low.long()[:, None, None].expand(-1, levels.shape[1], levels.shape[2], -1)
    rest = (place - low)[:, None, None]
    return levels.gather(-1, index) * (1.0 - rest) + levels.gather(-1, index + 1) * rest


def _mel(frequency_hz: float) -> float:
    return 2595.0 * math.log10(1.0 + frequency_hz / 700.0)
