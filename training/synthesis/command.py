"""``earshot synth``: render scenes to audio with ground truth, or stem shards for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import soundfile
import typer
from rich.console import Console
from rich.progress import Progress, track

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.dataset import DataFolders, build_world, scene_seed, write_shards
from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import SceneSettings, Split

app = typer.Typer(help="Synthesise binaural scenes with ground truth.")

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder with events/, hrtf/, brir/, ambient/; without it sounds and heads are made by rule."),
]
CacheOption = Annotated[Path | None, typer.Option(help="Where resampled heads are kept.")]


def _split(name: str) -> Split:
    if name == "train":
        return "train"
    if name == "validation":
        return "validation"
    raise UsageError(f"--split {name}: choose train or validation")


@app.callback(invoke_without_command=True)
def synth(
    context: typer.Context,
    bench: Annotated[bool, typer.Option("--bench", help="Say how many scenes a second a core renders.")] = False,
    count: Annotated[int, typer.Option(min=1, help="With --bench: scenes to render.")] = 20,
    data: DataOption = None,
    cache: CacheOption = None,
) -> None:
    """Synthesise binaural scenes with ground truth."""
    if bench:
        _bench(build_world(DataFolders(data, cache), "train"), count)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _bench(world: World, count: int) -> None:
    from earshot.training.synthesis.bench import measure

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("rendering", total=count)
        report = measure(world, SceneSettings(), count, lambda: progress.advance(bar))
    typer.echo(
        f"{report['scenes_per_second_and_core']:.2f} scenes of {report['duration_s']:.0f} s with {report['sources']} "
        f"sources per second and core: {report['audio_seconds_per_second_and_core']:.0f} times real time"
    )
    typer.echo(json.dumps(report))


@app.command()
def scenes(
    out: Annotated[Path, typer.Argument(help="Folder for WAV files and scenes.jsonl.")],
    count: Annotated[int, typer.Option(min=1)] = 10,
    data: DataOption = None,
    cache: CacheOption = None,
    split: str = "train",
    sources: Annotated[int, typer.Option(min=1, max=4)] = 2,
    duration_s: Annotated[float, typer.Option(min=2.0, max=30.0)] = 8.0,
) -> None:
    """Render mixtures as WAV files; scenes that are there already are kept."""
    world = build_world(DataFolders(data, cache), _split(split))
    settings = SceneSettings(duration_s=duration_s, sources=sources)
    out.mkdir(parents=True, exist_ok=True)
    done = set()
    manifest = out / "scenes.jsonl"
    if manifest.exists():
        done = {json.loads(line)["id"] for line in manifest.read_text(encoding="utf-8").splitlines()}
    with manifest.open("a", encoding="utf-8") as file:
        for number in track(range(count), description="rendering", console=Console(stderr=True)):
            scene_id = f"{split}-{number:06d}"
            if scene_id in done:
                continue
            rendered = render_scene(world, settings, scene_seed(_split(split), number), scene_id, split)
            soundfile.write(out / f"{scene_id}.wav", rendered.mixture().T, 16_000, subtype="PCM_16")
            file.write(json.dumps({**rendered.scene, "audio": f"{scene_id}.wav"}) + "\n")
            file.flush()


@app.command()
def stems(
    out: Annotated[Path, typer.Argument(help="Folder for the shards.")],
    shards: Annotated[int, typer.Option(min=1, help="Number of shards.")] = 4,
    data: DataOption = None,
    cache: CacheOption = None,
    split: str = "train",
    workers: Annotated[int, typer.Option(min=1)] = 2,
    ray: Annotated[
        bool,
        typer.Option("--ray", help="Run on Ray: the cluster of RAY_ADDRESS (OUT on shared storage), or a local one."),
    ] = False,
    scenes_per_shard: Annotated[int, typer.Option(min=1)] = 100,
) -> None:
    """Render stem shards for training; finished shards are kept, so a stopped run resumes."""
    write_shards(
        DataFolders(data, cache), out, _split(split), SceneSettings(), range(shards), scenes_per_shard, workers, ray
    )


@app.command()
def events(
    layout: Annotated[str, typer.Argument(help="esc50, fsd50k, folders (one per class) or librispeech")],
    collection: Annotated[Path, typer.Argument(help="Folder of the collection.")],
    out: Annotated[Path, typer.Argument(help="Folder whose manifest.csv the clips are added to.")],
) -> None:
    """List the clips of a sound collection in the manifest that scenes are made from."""
    from earshot.training.synthesis.layouts import read_layout
    from earshot.training.synthesis.manifest import summary, write_manifest

    rows = read_layout(layout, collection)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("checking files", total=len(rows))
        manifest = write_manifest(out, rows, lambda: progress.advance(bar))
    typer.echo(json.dumps({"manifest": str(manifest), "clips": len(rows), "classes": summary(rows)}))


@app.command()
def heads(folder: Annotated[Path, typer.Argument(help="SOFA file, or folder of SOFA files.")]) -> None:
    """Check that the directions of measured heads agree with their own interaural delays."""
    from earshot.training.synthesis.heads import inspect_sofa

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
        mirrored += [path.name] if witness.mirrored else []
    typer.echo(json.dumps({"sets": len(files), "mirrored": mirrored, "unusable": unusable}))
