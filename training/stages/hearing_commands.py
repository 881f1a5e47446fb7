"""Commands of the stages that hear: teacher, encoders, bank, and the SELDnet baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import Progress

from earshot.runtime.errors import EarshotError, InputError, UsageError
from earshot.training.stages.options import (
    LearningRate,
    Minutes,
    Precision,
    RunDir,
    Seed,
    Steps,
    Threads,
    checked_precision,
    fail,
    follow,
    prepare,
)  # fmt: skip

if TYPE_CHECKING:
    from earshot.training.models.seldnet_features import FeatureKind


def encoders(
    data: Annotated[Path, typer.Option("--data", help="Folder with train/ and validation/ stem shards.")],
    run: RunDir = Path("runs/nano"),
    minutes: Minutes = 90.0,
    threads: Threads = 2,
    seed: Seed = 1,
    start: Annotated[Path | None, typer.Option(help="Encoders of another run that a new one begins with.")] = None,
    learning_rate: Annotated[
        float, typer.Option(min=1e-6, max=10.0, help="Highest one; it falls to zero as a cosine.")
    ] = 2e-3,
    teacher: Annotated[Path | None, typer.Option(help="Embeddings of the training clips to imitate (.npz).")] = None,
    distance_weight: Annotated[float, typer.Option(min=0.0, help="Of the distance in the loss.")] = 0.6,
    fixed_names: Annotated[bool, typer.Option("--fixed-names", help="Train the spatial encoder only.")] = False,
    crowd: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of mixtures of two or three sounds.")] = 0.5,
) -> None:
    """Train the two hearing networks; goes on from the checkpoint in the run directory."""
    from earshot.training.stages import encoders as stage
    from earshot.training.stages.hearing_loss import LossWeights
    from earshot.training.stages.remix import crowded

    if not (data / "train").is_dir():
        fail(InputError(f"no stem shards at {data / 'train'}: make them with `earshot synth` first"))
    if start is not None and not (start / "model.safetensors").is_file():
        fail(InputError(f"no encoders at {start}: give the `encoders` folder of a trained run"))
    settings = stage.EncoderSettings(
        minutes=minutes, threads=threads, seed=seed, start=start, learning_rate=learning_rate, teacher=teacher,
        weights=LossWeights(distance=distance_weight), fixed_names=fixed_names, remix=crowded(crowd),
    )  # fmt: skip
    try:
        stage.run(data, run / "encoders", settings)
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": "encoders", "run": str(run / "encoders")}))


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

    prepare(threads)
    try:
        library, embed = ManifestLibrary(data / "events", TRAINING_FOLDS), embedder()
    except InputError as error:
        fail(error)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("clips")
        clips = embed_clips(library, embed, out, lambda done, of: progress.update(bar, completed=done, total=of))
    typer.echo(json.dumps({"teacher": str(out), "clips": clips}))


def names(
    data: Annotated[Path, typer.Option("--data", help="Folder with train/ and validation/ stem shards.")],
    run: RunDir = Path("runs/nano"),
    yamnet: Annotated[
        Path | None,
        typer.Option(help="YAMNet's weights: folder of its SavedModel's variables, or a wheel that holds it."),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Names network of another run to begin with instead.")] = None,
    minutes: Minutes = 60.0,
    threads: Threads = 2,
    seed: Seed = 31,
    learning_rate: Annotated[
        float, typer.Option(min=1e-6, max=10.0, help="Highest one of the head; it falls to zero as a cosine.")
    ] = 1e-3,
) -> None:
    """Train the names network, which begins as YAMNet; goes on from the checkpoint in the run directory."""
    from earshot.training.stages import names as stage

    prepare(threads)
    if not (data / "train").is_dir():
        fail(InputError(f"no stem shards at {data / 'train'}: make them with `earshot synth` first"))
    if start is not None and not (start / "model.safetensors").is_file():
        fail(InputError(f"no names network at {start}: give the `names` folder of a trained run"))
    settings = stage.NamesSettings(
        minutes=minutes, threads=threads, seed=seed, start=start, learning_rate=learning_rate
    )
    try:
        scores = stage.run(data, yamnet, run / "names", settings)
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": "names", "run": str(run / "names"), **scores}))


def bank(
    data: Annotated[Path, typer.Option("--data", help="Folder of stem shards.")],
    run: RunDir = Path("runs/nano"),
    mixtures: Annotated[int, typer.Option(min=1, help="Mixtures per rendered scene.")] = 1,
    threads: Threads = 1,
    doubt: Annotated[bool, typer.Option(help="Names as unsure as those of sounds that were never heard.")] = True,
) -> None:
    """Let the trained encoders hear mixtures of all scenes, for the language stages."""
    from earshot.training.models.load import load_hearing
    from earshot.training.stages.bank import BankSettings, build_bank

    prepare(threads)
    if not (run / "encoders" / "model.safetensors").is_file():
        fail(InputError(f"no encoders at {run / 'encoders'}: run `earshot train encoders` first"))
    if not data.is_dir():
        fail(InputError(f"no stem shards at {data}: make them with `earshot synth stems` first"))
    from earshot.training.models.names import load_names

    names = load_names(run / "names") if (run / "names" / "model.safetensors").is_file() else None
    settings = BankSettings(mixtures=mixtures, doubt=doubt)
    scenes = build_bank(data, load_hearing(run / "encoders"), run / "bank", settings, names)
    typer.echo(json.dumps({"stage": "bank", "run": str(run / "bank"), "scenes": scenes}))


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

    prepare(threads)
    loop = replace(
        stage.LOOP, minutes=minutes, steps=steps, precision=checked_precision(precision), learning_rate=learning_rate
    )
    settings = stage.SeldnetSettings(
        loop, SeldnetConfig(known_features(features)), seed, batch, scored_batches=scored_batches, threshold=threshold
    )
    follow("seldnet", stage.run(data, run / STAGE, settings))


def known_features(features: str) -> FeatureKind:
    from earshot.training.models.seldnet_features import KINDS

    if features not in KINDS:
        fail(UsageError(f"--features {features}: choose {' or '.join(KINDS)}"))
    return cast("FeatureKind", features)
