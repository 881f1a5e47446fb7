"""A baseline to compare the encoders with: a SELDnet-style network, trained on the same endless remixes.

Crops are 5 s long, as in the DCASE baselines. The network hears both ways in time and whole crops at once, so it is no
replacement in a live listener; what it says is scored by `earshot bench seld` and `earshot bench hearing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from earshot.runtime.errors import InputError
from earshot.training.models.seldnet import Seldnet, SeldnetConfig, read_config, save_config
from earshot.training.stages import checkpoint
from earshot.training.stages.loop import Loop, LoopSettings, append_csv
from earshot.training.stages.remix import Batch, Remixer, RemixSettings, validation_batches
from earshot.training.stages.remix_ahead import RemixedBatches
from earshot.training.stages.seldnet_loss import adpit_loss, targets_of
from earshot.training.stages.seldnet_score import choose_threshold, score_batches

LOOP = LoopSettings(minutes=60.0, learning_rate=1e-3, weight_decay=0.02, clip=5.0, warmup_steps=200, checkpoint_s=400.0)
CROP_FRAMES = 125
"""5 s in frames of 40 ms."""
CHOOSING_SEED = 8
"""Of the training mixtures by which the threshold is chosen."""


@dataclass(frozen=True)
class SeldnetSettings:
    """Training settings.

    Attributes
    ----------
    config : SeldnetConfig
        The network.
    batch : int
        Mixtures per batch.
    average_decay : float
        Of the moving average of the weights, which is what is scored.
    scored_batches : int
        Batches scored at every checkpoint: of training mixtures for the threshold, of validation mixtures for the curve.
    threshold : float, optional
        Length from which on a vector is a source; chosen on training mixtures if not given.
    """

    loop: LoopSettings = LOOP
    config: SeldnetConfig = field(default_factory=SeldnetConfig)
    seed: int = 1
    batch: int = 32
    average_decay: float = 0.999
    scored_batches: int = 8
    threshold: float | None = None
    remix: RemixSettings = field(default_factory=lambda: RemixSettings(frames=CROP_FRAMES))


def run(data: Path, out: Path, settings: SeldnetSettings) -> Iterator[dict[str, float]]:
    """Train, resuming from ``out`` when it holds a checkpoint; yields log records.

    Parameters
    ----------
    data : Path
        Holds ``train/`` and ``validation/`` stem shards.
    out : Path
        Checkpoint folder of the stage; also gets ``log.csv`` and ``validation.csv``.
    settings : SeldnetSettings

    Raises
    ------
    InputError
        There are no shards, or ``out`` holds another network.
    """
    torch.manual_seed(settings.seed)
    resume = checkpoint.has_state(out)
    if resume and read_config(out)[0] != settings.config:
        raise InputError(f"{out} holds a network with {read_config(out)[0].features} features; name another run folder")
    model = Seldnet(settings.config).train()
    average = checkpoint.MovingAverage(model, settings.average_decay)
    batches = RemixedBatches(Remixer(data / "train", settings.remix, split="train"), settings.batch, settings.seed)
    loop = _Loop(model, average, batches, _Keeper(data, out, settings, model, average), out, settings)
    if resume and loop.restore():
        checkpoint.load_weights(out, model, average, loop.progress.step)
    try:
        yield from loop.run()
    finally:
        batches.close()


def loss_of(model: Seldnet, batch: Batch) -> tuple[Tensor, int]:
    """Loss of a batch, and how many of its frames were heard."""
    targets = targets_of(batch)
    return adpit_loss(model(batch.audio), targets), targets.active[..., 0].numel()


class _Loop(Loop):
    """The loop of the other stages, with an average of the weights and chance that depends on the step alone."""

    def __init__(
        self, model: Seldnet, average: checkpoint.MovingAverage, batches: RemixedBatches, keeper: _Keeper, out: Path,
        settings: SeldnetSettings,
    ) -> None:  # fmt: skip
        parameters = dict(model.named_parameters())
        super().__init__(
            parameters, lambda batch: loss_of(model, batch), batches, lambda: keeper.save(self.progress.step), out,
            settings.loop, asdict(settings),
        )  # fmt: skip
        self._model, self._average, self._seed = model, average, settings.seed

    def _step(self, precision: str) -> tuple[float, int]:
        torch.manual_seed(self._seed * 1_000_003 + self.progress.step)  # of the dropout
        result = super()._step(precision)
        self._average.update(self._model)
        return result


class _Keeper:
    """Writes checkpoints, and what the averaged weights score."""

    def __init__(
        self, data: Path, out: Path, settings: SeldnetSettings, model: Seldnet, average: checkpoint.MovingAverage
    ) -> None:
        self._out, self._settings, self._model, self._average = out, settings, model, average
        size, count = settings.batch, settings.scored_batches
        self._validation = validation_batches(data / "validation", settings.remix, size, count)
        remixes = Remixer(data / "train", settings.remix, split="train").batches(size, CHOOSING_SEED)
        self._training = list(islice(remixes, count)) if settings.threshold is None else []

    def save(self, step: int) -> None:
        """Write weights, configuration and a line of the curve."""
        checkpoint.save_weights(self._out, self._model, self._average)
        shipped = Seldnet(self._settings.config).eval()
        self._average.copy_to(shipped)
        threshold = self._settings.threshold
        if threshold is None:
            threshold = choose_threshold(shipped, self._training)
        save_config(self._out, self._settings.config, threshold)
        row: dict[str, float] = {"step": step, "threshold": threshold}
        for name, batches in self._validation.items():
            scores = score_batches(shipped, batches, threshold)
            row |= {f"{name}_{key}": round(value, 3) for key, value in scores.items()}
        append_csv(self._out / "validation.csv", row)
