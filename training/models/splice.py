"""Audio tokens between the two halves of a prompt: batches of mixed embeddings for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.training.models.projector import OBJECT_WIDTH, SCENE_WIDTH, SEMANTIC_WIDTH

if TYPE_CHECKING:
    from earshot.training.stages.examples import Example

# A language model's loss and a projector's inputs meet here; what the parts of a token are is in docs/architecture.md.


@dataclass(frozen=True)
class SplicedBatch:
    """Examples with audio, padded on the right.

    Attributes
    ----------
    ids : int64 tensor [B, T]
        Tokens; 0 at audio positions and behind the end.
    weights : float tensor [B, T]
        Weight of predicting the token at this position; 0 at audio positions.
    audio_at : int64 tensor [N + M]
        Flat positions (row * T + column) of the moments of all rows, then of the objects of all rows (two each where they are named).
    semantic, scene, objects : float tensors [N, 317], [N, 134], [M, 299]
        Inputs of the projector.
    tokens : int
        Positions that are not padding.
    """

    ids: torch.Tensor
    weights: torch.Tensor
    audio_at: torch.Tensor
    semantic: torch.Tensor
    scene: torch.Tensor
    objects: torch.Tensor
    tokens: int


def collate_spliced(examples: Sequence[Example]) -> SplicedBatch:
    """Lay out prefix, room for the audio embeddings, and suffix of every example; examples without audio have no room."""
    longest = max(example.length for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.int64)
    weights = torch.zeros(len(examples), longest)
    moments_at: list[int] = []
    objects_at: list[int] = []
    parts: list[ProjectorInputs] = []
    for row, example in enumerate(examples):
        start = len(example.prefix)
        count = example.audio_length
        ids[row, :start] = torch.from_numpy(example.prefix)
        ids[row, start + count : example.length] = torch.from_numpy(example.suffix)
        weights[row, start + count : example.length] = torch.from_numpy(example.weights)
        if example.audio is not None:
            at = range(row * longest + start, row * longest + start + count)
            moments_at.extend(at[: len(example.audio.semantic)])
            objects_at.extend(at[len(example.audio.semantic) :])
            parts.append(example.audio)
    semantic, scene, objects = (torch.from_numpy(_stacked(parts, name)) for name in _WIDTHS)
    tokens = sum(example.length for example in examples)
    at_all = torch.tensor(moments_at + objects_at, dtype=torch.int64)
    return SplicedBatch(ids, weights, at_all, semantic, scene, objects, tokens)


_WIDTHS = {"semantic": SEMANTIC_WIDTH, "scene": SCENE_WIDTH, "objects": OBJECT_WIDTH}


def _stacked(parts: Sequence[ProjectorInputs], name: str) -> Any:
    if not parts:
        return np.zeros((0, _WIDTHS[name]), dtype=np.float32)
    return np.concatenate([getattr(part, name) for part in parts]).astype(np.float32)


def spliced_embeddings(model: Any, projector: torch.nn.Module, batch: SplicedBatch) -> torch.Tensor:
    """Input embeddings [B, T, H] of a batch: tokens from the model's table, audio positions from the projector."""
    embeddings = model.get_input_embeddings()(batch.ids)
    if len(batch.audio_at) == 0:
        return torch.as_tensor(embeddings)
    audio = projector(batch.semantic, batch.scene, batch.objects).to(embeddings.dtype)
    flat = embeddings.flatten(0, 1).index_copy(0, batch.audio_at, audio)
    return torch.as_tensor(flat.view_as(embeddings))
