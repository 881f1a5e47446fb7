"""Dense hybrid projector: pooled encoder features to embeddings of the language model's width.

After the projector of "The World is not Mono" (arXiv 2601.02954): semantic experts, spatial experts (direction, distance,
reverberation, count) and a joint expert, concatenated, normalised and mixed by an MLP. Moments of time and sound objects
have experts of their own. Matrix products and pointwise functions only, so that it exports and quantizes simply.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

EMBEDDING, CLASSES, SCENE_EMBEDDING, COUNTS, TIMELINE, BINS = 256, 61, 128, 5, 125, 36
SEMANTIC_WIDTH = EMBEDDING + CLASSES
SCENE_WIDTH = SCENE_EMBEDDING + 1 + COUNTS
# Parts of an object's row, as `earshot.runtime.hearing.objects` lays them out.
_SIZES = {
    "what": 2 * CLASSES, "when": TIMELINE, "posterior": BINS + 3, "far": 2, "first": 4, "second": 4, "amount": 3,
}  # fmt: skip
OBJECT_WIDTH = sum(_SIZES.values())
# Squared size of variation below which an input is hardly scaled up, so that one that never varies adds no noise.
_EPS = 1e-4


@dataclass(frozen=True)
class ProjectorShape:
    """Size of the projector.

    Attributes
    ----------
    hidden : int
        Width of the language model.
    semantic, reverberation, count : int
        Output width of each expert over a moment.
    what, when, direction, distance, joint : int
        Output width of each expert over an object.
    mixer : int
        Hidden width of the MLPs that mix the experts.
    output_rms : float
        RMS of the embeddings at the start; that of the model's token embeddings, a size it knows.
    """

    hidden: int = 256
    semantic: int = 160
    reverberation: int = 48
    count: int = 32
    what: int = 128
    when: int = 128
    direction: int = 128
    distance: int = 64
    joint: int = 192
    mixer: int = 384
    output_rms: float = 0.02


def _expert(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))


class _Mixer(nn.Module):
    """LayerNorm and MLP over the experts beside a straight linear path, then RMS normalisation with a gain per channel.

    A language model normalises whatever it is given, so nothing holds back the size of embeddings that are learned beside
    it: without the last normalisation they grew 600 times larger than those of words within 2,500 steps, each step then
    changed them by next to nothing, and what they told about directions was never read.
    """

    def __init__(self, inputs: int, width: int, shape: ProjectorShape) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, shape.hidden)
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Sequential(nn.Linear(width, shape.mixer), nn.GELU(), nn.Linear(shape.mixer, shape.hidden))
        self.gain = nn.Parameter(torch.full((shape.hidden,), shape.output_rms))

    def forward(self, inputs: torch.Tensor, parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
        mixed = (self.straight(inputs) + self.mix(self.norm(torch.cat(parts, dim=1)))).float()
        out: torch.Tensor = mixed * torch.rsqrt(mixed.square().mean(dim=1, keepdim=True) + 1e-6) * self.gain
        return out


class DenseHybridProjector(nn.Module):
    """`N` moments and `M` objects to `N + M` embeddings, each independent of the others.

    Parameters
    ----------
    shape : ProjectorShape
        Size.
    """

    def __init__(self, shape: ProjectorShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or ProjectorShape()
        # A bin of an azimuth posterior varies by a tenth of what an activity does: unscaled, directions are drowned.
        self.scale_moment = nn.BatchNorm1d(SEMANTIC_WIDTH + SCENE_WIDTH, eps=_EPS, momentum=0.02, affine=False)
        self.scale_object = nn.BatchNorm1d(OBJECT_WIDTH, eps=_EPS, momentum=0.02, affine=False)
        self.semantic = _expert(SEMANTIC_WIDTH, shape.semantic)
        self.reverberation = _expert(SCENE_EMBEDDING + 1, shape.reverberation)
        self.count = _expert(SCENE_EMBEDDING + COUNTS, shape.count)
        self.moment = _Mixer(SEMANTIC_WIDTH + SCENE_WIDTH, shape.semantic + shape.reverberation + shape.count, shape)
        self.what = _expert(_SIZES["what"], shape.what)
        self.when = _expert(_SIZES["when"] + _SIZES["amount"], shape.when)
        self.direction = _expert(_SIZES["posterior"] + _SIZES["first"] + _SIZES["second"], shape.direction)
        self.distance = _expert(_SIZES["far"] + _SIZES["first"] + _SIZES["second"] + _SIZES["amount"], shape.distance)
        self.joint = _expert(OBJECT_WIDTH, shape.joint)
        self.object = _Mixer(
            OBJECT_WIDTH, shape.what + shape.when + shape.direction + shape.distance + shape.joint, shape
        )

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
        tensor [N + M, hidden]
            Moments first.
        """
        return torch.cat((self._moments(semantic, scene), self._objects(objects)))

    def _moments(self, semantic: torch.Tensor, scene: torch.Tensor) -> torch.Tensor:
        inputs = self.scale_moment(torch.cat((semantic, scene), dim=1))
        semantic, scene = inputs[:, :SEMANTIC_WIDTH], inputs[:, SEMANTIC_WIDTH:]
        embedding, counts = scene[:, :SCENE_EMBEDDING], scene[:, SCENE_EMBEDDING + 1 :]
        room = scene[:, : SCENE_EMBEDDING + 1]
        count = self.count(torch.cat((embedding, counts), dim=1))
        out: torch.Tensor = self.moment(inputs, (self.semantic(semantic), self.reverberation(room), count))
        return out

    def _objects(self, objects: torch.Tensor) -> torch.Tensor:
        objects = self.scale_object(objects)
        parts = dict(zip(_SIZES, torch.split(objects, list(_SIZES.values()), dim=1), strict=True))
        halves = torch.cat((parts["first"], parts["second"]), dim=1)
        experts = (
            self.what(parts["what"]),
            self.when(torch.cat((parts["when"], parts["amount"]), dim=1)),
            self.direction(torch.cat((parts["posterior"], halves), dim=1)),
            self.distance(torch.cat((parts["far"], halves, parts["amount"]), dim=1)),
            self.joint(objects),
        )
        out: torch.Tensor = self.object(objects, experts)
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
