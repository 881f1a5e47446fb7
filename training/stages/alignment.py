"""Stage 2b: the projector learns to speak to the language model; encoders and language model are frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from earshot.runtime.errors import InputError
from earshot.training.models.llm import load_llm, save_llm
from earshot.training.models.projector import build_projector, load_projector, save_projector
from earshot.training.models.projector_parts import Kind, Projector
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer
from earshot.training.stages.audio_items import AudioBatches, AudioMix, audio_loss
from earshot.training.stages.bank_reader import training_bank
from earshot.training.stages.loop import Loop, LoopSettings


@dataclass(frozen=True)
class AlignmentSettings:
    """Settings of the alignment stage.

    Attributes
    ----------
    loop : LoopSettings
        Schedule.
    mix : AudioMix
        Batches; only reasoned answers and no replay, since the language model does not change.
    seed : int
        Seed of projector and questions (replaces that of `mix`).
    projector : {"hybrid", "mlp", "dual"}, optional
        Kind of the projector; a run that is resumed must hold this kind. None is `hybrid`, or what is there to resume.
    """

    loop: LoopSettings = LoopSettings(minutes=30.0, learning_rate=1e-3)  # noqa: RUF009 - frozen
    mix: AudioMix = AudioMix(no_think_share=0.0, replay_share=0.0)  # noqa: RUF009 - frozen
    seed: int = 0
    projector: Kind | None = None


def run(
    directory: Path, language: Path, bank: Path, settings: AlignmentSettings, resume: bool = False
) -> Iterator[dict[str, float]]:
    """Train the projector; yields log records.

    Parameters
    ----------
    directory : Path
        Run directory of the stage; also gets a copy of the language model, so that it stands alone.
    language : Path
        Checkpoint of the language stage.
    bank : Path
        Feature bank.
    settings : AlignmentSettings
        What to train, and for how long.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.
    """
    torch.manual_seed(settings.seed)
    model, tokenizer = load_llm(language), load_tokenizer(language)
    model.requires_grad_(False)
    resume = resume and (directory / "state" / "state.json").is_file()
    kind = settings.projector
    projector = load_projector(directory, kind) if resume else new_projector(model, kind or "hybrid")
    demand_one_width(projector, model, directory)
    if not resume:
        (directory / "log.csv").unlink(missing_ok=True)
        save_llm(model, directory)
        save_tokenizer(tokenizer, directory)
    batches = AudioBatches(training_bank(bank), tokenizer, with_seed(settings.mix, settings.seed))
    loop = Loop(
        dict(projector.named_parameters()), lambda batch: audio_loss(model, projector, batch), batches,
        lambda: save_projector(projector, directory), directory, settings.loop, asdict(settings),
    )  # fmt: skip
    if resume:
        loop.restore()
    yield from loop.run()


def new_projector(model: Any, kind: Kind = "hybrid") -> Projector:
    """An untrained projector that fits a language model's width and the size of its token embeddings."""
    table = model.get_input_embeddings().weight
    rms = float(table.detach().square().mean().sqrt())
    return build_projector(kind, table.shape[1], rms)


def demand_one_width(projector: Projector, model: Any, checkpoint: Path) -> None:
    """Require that a projector makes embeddings of the width that a language model reads; `InputError` if not."""
    made, read = vars(projector.shape)["hidden"], model.config.hidden_size
    if made != read:
        raise InputError(
            f"{checkpoint}: its projector makes embeddings of width {made}, its language model reads {read}; take another "
            "checkpoint, or train alignment anew"
        )


def with_seed(mix: AudioMix, seed: int) -> AudioMix:
    """The mix with another seed."""
    return AudioMix(**{**mix.__dict__, "seed": seed})
