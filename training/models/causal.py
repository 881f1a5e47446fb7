"""Causal building blocks that run over whole clips in training and frame by frame, with explicit state, when exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class CausalConv2d(nn.Module):
    """Convolution over [batch, channels, time, bands] that sees the past only.

    Parameters
    ----------
    channels_in, channels_out : int
    kernel : (int, int)
        Time and band size.
    stride : int
        Stride over bands.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.past = kernel[0] - 1
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride=(1, stride), padding=(0, kernel[1] // 2), bias=False
        )
        self.norm = nn.BatchNorm2d(channels_out, momentum=0.02)

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Apply to [B, C, T, F]; ``past`` [B, C, kernel - 1, F] replaces the zeros before the clip."""
        x = nn.functional.pad(x, (0, 0, self.past, 0)) if past is None else torch.cat([past, x], dim=2)
        return nn.functional.silu(self.norm(self.conv(x)))

    def next_past(self, x: Tensor, past: Tensor) -> Tensor:
        """State after the frames ``x`` have been seen."""
        return torch.cat([past, x], dim=2)[:, :, -self.past :]


class Trunk(nn.Module):
    """Four causal convolutions that reduce 64 bands to 8: features [B, C, T, 64] -> [B, 96, T, 8]."""

    def __init__(self, channels_in: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = widths
        self.norm = nn.BatchNorm2d(channels_in, momentum=0.02)
        self.layers = nn.ModuleList(
            [
                CausalConv2d(channels_in, first, (3, 5), 2),
                CausalConv2d(first, second, (3, 3), 2),
                CausalConv2d(second, third, (3, 3), 2),
                CausalConv2d(third, third, (3, 3), 1),
            ]
        )
        self.shapes = [(channels_in, 64), (first, 32), (second, 16), (third, 8)]

    def forward(self, x: Tensor) -> Tensor:
        """Whole clips."""
        x = self.norm(x)
        for number, layer in enumerate(self.layers):
            y = layer(x)
            x = x + y if number == 3 else y
        return x

    def initial_state(self) -> State:
        """Zeros for one stream."""
        return {f"conv{i}": torch.zeros(1, c, 2, bands) for i, (c, bands) in enumerate(self.shapes)}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame: features [1, C, 1, 64] and state -> output [1, 96, 1, 8] and the next state."""
        following: State = {}
        x = self.norm(x)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, CausalConv2d)
            past = state[f"conv{number}"]
            following[f"conv{number}"] = layer.next_past(x, past)
            y = layer(x, past)
            x = x + y if number == 3 else y
        return x, following


class Residual(nn.Module):
    """x + MLP(LayerNorm(x)); the last layer starts small, so that a new block changes little."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        nn.init.normal_(self.narrow.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Pointwise over the last dimension."""
        out: Tensor = x + self.narrow(nn.functional.silu(self.wide(self.norm(x))))
        return out


def gru_step(gru: nn.GRU, x: Tensor, hidden: Tensor) -> Tensor:
    """One GRU step with plain products, which export and quantise well: x [N, in], hidden [N, H] -> [N, H]."""
    weight_x, weight_h, bias_x, bias_h = gru.all_weights[0]
    gates_x = nn.functional.linear(x, weight_x, bias_x)
    gates_h = nn.functional.linear(hidden, weight_h, bias_h)
    reset_x, update_x, new_x = gates_x.chunk(3, dim=-1)
    reset_h, update_h, new_h = gates_h.chunk(3, dim=-1)
    reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
    new = torch.tanh(new_x + reset * new_h)
    return new + update * (hidden - new)
