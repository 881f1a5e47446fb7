"""Semantic encoder: what sounds. Sees both ears: of two sounds at once, each is clearer at the ear it is nearer to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earshot.runtime.hearing.features import FEATURE_CHANNELS
from earshot.training.models.causal import State, Trunk, gru_step

LEVEL_CHANNELS = (0, 4)  # the two STFT frames' level channels of an encoder frame


@dataclass(frozen=True)
class SemanticConfig:
    """Sizes of the semantic encoder."""

    classes: int = 61
    inputs: int = FEATURE_CHANNELS
    widths: tuple[int, int, int] = (32, 64, 96)
    hidden: int = 256
    dropout: float = 0.3


@dataclass
class SemanticOutput:
    """Per frame: class logits [B, T, classes], embedding [B, T, hidden], keys [B, 96, T, 8]."""

    logits: Tensor
    embedding: Tensor
    keys: Tensor


class SemanticEncoder(nn.Module):
    """Causal convolutions and a GRU over the binaural features."""

    def __init__(self, config: SemanticConfig = SemanticConfig()) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.inputs, config.widths)
        self.reduce = nn.Linear(config.widths[2] * 8, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.gru = nn.GRU(config.hidden, config.hidden, batch_first=True)
        self.classify = nn.Linear(config.hidden, config.classes)
        nn.init.constant_(self.classify.bias, -3.0)

    def forward(self, features: Tensor) -> SemanticOutput:
        """Whole clips: features [B, 8, T, 64]."""
        keys = self.trunk(features)
        pooled = nn.functional.silu(self.reduce(keys.permute(0, 2, 1, 3).flatten(2)))
        embedding, _ = self.gru(self.dropout(pooled))
        return SemanticOutput(self.classify(self.dropout(embedding)), embedding, keys)

    def initial_state(self) -> State:
        """Zeros for one stream."""
        return {**self.trunk.initial_state(), "gru": torch.zeros(1, self.config.hidden)}

    def step(self, features: Tensor, state: State) -> tuple[dict[str, Tensor], State]:
        """One encoder frame of one stream: features [1, 8, 1, 64]."""
        keys, following = self.trunk.step(features, state)
        pooled = nn.functional.silu(self.reduce(keys[:, :, 0].flatten(1)))
        hidden = gru_step(self.gru, pooled, state["gru"])
        outputs = {"logits": self.classify(hidden), "embedding": hidden, "keys": keys[:, :, 0]}
        return outputs, {**following, "gru": hidden}
