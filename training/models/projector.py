"""Dense hybrid projector: pooled encoder features to embeddings of the language model's width.

After the projector of "The World is not Mono" (arXiv 2601.02954): semantic experts, spatial experts (direction, distance,
reverberation, count) and a joint expert, concatenated, normalised and mixed by an MLP. Moments of time and sound objects
have experts of their own. Matrix products and pointwise functions only, so that it exports and quantizes simply.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from earshot.runtime.errors import InputError
from earshot.training.models.projector_parts import Kind, Projector, expert, mixing_mlp, normalised
from earshot.training.models.projector_variants import TowerProjector, TowerShape, variant_shape
from earshot.training.models.weights import fill, load_settings, load_tensors, save_settings, save_tensors

EMBEDDING, CLASSES, SCENE_EMBEDDING, COUNTS, TIMELINE, BINS = 256, 61, 128, 5, 125, 36
SEMANTIC_WIDTH = EMBEDDING + CLASSES
SCENE_WIDTH = SCENE_EMBEDDING + 1 + COUNTS
OBJECT_PARTS = {
    "what": 2 * CLASSES, "when": TIMELINE, "posterior": BINS + 3, "far": 2, "first": 4, "second": 4, "amount": 3,
}  # fmt: skip
"""Widths of the parts of an object's row, as `earshot.runtime.hearing.objects` lays them out."""
OBJECT_WIDTH = sum(OBJECT_PARTS.values())


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
    named : bool
        Whether the name of every object stands before it, as an embedding of its own.
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
    named: bool = False


class _Mixer(nn.Module):
    """LayerNorm and MLP over the experts beside a straight linear path, then RMS normalisation with a gain per channel."""

    def __init__(self, inputs: int, width: int, shape: ProjectorShape) -> None:
        super().__init__()
        self.straight = nn.Linear(inputs, shape.hidden)
        self.norm = nn.LayerNorm(width)
        self.mix = mixing_mlp(width, shape.mixer, shape.hidden)
        self.gain = nn.Parameter(torch.full((shape.hidden,), shape.output_rms))

    def forward(self, inputs: torch.Tensor, parts: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return normalised(self.straight(inputs) + self.mix(self.norm(torch.cat(parts, dim=1))), self.gain)


class DenseHybridProjector(Projector):
    """Experts for every kind of input and one over all of an object.

    Parameters
    ----------
    shape : ProjectorShape
        Size.
    """

    shape: ProjectorShape

    def __init__(self, shape: ProjectorShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or ProjectorShape()
        self.semantic = expert(SEMANTIC_WIDTH, shape.semantic)
        self.reverberation = expert(SCENE_EMBEDDING + 1, shape.reverberation)
        self.count = expert(SCENE_EMBEDDING + COUNTS, shape.count)
        self.moment = _Mixer(SEMANTIC_WIDTH + SCENE_WIDTH, shape.semantic + shape.reverberation + shape.count, shape)
        self.what = expert(OBJECT_PARTS["what"], shape.what)
        self.when = expert(OBJECT_PARTS["when"] + OBJECT_PARTS["amount"], shape.when)
        self.direction = expert(
            OBJECT_PARTS["posterior"] + OBJECT_PARTS["first"] + OBJECT_PARTS["second"], shape.direction
        )
        self.distance = expert(
            OBJECT_PARTS["far"] + OBJECT_PARTS["first"] + OBJECT_PARTS["second"] + OBJECT_PARTS["amount"],
            shape.distance,
        )
        self.joint = expert(OBJECT_WIDTH, shape.joint)
        self.object = _Mixer(
            OBJECT_WIDTH, shape.what + shape.when + shape.direction + shape.distance + shape.joint, shape
        )
        self.called = nn.Linear(CLASSES, shape.hidden) if shape.named else None

    @property
    def per_object(self) -> int:
        """Embeddings that an object is turned into."""
        return 1 if self.called is None else 2

    @torch.no_grad()
    def name_objects(self, words: torch.Tensor) -> None:
        """Put a name before every object from now on.

        Parameters
        ----------
        words : tensor [61, hidden]
            Embeddings that the language model knows the names by.
        """
        if self.called is not None:
            return
        self.shape = replace(self.shape, named=True)
        self.called = nn.Linear(CLASSES, self.shape.hidden)
        self.called.weight.copy_(words.T)
        self.called.bias.zero_()

    def _embedded(self, objects: torch.Tensor) -> torch.Tensor:
        """Named objects make two embeddings each, the name first."""
        told = super()._embedded(objects)
        if self.called is None:
            return told
        return torch.stack((self.called(objects[:, :CLASSES].float()), told), dim=1).flatten(0, 1)

    def _moments(self, inputs: torch.Tensor) -> torch.Tensor:
        semantic, scene = inputs[:, :SEMANTIC_WIDTH], inputs[:, SEMANTIC_WIDTH:]
        embedding, counts = scene[:, :SCENE_EMBEDDING], scene[:, SCENE_EMBEDDING + 1 :]
        room = scene[:, : SCENE_EMBEDDING + 1]
        count = self.count(torch.cat((embedding, counts), dim=1))
        out: torch.Tensor = self.moment(inputs, (self.semantic(semantic), self.reverberation(room), count))
        return out

    def _objects(self, objects: torch.Tensor) -> torch.Tensor:
        parts = dict(zip(OBJECT_PARTS, torch.split(objects, list(OBJECT_PARTS.values()), dim=1), strict=True))
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


def build_projector(kind: Kind, hidden: int, output_rms: float) -> Projector:
    """An untrained projector: `hybrid`, or a variant to compare it with (see `projector_variants`)."""
    if kind == "hybrid":
        return DenseHybridProjector(ProjectorShape(hidden=hidden, output_rms=output_rms))
    return TowerProjector(variant_shape(kind, hidden, output_rms))


def save_projector(projector: Projector, directory: Path) -> None:
    """Write `projector.safetensors` and `projector.json` into a checkpoint directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().float().contiguous() for name, value in projector.state_dict().items()}
    save_tensors(tensors, directory / "projector.safetensors")
    shape = {name: value for name, value in asdict(projector.shape).items() if (name, value) != ("named", False)}
    save_settings(shape, directory / "projector.json")


def load_projector(directory: Path, kind: Kind | None = None) -> Projector:
    """Read a projector written by `save_projector`.

    Parameters
    ----------
    directory : Path
        Checkpoint.
    kind : str, optional
        What it must be; any when not given. One without a kind in its `projector.json` is `hybrid`.

    Raises
    ------
    FileNotFoundError
        There is none.
    InputError
        It is damaged, or of another kind.
    """
    path = directory / "projector.json"
    if not path.is_file():
        raise FileNotFoundError(f"no projector at {directory}: run `earshot train alignment` first")
    shape = load_settings(path)
    found = shape.get("kind", "hybrid")
    if kind not in (None, found):
        raise InputError(
            f"{directory} holds a {found} projector, not {kind}: run `earshot train alignment --projector {kind}` first"
        )
    try:
        projector: Projector = (
            DenseHybridProjector(ProjectorShape(**shape)) if found == "hybrid" else TowerProjector(TowerShape(**shape))
        )
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not the size of a projector ({reason}); take another checkpoint") from error
    weights = directory / "projector.safetensors"
    fill(projector, load_tensors(weights), weights)
    return projector
