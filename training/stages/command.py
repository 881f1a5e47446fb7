"""`earshot train STAGE`: one command per stage of the curriculum, each resumes from its checkpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from earshot.runtime.errors import EarshotError, InputError, UsageError

if TYPE_CHECKING:
    from earshot.training.models.projector_parts import Kind
    from earshot.training.models.seldnet_features import FeatureKind
    from earshot.training.stages.sft import SftSettings

app = typer.Typer(
    no_args_is_help=True,
    help="Train one stage of the curriculum: encoders, bank, language, alignment, sft or pretrained, grpo; cascade and seldnet: baselines.",
)

RunDir = Annotated[Path, typer.Option("--run", help="Run directory; every stage has a folder in it.")]
Minutes = Annotated[float, typer.Option(help="Wall time of the whole stage, over all resumed runs.", min=0.01)]
Steps = Annotated[int | None, typer.Option(help="End after this many steps instead.", min=1)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the run directory.")]
Threads = Annotated[int, typer.Option(help="Threads of the matrix products.", min=1)]
Precision = Annotated[str, typer.Option(help="auto (times both), bf16 or fp32.")]
Seed = Annotated[int, typer.Option(help="Seed of weights and questions.")]
Bank = Annotated[Path, typer.Option("--bank", help="Feature bank made by the encoders.")]
HeldOut = Annotated[Path | None, typer.Option(help="Feature bank of scenes no stage saw, for the probes.")]
LearningRate = Annotated[float, typer.Option(min=1e-6)]
NoThinkShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Items answered without evidence.")]
EvidenceWeight = Annotated[float, typer.Option(min=0.0, help="Weight of evidence lines in the loss.")]
ReplayShare = Annotated[float, typer.Option(min=0.0, max=1.0, help="Text without audio: written evidence, drills.")]
IdealShare = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Items about described scenes, as good ears would hear them.")
]
BatchItems = Annotated[int, typer.Option(min=1, help="Items per batch.")]
ProjectorKind = Annotated[
    str | None, typer.Option("--projector", help="hybrid, mlp or dual; by default what is begun with, else hybrid.")
]


@app.command()
def encoders(
    data: Annotated[Path, typer.Option("--data", help="Folder with train/ and validation/ stem shards.")],
    run: RunDir = Path("runs/nano"),
    minutes: Minutes = 90.0,
    threads: Threads = 2,
    seed: Seed = 1,
    start: Annotated[Path | None, typer.Option(help="Encoders of another run that a new one begins with.")] = None,
    learning_rate: Annotated[float, typer.Option(help="Highest one; it falls to zero as a cosine.")] = 2e-3,
    teacher: Annotated[Path | None, typer.Option(help="Embeddings of the training clips to imitate (.npz).")] = None,
    distance_weight: Annotated[float, typer.Option(min=0.0, help="Of the distance in the loss.")] = 0.6,
) -> None:
    """Train the two hearing networks; goes on from the checkpoint in the run directory."""
    from earshot.training.stages import encoders as stage
    from earshot.training.stages.hearing_loss import LossWeights

    if not (data / "train").is_dir():
        _fail(InputError(f"no stem shards at {data / 'train'}: make them with `earshot synth` first"))
    if start is not None and not (start / "model.safetensors").is_file():
        _fail(InputError(f"no encoders at {start}: give the `encoders` folder of a trained run"))
    settings = stage.EncoderSettings(
        minutes=minutes, threads=threads, seed=seed, start=start, learning_rate=learning_rate, teacher=teacher,
        weights=LossWeights(distance=distance_weight),
    )  # fmt: skip
    try:
        stage.run(data, run / "encoders", settings)
    except InputError as error:
        _fail(error)
    typer.echo(json.dumps({"stage": "encoders", "run": str(run / "encoders")}))


@app.command()
def teacher(
    data: Annotated[Path, typer.Option("--data", help="Folder that holds events/ with its manifest.csv.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, for `train encoders --teacher` (.npz).")],
    threads: Threads = 2,
) -> None:
    """Note what aiSFX, trained on far more sounds, makes of the training clips (pip install --no-deps aisfx)."""
    from earshot.training.models.aisfx import embedder
    from earshot.training.stages.teacher import embed_clips
    from earshot.training.synthesis.events import ManifestLibrary
    from earshot.training.synthesis.scenes import TRAINING_FOLDS

    _prepare(threads)
    try:
        library, embed = ManifestLibrary(data / "events", TRAINING_FOLDS), embedder()
    except InputError as error:
        _fail(error)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("clips")
        clips = embed_clips(library, embed, out, lambda done, of: progress.update(bar, completed=done, total=of))
    typer.echo(json.dumps({"teacher": str(out), "clips": clips}))


@app.command()
def bank(
    data: Annotated[Path, typer.Option("--data", help="Folder of stem shards.")],
    run: RunDir = Path("runs/nano"),
    mixtures: Annotated[int, typer.Option(min=1, help="Mixtures per rendered scene.")] = 1,
    threads: Threads = 1,
) -> None:
    """Let the trained encoders hear mixtures of all scenes, for the language stages."""
    from earshot.training.models.load import load_hearing
    from earshot.training.stages.bank import BankSettings, build_bank

    _prepare(threads)
    if not (run / "encoders" / "model.safetensors").is_file():
        _fail(InputError(f"no encoders at {run / 'encoders'}: run `earshot train encoders` first"))
    if not data.is_dir():
        _fail(InputError(f"no stem shards at {data}: make them with `earshot synth stems` first"))
    scenes = build_bank(data, load_hearing(run / "encoders"), run / "bank", BankSettings(mixtures=mixtures))
    typer.echo(json.dumps({"stage": "bank", "run": str(run / "bank"), "scenes": scenes}))


@app.command()
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
        _fail(InputError(f"no scenes at {scenes}: give a JSONL file with one scene description per line"))
    written = write_items(out, scenes, count, per_scene, seed, "paraphrase" if paraphrase else "train")
    typer.echo(json.dumps({"items": written, "out": str(out)}))


@app.command()
def language(
    run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
) -> None:  # fmt: skip
    """Train the language model on text scene language."""
    from earshot.training.stages import language as stage
    from earshot.training.stages.loop import LoopSettings

    _prepare(threads)
    loop = LoopSettings(minutes=minutes, steps=steps, precision=_checked(precision))
    _follow("language", stage.run(run / "language", stage.LanguageSettings(loop=loop, seed=seed), resume))


@app.command()
def alignment(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 30.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0, projector: ProjectorKind = None,
) -> None:  # fmt: skip
    """Train the projector alone: encoders and language model are frozen."""
    from earshot.training.stages import alignment as stage
    from earshot.training.stages.loop import LoopSettings

    _prepare(threads)
    loop = LoopSettings(minutes=minutes, steps=steps, precision=_checked(precision), learning_rate=1e-3)
    settings = stage.AlignmentSettings(loop=loop, seed=seed, projector=_known(projector))
    _follow("alignment", _readable(stage.run(run / "alignment", run / "language", bank, settings, resume)))


@app.command()
def sft(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start from untrained networks, not from alignment.")] = False,
    learning_rate: LearningRate = 2e-3,
    no_think_share: NoThinkShare = 0.1,
    evidence_weight: EvidenceWeight = 0.5,
    replay_share: ReplayShare = 0.6,
    ideal_share: IdealShare = 0.4,
    batch_items: BatchItems = 32,
    start: Annotated[Path | None, typer.Option(help="The sft of another run, to begin with instead of alignment.")] = None,
    projector: ProjectorKind = None,
) -> None:  # fmt: skip
    """Train projector and language model together on questions about audio."""
    from earshot.training.stages import sft as stage

    _prepare(threads)
    settings = _sft_settings(
        {"minutes": minutes, "steps": steps, "precision": precision, "learning_rate": learning_rate}, seed, projector,
        no_think_share=no_think_share, evidence_weight=evidence_weight, replay_share=replay_share,
        ideal_share=ideal_share, batch_items=batch_items,
    )  # fmt: skip
    aligned = None if fresh else start or run / "alignment"
    _follow("sft", _readable(stage.run(run / "sft", aligned, bank, settings, resume)))


@app.command()
def cascade(
    bank: Bank, run: RunDir = Path("runs/nano"), minutes: Minutes = 60.0, steps: Steps = None, resume: Resume = False,
    threads: Threads = 1, precision: Precision = "auto", seed: Seed = 0,
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint with the language model to begin with.", show_default="RUN/alignment")
    ] = None,
    held_out: HeldOut = None,
    learning_rate: LearningRate = 2e-3,
    no_think_share: NoThinkShare = 0.1,
    evidence_weight: EvidenceWeight = 0.5,
    replay_share: ReplayShare = 0.6,
    ideal_share: IdealShare = 0.4,
    batch_items: BatchItems = 32,
    probe_items: Annotated[int, typer.Option(min=1, help="Kept questions, answered at the end (probe.csv).")] = 300,
) -> None:  # fmt: skip
    """Train a baseline as sft does, but with what was heard as text in the prompt instead of a projector."""
    from earshot.training.stages import cascade as stage

    _prepare(threads)
    settings = _sft_settings(
        {"minutes": minutes, "steps": steps, "precision": precision, "learning_rate": learning_rate}, seed,
        no_think_share=no_think_share, evidence_weight=evidence_weight, replay_share=replay_share,
        ideal_share=ideal_share, batch_items=batch_items,
    )  # fmt: skip
    begin = start or run / "alignment"
    records = stage.run(run / "cascade", begin, bank, settings, resume, held_out, probe_items)
    _follow("cascade", _readable(records))


@app.command()
def seldnet(
    data: Annotated[Path, typer.Option("--data", help="Folder with train/ and validation/ stem shards.")],
    run: RunDir = Path("runs/seldnet"), minutes: Minutes = 60.0, steps: Steps = None,
    threads: Threads = 2, precision: Precision = "auto", seed: Seed = 1,
    features: Annotated[str, typer.Option(help="What it hears: gcc (log-mel and GCC-PHAT) or salsa-lite.")] = "gcc",
    learning_rate: LearningRate = 1e-3,
    batch: Annotated[int, typer.Option(min=1, help="Mixtures per batch.")] = 32,
    threshold: Annotated[
        float | None, typer.Option(min=0.01, max=1.0, help="Activity that counts.", show_default="by training mixtures")
    ] = None,
    scored_batches: Annotated[int, typer.Option(min=1, help="Batches scored at a checkpoint, of each kind.")] = 8,
) -> None:  # fmt: skip
    """Train a baseline, a SELDnet-style network, on what the encoders learn from; goes on from its checkpoint."""
    from dataclasses import replace

    from earshot.training.models.seldnet import STAGE, SeldnetConfig
    from earshot.training.stages import seldnet as stage

    _prepare(threads)
    loop = replace(stage.LOOP, minutes=minutes, steps=steps, precision=_checked(precision), learning_rate=learning_rate)
    settings = stage.SeldnetSettings(
        loop, SeldnetConfig(_known_features(features)), seed, batch, scored_batches=scored_batches, threshold=threshold
    )
    _follow("seldnet", stage.run(data, run / STAGE, settings))


def _sft_settings(loop: dict[str, Any], seed: int, projector: str | None = None, **mix: Any) -> SftSettings:
    """Settings from what sft and the cascade are told alike."""
    from earshot.training.stages.audio_items import AudioMix
    from earshot.training.stages.loop import LoopSettings
    from earshot.training.stages.sft import SftSettings

    _checked(loop["precision"])
    return SftSettings(LoopSettings(**loop), AudioMix(**mix), seed, _known(projector))


@app.command()
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
        _fail(UsageError(f"train pretrained needs the package {error.name}: pip install 'earshot[train]'"))

    _prepare(1)
    default = stage.PretrainedSettings(LoraShape(llm, rank, 2 * rank))
    settings = replace(
        default,
        loop=replace(default.loop, steps=steps, learning_rate=learning_rate),
        mix=replace(default.mix, batch_items=batch_items),
        checkpoint_steps=checkpoint_steps,
        seed=seed,
    )
    records = _readable(stage.run(run / "sft", bank, settings, resume))
    if os.environ.get("RANK", "0") == "0":
        _follow("pretrained", records)
    else:
        _drain(records)


@app.command()
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
        _fail(UsageError(f"train grpo needs the package {error.name}: pip install 'earshot[train]'"))

    _prepare(threads)
    default = stage.GrpoSettings()
    settings = replace(
        default,
        loop=replace(
            default.loop, minutes=minutes, steps=steps, precision=_checked(precision), learning_rate=learning_rate
        ),
        sampling=Sampling(group, prompts, temperature, longest, kl),
        replay_weight=replay_weight, ideal_share=ideal_share, probe_items=probe_items, probe_steps=probe_steps, seed=seed,
    )  # fmt: skip
    records = stage.run(run / "grpo", start or run / "sft", bank, settings, resume, held_out)
    _follow("grpo", _readable(records))


def _checked(precision: str) -> str:
    if precision not in ("auto", "bf16", "fp32"):
        _fail(UsageError(f"--precision {precision}: choose auto, bf16 or fp32"))
    return precision


def _known(projector: str | None) -> Kind | None:
    from earshot.training.models.projector_parts import KINDS

    if projector is not None and projector not in KINDS:
        _fail(UsageError(f"--projector {projector}: choose {', '.join(KINDS)}"))
    return cast("Kind | None", projector)


def _known_features(features: str) -> FeatureKind:
    from earshot.training.models.seldnet_features import KINDS

    if features not in KINDS:
        _fail(UsageError(f"--features {features}: choose {' or '.join(KINDS)}"))
    return cast("FeatureKind", features)


def _prepare(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
        force=True,
    )


def _readable(records: Iterator[dict[str, float]]) -> Iterator[dict[str, float]]:
    """A missing checkpoint or bank is the user's to fix: say so in one line."""
    try:
        yield from records
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def _follow(stage: str, records: Iterator[dict[str, float]]) -> None:
    """Show progress; the last line on stdout is the last record as JSON."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    last: dict[str, float] = {}
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(stage, total=1.0)
            for last in records:
                progress.update(bar, completed=last["share"], description=f"{stage} loss {last['loss']:.3f}")
    except EarshotError as error:
        _fail(error)
    typer.echo(json.dumps({"stage": stage, **last}))


def _drain(records: Iterator[dict[str, float]]) -> None:
    """Run without a word; the first process speaks for all."""
    try:
        for _ in records:
            pass
    except EarshotError as error:
        raise typer.Exit(error.exit_code) from error


def _fail(error: EarshotError) -> None:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(error.exit_code)


if __name__ == "__main__":
    app()
