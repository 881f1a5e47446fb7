"""The sft stage for a language model of others: LoRA and projector, on as many devices as `accelerate launch` starts.

    accelerate launch --config_file ddp.yaml -m earshot.training.stages.command pretrained --llm NAME --bank BANK --run RUN

A stage of its own beside `sft`, because several processes may not decide by their own clocks when to stop: the length is a
number of steps. Each process takes its own batches (step * processes + rank). What is trained, and nothing frozen, goes
into the checkpoint; whole tensors are gathered for it, so that it can be resumed on another number of processes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from earshot.runtime.errors import InputError
from earshot.training.files import together
from earshot.training.models.llm import save_llm
from earshot.training.models.pretrained import (
    LoraShape,
    load_pretrained,
    load_shape,
    merged,
    save_shape,
    with_lora,
)
from earshot.training.models.projector import save_projector
from earshot.training.models.projector_parts import Projector
from earshot.training.models.splice import SplicedBatch
from earshot.training.models.tokenizer import save_tokenizer
from earshot.training.models.weights import load_settings, load_tensors, save_settings, save_tensors
from earshot.training.stages.alignment import new_projector
from earshot.training.stages.audio_items import AudioBatches, AudioMix, audio_loss
from earshot.training.stages.bank_reader import training_bank
from earshot.training.stages.checkpoint import has_state
from earshot.training.stages.loop import LoopSettings, Progress, append_csv, demand_finite, learning_rate_at

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainedSettings:
    """Settings of the stage.

    Attributes
    ----------
    shape : LoraShape
        Language model and adapters.
    loop : LoopSettings
        `steps` is needed; `minutes`, `checkpoint_s` and `precision` are not used (accelerate's configuration sets the last).
    mix : AudioMix
        Batches of each process.
    checkpoint_steps : int
        Steps between checkpoints.
    seed : int
        Seed of adapters, projector and questions.
    """

    shape: LoraShape
    loop: LoopSettings = LoopSettings(steps=10_000, learning_rate=2e-4, weight_decay=0.0)  # noqa: RUF009 - frozen
    mix: AudioMix = AudioMix()  # noqa: RUF009 - frozen
    checkpoint_steps: int = 500
    seed: int = 0


def start_accelerator() -> Accelerator:
    """What joins the processes that `accelerate launch` has started; on the CPU where torch finds no other device."""
    # A batch may hold text only: then the projector has no gradient in one process.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # Left to itself each process without a device takes itself for the only one, and all of them write the same files.
    return Accelerator(cpu=not torch.accelerator.is_available(), kwargs_handlers=[unused])


class Listener(nn.Module):
    """Language model and projector as one module, as distributed training wants it."""

    def __init__(self, llm: Any, projector: Projector) -> None:
        super().__init__()
        self.llm = llm
        self.projector = projector

    def forward(self, batch: SplicedBatch) -> torch.Tensor:
        """Mean loss of a batch."""
        return audio_loss(self.llm.get_base_model(), self.projector, batch)[0]


def run(directory: Path, bank: Path, settings: PretrainedSettings, resume: bool = False) -> Iterator[dict[str, float]]:
    """Train adapters and projector; yields log records, and at the end merges (in the first process).

    Parameters
    ----------
    directory : Path
        Run directory of the stage. `trained.safetensors` and `state/` are checkpoints; the files that other stages read
        are written at the end.
    bank : Path
        Feature bank.
    settings : PretrainedSettings
        What to train, and for how many steps.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.

    Raises
    ------
    InputError
        Language model or bank cannot be read, or `directory` holds a run of another kind.
    """
    if (directory / "model.safetensors").is_file() and not (directory / "pretrained.json").is_file():
        raise InputError(f"{directory} holds a model trained from scratch: give --run another folder")
    resume = resume and has_state(directory)
    if resume:
        _demand_same(directory, settings.shape)
    accelerator = start_accelerator()
    torch.manual_seed(settings.seed)
    base, tokenizer = load_pretrained(settings.shape.name)
    llm = with_lora(base, tokenizer, settings.shape)
    listener = Listener(llm, new_projector(base)).train()
    batches = AudioBatches(training_bank(bank), tokenizer, replace(settings.mix, seed=settings.seed))
    trained = [parameter for parameter in listener.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=settings.loop.weight_decay, betas=(0.9, 0.95))
    listener, optimizer = accelerator.prepare(listener, optimizer)
    worker = _Worker(accelerator, listener, optimizer, directory, settings)
    first = worker.restore() if resume else 0
    if accelerator.is_main_process:
        directory.mkdir(parents=True, exist_ok=True)
        save_tokenizer(tokenizer, directory)
        save_shape(settings.shape, directory)
        if not resume:
            (directory / "log.csv").unlink(missing_ok=True)
    yield from worker.run(batches, first)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        merge(directory)


def _demand_same(directory: Path, shape: LoraShape) -> None:
    """Adapters go on with the model and the rank that they were begun with; the model may have been moved."""
    known = load_shape(directory)
    if replace(known, name=Path(known.name).name) != replace(shape, name=Path(shape.name).name):
        raise InputError(
            f"{directory} adapts {known.name} with --rank {known.rank}: --resume goes on with these; "
            "to begin anew name another --run"
        )


class _Worker:
    """One process of a run."""

    def __init__(
        self, accelerator: Any, listener: nn.Module, optimizer: Any, directory: Path, settings: PretrainedSettings
    ) -> None:
        self.accelerator = accelerator
        self.listener = listener
        self.optimizer = optimizer
        self.directory = directory
        self.settings = settings
        plain = accelerator.unwrap_model(listener)
        self.parameters = {name: value for name, value in plain.named_parameters() if value.requires_grad}
        self.buffers = {f"projector.{name}": value for name, value in plain.projector.named_buffers()}

    def run(self, batches: AudioBatches, first: int) -> Iterator[dict[str, float]]:
        """Make all steps from the first one on."""
        steps = self.settings.loop.steps or 0
        for step in range(first, steps):
            loss = self.step(step, batches)
            done = step + 1
            if done % self.settings.loop.log_steps == 0:
                yield self.log(done, loss)
            if done % self.settings.checkpoint_steps == 0 or done == steps:
                self.save(done)

    def step(self, step: int, batches: AudioBatches) -> torch.Tensor:
        """One step of all processes; returns this one's loss."""
        rate = learning_rate_at(Progress(step=step), self.settings.loop)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = batches(step * self.accelerator.num_processes + self.accelerator.process_index)
        with self.accelerator.autocast():
            loss: torch.Tensor = self.listener(on_device(batch, self.accelerator.device))
        demand_finite(float(loss.detach()), 0.0, self.directory)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.listener.parameters(), self.settings.loop.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def log(self, done: int, loss: torch.Tensor) -> dict[str, float]:
        """Mean loss over the processes, also into `log.csv`."""
        mean = float(self.accelerator.gather(loss.reshape(1)).mean())
        record = {"step": done, "loss": round(mean, 5), "share": round(done / (self.settings.loop.steps or 1), 4)}
        if self.accelerator.is_main_process:
            append_csv(self.directory / "log.csv", record)
        return record

    def save(self, done: int) -> None:
        """Gather what is trained and its moments; the first process writes them, each file as a whole."""
        state = self.optimizer.optimizer.state
        moments = {
            f"{name}/{key}": _whole(torch.as_tensor(value))
            for name, parameter in self.parameters.items()
            for key, value in state.get(parameter, {}).items()
        }
        weights = {name: _whole(value) for name, value in (self.parameters | self.buffers).items()}
        if not self.accelerator.is_main_process:
            return
        folder = self.directory / "state"
        folder.mkdir(exist_ok=True)
        with together():
            save_tensors(moments, folder / "optimizer.safetensors")
            save_tensors(weights, self.directory / "trained.safetensors")
            save_settings({"step": done}, folder / "state.json")

    @torch.no_grad()
    def restore(self) -> int:
        """Read a checkpoint in every process; returns the steps it has made.

        Raises
        ------
        InputError
            It is of another network.
        """
        try:
            return self._read()
        except (KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self.directory}: not a checkpoint of this network ({reason})") from error

    def _read(self) -> int:
        weights = load_tensors(self.directory / "trained.safetensors")
        for name, value in (self.parameters | self.buffers).items():
            value.copy_(_shared_as(value, weights[name]))
        state = self.optimizer.optimizer.state
        for full_name, value in load_tensors(self.directory / "state" / "optimizer.safetensors").items():
            name, key = full_name.rsplit("/", 1)
            parameter = self.parameters[name]
            state[parameter][key] = _shared_as(parameter, value) if value.shape == parameter.shape else value
        record = load_settings(self.directory / "state" / "state.json")
        return int(record["step"])


def merge(directory: Path) -> None:
    """Write the plain network and the projector of a checkpoint, which export and the other stages read.

    Raises
    ------
    InputError
        `directory` is not of this stage, or the language model it adapts cannot be read any more.
    """
    shape = load_shape(directory)
    base, tokenizer = load_pretrained(shape.name)
    listener = Listener(with_lora(base, tokenizer, shape), new_projector(base))
    left_over = listener.load_state_dict(load_tensors(directory / "trained.safetensors"), strict=False).unexpected_keys
    if left_over:
        raise InputError(f"{directory}: trained.safetensors does not fit {shape.name} ({left_over[0]})")
    save_llm(merged(listener.llm), directory)
    save_projector(listener.projector, directory)


def on_device(batch: SplicedBatch, device: torch.device) -> SplicedBatch:
    """The batch with all its tensors on a device."""
    moved: dict[str, Any] = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        moved[field.name] = value.to(device) if isinstance(value, torch.Tensor) else value
    return SplicedBatch(**moved)


def _whole(value: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that may lie in parts on several devices; all processes must ask."""
    value = value.detach()
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return whole.to("cpu", copy=True).contiguous()


def _shared_as(target: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """A whole tensor laid out over devices as `target` is."""
    whole = whole.to(target.device)
    return distribute_tensor(whole, target.device_mesh, target.placements) if isinstance(target, DTensor) else whole
