"""``earshot synth``: render scenes to audio with ground truth, or stem shards for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.dataset import MOVING_SHARDS, DataFolders, build_world, write_shards
from earshot.training.synthesis.scenes import MOVING_STEMS, TRAINING_SCENES, SceneSettings, Split

app = typer.Typer(help="Synthesise binaural scenes with ground truth.")

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder with events/, hrtf/, brir/, ambient/; without it sounds and heads are made by rule."),
]
CacheOption = Annotated[Path | None, typer.Option(help="Where resampled heads are kept.")]
LAYOUT_HELP = (
    "esc50, fsd50k, folders (one per class), librispeech, audioset (strong labels), starss (22 and 23), "
    "tau-nigens-2020 or tau-nigens-2021"
)
RayOption = Annotated[
    bool,
    typer.Option("--ray", help="Run on Ray: the cluster of RAY_ADDRESS (OUT on shared storage), or a local one."),
]


def _split(name: str) -> Split:
    if name == "train":
        return "train"
    if name == "validation":
        return "validation"
    raise UsageError(f"--split {name}: choose train or validation")


@app.callback(invoke_without_command=True)
def synth(context: typer.Context) -> None:
    """Synthesise binaural scenes with ground truth."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def bench(
    count: Annotated[int, typer.Option(min=1, help="Scenes of each kind to render.")] = 10,
    data: DataOption = None,
    cache: CacheOption = None,
) -> None:
    """Say how many scenes a second a core renders: static ones, and ones in which everything moves."""
    from earshot.training.synthesis.bench import measure

    world = build_world(DataFolders(data, cache), "train")
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("rendering", total=3 * (count + 1))
        report = measure(world, count, lambda: progress.advance(bar))
    for kind in ("static", "moving", "mixed"):
        speed, most = report[kind], report["sources"][kind]
        sources = f"{most} sources" if isinstance(most, int) else f"{most[0]} to {most[1]} sources"
        typer.echo(
            f"{kind:6} {speed['scenes_per_second_and_core']:6.2f} scenes of {report['duration_s']:.0f} s with {sources} "
            f"per second and core: {speed['audio_seconds_per_second_and_core']:.0f} times real time"
        )
    typer.echo(json.dumps(report))


@app.command()
def scenes(
    out: Annotated[Path, typer.Argument(help="Folder for WAV files and scenes.jsonl.")],
    count: Annotated[int, typer.Option(min=1)] = 10,
    data: DataOption = None,
    cache: CacheOption = None,
    split: str = "train",
    sources: Annotated[
        int | None, typer.Option(min=1, max=5, help="Sources of a scene (2); with --dynamic the most there are (5).")
    ] = None,
    duration_s: Annotated[float | None, typer.Option(min=2.0, max=30.0, help="8; with --dynamic 10.")] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Sources that walk and drive, a listener who walks and turns, unlabelled sounds, faulty microphones.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    ray: RayOption = False,
) -> None:
    """Render mixtures as WAV files; scenes that are there already are kept."""
    from earshot.training.synthesis.scene_files import SceneJob, write_scenes
    from earshot.training.synthesis.scenes import DynamicSettings

    settings: SceneSettings | DynamicSettings = SceneSettings(duration_s=duration_s or 8.0, sources=sources or 2)
    if dynamic:
        settings = DynamicSettings(duration_s=duration_s or 10.0, sources=(1, sources or 5))
    rendered = write_scenes(SceneJob(DataFolders(data, cache), out, _split(split), settings), count, workers, ray)
    typer.echo(json.dumps({"folder": str(out), "scenes": count, "rendered": rendered}))


@app.command()
def stems(
    out: Annotated[Path, typer.Argument(help="Folder for the shards.")],
    shards: Annotated[int, typer.Option(min=1, help="Number of shards.")] = 4,
    data: DataOption = None,
    cache: CacheOption = None,
    split: str = "train",
    workers: Annotated[int, typer.Option(min=1)] = 2,
    ray: RayOption = False,
    scenes_per_shard: Annotated[int, typer.Option(min=1)] = 100,
    moving: Annotated[
        bool, typer.Option("--moving", help="Shards whose sources walk and drive by; they lie beside the others.")
    ] = False,
) -> None:
    """Render stem shards for training; finished shards are kept, so a stopped run resumes."""
    still = TRAINING_SCENES if split == "train" else SceneSettings()
    settings, first = (MOVING_STEMS, MOVING_SHARDS) if moving else (still, 0)
    folders, numbers = DataFolders(data, cache), range(first, first + shards)
    write_shards(folders, out, _split(split), settings, numbers, scenes_per_shard, workers, ray)


@app.command()
def events(
    layout: Annotated[str, typer.Argument(help=LAYOUT_HELP)],
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    out: Annotated[Path, typer.Argument(help="Folder whose manifest.csv the clips are added to.")],
) -> None:
    """List the clips of a sound collection, or its excerpts of one sound, in the manifest that scenes are made from."""
    from earshot.training.synthesis.layouts import read_layout
    from earshot.training.synthesis.manifest import audible, summary, without_shared, write_manifest

    found = read_layout(layout, collection)
    with Progress(console=Console(stderr=True)) as progress:
        heard = [row for row in progress.track(found, description="listening to excerpts") if audible(row)]
        rows = without_shared(out, heard)
        bar = progress.add_task("checking files", total=len(rows))
        manifest = write_manifest(out, rows, lambda: progress.advance(bar))
    report = {"manifest": str(manifest), "clips": len(rows), "classes": summary(rows)}
    left_out = {"silent_left_out": len(found) - len(heard), "in_another_fold_left_out": len(heard) - len(rows)}
    typer.echo(json.dumps(report | {why: count for why, count in left_out.items() if count}))


@app.command()
def heads(
    folder: Annotated[Path, typer.Argument(help="SOFA file, or folder of SOFA files.")],
    mend: Annotated[
        Path | None, typer.Option(help="Write copies of mirrored sets, their receivers exchanged, into this folder.")
    ] = None,
) -> None:
    """Check that the directions of measured heads agree with their own interaural delays."""
    from earshot.training.synthesis.heads import inspect_sofa
    from earshot.training.synthesis.orientation import write_mended

    files = [folder] if folder.is_file() else sorted(folder.glob("*.sofa"))
    if not files:
        raise InputError(f"{folder}: no SOFA file (*.sofa)")
    mirrored, unusable = [], []
    for path in files:
        try:
            witness = inspect_sofa(path)
        except InputError as error:
            unusable.append(path.name)
            typer.echo(f"{error}; NOT USABLE")
            continue
        typer.echo(str(witness))
        if witness.mirrored:
            mirrored.append(path.name)
            if mend is not None:
                typer.echo(f"mended copy: {write_mended(path, mend)}")
    typer.echo(json.dumps({"sets": len(files), "mirrored": mirrored, "unusable": unusable}))
