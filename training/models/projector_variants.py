"""Projectors to compare the dense hybrid one with: one tower that sees everything, or two that never see each other's inputs.

A tower is an expert with a mixer of its own beside a straight linear path: as deep as the hybrid projector, scaled and
normalised in the same way, and the widths are chosen for as many parameters. What is compared is only how inputs meet:

- `mlp`: one expert over all inputs of a token.
- `dual`: one over what the semantic network says, one over what the spatial network says (a sound's times are from its
  activity head); their outputs are added, and no layer sees both but the RMS of the sum, one number per embedding.
- `hybrid` (`projector.py`): an expert for each kind of input and one over all of them, mixed by an MLP.

Parameters at a width of 256, for moments and objects: hybrid 398,128 + 610,688 = 1,008,816; mlp 393,552 + 610,800 =
1,004,352; dual 401,504 + 602,432 = 1,003,936.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from earshot.runtime.hearing.objects import OBJECT_WIDTH
from earshot.runtime.hearing.slots import CLASSES
from earshot.runtime.hearing.tokens import SCENE_WIDTH, SEMANTIC_WIDTH
from earshot.training.models.projector_parts import Projector, expert, mixing_mlp, normalised

Variant = Literal["mlp", "dual"]
_WHAT = 2 * CLASSES
_SEEN_OF_MOMENT: dict[Variant, tuple[int, ...]] = {
    "mlp": (SEMANTIC_WIDTH + SCENE_WIDTH,), "dual": (SEMANTIC_WIDTH, SCENE_WIDTH),
}  # fmt: skip
_SEEN_OF_OBJECT: dict[Variant, tuple[int, ...]] = {"mlp": (OBJECT_WIDTH,), "dual": (_WHAT, OBJECT_WIDTH - _WHAT)}
"""Inputs of each tower."""


@dataclass(frozen=True)
class TowerShape:
    """Size of a projector of towers; `variant_shape` gives the sizes that compare.

    Attributes
    ----------
    kind : {"mlp", "dual"}
        What the towers see.
    hidden : int
        Width of the language model.
    moment, object : int
        Output width of the expert of each tower, over a moment and over an object.
    mixer : int
        Hidden width of the MLP behind each expert.
    output_rms : float
        RMS of the embeddings at the start.
    """

    kind: Variant
    hidden: int
    moment: int
    object: int
    mixer: int
    output_rms: float


def variant_shape(kind: Variant, hidden: int = 256, output_rms: float = 0.02) -> TowerShape:
    """The size at which a variant has as many parameters as the hybrid projector, to half a per cent."""
    moment, of_object, mixer = {"mlp": (176, 400, 384), "dual": (160, 320, 192)}[kind]
    return TowerShape(kind, hidden, moment, of_object, mixer, output_rms)


class TowerProjector(Projector):
    """See the head of this module.

    Parameters
    ----------
    shape : TowerShape
        Size.
    """

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.shape = shape
        self.moment = _Towers(_SEEN_OF_MOMENT[shape.kind], shape.moment, shape)
        self.object = _Towers(_SEEN_OF_OBJECT[shape.kind], shape.object, shape)

    def _moments(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.moment(inputs)
        return out

    def _objects(self, objects: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.object(objects)
        return out


class _Towers(nn.Module):
    """Towers over neighbouring parts of the inputs, added and normalised."""

    def __init__(self, seen: Sequence[int], width: int, shape: TowerShape) -> None:
        super().__init__()
        self._seen = list(seen)
        self.towers = nn.ModuleList(_Tower(inputs, width, shape) for inputs in seen)
        self.gain = nn.Parameter(torch.full((shape.hidden,), shape.output_rms))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        parts = torch.split(inputs, self._seen, dim=1)
        told = [tower(part) for tower, part in zip(self.towers, parts, strict=True)]
        return normalised(torch.stack(told).sum(dim=0), self.gain)


class _Tower(nn.Module):
    """An expert, LayerNorm and MLP, beside a straight linear path."""

    def __init__(self, inputs: int, width: int, shape: TowerShape) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, shape.hidden)
        self.expert = expert(inputs, width)
        self.norm = nn.LayerNorm(width)
        self.mix = mixing_mlp(width, shape.mixer, shape.hidden)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.straight(inputs) + self.mix(self.norm(self.expert(inputs)))
        return out
