"""Commands of the stages that answer: questions, language, alignment, sft, cascade, pretrained, grpo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from earshot.runtime.errors import InputError, UsageError
from earshot.training.stages.options import (
    LearningRate,
    Minutes,
    Precision,
    Resume,
    RunDir,
    Seed,
    Steps,
    Threads,
    checked_precision,
    drain,
    fail,
    follow,
    prepare,
    readable,
    spared,
)  # fmt: skip

if TYPE_CHECKING:
    from earshot.training.models.llm import LlmShape
    from earshot.training.models.projector_parts import Kind
    from earshot.training.stages.sft import SftSettings

Bank = Annotated[Path, typer.Option("--bank", help="Feature bank made by the encoders.")]
HeldOut = Annotated[Path | None, typer.Option(help="Feature bank of scenes no stage saw, for the probes.")]
NoThinkShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Items answered without evidence.")]
EvidenceWeight = Annotated[float, typer.Option(min=0.0, help="Weight of evidence lines in the loss.")]
ReplayShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Text without audio: written evidence, drills.")]
IdealShare = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Items about described scenes, as good ears would hear them.")
]
WeakShare = Annotated[
    float, typer.Option(min=0.0, max=0.8, help="Scenes that are only asked one of the questions that are learned last.")
]
LouderShare = Annotated[
    float,
    typer.Option(min=0.0, max=0.8, help="Scenes that are only asked what is louder: nothing else teaches levels."),
]
RareShare = Annotated[
    float, typer.Option(min=0.0, max=0.8, help="Scenes that are only asked a question of a kind that few scenes allow.")
]
AbsentShare = Annotated[
    float, typer.Option(min=0.0, max=0.9, help="Open and number questions about a sound that is not there.")
]
BatchItems = Annotated[int, typer.Option(min=1, help="Items per batch.")]
ProjectorKind = Annotated[
    str | None, typer.Option("--projector", help="hybrid, mlp or dual; by default what is begun with, else hybrid.")
]


def questions(
    out: Annotated[Path, typer.Option("--out", help="JSONL file to write.")],
    scenes: Annotated[Path | None, typer.Option(help="JSONL of scene descriptions; abstract scenes without.")] = None,
    count: Annotated[int, typer.Option(help="Items to write.", min=1)] = 1000,
    per_scene: Annotated[int, typer.Option(help="Items per scene.", min=1)] = 3,
    paraphrase: Annotated[bool, typer.Option("--paraphrase", help="Phrasings that training never uses.")] = False,
    seed: Seed = 0,
) -> None:
    """Write question items about scenes as JSONL."""
    from earshot.training.questions.generate import write_items

    if scenes is not None and not scenes.is_file():
        fail(InputError(f"no scenes at {scenes}: give a JSONL file with one scene description per line"))
    written = write_items(out, scenes, count, per_scene, seed, "paraphrase" if paraphrase else "train")
    typer.echo(json.dumps({"items": written, "out": str(out)}))


def language(
    run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
) -> None:  # fmt: skip
    """Train the language model on text scene language."""
    from earshot.training.stages import language as stage
    from earshot.training.stages.loop import LoopSettings

    prepare(threads)
    loop = LoopSettings(minutes=minutes, steps=steps, precision=checked_precision(precision))
    follow(
        "language", stage.run(spared(run / "language", resume), stage.LanguageSettings(loop=loop, seed=seed), resume)
    )


def alignment(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 30.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0, projector: ProjectorKind = None,
) -> None:  # fmt: skip
    """Train the projector alone: encoders and language model are frozen."""
    from earshot.training.stages import alignment as stage
    from earshot.training.stages.loop import LoopSettings

    prepare(threads)
    loop = LoopSettings(minutes=minutes, steps=steps, precision=checked_precision(precision), learning_rate=1e-3)
    settings = stage.AlignmentSettings(loop=loop, seed=seed, projector=known_projector(projector))
    follow(
        "alignment", readable(stage.run(spared(run / "alignment", resume), run / "language", bank, settings, resume))
    )


def sft(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start from untrained networks, not from alignment.")] = False,
    learning_rate: LearningRate = 2e-3,
    no_think_share: NoThinkShare = 0.1,
    evidence_weight: EvidenceWeight = 0.8,
    replay_share: ReplayShare = 0.6,
    ideal_share: IdealShare = 0.4,
    weak_share: WeakShare = 0.0,
    louder_share: LouderShare = 0.0,
    rare_share: RareShare = 0.0,
    absent_share: AbsentShare = 0.4,
    batch_items: BatchItems = 32,
    start: Annotated[Path | None, typer.Option(help="The sft of another run, to begin with instead of alignment.")] = None,
    projector: ProjectorKind = None,
    size: Annotated[
        str | None, typer.Option(help="nano, small or medium: grow the language model to this size first.")
    ] = None,
    named_objects: Annotated[
        bool, typer.Option("--named-objects", help="Put the name of each sound object before it, if it is not there yet.")
    ] = False,
    shuffled_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Items whose evidence lines stand in random order.")
    ] = 0.0,
) -> None:  # fmt: skip
    """Train projector and language model together on questions about audio."""
    from dataclasses import replace

    from earshot.training.stages import sft as stage

    if fresh and start is not None:
        fail(UsageError("--fresh and --start: choose one"))
    prepare(threads)
    settings = _sft_settings(
        {"minutes": minutes, "steps": steps, "precision": precision, "learning_rate": learning_rate}, seed, projector,
        no_think_share=no_think_share, evidence_weight=evidence_weight, replay_share=replay_share,
        ideal_share=ideal_share, weak_share=weak_share, louder_share=louder_share, rare_share=rare_share,
        absent_share=absent_share, batch_items=batch_items, shuffled_share=shuffled_share,
    )  # fmt: skip
    settings = replace(settings, shape=_known_size(size), named=named_objects)
    aligned = None if fresh else start or run / "alignment"
    follow("sft", readable(stage.run(spared(run / "sft", resume), aligned, bank, settings, resume)))


def cascade(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint with the language model to begin with.", show_default="RUN/alignment")
    ] = None,
    held_out: HeldOut = None,
    learning_rate: LearningRate = 2e-3,
    no_think_share: NoThinkShare = 0.1,
    evidence_weight: EvidenceWeight = 0.8,
    replay_share: ReplayShare = 0.6,
    ideal_share: IdealShare = 0.4,
    weak_share: WeakShare = 0.0,
    louder_share: LouderShare = 0.0,
    rare_share: RareShare = 0.0,
    absent_share: AbsentShare = 0.4,
    batch_items: BatchItems = 32,
    probe_items: Annotated[int, typer.Option(min=1, help="Kept questions, answered at the end (probe.csv).")] = 300,
) -> None:  # fmt: skip
    """Train a baseline as sft does, but with what was heard as text in the prompt instead of a projector."""
    from earshot.training.stages import cascade as stage

    prepare(threads)
    settings = _sft_settings(
        {"minutes": minutes, "steps": steps, "precision": precision, "learning_rate": learning_rate}, seed,
        no_think_share=no_think_share, evidence_weight=evidence_weight, replay_share=replay_share,
        ideal_share=ideal_share, weak_share=weak_share, louder_share=louder_share, rare_share=rare_share,
        absent_share=absent_share, batch_items=batch_items,
    )  # fmt: skip
    begin = start or run / "alignment"
    records = stage.run(spared(run / "cascade", resume), begin, bank, settings, resume, held_out, probe_items)
    follow("cascade", readable(records))


def _sft_settings(loop: dict[str, Any], seed: int, projector: str | None = None, **mix: Any) -> SftSettings:
    """Settings from what sft and the cascade are told alike."""
    from earshot.training.stages.audio_items import AudioMix
    from earshot.training.stages.loop import LoopSettings
    from earshot.training.stages.sft import SftSettings

    checked_precision(loop["precision"])
    return SftSettings(LoopSettings(**loop), AudioMix(**mix), seed, known_projector(projector))


def pretrained(
    bank: Bank,
    llm: Annotated[str, typer.Option(help="Language model to adapt: folder, or name on the Hugging Face hub.")],
    run: RunDir = Path("runs/big"),
    steps: Annotated[int, typer.Option(min=1, help="Steps; each process makes a batch in every step.")] = 10_000,
    resume: Resume = False,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters (LoRA).")] = 16,
    batch_items: Annotated[int, typer.Option(min=1, help="Questions per batch and process.")] = 24,
    learning_rate: Annotated[float, typer.Option(min=1e-7)] = 2e-4,
    checkpoint_steps: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    seed: Seed = 0,
) -> None:
    """Sft with a language model of others; under `accelerate launch` on many devices (training/recipes/big-gpu.sh)."""
    import os
    from dataclasses import replace

    try:
        from earshot.training.models.pretrained import LoraShape
        from earshot.training.stages import pretrained_sft as stage
    except ModuleNotFoundError as error:
        fail(UsageError(f"train pretrained needs the package {error.name}: pip install 'earshot[train]'"))

    prepare(1)
    default = stage.PretrainedSettings(LoraShape(llm, rank, 2 * rank))
    settings = replace(
        default,
        loop=replace(default.loop, steps=steps, learning_rate=learning_rate),
        mix=replace(default.mix, batch_items=batch_items),
        checkpoint_steps=checkpoint_steps,
        seed=seed,
    )
    records = readable(stage.run(spared(run / "sft", resume), bank, settings, resume))
    if os.environ.get("RANK", "0") == "0":
        follow("pretrained", records)
    else:
        drain(records)


def grpo(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 30.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
    start: Annotated[Path | None, typer.Option("--from", help="Checkpoint to begin with.", show_default="RUN/sft")] = None,
    held_out: HeldOut = None,
    learning_rate: Annotated[float, typer.Option(min=1e-7)] = 5e-5,
    prompts: Annotated[int, typer.Option(min=1, help="Questions per step.")] = 8,
    group: Annotated[int, typer.Option(min=2, help="Completions sampled for each question.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.05, help="Of sampling.")] = 1.0,
    longest: Annotated[int, typer.Option(min=4, help="Tokens of a completion at most.")] = 128,
    kl: Annotated[float, typer.Option(min=0.0, help="Weight of the divergence from the checkpoint begun with.")] = 0.02,
    as_used: Annotated[
        bool, typer.Option("--as-used/--letters", help="Reward the probability of the right option, or letter and words.")
    ] = True,
    replay_weight: Annotated[float, typer.Option(min=0.0, help="Weight of a batch of sft in every step.")] = 0.2,
    ideal_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Questions about described scenes.")] = 0.25,
    probe_items: Annotated[int, typer.Option(min=1, help="Kept questions, answered before, between and after.")] = 150,
    probe_steps: Annotated[int, typer.Option(min=1, help="Steps between probes.")] = 100,
) -> None:  # fmt: skip
    """Reinforce what is right by the truth of the scene: answer, format, evidence (writes rewards.csv, .png, probe.csv)."""
    from dataclasses import replace

    try:
        from earshot.training.stages import grpo as stage
        from earshot.training.stages.grpo_trainer import Sampling
    except ModuleNotFoundError as error:
        fail(UsageError(f"train grpo needs the package {error.name}: pip install 'earshot[train]'"))

    prepare(threads)
    default = stage.GrpoSettings()
    settings = replace(
        default,
        loop=replace(
            default.loop, minutes=minutes, steps=steps, precision=checked_precision(precision), learning_rate=learning_rate
        ),
        sampling=Sampling(group, prompts, temperature, longest, kl, as_used=as_used),
        replay_weight=replay_weight, ideal_share=ideal_share, probe_items=probe_items, probe_steps=probe_steps, seed=seed,
    )  # fmt: skip
    records = stage.run(spared(run / "grpo", resume), start or run / "sft", bank, settings, resume, held_out)
    follow("grpo", readable(records))


def known_projector(projector: str | None) -> Kind | None:
    from earshot.training.models.projector_parts import KINDS

    if projector is not None and projector not in KINDS:
        fail(UsageError(f"--projector {projector}: choose {', '.join(KINDS)}"))
    return cast("Kind | None", projector)


def _known_size(size: str | None) -> LlmShape | None:
    from earshot.training.models.llm import SIZES

    if size is not None and size not in SIZES:
        fail(UsageError(f"--size {size}: choose {', '.join(SIZES)}"))
    return None if size is None else SIZES[size]
