"""Reads the networks of a finished run; `earshot export` finds this through the entry point group ``earshot.networks``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from earshot.runtime.hearing.features import FEATURE_CHANNELS
from earshot.training.models.hearing import Hearing
from earshot.training.models.llm import load_llm
from earshot.training.models.names import load_names
from earshot.training.models.projector import load_projector
from earshot.training.models.semantic import LEVEL_CHANNELS
from earshot.training.models.weights import fill, load_tensors

_ADDING_NOTHING = ("far.", "again.")
"""Parts of the spatial encoder that older ones lack and that change nothing before they are trained."""


@dataclass(frozen=True)
class TrainedNetworks:
    """All networks of a run, in evaluation mode; see ``earshot.export.networks.Networks``."""

    semantic: nn.Module
    spatial: nn.Module
    projector: nn.Module
    llm: nn.Module
    tokenizer_path: Path
    names: nn.Module | None = None


def load_hearing(folder: Path) -> Hearing:
    """Encoders of a checkpoint folder (averaged weights), in evaluation mode; those of older networks hear as before."""
    model = Hearing()
    state = model.state_dict()
    path = folder / "model.safetensors"
    saved = _seeing_both_ears(load_tensors(path))
    lacking = lacking_parts(model.spatial, [name.removeprefix("spatial.") for name in saved])
    saved |= {f"spatial.{name}": value for name, value in lacking.items()}
    fill(model, {name: saved[name].to(value.dtype) for name, value in state.items() if name in saved}, path)
    return model.eval()


def lacking_parts(network: nn.Module, saved: Collection[str]) -> dict[str, Tensor]:
    """State of the parts that change nothing yet and of which no weight was saved, of a new network."""
    lacking = tuple(part for part in _ADDING_NOTHING if not any(name.startswith(part) for name in saved))
    return {name: value for name, value in network.state_dict().items() if name.startswith(lacking)}


def _seeing_both_ears(saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a semantic encoder that saw the levels only, for all features; it hears as before."""
    convolution = "semantic.trunk.layers.0.conv.weight"
    kernel = saved.get(convolution)
    if kernel is None or kernel.shape[1] == FEATURE_CHANNELS:
        return saved
    wide = kernel.new_zeros(kernel.shape[0], FEATURE_CHANNELS, *kernel.shape[2:])
    wide[:, LEVEL_CHANNELS] = kernel
    out = {**saved, convolution: wide}
    for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        key = f"semantic.trunk.norm.{name}"
        out[key] = torch.full((FEATURE_CHANNELS,), value)
        out[key][list(LEVEL_CHANNELS)] = saved[key]
    return out


def load_networks(run: Path) -> TrainedNetworks:
    """Networks of a run folder with ``encoders/`` and ``sft/``, or ``grpo/`` where that stage has been trained, and ``names/`` if there.

    Raises
    ------
    FileNotFoundError
        A stage has not been trained yet.
    """
    hearing = load_hearing(run / "encoders")
    language = run / "grpo" if (run / "grpo" / "model.safetensors").is_file() else run / "sft"
    return TrainedNetworks(
        hearing.semantic,
        hearing.spatial,
        load_projector(language).eval(),
        load_llm(language).eval(),
        language / "tokenizer.json",
        load_names(run / "names") if (run / "names" / "model.safetensors").is_file() else None,
    )
