"""Checkpoints without pickle: weights, moving averages and optimiser moments as safetensors, progress as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from earshot.runtime.errors import InputError


class MovingAverage:
    """Exponential moving average of all parameters and buffers of a module.

    The decay grows with the number of updates, so that early weights are forgotten quickly.
    """

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: value.detach().clone().float() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in module.state_dict().items():
            self.values[name].lerp_(value.float(), 1 - decay)

    def copy_to(self, module: nn.Module) -> None:
        """Write the average into a module of the same shape."""
        state = module.state_dict()
        module.load_state_dict({name: self.values[name].to(state[name].dtype) for name in state})


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Optimiser moments as a flat dictionary, numbered in parameter order."""
    tensors = {}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"{index}.{name}"] = torch.as_tensor(value).detach().clone().contiguous()
    return tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of :func:`optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    packed = optimizer.state_dict()
    optimizer.load_state_dict({**packed, "state": state})


def save(
    folder: Path,
    module: nn.Module,
    average: MovingAverage | None,
    optimizer: torch.optim.Optimizer | None,
    progress: dict[str, Any],
) -> None:
    """Write a checkpoint; each file is replaced at once, progress last, so that a kill leaves the old one or the new.

    ``model.safetensors`` holds the averaged weights when there is an average (they are what ships).
    """
    folder.mkdir(parents=True, exist_ok=True)
    raw = {name: value.detach().contiguous().clone() for name, value in module.state_dict().items()}
    shipped = {name: value.contiguous() for name, value in average.values.items()} if average else raw
    _replace(folder / "model.safetensors", shipped)
    _replace(folder / "raw.safetensors", raw)
    if optimizer is not None:
        _replace(folder / "optimizer.safetensors", optimizer_tensors(optimizer))
    partial = folder / "progress.json.partial"
    partial.write_text(json.dumps(progress, indent=1), encoding="utf-8")
    partial.replace(folder / "progress.json")


def _replace(path: Path, tensors: dict[str, Tensor]) -> None:
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(path)


def load(
    folder: Path,
    module: nn.Module,
    average: MovingAverage | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> dict[str, Any]:
    """Restore a checkpoint for going on with training; returns its progress.

    Raises
    ------
    InputError
        There is no checkpoint, or it does not fit the network.
    """
    try:
        progress: dict[str, Any] = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        module.load_state_dict(load_file(folder / "raw.safetensors"))
        if average is not None:
            average.values = load_file(folder / "model.safetensors")
            average.updates = int(progress.get("step", 0))
        if optimizer is not None and (folder / "optimizer.safetensors").exists():
            restore_optimizer(optimizer, load_file(folder / "optimizer.safetensors"))
    except (OSError, RuntimeError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"{folder}: not a checkpoint of this network ({error})") from error
    return progress
