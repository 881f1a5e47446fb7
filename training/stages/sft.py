"""Stage 3: projector and language model are trained together on all kinds of questions about audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels
from earshot.training.models.llm import LlmShape, build_llm, grow_llm, load_llm, save_llm, shape_of
from earshot.training.models.projector import DenseHybridProjector, load_projector, save_projector
from earshot.training.models.projector_parts import Kind, Projector
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.stages.alignment import demand_one_width, new_projector, with_seed
from earshot.training.stages.audio_items import AudioBatches, AudioMix, audio_loss
from earshot.training.stages.bank_reader import training_bank
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
    shape : LlmShape, optional
        Size that the language model is grown to before it is trained (see `grow_llm`); its own when not given.
    projector : {"hybrid", "mlp", "dual"}, optional
        Kind of the projector; a checkpoint that is begun with must hold this kind. None is that of the checkpoint, `hybrid`
        without one.
    named : bool
        Put the name of each object before it, as an embedding of its own, if it is not there yet.
    """

    loop: LoopSettings = LoopSettings(minutes=60.0, learning_rate=2e-3)  # noqa: RUF009 - frozen
    mix: AudioMix = AudioMix()  # noqa: RUF009 - frozen
    seed: int = 0
    projector: Kind | None = None
    shape: LlmShape | None = None
    named: bool = False


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
    model, projector, tokenizer = _begin(directory if resume else aligned, settings)
    if settings.shape is not None and settings.shape != shape_of(model):
        model = grow_llm(model, settings.shape)
    model.train()
    if not resume:
        (directory / "log.csv").unlink(missing_ok=True)
        save_tokenizer(tokenizer, directory)

    def save() -> None:
        save_llm(model, directory)
        save_projector(projector, directory)

    parameters = {f"llm.{name}": value for name, value in model.named_parameters()}
    parameters |= {f"projector.{name}": value for name, value in projector.named_parameters()}
    mix = replace(with_seed(settings.mix, settings.seed), per_object=projector.per_object)
    batches = AudioBatches(training_bank(bank), tokenizer, mix)
    loop = Loop(
        parameters, lambda batch: audio_loss(model, projector, batch), batches, save, directory, settings.loop,
        asdict(settings),
    )  # fmt: skip
    if resume:
        loop.restore()
    yield from loop.run()


def _begin(checkpoint: Path | None, settings: SftSettings) -> tuple[Any, Projector, Tokenizer]:
    """What the stage begins with: a checkpoint, or everything fresh."""
    if checkpoint is not None:
        projector = load_projector(checkpoint, settings.projector)
        model, tokenizer = load_llm(checkpoint), load_tokenizer(checkpoint)
        demand_one_width(projector, model, checkpoint)
    else:
        model = build_llm(seed=settings.seed)
        projector, tokenizer = new_projector(model, settings.projector or "hybrid"), train_tokenizer()
    if settings.named:
        if not isinstance(projector, DenseHybridProjector):
            raise InputError(
                "only a hybrid projector names its objects: leave out --named-objects, or begin with a hybrid one"
            )
        projector.name_objects(first_words(model, tokenizer))
    return model, projector, tokenizer


def first_words(model: Any, tokenizer: Tokenizer) -> torch.Tensor:
    """Token embeddings [61, hidden] that the names of the classes begin with at the start of a line of evidence."""
    ids = [tokenizer.encode(f"{label.spoken} |").ids[0] for label in load_labels()]
    return torch.as_tensor(model.get_input_embeddings().weight.detach()[ids])
