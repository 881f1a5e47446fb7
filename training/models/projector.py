"""Dense hybrid projector: pooled encoder features to audio tokens of the language model's width.

After the projector of "The World is not Mono" (arXiv 2601.02954): a semantic expert, spatial experts (direction, distance,
reverberation, count) and a joint expert that sees each slot whole, concatenated, normalised and mixed by an MLP. Matrix
products and pointwise functions only, so that it exports and quantizes simply.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

EMBEDDING, CLASSES, SCENE_EMBEDDING, COUNTS, ACTIVITY, BINS = 256, 61, 128, 5, 5, 36
SEMANTIC_WIDTH = EMBEDDING + CLASSES
SCENE_WIDTH = SCENE_EMBEDDING + 1 + COUNTS
SLOTS, SLOT_WIDTH = 4, CLASSES + ACTIVITY + BINS + 3 + 1
_ACTIVITY = slice(CLASSES, CLASSES + ACTIVITY)
_DIRECTION = slice(CLASSES + ACTIVITY, SLOT_WIDTH - 1)
_DISTANCE = slice(SLOT_WIDTH - 1, SLOT_WIDTH)


@dataclass(frozen=True)
class ProjectorShape:
    """Size of the projector.

    Attributes
    ----------
    hidden : int
        Width of the language model.
    semantic, direction, distance, reverberation, count : int
        Output width of each expert over the whole token.
    joint : int
        Output width of the joint expert for each slot.
    mixer : int
        Hidden width of the MLP that mixes the experts.
    output_rms : float
        RMS of the embeddings at the start; that of the model's token embeddings.
    """

    hidden: int = 256
    semantic: int = 192
    direction: int = 96
    distance: int = 48
    reverberation: int = 48
    count: int = 32
    joint: int = 128
    mixer: int = 384
    output_rms: float = 0.02


def _expert(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))


class DenseHybridProjector(nn.Module):
    """Pooled features of `N` tokens to `N` embeddings; tokens are independent of each other.

    Parameters
    ----------
    shape : ProjectorShape
        Size.
    """

    def __init__(self, shape: ProjectorShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or ProjectorShape()
        self.semantic = _expert(SEMANTIC_WIDTH, shape.semantic)
        self.direction = _expert(SLOTS * (BINS + 3), shape.direction)
        self.distance = _expert(SLOTS * (1 + ACTIVITY), shape.distance)
        self.reverberation = _expert(SCENE_EMBEDDING + 1, shape.reverberation)
        self.count = _expert(SCENE_EMBEDDING + COUNTS + SLOTS * ACTIVITY, shape.count)
        self.joint = _expert(SLOT_WIDTH, shape.joint)
        width = (
            shape.semantic + shape.direction + shape.distance + shape.reverberation + shape.count + SLOTS * shape.joint
        )
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, shape.mixer), nn.GELU(), nn.Linear(shape.mixer, shape.hidden))
        self._scale_output(shape.output_rms)

    def _scale_output(self, rms: float) -> None:
        """Start at the RMS of token embeddings, so that a frozen model meets inputs of a size it knows."""
        with torch.no_grad():
            noise = torch.Generator().manual_seed(0)
            width = self.norm.normalized_shape[0]
            spread = self.mix(torch.randn(256, width, generator=noise)).square().mean().sqrt()
            for parameter in self.mix[2].parameters():
                parameter.mul_(rms / float(spread))

    def forward(self, semantic: torch.Tensor, scene: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        """Project tokens.

        Parameters
        ----------
        semantic : tensor [N, 317]
            Mean semantic embedding, mean class probabilities.
        scene : tensor [N, 134]
            Mean scene embedding, log T60, count probabilities.
        slots : tensor [N, 4, 106]
            Class one-hot, 5 activities, azimuth posterior, direction, log distance of every slot; zero when empty.

        Returns
        -------
        tensor [N, hidden]
        """
        embedding, room, counts = (
            scene[:, :SCENE_EMBEDDING],
            scene[:, : SCENE_EMBEDDING + 1],
            scene[:, SCENE_EMBEDDING + 1 :],
        )
        activity = slots[:, :, _ACTIVITY].flatten(1)
        parts = (
            self.semantic(semantic),
            self.direction(slots[:, :, _DIRECTION].flatten(1)),
            self.distance(torch.cat((slots[:, :, _DISTANCE].flatten(1), activity), dim=1)),
            self.reverberation(room),
            self.count(torch.cat((embedding, counts, activity), dim=1)),
            self.joint(slots).flatten(1),
        )
        out: torch.Tensor = self.mix(self.norm(torch.cat(parts, dim=1)))
        return out


def save_projector(projector: DenseHybridProjector, directory: Path) -> None:
    """Write `projector.safetensors` and `projector.json` into a checkpoint directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().float().contiguous() for name, value in projector.state_dict().items()}
    save_file(tensors, directory / "projector.safetensors")
    (directory / "projector.json").write_text(json.dumps(asdict(projector.shape), indent=1), encoding="utf-8")


def load_projector(directory: Path) -> DenseHybridProjector:
    """Read a projector written by `save_projector`; `FileNotFoundError` if there is none."""
    path = directory / "projector.json"
    if not path.is_file():
        raise FileNotFoundError(f"no projector at {directory}: run `earshot train alignment` first")
    projector = DenseHybridProjector(ProjectorShape(**json.loads(path.read_text(encoding="utf-8"))))
    projector.load_state_dict(load_file(directory / "projector.safetensors"))
    return projector
