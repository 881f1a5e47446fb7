"""The training loop that the language-model stages share: schedule, precision, log, checkpoints, resuming.

Batches are a pure function of the step, and everything else that a step depends on is in the checkpoint, so a run that was
stopped and resumed makes the same steps as one that was not.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from earshot.runtime.errors import EarshotError
from earshot.training.files import together
from earshot.training.stages import checkpoint
from earshot.training.stages.optimizer import MuonAdamW
from earshot.training.stages.precision import autocast, faster_precision

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopSettings:
    """How long and how a stage trains.

    Attributes
    ----------
    minutes : float
        Wall time of the whole stage, over all resumed runs; the learning rate falls to zero at its end.
    steps : int, optional
        End after this many steps instead (exactly reproducible).
    learning_rate, weight_decay, clip : float
        Of the optimiser; the norm at which gradients are clipped.
    warmup_steps : int
        Steps of linear rise.
    checkpoint_s : float
        Seconds between checkpoints.
    log_steps : int
        Steps per line of the log.
    precision : str
        `auto` (time both, take the faster), `bf16` or `fp32`.
    """

    minutes: float = 60.0
    steps: int | None = None
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    clip: float = 1.0
    warmup_steps: int = 100
    checkpoint_s: float = 180.0
    log_steps: int = 20
    precision: str = "auto"


@dataclass
class Progress:
    """Where a run stands; part of the checkpoint."""

    step: int = 0
    elapsed_s: float = 0.0

    def share(self, settings: LoopSettings) -> float:
        """How much of the run is done, 0 to 1."""
        if settings.steps is not None:
            return min(1.0, self.step / settings.steps)
        return min(1.0, self.elapsed_s / (60.0 * settings.minutes))


LossFunction = Callable[[Any], tuple[torch.Tensor, int]]
"""Batch -> (mean loss, number of tokens that were processed)."""


def learning_rate_at(progress: Progress, settings: LoopSettings) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warm = min(1.0, (progress.step + 1) / max(1, settings.warmup_steps))
    return settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * progress.share(settings)))


class Loop:
    """One stage of training.

    Parameters
    ----------
    parameters : dict of torch.nn.Parameter
        What is trained, by name.
    loss_of : callable
        See `LossFunction`.
    batch_at : callable
        Step -> batch; must not depend on anything but the step.
    save_weights : callable
        Writes the model (weights and configuration) into the run directory.
    directory : Path
        The run directory.
    settings : LoopSettings
        Schedule.
    options : mapping
        All settings of the stage, as JSON can hold them; a run that is resumed with others says so.
    """

    def __init__(
        self, parameters: dict[str, torch.nn.Parameter], loss_of: LossFunction, batch_at: Callable[[int], Any],
        save_weights: Callable[[], None], directory: Path, settings: LoopSettings,
        options: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.parameters = parameters
        self.loss_of = loss_of
        self.batch_at = batch_at
        self.save_weights = save_weights
        self.directory = directory
        self.settings = settings
        self.options = dict(options or {})
        self.progress = Progress()
        self.optimizer = MuonAdamW(parameters, settings.learning_rate, settings.weight_decay)

    def run(self) -> Iterator[dict[str, float]]:
        """Train to the end; yields a record per `log_steps` steps and one of the last step (also written to `log.csv`)."""
        precision = self._precision()
        last_save = last_log = time.monotonic()
        losses: list[float] = []
        tokens = 0
        while self.progress.share(self.settings) < 1.0:
            start = time.monotonic()
            loss, count = self._step(precision)
            losses.append(loss)
            tokens += count
            self.progress.step += 1
            self.progress.elapsed_s += time.monotonic() - start
            if self.progress.step % self.settings.log_steps == 0:
                yield self._log(losses, tokens / (time.monotonic() - last_log))
                losses, tokens, last_log = [], 0, time.monotonic()
            if time.monotonic() - last_save > self.settings.checkpoint_s:
                self.save()
                last_save = time.monotonic()
        self.save()
        if losses:
            yield self._log(losses, tokens / (time.monotonic() - last_log))

    def _precision(self) -> str:
        if self.settings.precision != "auto":
            return self.settings.precision
        batch = self.batch_at(self.progress.step)
        precision, seconds = faster_precision(lambda: self.loss_of(batch)[0])
        LOGGER.info("precision: fp32 %(fp32).2f s, bf16 %(bf16).2f s a step", seconds)
        self.optimizer.zero_grad()
        return precision

    def _step(self, precision: str) -> tuple[float, int]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.progress, self.settings)
        batch = self.batch_at(self.progress.step)
        with autocast(precision):
            loss, count = self.loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.clip)
        demand_finite(float(loss.detach()), float(norm), self.directory)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach()), count

    def _log(self, losses: Sequence[float], tokens_per_s: float) -> dict[str, float]:
        record = {
            "step": self.progress.step,
            "elapsed_s": round(self.progress.elapsed_s, 1),
            "loss": round(sum(losses) / len(losses), 5),
            "learning_rate": round(learning_rate_at(self.progress, self.settings), 7),
            "tokens_per_s": round(tokens_per_s),
            "share": round(self.progress.share(self.settings), 4),
        }
        append_csv(self.directory / "log.csv", record)
        LOGGER.info("step %(step)d: loss %(loss).4f, %(tokens_per_s)d tokens/s, %(elapsed_s).0f s", record)
        return record

    def save(self) -> None:
        """Write weights, optimizer state and position, all or none."""
        progress = {**asdict(self.progress), "settings": asdict(self.settings), "options": self.options}
        with together():
            self.save_weights()
            checkpoint.save_state(self.directory, self.optimizer, self.parameters, progress)

    def restore(self) -> bool:
        """Read optimizer state and position of a checkpoint; False if there is none. Weights are the caller's."""
        if not checkpoint.has_state(self.directory):
            return False
        record = checkpoint.load_state(self.directory, self.optimizer, self.parameters)
        self.progress = Progress(record["step"], record["elapsed_s"])
        for name, before, now in changed(record.get("options", {}), self.options):
            LOGGER.warning("%s: %s was %s until now and is %s from here on", self.directory, name, before, now)
        return True


MAY_CHANGE = frozenset({"minutes", "steps", "checkpoint_s", "log_steps", "precision", "probe_items", "probe_steps"})
"""Options that a resumed run may be given anew without learning something else."""


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Names of options that have changed, in all groups of options, with their values before and now."""
    for name in sorted((before.keys() & now.keys()) - MAY_CHANGE):
        if isinstance(before[name], Mapping) and isinstance(now[name], Mapping):
            yield from changed(before[name], now[name])
        elif json.dumps(before[name]) != json.dumps(now[name]):  # a tuple comes back as a list
            yield name, before[name], now[name]


def demand_finite(loss: float, norm: float, directory: Path) -> None:
    """End a run whose loss or gradient is no number any more: its next checkpoint would take the place of the last good one.

    Parameters
    ----------
    loss, norm : float
        Loss of a step, and the norm of its gradient.
    directory : Path
        Where the last good checkpoint is.

    Raises
    ------
    EarshotError
        One of them is infinite or NaN.
    """
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise EarshotError(
            f"{directory}: the loss is {loss:g}, the norm of its gradient {norm:g}, so nothing can be learned any more; what "
            "checkpoint there is stays as it was: go on from it, or begin anew, with a smaller learning rate"
        )


def append_csv(path: Path, record: dict[str, float]) -> None:
    """Add a line to a CSV file; the first line is the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(record))
        if is_new:
            writer.writeheader()
        writer.writerow(record)
