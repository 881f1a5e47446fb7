"""Folders of rendered scenes: one WAV file per scene and ``scenes.jsonl`` with their descriptions.

A scene is a task of its own that leaves nothing half done: its description appears, in ``parts/``, only after its sound
is complete. When all are there, the parts become lines of ``scenes.jsonl`` in the order of their numbers, so that the
folder's bytes do not depend on who rendered what when.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from earshot.runtime.errors import InputError, UsageError
from earshot.training.files import replace_sound, replace_text
from earshot.training.synthesis.dataset import DataFolders, build_world, described, other_recordings, scene_seed
from earshot.training.synthesis.dynamic import render_dynamic
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ
from earshot.training.synthesis.render import RenderedScene, World, render_scene
from earshot.training.synthesis.scale_out import completed
from earshot.training.synthesis.scenes import DynamicSettings, Scene, SceneSettings, Split, contradiction


@dataclass(frozen=True)
class SceneJob:
    """What a folder of scenes is made of.

    Attributes
    ----------
    folders : DataFolders
        Recordings to draw from.
    out : Path
        Folder of the scenes; on shared storage if several machines render.
    split : {"train", "validation"}
    settings : SceneSettings or DynamicSettings
        Still scenes, or dynamic ones.
    """

    folders: DataFolders
    out: Path
    split: Split
    settings: SceneSettings | DynamicSettings

    def scene_id(self, number: int) -> str:
        """Name of a scene; dynamic ones are named so, for they may share a folder with still ones."""
        kind = "dynamic-" if isinstance(self.settings, DynamicSettings) else ""
        return f"{kind}{self.split}-{number:06d}"

    def render(self, number: int) -> RenderedScene:
        """Scene of a number."""
        world, seed = _world(self.folders, self.split), scene_seed(self.split, number)
        if isinstance(self.settings, DynamicSettings):
            return render_dynamic(world, self.settings, seed, self.scene_id(number), self.split)
        return render_scene(world, self.settings, seed, self.scene_id(number), self.split)


@functools.cache
def _world(folders: DataFolders, split: Split) -> World:
    """One world per process, so that recordings are read once."""
    return build_world(folders, split)


def write_scenes(job: SceneJob, count: int, workers: int = 1, on_ray: bool = False) -> int:
    """Render the first ``count`` scenes of a job; those that are there already are kept.

    Parameters
    ----------
    job : SceneJob
    count, workers : int
        Scenes wanted, and processes.
    on_ray : bool
        Run on a Ray cluster.

    Returns
    -------
    int
        Scenes rendered now.

    Raises
    ------
    InputError
        The folder holds a ``scenes.jsonl`` that is none.
    UsageError
        The folder holds scenes that were drawn otherwise: kept, they would pass for these.
    """
    listed = _listed(job.out)
    for name in map(job.scene_id, range(count)):
        if name in listed or _part(job.out, name).exists():
            _demand_same(job, json.loads(listed.get(name) or _part(job.out, name).read_text(encoding="utf-8")))
    (job.out / "parts").mkdir(parents=True, exist_ok=True)
    missing = [
        n for n in range(count) if job.scene_id(n) not in listed and not _part(job.out, job.scene_id(n)).exists()
    ]
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("rendering", total=len(missing))
        for _ in completed(partial(write_scene, job), missing, workers, on_ray):
            progress.advance(bar)
    _collect(job.out, listed)
    return len(missing)


def write_scene(job: SceneJob, number: int) -> None:
    """Render one scene: its sound under a passing name, then its description; both appear complete or not at all."""
    rendered = job.render(number)
    name = job.scene_id(number)
    sound = job.out / f"{name}.wav"
    replace_sound(sound, rendered.mixture(), SAMPLE_RATE_HZ)
    replace_text(_part(job.out, name), json.dumps({**rendered.scene, "audio": sound.name}))


def _demand_same(job: SceneJob, scene: Scene) -> None:
    """Refuse a scene that this job would not have made."""
    differ = contradiction(scene, job.settings) or other_recordings(scene, job.folders)
    if differ is not None:
        raise UsageError(f"{job.out}: scene {scene['id']} is there and {differ}; name another folder")


def _part(out: Path, name: str) -> Path:
    return out / "parts" / f"{name}.json"


def _listed(out: Path) -> dict[str, str]:
    """Lines of the manifest by scene id."""
    manifest = out / "scenes.jsonl"
    if not manifest.exists():
        return {}
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
        return {described(line)["id"]: line for line in lines if line.strip()}
    except ValueError as error:
        raise InputError(f"{manifest}: not a list of scenes ({error}); name another folder") from error


def _collect(out: Path, listed: dict[str, str]) -> None:
    """Turn all parts into lines of the manifest, then remove them."""
    parts = sorted((out / "parts").glob("*.json"))
    lines = {**listed, **{part.stem: part.read_text(encoding="utf-8") for part in parts}}
    replace_text(out / "scenes.jsonl", "".join(f"{lines[name]}\n" for name in sorted(lines)))
    for part in parts:
        part.unlink()
    for leftover in (out / "parts").glob("*.part*"):
        leftover.unlink()
    (out / "parts").rmdir()
