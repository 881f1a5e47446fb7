"""Projectors to compare: as many parameters, the same interface, and what their towers do not see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from earshot.export.onnx_export import export_projector
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.networks import open_network
from earshot.runtime.hearing.objects import OBJECT_WIDTH
from earshot.runtime.hearing.slots import CLASSES
from earshot.training.models.projector import DenseHybridProjector, build_projector, load_projector, save_projector
from earshot.training.models.projector_parts import KINDS, Kind, Projector
from earshot.training.stages.restore import restore_projector

VARIANTS: tuple[Kind, ...] = ("mlp", "dual")


def make(kind: Kind, hidden: int = 64) -> Projector:
    """A projector whose input scales do something, in evaluation mode."""
    torch.manual_seed(0)
    projector = build_projector(kind, hidden, 0.3)
    with torch.no_grad():
        for _ in range(20):
            projector(*inputs_of(40, 30).values())
    return projector.eval()


def inputs_of(moments: int, objects: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    shapes = {"semantic": (moments, 317), "scene": (moments, 134), "objects": (objects, OBJECT_WIDTH)}
    return {name: torch.from_numpy(rng.normal(1.0, 2.0, shape).astype(np.float32)) for name, shape in shapes.items()}


def parameters(module: torch.nn.Module, prefixes: tuple[str, ...] = ("",)) -> int:
    return sum(value.numel() for name, value in module.named_parameters() if name.startswith(prefixes))


def test_the_counts_in_the_docstring_are_true() -> None:
    counts = {kind: parameters(build_projector(kind, 256, 0.02)) for kind in KINDS}
    assert counts == {"hybrid": 1_008_816, "mlp": 1_004_352, "dual": 1_003_936}


def named_projector() -> DenseHybridProjector:
    projector = make("hybrid")
    assert isinstance(projector, DenseHybridProjector)
    projector.name_objects(torch.arange(CLASSES, dtype=torch.float32)[:, None].expand(-1, 64))
    with torch.no_grad():  # equal tensors become one in a graph, of one name
        projector.moment.gain.mul_(1.1)
    return projector.eval()


@torch.no_grad()
def test_a_name_stands_before_its_object(tmp_path: Path) -> None:
    inputs = inputs_of(3, 4)
    inputs["objects"][:, :CLASSES] = torch.eye(CLASSES)[[5, 60, 0, 7]]
    plain, projector = make("hybrid")(**inputs), named_projector()
    told = projector(**inputs)
    assert told.shape == (3 + 2 * 4, 64)
    torch.testing.assert_close(told[:3], 1.1 * plain[:3])
    torch.testing.assert_close(told[4::2], plain[3:])
    torch.testing.assert_close(told[3::2, 0], torch.tensor([5.0, 60.0, 0.0, 7.0]))
    save_projector(projector, tmp_path)
    again = load_projector(tmp_path, "hybrid").eval()
    assert again.per_object == 2
    torch.testing.assert_close(again(**inputs), told)


@torch.no_grad()
def test_the_graph_of_named_objects_is_its_network(tmp_path: Path) -> None:
    projector = named_projector()
    export_projector(projector, tmp_path / "projector.onnx")
    graph = open_network(tmp_path / "projector.onnx")
    for moments, objects in ((1, 1), (0, 1), (13, 9)):
        inputs = inputs_of(moments, objects, seed=moments)
        outputs, _ = graph.run({name: value.numpy() for name, value in inputs.items()}, {})
        np.testing.assert_allclose(outputs["embeddings"], projector(**inputs).numpy(), atol=1e-4)
    restored = restore_projector(tmp_path / "projector.onnx")
    torch.testing.assert_close(restored(**inputs), projector(**inputs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_has_as_many_parameters_for_moments_and_for_objects(kind: Kind) -> None:
    hybrid, variant = build_projector("hybrid", 256, 0.02), build_projector(kind, 256, 0.02)
    of_moments = parameters(hybrid, ("moment", "semantic", "reverberation", "count"))
    assert parameters(variant, ("moment",)) == pytest.approx(of_moments, rel=0.05)
    assert parameters(variant, ("object",)) == pytest.approx(parameters(hybrid) - of_moments, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_graph_is_its_network(kind: Kind, tmp_path: Path) -> None:
    projector = make(kind)
    export_projector(projector, tmp_path / "projector.onnx")
    graph = open_network(tmp_path / "projector.onnx")
    for moments, objects in ((1, 1), (13, 9), (0, 1)):
        inputs = inputs_of(moments, objects, seed=moments)
        outputs, _ = graph.run({name: value.numpy() for name, value in inputs.items()}, {})
        expected = projector(**inputs).numpy()
        assert expected.shape == (moments + objects, 64)
        np.testing.assert_allclose(outputs["embeddings"], expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_checkpoint_says_what_it_holds(kind: Kind, tmp_path: Path) -> None:
    projector = make(kind)
    save_projector(projector, tmp_path)
    again = load_projector(tmp_path, kind).eval()
    assert again.shape == projector.shape
    assert torch.equal(again(**inputs_of(3, 2)), projector(**inputs_of(3, 2)))
    other = KINDS[KINDS.index(kind) - 1]
    with pytest.raises(InputError, match=f"holds a {kind} projector, not {other}"):
        load_projector(tmp_path, other)


def test_a_hybrid_checkpoint_is_written_as_it_always_was(tmp_path: Path) -> None:
    save_projector(build_projector("hybrid", 256, 0.02), tmp_path)
    assert list(json.loads((tmp_path / "projector.json").read_text())) == [
        "hidden", "semantic", "reverberation", "count", "what", "when", "direction", "distance", "joint", "mixer", "output_rms",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_start_at_the_size_of_words_and_do_not_see_each_other(kind: Kind) -> None:
    projector = make(kind)
    many, one = inputs_of(20, 10), inputs_of(20, 10)
    one["objects"][3:] = 0.0
    with torch.no_grad():
        whole, changed = projector(**many), projector(**one)
    assert torch.equal(whole[:23], changed[:23])
    for part in (whole[:20], whole[20:]):
        assert float(part.square().mean().sqrt()) == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize("token", ["moment", "object"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_only_in_dual_what_and_where_do_not_meet(kind: Kind, token: str) -> None:
    """Before the normalisation of a sum, what changes with one input must not depend on the other."""
    projector = make(kind)
    part, cut = ("moment", 317) if token == "moment" else ("object", 2 * CLASSES)
    width = 317 + 134 if token == "moment" else OBJECT_WIDTH
    what, where = torch.randn(2, 5, cut), torch.randn(2, 5, width - cut)
    raw: list[torch.Tensor] = []
    hooks = [m.register_forward_hook(lambda *a: raw.append(a[2])) for m in summands(projector, part)]
    sums = {}
    for i in range(2):
        for j in range(2):
            raw.clear()
            inputs = torch.cat((what[i], where[j]), dim=1)
            (projector._moments if token == "moment" else projector._objects)(inputs)
            sums[i, j] = torch.stack(raw).sum(dim=0)
    for hook in hooks:
        hook.remove()
    mixed = sums[0, 0] - sums[0, 1] - sums[1, 0] + sums[1, 1]
    apart = float(mixed.abs().max()) < 1e-5 * float(sums[0, 0].abs().max())
    assert apart == (kind == "dual")


def summands(projector: Projector, part: str) -> list[torch.nn.Module]:
    """Modules whose outputs are added up to an embedding before it is normalised."""
    module = getattr(projector, part)
    return list(module.towers) if hasattr(module, "towers") else [module.straight, module.mix]
