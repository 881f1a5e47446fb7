"""Scenes with known truth for the gates: cut from rendered stems when a folder is given, else made on the spot.

The folder is a stem data set as `earshot synth` writes it. Only what a gate needs is read here, for the exporter
knows no trainer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.demo.sounds import alarm_beeps, bird_song, knocks
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.features import SAMPLE_RATE_HZ
from earshot.runtime.labels import by_key

Float32 = NDArray[np.float32]
Item = TypeVar("Item")

AROUND_S = 0.5
LONGEST_S = 4.0
"""A clip is cut after this: a gate compares two listeners, long sounds tell it nothing more."""
LEAST_OVERLAP_S = 0.5
_MADE = {"clock_alarm": alarm_beeps, "door_knock": knocks, "chirping_birds": bird_song}
_MADE_S = 1.5
_MADE_PEAK, _MADE_NOISE_DB = 0.2, -60.0


@dataclass(frozen=True)
class Truth:
    """What sounds, and where it begins to.

    Attributes
    ----------
    key : str
        Class key of the label table.
    azimuth_deg : float
        0 = front, positive = left.
    """

    key: str
    azimuth_deg: float


@dataclass(frozen=True, eq=False)
class GateScene:
    """One clip.

    Attributes
    ----------
    audio : ndarray, float32 [2, samples]
        16 kHz, left ear first.
    sources : tuple of Truth
        One or two.
    """

    audio: Float32
    sources: tuple[Truth, ...]


def gate_scenes(folder: Path | None, singles: int, pairs: int) -> list[GateScene]:
    """Clips of one source and of two overlapping ones.

    Parameters
    ----------
    folder : Path or None
        Stem data set: `shard-*/{stems.npy, scale.npy, scenes.jsonl}`. Without one, three sounds are made by rule and
        heard through a spherical head: enough to see that nothing broke, not to judge a model.
    singles, pairs : int
        How many of each, spread over the whole set; fewer when it holds fewer.

    Raises
    ------
    InputError
        When the folder is no such data set, or nothing sounds in it.
    """
    if folder is None:
        return [*_made(singles, 1), *_made(pairs, 2)]
    # `shard-0007.partial` is one that is being written, or whose writing was stopped.
    shards = [_open_shard(path) for path in sorted(folder.glob("shard-*")) if not path.suffix]
    if not shards:
        raise InputError(f"{folder}: holds no shard-*; give a folder that 'earshot synth' wrote")
    single = [(shard, row, (row % len(s["sources"]),)) for shard, row, s in _scenes(shards) if s["sources"]]
    if not single:
        raise InputError(f"{folder}: no scene with a source to hear; give another folder that 'earshot synth' wrote")
    pair = [(shard, row, two) for shard, row, s in _scenes(shards) if (two := _overlapping(s)) is not None]
    return [_cut(*place) for place in (*spread(single, singles), *spread(pair, pairs))]


@dataclass(frozen=True, eq=False)
class _Shard:
    stems: NDArray[np.int16]
    scale: Float32
    scenes: list[dict[str, Any]]


def _open_shard(path: Path) -> _Shard:
    try:
        scenes = [_read_scene(line) for line in (path / "scenes.jsonl").read_text("utf-8").splitlines()]
        stems = np.load(path / "stems.npy", mmap_mode="r", allow_pickle=False)
        scale = np.load(path / "scale.npy", allow_pickle=False)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path}: not a shard of rendered stems ({error})") from error
    if stems.ndim != 4 or not len(stems) == len(scale) == len(scenes):
        raise InputError(f"{path}: stems, scales and scenes do not belong together; render the data set again")
    return _Shard(stems, scale, scenes)


def _read_scene(line: str) -> dict[str, Any]:
    """A scene whose sources say what a gate needs; `LookupError` or `TypeError` for another."""
    scene: dict[str, Any] = json.loads(line)
    for source in scene["sources"]:
        by_key(source["label"])
        for number in (source["onset_s"], source["offset_s"], source["trajectory"][0]["azimuth_deg"]):
            float(number)
    return scene


def _scenes(shards: list[_Shard]) -> Iterator[tuple[_Shard, int, dict[str, Any]]]:
    return ((shard, row, scene) for shard in shards for row, scene in enumerate(shard.scenes))


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` of the items, evenly over all of them; all when there are no more."""
    if len(items) <= count:
        return list(items)
    return [items[k * len(items) // count] for k in range(count)]


def _overlapping(scene: Mapping[str, Any]) -> tuple[int, int] | None:
    """The first two sources that sound together for half a second."""
    sources = scene["sources"]
    for i, a in enumerate(sources):
        for j, b in enumerate(sources[i + 1 :], i + 1):
            if min(a["offset_s"], b["offset_s"]) - max(a["onset_s"], b["onset_s"]) >= LEAST_OVERLAP_S:
                return i, j
    return None


def _cut(shard: _Shard, row: int, keep: tuple[int, ...]) -> GateScene:
    """Some stems of a scene over its background, cut around them."""
    sources = [shard.scenes[row]["sources"][index] for index in keep]
    begin_s = max(0.0, min(source["onset_s"] for source in sources) - AROUND_S)
    end_s = min(max(source["offset_s"] for source in sources) + AROUND_S, begin_s + LONGEST_S)
    span = slice(round(begin_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
    audio = np.sum([shard.stems[row, index, :, span].astype(np.float32) for index in (*keep, -1)], axis=0)
    truths = tuple(Truth(source["label"], float(source["trajectory"][0]["azimuth_deg"])) for source in sources)
    return GateScene(np.asarray(audio * shard.scale[row], np.float32), truths)


def _made(count: int, sources: int) -> Iterator[GateScene]:
    """Made scenes: sounds and directions by turns, over a faint noise."""
    rng = np.random.default_rng(sources)
    keys = tuple(_MADE)
    for number in range(count):
        chosen = [keys[(number + k) % len(keys)] for k in range(sources)]
        first_deg = 360.0 * (number + 0.5) / count - 180.0
        truths = tuple(Truth(key, _wrapped(first_deg + 100.0 * k)) for k, key in enumerate(chosen))
        ears = np.sum([_heard(truth, rng) for truth in truths], axis=0)
        ears *= _MADE_PEAK / np.abs(ears).max()
        noise = rng.standard_normal(ears.shape) * 10 ** (_MADE_NOISE_DB / 20)
        yield GateScene(np.asarray(ears + noise, np.float32), truths)


def _heard(truth: Truth, rng: np.random.Generator) -> NDArray[np.float64]:
    sound = np.pad(_MADE[truth.key](_MADE_S), (round(AROUND_S * SAMPLE_RATE_HZ), 0))
    ears = binaural(sound, truth.azimuth_deg, 0.0, float(rng.uniform(0.8, 2.0)), Room(order=1))
    return ears / max(1e-9, float(np.sqrt(np.mean(ears**2))))


def _wrapped(azimuth_deg: float) -> float:
    return azimuth_deg - 360.0 if azimuth_deg > 180.0 else azimuth_deg
