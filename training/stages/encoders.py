"""Stage 1: the semantic and the spatial encoder, trained together on random mixtures of rendered stems."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from earshot.training.files import together
from earshot.training.models.hearing import Hearing
from earshot.training.models.load import load_hearing
from earshot.training.models.weights import load_tensors, save_tensors
from earshot.training.stages import checkpoint
from earshot.training.stages.hearing_loss import LossWeights, hearing_loss
from earshot.training.stages.hearing_score import score_batches
from earshot.training.stages.loop import demand_finite
from earshot.training.stages.precision import autocast, faster_precision
from earshot.training.stages.remix import Batch, Remixer, RemixSettings, ahead, validation_batches
from earshot.training.stages.teacher import Teacher

console = Console(stderr=True)


@dataclass(frozen=True)
class EncoderSettings:
    """Training settings of the encoder stage.

    Attributes
    ----------
    minutes : float
        Training time; the learning rate follows a cosine over it. A longer time resumes a shorter run.
    validation_batches : int
        Batches of ``batch`` clips scored at every checkpoint, per number of sources.
    mistaken : float
        Share of the sounds asked for under the wrong name, as in use.
    rival : float
        Share of the questions for absent sounds that ask for one that something sounds like, as scouts do in use.
    fixed_names : bool
        Leave the semantic encoder as it is.
    start : Path, optional
        Folder of trained encoders that a new run begins with.
    teacher : Path, optional
        What another network makes of the training clips (see ``teacher``), for the semantic encoder to imitate.
    max_steps : int, optional
        Stop early after so many steps (smoke runs).
    """

    minutes: float = 90.0
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    threads: int = 2
    seed: int = 1
    checkpoint_minutes: float = 4.0
    average_decay: float = 0.999
    validation_batches: int = 8
    mistaken: float = 0.3
    rival: float = 0.5
    fixed_names: bool = False
    start: Path | None = None
    teacher: Path | None = None
    max_steps: int | None = None
    weights: LossWeights = field(default_factory=LossWeights)
    remix: RemixSettings = field(default_factory=RemixSettings)


def run(data: Path, out: Path, settings: EncoderSettings) -> None:
    """Train, resuming from ``out`` when it holds a checkpoint.

    Parameters
    ----------
    data : Path
        Holds ``train/`` and ``validation/`` stem shards.
    out : Path
        Checkpoint folder; also gets ``log.csv`` and ``validation.csv``.
    settings : EncoderSettings

    Raises
    ------
    InputError
        There are no shards, or ``out`` holds another network.
    UsageError
        ``out`` was begun with another start or teacher, or with other parts to train.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    resume = checkpoint.has_state(out)
    if resume:
        checkpoint.demand_begun_with(out, teacher=settings.teacher, fixed_names=settings.fixed_names)
        settings = replace(settings, start=checkpoint.start_of(out, settings.start))
    teacher = None if settings.teacher is None else Teacher(settings.teacher)
    start = None if resume else settings.start
    learner = Learner(Hearing() if start is None else load_hearing(start).train(), teacher)
    if settings.fixed_names:
        learner.hearing.fix_names()
    average = checkpoint.MovingAverage(learner.hearing, settings.average_decay)
    optimizer = torch.optim.AdamW(
        _trained(learner).values(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    progress = {"step": 0, "seconds": 0.0}
    if resume:
        saved = checkpoint.load_state(out, optimizer, _trained(learner), "seconds")
        progress = {key: saved[key] for key in progress}
        checkpoint.load_weights(out, learner.hearing, average, int(progress["step"]))
        learner.load_pupil(out)
        console.print(f"resuming {out} at step {progress['step']}, minute {progress['seconds'] / 60:.1f}")
    remixer = Remixer(data / "train", settings.remix, teacher=teacher, split="train")
    batches = ahead(remixer.batches(settings.batch, settings.seed + int(progress["step"])))
    precision = _choose_precision(learner.hearing, next(batches), settings)
    validation = validation_batches(data / "validation", settings.remix, settings.batch, settings.validation_batches)
    loop = _Loop(learner, average, optimizer, settings, out, precision)
    loop.run(batches, validation, progress)


class Learner(nn.Module):
    """The encoders, and the layer that says what the teacher would; it does not ship."""

    def __init__(self, hearing: Hearing, teacher: Teacher | None) -> None:
        super().__init__()
        self.hearing = hearing
        width = hearing.semantic.config.hidden
        self.pupil = None if teacher is None else nn.Linear(width, teacher.dimensions)

    def save_pupil(self, folder: Path) -> None:
        """Write the layer beside the optimiser's state, if there is one."""
        if self.pupil is not None:
            (folder / "state").mkdir(parents=True, exist_ok=True)
            weights = self.pupil.state_dict()
            save_tensors(weights, folder / "state" / "pupil.safetensors")

    def load_pupil(self, folder: Path) -> None:
        """Inverse of `save_pupil`."""
        if self.pupil is not None:
            self.pupil.load_state_dict(load_tensors(folder / "state" / "pupil.safetensors"))


def _trained(learner: Learner) -> dict[str, nn.Parameter]:
    """The parameters that the optimiser has, in its order."""
    return {name: value for name, value in learner.named_parameters() if value.requires_grad}


class _Loop:
    """The training loop of one run."""

    def __init__(
        self,
        learner: Learner,
        average: checkpoint.MovingAverage,
        optimizer: torch.optim.Optimizer,
        settings: EncoderSettings,
        out: Path,
        precision: str,
    ) -> None:
        self._learner, self._model, self._average, self._optimizer = learner, learner.hearing, average, optimizer
        self._settings, self._out, self._precision = settings, out, precision

    def run(self, batches: Iterator[Batch], validation: dict[str, list[Batch]], progress: dict[str, float]) -> None:
        """Train until the minutes are used."""
        budget = self._settings.minutes * 60
        last_save = progress["seconds"]
        means: dict[str, float] = {}
        most = self._settings.max_steps or float("inf")
        while progress["seconds"] < budget and progress["step"] < most:
            begin = time.perf_counter()
            rate = self._rate(progress["seconds"] / budget, int(progress["step"]))
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            parts = self._step(next(batches))
            means = {k: 0.98 * means.get(k, v) + 0.02 * v for k, v in parts.items()}
            progress["step"] += 1
            progress["seconds"] += time.perf_counter() - begin
            if progress["step"] % 50 == 0:
                self._log("log.csv", {**progress, "rate": rate, **means})
            if progress["seconds"] - last_save > self._settings.checkpoint_minutes * 60:
                last_save = progress["seconds"]
                self._save_and_score(validation, progress)
        self._save_and_score(validation, progress)

    def _rate(self, share: float, step: int) -> float:
        warm = min(1.0, (step + 1) / 200)
        return self._settings.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))

    def _step(self, batch: Batch) -> dict[str, float]:
        self._model.train()
        with autocast(self._precision):
            heard = batch.active * batch.present[..., None]
            semantic, spatial = self._model(
                batch.audio, batch.queries, heard, self._settings.mistaken, self._settings.rival
            )
        loss, parts = hearing_loss(semantic, spatial, batch, self._settings.weights, self._learner.pupil)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._learner.parameters(), self._settings.clip_norm)
        demand_finite(float(loss.detach()), float(norm), self._out)
        self._optimizer.step()
        self._average.update(self._model)
        return {"loss": float(loss.detach()), "norm": float(norm), **{k: float(v.detach()) for k, v in parts.items()}}

    def _save_and_score(self, validation: dict[str, list[Batch]], progress: dict[str, float]) -> None:
        config = {"settings": _plain(self._settings), "precision": self._precision}
        with together():
            checkpoint.save_weights(self._out, self._model, self._average)
            self._learner.save_pupil(self._out)
            checkpoint.save_state(self._out, self._optimizer, _trained(self._learner), {**progress, **config})
        shipped = Hearing()
        self._average.copy_to(shipped)
        shipped.eval()
        row: dict[str, float] = {"step": progress["step"], "minutes": round(progress["seconds"] / 60, 2)}
        for name, batches in validation.items():
            row |= {f"{name}_{k}": round(v, 3) for k, v in score_batches(shipped, batches).items()}
        self._log("validation.csv", row)
        console.print(" ".join(f"{k}={v:g}" for k, v in row.items()))

    def _log(self, name: str, row: dict[str, float]) -> None:
        path = self._out / name
        self._out.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" for k, v in row.items()})


def _plain(settings: EncoderSettings) -> dict[str, Any]:
    """The settings as JSON can hold them."""
    folders = {"start": settings.start, "teacher": settings.teacher}
    return {**asdict(settings), **{name: None if path is None else str(path) for name, path in folders.items()}}


def _choose_precision(model: Hearing, batch: Batch, settings: EncoderSettings) -> str:
    small = Batch(**{k: v[:8] for k, v in vars(batch).items()})

    def step() -> Tensor:
        semantic, spatial = model(small.audio, small.queries)
        return hearing_loss(semantic, spatial, small, settings.weights)[0]

    precision, seconds = faster_precision(step, repeats=2)
    model.zero_grad(set_to_none=True)
    console.print(f"fp32 {seconds['fp32']:.2f} s, bf16 {seconds['bf16']:.2f} s per small step: using {precision}")
    return precision
