"""``earshot synth``: render scenes to audio with ground truth, or stem shards for training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import soundfile
import typer
from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import UsageError
from earshot.training.synthesis.dataset import DataFolders, build_world, scene_seed, write_shards
from earshot.training.synthesis.render import render_scene
from earshot.training.synthesis.scenes import SceneSettings, Split

app = typer.Typer(help="Synthesise binaural scenes with ground truth.", no_args_is_help=True)

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
    shards: Annotated[int, typer.Option(min=1, help="Shards of 100 scenes.")] = 4,
    data: DataOption = None,
    cache: CacheOption = None,
    split: str = "train",
    workers: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Render stem shards for training; finished shards are kept, so a stopped run resumes."""
    write_shards(DataFolders(data, cache), out, _split(split), SceneSettings(), range(shards), workers=workers)
