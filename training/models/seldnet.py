"""A SELDnet-style network, what others would take in the place of our encoders: a baseline, it does not ship.

Convolutions, recurrence and self-attention over a clip, both ways in time, in the shape of the DCASE 2023 and 2024 task 3
baselines:

- Adavanne, Politis, Nikunen & Virtanen, "Sound event localization and detection of overlapping sources using convolutional
  recurrent neural networks", IEEE JSTSP 2018: three convolution blocks, two bidirectional GRUs, fully connected layers.
- Sudarsanam, Politis & Drossos, "Assessment of self-attention on learned features for sound event localization and
  detection", DCASE 2021: two layers of self-attention with residuals and layer normalisation.
- Shimada et al., "Multi-ACCDOA: localizing and detecting overlapping sounds from the same class with auxiliary duplicating
  permutation invariant training", ICASSP 2022: for each class three tracks, whose vector points at a source and is as long
  as the source is active.
- Krause, Politis & Mesaros, "Sound event detection and localization with distance estimation", EUSIPCO 2024: a distance
  beside each vector.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels
from earshot.training.models.seldnet_features import CHANNELS, STFT_PER_LABEL, FeatureKind, make_features
from earshot.training.models.weights import load_tensors, save_settings

TRACKS = 3
AXES = 4
"""x front, y left, z up, distance in metres."""
CONFIG = "config.json"
STAGE = "seldnet"
"""Folder of the network in a run directory."""

# Pooling over frequency of the three blocks: two bins are left of both kinds of features.
POOLS: dict[FeatureKind, tuple[int, int, int]] = {"gcc": (4, 4, 2), "salsa-lite": (4, 4, 8)}


@dataclass(frozen=True)
class SeldnetConfig:
    """Size of the network; as it stands it has 0.81 M parameters with either kind of features.

    Attributes
    ----------
    features : {"gcc", "salsa-lite"}
        What it hears.
    classes : int
        Classes of the label table.
    filters, hidden, heads, recurrent, attention : int
        Filters of a convolution, width of everything after them, heads of an attention layer, layers of each kind.
    dropout : float
        Of all layers.
    """

    features: FeatureKind = "gcc"
    classes: int = len(load_labels())
    filters: int = 64
    hidden: int = 128
    heads: int = 8
    recurrent: int = 2
    attention: int = 2
    dropout: float = 0.05


class Seldnet(nn.Module):
    """Waveforms of clips [B, 2, samples] to multi-ACCDOA with distance at 10 Hz.

    Attributes
    ----------
    config : SeldnetConfig
    """

    def __init__(self, config: SeldnetConfig = SeldnetConfig()) -> None:
        super().__init__()
        self.config = config
        self.features = make_features(config.features)
        bins, pools = self.features.bins, POOLS[config.features]
        # In the place of the mean and deviation of each bin that the DCASE baselines measure beforehand.
        self.scaling = nn.BatchNorm1d(CHANNELS * bins, affine=False)
        widths = (CHANNELS, *[config.filters] * (len(pools) - 1))
        steps = (STFT_PER_LABEL, *[1] * (len(pools) - 1))
        self.blocks = nn.Sequential(
            *(_block(n, config.filters, (t, f), config.dropout) for n, t, f in zip(widths, steps, pools, strict=True))
        )
        flat = config.filters * bins // math.prod(pools)
        between = config.dropout if config.recurrent > 1 else 0.0
        self.recurrence = nn.GRU(
            flat, config.hidden, config.recurrent, batch_first=True, dropout=between, bidirectional=True
        )
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(config.hidden, config.heads, config.dropout, batch_first=True)
            for _ in range(config.attention)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden) for _ in range(config.attention))
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, TRACKS * AXES * config.classes)

    def forward(self, samples: Tensor) -> Tensor:
        """Vectors and distances.

        Parameters
        ----------
        samples : [B, 2, samples]
            At 16 kHz, channel 0 = left.

        Returns
        -------
        [B, samples // 1600, 3, 4, classes]
            Tracks of each class: a vector (each axis within -1 and 1) and a distance in metres (0 or more); float32.
        """
        value = self._scaled(self.features(samples))
        value = self.blocks(value).transpose(1, 2).flatten(2)  # [B, T, filters * bins]
        forth, back = torch.tanh(self.recurrence(value)[0]).chunk(2, dim=-1)
        value = forth * back
        for attend, norm in zip(self.attention, self.norms, strict=True):
            value = norm(value + attend(value, value, value, need_weights=False)[0])
        out = self.output(self.dense(value)).float()
        out = out.view(*out.shape[:2], TRACKS, AXES, self.config.classes)
        # The DCASE baseline's ReLU would never again change a distance that has fallen to zero.
        return torch.cat([torch.tanh(out[..., :3, :]), nn.functional.softplus(out[..., 3:, :])], dim=-2)

    def _scaled(self, features: Tensor) -> Tensor:
        """Features [B, C, T, bins], each bin with mean 0 and deviation 1."""
        batch, channels, frames, bins = features.shape
        rows: Tensor = self.scaling(features.transpose(2, 3).reshape(batch, channels * bins, frames))
        return rows.view(batch, channels, bins, frames).transpose(2, 3)


def _block(inputs: int, filters: int, pool: tuple[int, int], dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(pool),
        nn.Dropout2d(dropout),
    )  # fmt: skip


def save_config(folder: Path, config: SeldnetConfig, threshold: float) -> None:
    """Write what the weights belong to, and the length from which on a vector is a source, into a checkpoint folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_settings({**asdict(config), "threshold": threshold}, folder / CONFIG)


def read_config(folder: Path) -> tuple[SeldnetConfig, float]:
    """Inverse of `save_config`.

    Raises
    ------
    InputError
        There is none, or it is not of this network.
    """
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        threshold = float(values.pop("threshold"))
        return SeldnetConfig(**values), threshold
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: no SELDnet ({error}); make one with `earshot train seldnet`") from error


def load_seldnet(run: Path) -> tuple[Seldnet, float]:
    """Network (averaged weights, in evaluation mode) and threshold of a run directory.

    Raises
    ------
    InputError
        There is none.
    """
    config, threshold = read_config(run / STAGE)
    model = Seldnet(config)
    try:
        saved = load_tensors(run / STAGE / "model.safetensors")
        model.load_state_dict({name: saved[name].to(value.dtype) for name, value in model.state_dict().items()})
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{run / STAGE}: not the weights of a SELDnet ({error})") from error
    return model.eval(), threshold
