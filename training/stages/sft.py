"""Stage 3: projector and language model are trained together on all kinds of questions about audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from earshot.training.models.llm import build_llm, load_llm, save_llm
from earshot.training.models.projector import DenseHybridProjector, load_projector, save_projector
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.stages.alignment import new_projector, with_seed
from earshot.training.stages.audio_items import AudioBatches, AudioMix, audio_loss
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.loop import Loop, LoopSettings


@dataclass(frozen=True)
class SftSettings:
    """Settings of supervised fine-tuning.

    Attributes
    ----------
    loop : LoopSettings
        Schedule.
    mix : AudioMix
        Batches; most of them text, from which reasoning is learned, the rest audio.
    seed : int
        Seed of questions (replaces that of `mix`).
    """

    loop: LoopSettings = LoopSettings(minutes=60.0, learning_rate=2e-3)  # noqa: RUF009 - frozen
    mix: AudioMix = AudioMix()  # noqa: RUF009 - frozen
    seed: int = 0


def run(
    directory: Path, aligned: Path | None, bank: Path, settings: SftSettings, resume: bool = False
) -> Iterator[dict[str, float]]:
    """Train projector and language model; yields log records.

    Parameters
    ----------
    directory : Path
        Run directory of the stage.
    aligned : Path or None
        Checkpoint of the alignment stage (projector, language model, tokenizer); None starts from untrained ones.
    bank : Path
        Feature bank.
    settings : SftSettings
        What to train, and for how long.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.
    """
    torch.manual_seed(settings.seed)
    resume = resume and (directory / "state" / "state.json").is_file()
    model, projector, tokenizer = _loaded(directory) if resume else _start(aligned, settings.seed)
    model.train()
    if not resume:
        (directory / "log.csv").unlink(missing_ok=True)
        save_tokenizer(tokenizer, directory)

    def save() -> None:
        save_llm(model, directory)
        save_projector(projector, directory)

    parameters = {f"llm.{name}": value for name, value in model.named_parameters()}
    parameters |= {f"projector.{name}": value for name, value in projector.named_parameters()}
    batches = AudioBatches(FeatureBank(bank), tokenizer, with_seed(settings.mix, settings.seed))
    loop = Loop(parameters, lambda batch: audio_loss(model, projector, batch), batches, save, directory, settings.loop)
    if resume:
        loop.restore()
    yield from loop.run()


def _loaded(folder: Path) -> tuple[Any, DenseHybridProjector, Tokenizer]:
    return load_llm(folder), load_projector(folder), load_tokenizer(folder)


def _start(aligned: Path | None, seed: int) -> tuple[Any, DenseHybridProjector, Tokenizer]:
    """What the stage begins with: the aligned checkpoint, or everything fresh."""
    if aligned is not None:
        return _loaded(aligned)
    model = build_llm(seed=seed)
    return model, new_projector(model), train_tokenizer()
