"""Spatial encoder: where, asked with what.

Features of both ears go through a causal trunk. A query (the embedding of a class) predicts which time-frequency cells
belong to that sound, from spatial and semantic features; the mask gates the spatial features before they are pooled, so
that direction and distance are bound to the class (joint what-where output in the spirit of multi-ACCDOA, Shimada 2022).
The regression is shared by all classes: none starves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from earshot.training.models.causal import Residual, State, Trunk, gru_step
from earshot.training.models.second_look import SecondLook

AZIMUTH_BINS = 36
BIN_CENTRES_DEG = tuple(-175.0 + 10.0 * i for i in range(AZIMUTH_BINS))


@dataclass(frozen=True)
class SpatialConfig:
    """Sizes of the spatial encoder."""

    classes: int = 61
    slots: int = 4
    widths: tuple[int, int, int] = (48, 64, 96)
    key: int = 64
    query_hidden: int = 192
    deep: int = 320
    scene_hidden: int = 128
    far_hidden: int = 96
    semantic_hidden: int = 256
    semantic_width: int = 96
    max_count: int = 4


@dataclass
class SlotOutput:
    """Per query [B, Q, T, ...], before any activation: activity, azimuth 36, direction 3, log distance, mask 8."""

    activity: Tensor
    azimuth: Tensor
    direction: Tensor
    log_distance: Tensor
    mask: Tensor


@dataclass
class SpatialOutput(SlotOutput):
    """What the second look says, with `level` in dB, what the first one said, and per scene [B, T, ...]."""

    first: SlotOutput
    level: Tensor
    scene: Tensor
    log_t60: Tensor
    count: Tensor


def distance_in_room(width: int, hidden: int) -> nn.Sequential:
    """What the room changes about a distance, from slot and scene; nothing at first.

    Direct-to-reverberant ratio tells a distance only against the reverberation of the room (Bronkhorst and Houtgast 1999), which
    a slot, open to one sound, hears less of than the scene.
    """
    out = nn.Linear(hidden, 1)
    nn.init.zeros_(out.weight)
    nn.init.zeros_(out.bias)
    return nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), out)


def masked_level_db(share: Tensor, features: Tensor) -> Tensor:
    """Level of what a query owns, dB: share [B, Q, T, 8] of the band powers of features [B, 8, T, 64] -> [B, Q, T]."""
    power = 0.5 * (10.0 ** features[:, 0].float() + 10.0 ** features[:, 4].float())
    batch, time, _ = power.shape
    groups = power.reshape(batch, time, 8, 8).sum(-1)
    return 10.0 * torch.log10((share.float() * groups[:, None]).sum(-1) + 1e-6)


class SpatialEncoder(nn.Module):
    """Trunk, class-queried slots and a scene branch."""

    def __init__(self, config: SpatialConfig = SpatialConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.widths[2]
        self.trunk = Trunk(8, config.widths)
        self.query = nn.Embedding(config.classes, config.key)
        self.key_cells = nn.Conv2d(width + config.semantic_width, config.key, 1)
        self.key_frame = nn.Linear(config.semantic_hidden, config.key)
        self.mask_bias = nn.Parameter(torch.zeros(8))
        self.pool_cells = nn.Linear(width, config.query_hidden * 8, bias=False)
        self.pool_query = nn.Linear(8 + config.key, config.query_hidden)
        self.deepen = Residual(config.query_hidden, config.deep)
        self.gru = nn.GRU(config.query_hidden, config.query_hidden, batch_first=True)
        self.think = Residual(config.query_hidden, config.deep)
        self.heads = nn.Linear(config.query_hidden, 1 + AZIMUTH_BINS + 3 + 1)
        self.scene_pool = nn.Linear(width * 8, config.scene_hidden)
        self.scene_gru = nn.GRU(config.scene_hidden, config.scene_hidden, batch_first=True)
        self.scene_heads = nn.Linear(config.scene_hidden, 1 + config.max_count + 1)
        self.far = distance_in_room(config.query_hidden + config.scene_hidden, config.far_hidden)
        self.again = SecondLook(width, config.semantic_width, config.key, config.query_hidden, config.deep)

    def forward(
        self, features: Tensor, embedding: Tensor, keys: Tensor, queries: Tensor, claims: Tensor | None = None
    ) -> SpatialOutput:
        """Whole clips.

        Parameters
        ----------
        features : [B, 8, T, 64]
        embedding : [B, T, 256] and keys : [B, 96, T, 8] of the semantic encoder
        queries : int64 [B, Q]
            Class ids asked for.
        claims : [B, Q], optional
            1 where a query claims what it hears, so that the others hear less of it; all do by default.
        """
        cells = self.trunk(features)
        shape = (*queries.shape, features.shape[2], -1)
        pooled, mask = self.ask(cells, embedding, keys, queries)
        scene, rest = self.describe(cells)
        room = scene.repeat_interleave(queries.shape[1], dim=0)
        read = self.remember(pooled.flatten(0, 1))
        claiming = torch.ones(shape[:3]) if claims is None else claims[..., None].expand(*shape[:3])
        keys_again, _ = self.again.keys(cells, keys)
        again = self.again.claim(cells, keys_again, read.reshape(shape), mask, claiming)
        first = self.say(read, room).reshape(shape)
        slots = self.say(read + self.again.remember(again.heard.flatten(0, 1)), room).reshape(shape)
        level = masked_level_db(torch.sigmoid(again.mask), features)
        parted = _parted(slots, again.mask)
        return SpatialOutput(*parted, SlotOutput(*_parted(first, mask)), level, scene, rest[..., 0], rest[..., 1:])

    def remember(self, pooled: Tensor) -> Tensor:
        """What the first look makes [N, T, hidden] of what queries heard [N, T, hidden], their memory empty at the start."""
        hidden, _ = self.gru(self.deepen(pooled))
        read: Tensor = self.think(hidden)
        return read

    def say(self, read: Tensor, scene: Tensor) -> Tensor:
        """Head outputs [..., 41] from what was made of a slot [..., hidden] in a scene [..., 128]."""
        heads = self.heads(read)
        return torch.cat([heads[..., :40], heads[..., 40:] + self.far(torch.cat([read, scene], dim=-1))], dim=-1)

    def ask(self, cells: Tensor, embedding: Tensor, keys: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """What each query [B, Q] hears per frame [B, Q, T, hidden], before any memory, and its mask [B, Q, T, 8]."""
        query = self.query(queries)
        key = self.key_cells(torch.cat([cells, keys], dim=1)) + self.key_frame(embedding).transpose(1, 2)[..., None]
        mask = torch.einsum("bqc,bctf->bqtf", query, torch.tanh(key)) + self.mask_bias
        share = torch.sigmoid(mask)
        asked = torch.cat([share, query[:, :, None].expand(-1, -1, cells.shape[2], -1)], dim=-1)
        pooled = torch.einsum("bqtf,btfh->bqth", share, self._band_parts(cells)) + self.pool_query(asked)
        return nn.functional.silu(pooled), mask

    def describe(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Scene embedding [B, T, 128] and room/count outputs [B, T, 1 + counts]."""
        scene, _ = self.scene_gru(nn.functional.silu(self.scene_pool(cells.permute(0, 2, 1, 3).flatten(2))))
        return scene, self.scene_heads(scene)

    def _band_parts(self, cells: Tensor) -> Tensor:
        """What each band would add to a query that owned it: [B, C, T, 8] -> [B, T, 8, hidden], shared by all queries."""
        return torch.einsum("bctf,fhc->btfh", cells, self._band_weight())

    def _band_weight(self) -> Tensor:
        """Weights of `pool_cells` by band: [8, hidden, C]."""
        return self.pool_cells.weight.reshape(8, self.config.query_hidden, -1)

    def initial_state(self) -> State:
        """Zeros for one stream."""
        return {
            **self.trunk.initial_state(),
            "look": torch.zeros(1, self.config.key, self.again.context.past, 8),
            "slots": torch.zeros(self.config.slots, self.config.query_hidden),
            "slots_again": torch.zeros(self.config.slots, self.config.query_hidden),
            "scene": torch.zeros(1, self.config.scene_hidden),
        }

    def step(
        self,
        features: Tensor,
        semantic_embedding: Tensor,
        semantic_keys: Tensor,
        slot_class: Tensor,
        slot_keep: Tensor,
        slot_claims: Tensor,
        state: State,
    ) -> tuple[dict[str, Tensor], State]:
        """One encoder frame of one stream; names and shapes as in the ONNX table of docs/architecture.md."""
        cells, following = self.trunk.step(features, state)
        flat = cells[:, :, 0]  # [1, C, 8]
        query = self.query(slot_class[0])  # [Q, key]
        keep = slot_keep[0, :, None]
        key = self.key_cells(torch.cat([cells, semantic_keys[:, :, None]], dim=1))[0, :, 0]
        key = torch.tanh(key + self.key_frame(semantic_embedding)[0, :, None])
        mask = query @ key + self.mask_bias  # [Q, 8]
        share = torch.sigmoid(mask)
        # One product per band: onnxruntime takes three times as long for the einsum of whole clips.
        parts = torch.matmul(flat[0].transpose(0, 1)[:, None], self._band_weight().transpose(1, 2))[:, 0]
        pooled = share @ parts + self.pool_query(torch.cat([share, query], dim=-1))
        hidden = gru_step(self.gru, self.deepen(nn.functional.silu(pooled)), state["slots"] * keep)
        read = self.think(hidden)
        keys_again, reduced = self.again.keys(cells, semantic_keys[:, :, None], state["look"])
        correction, mask, memory = self.again.step(
            cells[0, :, 0], keys_again[0, :, 0], read, mask, slot_claims[0], state["slots_again"] * keep
        )
        scene_in = nn.functional.silu(self.scene_pool(flat.flatten(1)))
        scene = gru_step(self.scene_gru, scene_in, state["scene"])
        slots = self.say(read + correction, scene.expand(len(hidden), -1))[None]
        rest = self.scene_heads(scene)
        outputs = {
            "slot_activity": slots[..., 0],
            "slot_azimuth": torch.softmax(slots[..., 1:37], dim=-1),
            "slot_direction": slots[..., 37:40],
            "slot_log_distance": slots[..., 40],
            "slot_level": masked_level_db(torch.sigmoid(mask)[None, :, None], features)[..., 0],
            "scene_embedding": scene,
            "room_log_t60": rest[..., 0],
            "count_logits": rest[..., 1:],
        }
        look = self.again.context.next_past(reduced, state["look"])
        return outputs, {**following, "look": look, "slots": hidden, "slots_again": memory, "scene": scene}


def _parted(slots: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Head outputs [..., 41] and mask as the fields of a `SlotOutput`."""
    return slots[..., 0], slots[..., 1:37], slots[..., 37:40], slots[..., 40], mask
