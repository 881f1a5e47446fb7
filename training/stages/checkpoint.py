"""Checkpoints without pickle, of every stage: optimiser moments as safetensors, progress as JSON, in `state/`.

The files of a checkpoint are written beside the old ones and moved to their places `together`, so that a kill or a full disk leaves the old
checkpoint or the new.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from earshot.runtime.errors import InputError, UsageError
from earshot.training.models.weights import load_settings, load_tensors, save_settings, save_tensors


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


class HasState(Protocol):
    """An optimiser, or several that look like one."""

    @property
    def state(self) -> MutableMapping[torch.Tensor, Any]:
        """Moments by parameter."""


def save_state(
    folder: Path, optimizer: HasState, parameters: Mapping[str, nn.Parameter], progress: Mapping[str, Any]
) -> None:
    """Write the optimiser's moments, by parameter name, and the progress of a run into `folder`/state."""
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    moments = {
        f"{name}/{key}": torch.as_tensor(value).detach().clone().contiguous()
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    if moments:
        save_tensors(moments, state / "optimizer.safetensors")
    save_settings(progress, state / "state.json")


def demand_begun_with(folder: Path, **options: Path | bool | None) -> None:
    """Refuse options that the run in `folder` was not begun with and that would be ignored, or would not fit it.

    Raises
    ------
    InputError
        The state cannot be read.
    UsageError
        It was begun with others. (What older runs have not noted is not judged.)
    """
    noted = _noted_settings(folder)
    for name, value in options.items():
        begun = noted.get(name, value)
        if isinstance(begun, str) and isinstance(value, Path):
            same = Path(begun).resolve() == value.resolve()
        else:
            same = begun == value
        if not same:
            option = f"--{name.replace('_', '-')}"
            how = f"without {option}" if not begun else f"with {option}" if begun is True else f"with {option} {begun}"
            raise UsageError(f"{folder} was begun {how}: go on so, or name another --run")


def start_of(folder: Path, given: Path | None) -> Path | None:
    """The network that the run in `folder` was begun with; `UsageError` if another is given now."""
    if given is not None:
        demand_begun_with(folder, start=given)
        return given
    noted = _noted_settings(folder).get("start")
    return None if noted is None else Path(noted)


def _noted_settings(folder: Path) -> dict[str, Any]:
    return dict(load_settings(folder / "state" / "state.json").get("settings", {}))


def has_state(folder: Path) -> bool:
    """Whether `folder` holds the state of a run."""
    return (folder / "state" / "state.json").is_file()


def load_state(
    folder: Path, optimizer: HasState, parameters: Mapping[str, nn.Parameter], seconds: str = "elapsed_s"
) -> dict[str, Any]:
    """Restore the optimiser from `folder`/state; returns the progress: ``step``, the time under the name `seconds`, and more.

    Raises
    ------
    InputError
        There is no state, or it belongs to other networks.
    """
    try:
        progress: dict[str, Any] = load_settings(folder / "state" / "state.json")
        moments = folder / "state" / "optimizer.safetensors"
        for full_name, value in (load_tensors(moments) if moments.exists() else {}).items():
            name, key = full_name.rsplit("/", 1)
            if value.ndim and value.shape != parameters[name].shape:
                raise ValueError(f"{name} is of another shape")
            optimizer.state[parameters[name]][key] = value
        int(progress["step"]), float(progress[seconds])
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{folder}: not a checkpoint of this network ({error})") from error
    return progress


def save_weights(folder: Path, module: nn.Module, average: MovingAverage) -> None:
    """Write the averaged weights, which ship, as `model.safetensors` and those that training goes on with as `raw`."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {name: value.detach().contiguous().clone() for name, value in module.state_dict().items()}
    shipped = {name: value.contiguous() for name, value in average.values.items()}
    save_tensors(shipped, folder / "model.safetensors")
    save_tensors(raw, folder / "raw.safetensors")


def load_weights(folder: Path, module: nn.Module, average: MovingAverage, updates: int) -> None:
    """Inverse of `save_weights`; the average has seen `updates` steps.

    Raises
    ------
    InputError
        The files are missing or do not fit the network.
    """
    try:
        module.load_state_dict(load_tensors(folder / "raw.safetensors"))
        average.values = load_tensors(folder / "model.safetensors")
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{folder}: not a checkpoint of this network ({error})") from error
    average.updates = updates
