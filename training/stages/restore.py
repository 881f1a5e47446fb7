"""Networks of a bundle back to checkpoints, so that training goes on from a model that was published without them.

A bundle with float32 encoders holds all weights that are used. Three things are not in it: batch norms, which the exporter
folds into their convolutions, come back with the statistics of scenes made by rule and do what the convolution did; the
language model is as precise as its quantization; the optimiser begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from earshot.export.gguf_reader import read_gguf
from earshot.runtime.bundle.manifest import LLM_NAME, NAMES_NAME, PROJECTOR_NAME, SEMANTIC_NAME, SPATIAL_NAME
from earshot.runtime.bundle.verify import verify_bundle
from earshot.runtime.errors import InputError
from earshot.training.models.causal import CausalConv2d
from earshot.training.models.hearing import Hearing
from earshot.training.models.llm import save_llm
from earshot.training.models.load import lacking_parts
from earshot.training.models.names import SAMPLES, Names, save_names
from earshot.training.models.projector import DenseHybridProjector, ProjectorShape, save_projector
from earshot.training.models.tokenizer import save_tokenizer
from earshot.training.stages import checkpoint
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.render import render_scene
from earshot.training.synthesis.scenes import SceneSettings

_PREFIX = "network."
_SETTLING_SCENES = 12


def restore(bundle: Path, run: Path) -> None:
    """Write ``encoders/``, ``sft/`` and, if the bundle has a names network, ``names/`` of a run directory from a bundle.

    Parameters
    ----------
    bundle : Path
        With float32 encoders and a hybrid projector.
    run : Path
        Run directory; stages that are there already are not touched.

    Raises
    ------
    InputError
        The run holds one of the stages, or the bundle's networks are of another kind.
    BundleError
        The bundle is not sound.
    """
    verify_bundle(bundle)
    for stage in ("encoders", "names", "sft"):
        if (run / stage).exists():
            raise InputError(f"{run / stage} exists: restore into another run directory")
    hearing = restore_hearing(bundle, procedural_audio(_SETTLING_SCENES))
    projector = restore_projector(bundle / PROJECTOR_NAME)
    language = read_gguf(bundle / LLM_NAME)
    llm = LlamaForCausalLM(LlamaConfig(**language.config))
    llm.load_state_dict(
        {name: torch.from_numpy(value.copy()) for name, value in language.tensors.items()}, strict=False
    )
    llm.tie_weights()
    checkpoint.save_weights(run / "encoders", hearing, checkpoint.MovingAverage(hearing))
    if (bundle / NAMES_NAME).is_file():
        save_names(restore_names(bundle / NAMES_NAME), run / "names")
    save_llm(llm, run / "sft")
    save_projector(projector, run / "sft")
    save_tokenizer(language.tokenizer, run / "sft")


def restore_hearing(bundle: Path, audio: Tensor) -> Hearing:
    """Both encoders of a bundle, in evaluation mode, their batch norms settled on ``audio`` [B, 2, N].

    Raises
    ------
    InputError
        They are quantized, or not of the shape that is trained here.
    """
    hearing = Hearing().eval()
    for name, network in ((SEMANTIC_NAME, hearing.semantic), (SPATIAL_NAME, hearing.spatial)):
        weights = _encoder_weights(bundle / name, network)
        _load(network, {**lacking_parts(network, weights), **weights}, bundle / name)
    settle_norms(hearing, audio)
    return hearing


def restore_projector(path: Path) -> DenseHybridProjector:
    """The projector of a bundle; its shape follows from its weights."""
    weights = _named(onnx.load(path))
    try:
        width = {name: len(weights[f"{name}.0.weight"]) for name in _EXPERTS}
        mixer, hidden = len(weights["moment.mix.0.weight"]), len(weights["moment.gain"])
    except KeyError as error:
        raise InputError(f"{path}: no hybrid projector with float32 weights ({error} is missing)") from error
    shape = ProjectorShape(hidden=hidden, mixer=mixer, named="called.weight" in weights, **width)
    projector = DenseHybridProjector(shape).eval()
    _load(projector, weights, path)
    return projector


def restore_names(path: Path) -> Names:
    """The names network of a bundle, as precise as its 16 bits."""
    stored = {value.name.removesuffix(".float16"): value for value in onnx.load(path).graph.initializer}
    network = Names().eval()
    weights = {
        name: torch.from_numpy(numpy_helper.to_array(stored[_PREFIX + name]).astype(np.float32))
        for name in network.state_dict()
        if _PREFIX + name in stored
    }
    silence = {"samples": np.zeros((1, SAMPLES), np.float32)}
    weights["trust"] = torch.from_numpy(onnxruntime.InferenceSession(path).run(["trust"], silence)[0])
    _load(network, weights, path)
    return network


_EXPERTS = ("semantic", "reverberation", "count", "what", "when", "direction", "distance", "joint")


def _named(graph: onnx.ModelProto) -> dict[str, Tensor]:
    """Weights that kept their names."""
    return {
        value.name.removeprefix(_PREFIX): torch.from_numpy(numpy_helper.to_array(value).copy())
        for value in graph.graph.initializer
        if value.name.startswith(_PREFIX)
    }


def _encoder_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Weights of an encoder's graph under the names of its state; convolutions take over their folded batch norms."""
    graph = onnx.load(path)
    unnamed = {v.name: torch.from_numpy(numpy_helper.to_array(v).copy()) for v in graph.graph.initializer}
    out = _named(graph)
    folded = (n for n in graph.graph.node if n.op_type == "Conv" and not n.input[1].startswith(_PREFIX))
    for (name, layer), node in zip(_convolutions(network), folded, strict=False):
        if node.input[1] not in unnamed:
            raise InputError(f"{path}: {node.name} is quantized; only float32 encoders can be restored")
        out[f"{name}.conv.weight"] = unnamed[node.input[1]]
        out |= {f"{name}.norm.{key}": value for key, value in _identity(layer.norm, unnamed[node.input[2]]).items()}
    for node in graph.graph.node:  # the only product whose weights are reordered at export
        if node.op_type == "Einsum" and (parts := [unnamed[i] for i in node.input if i in unnamed]):
            out["pool_cells.weight"] = parts[0].reshape(-1, parts[0].shape[-1])
    return out


