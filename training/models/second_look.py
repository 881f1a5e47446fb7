"""A second look at the cells: which of them belong to a sound, now that it is known what it was and where it was heard.

The first look asks for a class alone, cell by cell, and no sound knows of another: of three sounds at once one in five is placed where
another one is. The second look asks with the memory of the slot, which holds the place of the sound as well as its kind,
sees more of the surroundings of a cell, and what one slot claims is claimed from the others (masks that compete, as in
slot attention, Locatello et al. 2020; decoding in several rounds, Cheng et al. 2022). At first it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earshot.training.models.causal import CausalConv2d, Residual, gru_step

BANDS = 8
_LOUDEST_CLAIM = 8.0


@dataclass(frozen=True)
class Claims:
    """What each slot claims and hears: mask logits [..., Q, T, 8] and what is pooled, before any memory, [..., Q, T, hidden]."""

    mask: Tensor
    heard: Tensor


class SecondLook(nn.Module):
    """Masks that know place and rivals, and what they let through.

    Parameters
    ----------
    cells, semantic : int
        Channels of the spatial and the semantic trunk.
    key, hidden, deep : int
        Widths of keys, of slot memories and inside of residual blocks.
    """

    def __init__(self, cells: int, semantic: int, key: int, hidden: int, deep: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(cells + semantic, key, 1)
        self.context = CausalConv2d(key, key, (3, 3))
        self.key = nn.Conv2d(key, key, 1)
        self.wanted = _zeroed(nn.Linear(hidden, key))
        self.rivalry = nn.Parameter(torch.zeros(BANDS))
        self.parts = nn.Parameter(torch.randn(BANDS, cells, hidden) * (BANDS * cells) ** -0.5)
        self.neighbour = nn.Linear(hidden, hidden)
        self.pool = nn.Linear(2 * BANDS + hidden, hidden)
        self.deepen = Residual(hidden, deep)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)
        self.think = Residual(hidden, deep)
        self.correct = _zeroed(nn.Linear(hidden, hidden))

    def keys(self, cells: Tensor, semantic: Tensor, past: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys [B, key, T, 8] of the cells of both trunks [B, C, T, 8], and what `step` must remember."""
        reduced = nn.functional.silu(self.reduce(torch.cat([cells, semantic], dim=1)))
        return torch.tanh(self.key(reduced + self.context(reduced, past))), reduced

    def claim(self, cells: Tensor, keys: Tensor, read: Tensor, mask: Tensor, claiming: Tensor) -> Claims:
        """Whole clips.

        Parameters
        ----------
        cells : [B, C, T, 8]
        keys : [B, key, T, 8]
            Of `keys`.
        read : [B, Q, T, hidden]
            What the first look made of each slot.
        mask : [B, Q, T, 8]
            Logits of the first look.
        claiming : [B, Q, T]
            1 where a slot claims what it hears, 0 where it only asks.
        """
        mask = mask + torch.einsum("bqtk,bktf->bqtf", self.wanted(read), keys)
        others = 1.0 - torch.eye(mask.shape[1])
        with torch.autocast("cpu", enabled=False):
            strength = torch.exp(mask.float().clamp(max=_LOUDEST_CLAIM)) * claiming[..., None]
            mask = mask - self.rivalry * torch.log1p(torch.einsum("pq,bqtf->bptf", others, strength))
            share = torch.sigmoid(mask)
        shared = torch.einsum("pq,bqtf->bptf", others, share * claiming[..., None])
        company = nn.functional.silu(self.neighbour(read)) * claiming[..., None]
        let_through = torch.einsum("bqtf,btfh->bqth", share, torch.einsum("bctf,fch->btfh", cells, self.parts))
        heard = let_through + self.pool(torch.cat([share, shared, read], dim=-1))
        return Claims(mask, nn.functional.silu(heard + torch.einsum("pq,bqth->bpth", others, company)))

    def remember(self, heard: Tensor) -> Tensor:
        """What the second look adds to the first, [N, T, hidden], of what slots heard [N, T, hidden], their memory empty at the start."""
        hidden, _ = self.gru(self.deepen(heard))
        return self._correction(hidden)

    def _correction(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.correct(self.think(hidden))
        return out

    def step(
        self, cells: Tensor, keys: Tensor, read: Tensor, mask: Tensor, claiming: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One frame of one stream, in products of matrices that export and quantise well.

        Parameters
        ----------
        cells : [C, 8]
        keys : [key, 8]
        read, memory : [Q, hidden]
        mask : [Q, 8]
        claiming : [Q]

        Returns
        -------
        correction : [Q, hidden]
        mask : [Q, 8]
            Logits.
        memory : [Q, hidden]
        """
        others = (1.0 - torch.eye(len(read))) * claiming
        mask = mask + self.wanted(read) @ keys
        mask = mask - self.rivalry * torch.log1p(others @ torch.exp(mask.clamp(max=_LOUDEST_CLAIM)))
        share = torch.sigmoid(mask)
        parts = torch.matmul(cells.transpose(0, 1)[:, None], self.parts)[:, 0]
        heard = share @ parts + self.pool(torch.cat([share, others @ share, read], dim=-1))
        heard = nn.functional.silu(heard + others @ nn.functional.silu(self.neighbour(read)))
        memory = gru_step(self.gru, self.deepen(heard), memory)
        return self._correction(memory), mask, memory


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
