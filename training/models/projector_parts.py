"""What every projector is made of, so that its variants differ in nothing but which inputs an expert sees."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from earshot.runtime.hearing.objects import OBJECT_WIDTH
from earshot.runtime.hearing.tokens import SCENE_WIDTH, SEMANTIC_WIDTH

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = Literal["hybrid", "mlp", "dual"]
KINDS: tuple[Kind, ...] = ("hybrid", "mlp", "dual")
# Squared size of variation below which an input is hardly scaled up, so that one that never varies adds no noise.
_EPS = 1e-4


class _Scaling(nn.BatchNorm1d):
    """A batch norm that scales a single row, which has no spread of its own, by what it has seen so far."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Rows [N, C] scaled."""
        if self.training and len(input) == 1:
            assert self.running_mean is not None and self.running_var is not None
            return (input - self.running_mean) * torch.rsqrt(self.running_var + self.eps)
        return super().forward(input)


class Projector(nn.Module):
    """`N` moments and `M` objects to `N + M` embeddings, each independent of the others.

    Attributes
    ----------
    shape : dataclass
        Size; what `projector.json` of a checkpoint holds.
    """

    shape: DataclassInstance

    @property
    def per_object(self) -> int:
        """Embeddings that an object is turned into."""
        return 1

    def __init__(self) -> None:
        super().__init__()
        # A bin of an azimuth posterior varies by a tenth of what an activity does: unscaled, directions are drowned.
        self.scale_moment = _Scaling(SEMANTIC_WIDTH + SCENE_WIDTH, eps=_EPS, momentum=0.02, affine=False)
        self.scale_object = _Scaling(OBJECT_WIDTH, eps=_EPS, momentum=0.02, affine=False)

    def forward(self, semantic: torch.Tensor, scene: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        """Project moments and objects.

        Parameters
        ----------
        semantic : tensor [N, 317]
            Mean semantic embedding, mean class probabilities.
        scene : tensor [N, 134]
            Mean scene embedding, log T60, count probabilities.
        objects : tensor [M, 299]
            As `earshot.runtime.hearing.objects.ProjectorInputs` says.

        Returns
        -------
        tensor [N + per_object * M, hidden]
            Moments first.
        """
        moments = self._moments(self.scale_moment(torch.cat((semantic, scene), dim=1)))
        return torch.cat((moments, self._embedded(objects)))

    def _embedded(self, objects: torch.Tensor) -> torch.Tensor:
        """Embeddings [per_object * M, hidden] of objects [M, 299] as they come."""
        return self._objects(self.scale_object(objects))

    @abstractmethod
    def _moments(self, inputs: torch.Tensor) -> torch.Tensor:
        """Embeddings [N, hidden] of scaled moments [N, 317 + 134]."""

    @abstractmethod
    def _objects(self, objects: torch.Tensor) -> torch.Tensor:
        """Embeddings [M, hidden] of scaled objects [M, 299]."""


def expert(inputs: int, outputs: int) -> nn.Sequential:
    """A small MLP over a part of the inputs."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))


def mixing_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """The MLP behind the experts."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def normalised(mixed: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Embeddings of RMS 1 times a gain per channel.

    A language model normalises whatever it is given, so nothing holds back the size of embeddings that are learned beside
    it: without this they grew 600 times larger than those of words within 2,500 steps, each step then changed them by next
    to nothing, and what they told about directions was never read.
    """
    mixed = mixed.float()
    return mixed * torch.rsqrt(mixed.square().mean(dim=1, keepdim=True) + 1e-6) * gain