def _convolutions(network: nn.Module) -> Iterator[tuple[str, CausalConv2d]]:
    for name, layer in network.named_modules():
        if isinstance(layer, CausalConv2d):
            yield name, layer


def _identity(norm: nn.BatchNorm2d, bias: Tensor) -> dict[str, Tensor]:
    """State of a batch norm that only adds a bias."""
    ones = torch.ones_like(bias)
    return {"weight": ones, "bias": bias, "running_mean": 0.0 * ones, "running_var": ones - norm.eps}


def _load(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network; counters of batch norms, which are not exported, stay."""
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    try:
        network.load_state_dict({**counters, **weights})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: not float32 weights of the network that is trained here ({reason})") from error


@torch.no_grad()
def settle_norms(hearing: Hearing, audio: Tensor) -> None:
    """Give every batch norm the statistics that it meets in ``audio`` [B, 2, N]; what the networks do stays the same.

    In training a batch norm uses the statistics of its batch: one that only adds a bias would suddenly scale.
    """
    layers = [layer for _, layer in _convolutions(hearing)]
    hooks = [layer.norm.register_forward_pre_hook(_settle) for layer in layers]
    hearing(audio, torch.zeros(len(audio), 1, dtype=torch.int64))
    for hook in hooks:
        hook.remove()


def _settle(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
    """Take over mean and variance of the inputs [B, C, T, F], and undo them by scale and bias."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
    norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + mean * scale)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def procedural_audio(scenes: int) -> Tensor:
    """Scenes made by rule, float32 [scenes, 2, samples], the same ones every time."""
    world = build_world(DataFolders(None), "train")
    rendered = [
        render_scene(world, SceneSettings(duration_s=4.0, sources=2), n, f"settle-{n}", "train") for n in range(scenes)
    ]
    return torch.from_numpy(np.stack([scene.stems.sum(axis=0) + scene.background for scene in rendered]))
