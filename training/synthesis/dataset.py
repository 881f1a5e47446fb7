"""Stem data sets: shards of rendered scenes whose sources are kept apart, for training by random remixing.

A shard is a folder of memory-mapped arrays and one line of JSON per scene. A source kept apart can be mixed with any
others of its scene, and its share of every time-frequency cell is known, which supervises binding.

    shard-0003/stems.npy   int16   [scenes, sources + 1, 2, samples]   last row = background
               scale.npy   float32 [scenes]                            full scale of the int16 values
               power.npy   float16 [scenes, sources + 1, frames, 8]    log10 band power, both ears, 40 ms frames
               scenes.jsonl
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.hearing.features import features_of
from earshot.training.files import begin_array, replace_array
from earshot.training.synthesis.dynamic import render_dynamic
from earshot.training.synthesis.events import EventLibrary, JoinedLibrary, ManifestLibrary, ProceduralLibrary
from earshot.training.synthesis.head_variation import varied_head
from earshot.training.synthesis.heads import Head, cached_head, parametric_head
from earshot.training.synthesis.layout_parts import AUDIO_SUFFIXES
from earshot.training.synthesis.render import RenderedScene, World, render_scene
from earshot.training.synthesis.rooms import load_measured
from earshot.training.synthesis.scale_out import completed
from earshot.training.synthesis.scenes import (
    TRAINING_FOLDS,
    VALIDATION_AMBIENCES,
    VALIDATION_FOLDS,
    VALIDATION_ROOMS,
    DynamicSettings,
    Scene,
    SceneSettings,
    Split,
    contradiction,
    is_validation_head,
    stands_still,
)

FloatArray = NDArray[np.float32]
MASK_BANDS = 8
PARAMETRIC = "sphere-"
"""What names of heads that are made by rule begin with."""
_SCENE_KEYS = {"id", "split", "duration_s", "sources", "room", "head", "ambience"}
MOVING_SHARDS = 5000
"""Number of the first shard whose sources move; they lie beside the others."""


@dataclass(frozen=True)
class DataFolders:
    """Where recordings are; every part may be absent (then sounds and heads are synthesised by rule).

    ``root`` holds ``events/``, ``hrtf/``, ``brir/`` and ``ambient/``; ``cache`` keeps heads resampled; every measured
    training head is also used in ``variations`` of itself (none in the other split).
    """

    root: Path | None
    cache: Path | None = None
    variations: int = 3


def build_world(folders: DataFolders, split: Split) -> World:
    """Sounds, heads and rooms of one split; no group, head or measured room is in both."""
    root = folders.root
    if root is None:
        return World(ProceduralLibrary(_procedural_seeds(split)), _parametric_heads(split))
    folds = TRAINING_FOLDS if split == "train" else VALIDATION_FOLDS
    events: EventLibrary = ManifestLibrary(root / "events", folds)
    wanted = split == "validation"
    if not wanted:
        events = JoinedLibrary(events, ProceduralLibrary(_procedural_seeds(split)))
    files = [p for p in sorted((root / "hrtf").glob("*.sofa")) if "_NF" not in p.stem]
    heads = tuple(cached_head(p, folders.cache) for p in files if is_validation_head(p.stem) == wanted)
    if not heads:
        held_out = "KU100, KEMAR and those of VALIDATION_HEADS (training/synthesis/scenes.py) are for validation"
        raise InputError(f"{root / 'hrtf'}: no SOFA file for split {split!r}; {held_out}, all others for train")
    if split == "train":
        heads += _varied(heads, folders.variations)
    measured = load_measured(root / "brir") if (root / "brir").is_dir() else []
    return World(
        events,
        heads,
        tuple(r for r in measured if (r.room in VALIDATION_ROOMS) == wanted),
        tuple(p for p in _backgrounds(root / "ambient") if (p.stem in VALIDATION_AMBIENCES) == wanted),
    )


def _backgrounds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in AUDIO_SUFFIXES)


def _varied(heads: tuple[Head, ...], variations: int) -> tuple[Head, ...]:
    """Variations of every head, the same ones in every process."""
    rng = np.random.default_rng(20261121)
    return tuple(varied_head(head, rng) for _ in range(variations) for head in heads)


def _procedural_seeds(split: Split) -> range:
    return range(0, 1000) if split == "train" else range(1000, 1400)


def _parametric_heads(split: Split) -> tuple:  # type: ignore[type-arg]
    first, count = (0, 12) if split == "train" else (1000, 4)
    return tuple(parametric_head(np.random.default_rng(first + i), f"{PARAMETRIC}{first + i}") for i in range(count))


def write_shards(
    folders: DataFolders,
    out: Path,
    split: Split,
    settings: SceneSettings | DynamicSettings,
    shards: range,
    scenes_per_shard: int = 100,
    workers: int = 1,
    on_ray: bool = False,
) -> None:
    """Render shards in parallel processes; a shard that exists is kept, so that a stopped run resumes.

    Parameters
    ----------
    folders : DataFolders
        Recordings to draw from.
    out : Path
        Folder of the data set.
    split : {"train", "validation"}
        Which heads, rooms and recordings to use.
    settings : SceneSettings or DynamicSettings
        Ranges of the sampler; the latter's sources move.
    shards : range
        Numbers of the shards; a scene's seed follows from its number, never from the worker that renders it.
    scenes_per_shard, workers : int
        Size of a shard and number of processes.
    on_ray : bool
        Run on a Ray cluster; ``out`` must then be storage that its machines share.

    Raises
    ------
    UsageError
        The folder holds shards that were drawn otherwise: kept, they would pass for these, or repeat their scenes.
    """
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(out.glob("shard-????")):
        if (_number(path) >= MOVING_SHARDS) == (shards.start >= MOVING_SHARDS):
            _demand_same(path, folders, split, settings, scenes_per_shard)
    missing = [number for number in shards if not (out / f"shard-{number:04d}").is_dir()]
    task = partial(_write_shard, folders, out, split, settings, scenes_per_shard)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"rendering {split}", total=len(missing))
        for _ in completed(task, missing, workers, on_ray):
            progress.advance(bar)


def _number(shard: Path) -> int:
    return int(shard.name.removeprefix("shard-"))


def _demand_same(
    shard: Path, folders: DataFolders, split: Split, settings: SceneSettings | DynamicSettings, count: int
) -> None:
    """Refuse a finished shard that would not have been rendered so."""
    try:
        lines = (shard / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
        scene = described(lines[0])
    except (OSError, ValueError, IndexError):
        return  # damaged: said when it is opened
    differ = contradiction(scene, settings) or other_recordings(scene, folders)
    if scene["split"] != split:
        differ = f"is of split {scene['split']}, not {split}"
    elif len(lines) != count:
        differ = f"has {len(lines)} scenes, not {count}"
    if differ is not None:
        raise UsageError(f"{shard.parent}: {shard.name} is there and {differ}; name another folder")


def other_recordings(scene: Scene, folders: DataFolders) -> str | None:
    """What shows that a scene was made with a data folder, or without one; None if it was made with these folders."""
    by_rule = scene["head"]["id"].startswith(PARAMETRIC)
    if by_rule == (folders.root is None):
        return None
    return "is made by rule, not of --data" if by_rule else "is made of recordings, which --data names"


def scene_seed(split: Split, number: int) -> int:
    """Seed of scene ``number`` of a split."""
    return number + (0 if split == "train" else 1_000_000_000)


@functools.cache
def _world(folders: DataFolders, split: Split) -> World:
    """One world per process, so that recordings are read once."""
    return build_world(folders, split)


def _write_shard(
    folders: DataFolders, out: Path, split: Split, settings: SceneSettings | DynamicSettings, count: int, number: int
) -> None:
    world = _world(folders, split)
    partial_dir = out / f"shard-{number:04d}.partial"
    shutil.rmtree(partial_dir, ignore_errors=True)
    partial_dir.mkdir(parents=True)
    samples = int(settings.duration_s * 16_000)
    most = settings.sources if isinstance(settings, SceneSettings) else settings.sources[1]
    scale = np.zeros(count, np.float32)
    power = np.zeros((count, most + 1, samples // 640, MASK_BANDS), np.float16)
    # Not memory-mapped: of a disk that is full, a map tells by ending the process.
    with (
        (partial_dir / "stems.npy").open("wb") as stems,
        (partial_dir / "scenes.jsonl").open("w", encoding="utf-8") as file,
    ):
        begin_array(stems, (count, most + 1, 2, samples), np.int16)
        for row in range(count):
            index = number * count + row
            rendered = _render(world, settings, scene_seed(split, index), f"{split}-{index:06d}", split)
            rendered = with_stems(rendered, most)
            values, scale[row] = to_int16(rendered)
            stems.write(values.tobytes())
            power[row] = band_powers(rendered)
            file.write(json.dumps(rendered.scene) + "\n")
    replace_array(partial_dir / "scale.npy", scale)
    replace_array(partial_dir / "power.npy", power)
    partial_dir.rename(out / f"shard-{number:04d}")


def _render(
    world: World, settings: SceneSettings | DynamicSettings, seed: int, scene_id: str, split: Split
) -> RenderedScene:
    if isinstance(settings, SceneSettings):
        return render_scene(world, settings, seed, scene_id, split)
    return render_dynamic(world, settings, seed, f"{scene_id}-moving", split)


def with_stems(rendered: RenderedScene, count: int) -> RenderedScene:
    """The scene with silent stems behind its own, ``count`` in all."""
    silent = np.zeros((count - len(rendered.stems), *rendered.stems.shape[1:]), np.float32)
    return replace(rendered, stems=np.concatenate([rendered.stems, silent]))


def to_int16(rendered: RenderedScene) -> tuple[NDArray[np.int16], float]:
    """Stems and background as int16 [sources + 1, 2, samples] and the factor that restores them."""
    stack = np.concatenate([rendered.stems, rendered.background[None]])
    scale = float(np.abs(stack).max()) / 32_000 + 1e-12
    return np.rint(stack / scale).astype(np.int16), scale


def band_powers(rendered: RenderedScene) -> NDArray[np.float16]:
    """log10 power of each stem and of the background, both ears, in 8 bands of 8 mel filters, per 40 ms frame."""
    stack = np.concatenate([rendered.stems, rendered.background[None]])
    levels = np.stack([features_of(stem)[:, [0, 4]] for stem in stack])  # [stems, frames, 2, 64]
    power = 10.0 ** levels.astype(np.float64)
    cells = power.reshape(*power.shape[:2], 2, MASK_BANDS, -1).sum(axis=(2, 4))
    return np.asarray(np.log10(cells), np.float16)


@dataclass(frozen=True)
class Shard:
    """One opened shard; arrays are memory-mapped."""

    stems: NDArray[np.int16]
    scale: FloatArray
    power: NDArray[np.float16]
    scenes: tuple[Scene, ...]

    @property
    def stands_still(self) -> bool:
        """Whether nothing moves in any of its scenes."""
        return all(map(stands_still, self.scenes))


def open_shards(folder: Path, split: Split | None = None) -> list[Shard]:
    """Open all finished shards of a data set.

    Parameters
    ----------
    folder : Path
    split : {"train", "validation"}, optional
        What they must be of; any by default.

    Raises
    ------
    InputError
        There is none, or one is damaged or of the other split: what is learned from would be what is scored.
    """
    shards = [_open_shard(path) for path in sorted(folder.glob("shard-????"))]
    if not shards:
        raise InputError(f"{folder}: no finished shard; render some with `earshot synth`")
    strange = splits_of(shards) - {split}
    if split is not None and strange:
        raise InputError(
            f"{folder}: holds {' and '.join(sorted(strange))} scenes; {split} ones are wanted here: "
            f"earshot synth stems FOLDER --split {split}"
        )
    return shards


def splits_of(shards: Sequence[Shard]) -> set[str]:
    """The splits that scenes of some shards are of."""
    return {scene["split"] for shard in shards for scene in shard.scenes}


def _open_shard(path: Path) -> Shard:
    try:
        with (path / "scenes.jsonl").open(encoding="utf-8") as file:
            scenes = tuple(map(described, file))
        stems = np.load(path / "stems.npy", mmap_mode="r")
        scale, power = np.load(path / "scale.npy"), np.load(path / "power.npy")
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: a damaged shard ({error}); remove it and render it again") from error
    if not len(stems) == len(scale) == len(power) == len(scenes):
        raise InputError(f"{path}: its stems and scenes do not belong together; remove it and render it again")
    return Shard(stems, scale, power, scenes)


def described(line: str) -> Scene:
    """The scene that a line of ``scenes.jsonl`` describes; `ValueError` if it describes none."""
    scene = json.loads(line)
    missing = _SCENE_KEYS - set(scene) if isinstance(scene, dict) else _SCENE_KEYS
    if missing:
        raise ValueError(f"a scene without {', '.join(sorted(missing))}")
    return dict(scene)


def iterate_scenes(shards: list[Shard]) -> Iterator[tuple[Shard, int]]:
    """All (shard, row) pairs in order."""
    for shard in shards:
        for row in range(len(shard.scenes)):
            yield shard, row
