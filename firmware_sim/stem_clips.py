"""Clips with one known source, cut from rendered stems as `earshot synth stems` writes them.

shard-0003/stems.npy    int16   [scenes, sources + 1, 2, samples]   last row = background
           scale.npy    float32 [scenes]                            full scale of the int16 values
           scenes.jsonl one scene description a line
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError

RATE_HZ = 16_000
BEFORE_S = 0.4
LONGEST_S = 3.0


@dataclass(frozen=True, eq=False)
class StemClip:
    """A clip and its truth.

    Attributes
    ----------
    audio : ndarray, float32 [2, samples]
        16 kHz, left ear first.
    key : str
        Class key of the label table.
    azimuth_deg : float
        0 = front, positive = left.
    """

    audio: NDArray[np.float32]
    key: str
    azimuth_deg: float


def single_clips(folder: Path, count: int) -> list[StemClip]:
    """Clips of one source over its background, spread over all scenes of a folder.

    Parameters
    ----------
    folder : Path
    count : int
        How many; fewer when there are fewer scenes.

    Raises
    ------
    InputError
        When the folder holds no rendered stems.
    """
    scenes = [scene for shard in _shards(folder) for scene in _scenes(shard)]
    chosen = scenes if len(scenes) <= count else [scenes[k * len(scenes) // count] for k in range(count)]
    return [_cut(*scene) for scene in chosen]


_Scene = tuple[NDArray[np.int16], float, dict[str, Any]]


def _shards(folder: Path) -> list[Path]:
    """Finished shards: one that is being written has a suffix."""
    found = [path for path in sorted(folder.glob("shard-*")) if not path.suffix]
    if not found:
        raise InputError(f"{folder}: holds no shard-*; make some with: earshot synth stems DIR --split validation")
    return found


def _scenes(shard: Path) -> Iterator[_Scene]:
    try:
        stems = np.load(shard / "stems.npy", mmap_mode="r", allow_pickle=False)
        scale = np.load(shard / "scale.npy", allow_pickle=False)
        described = [json.loads(line) for line in (shard / "scenes.jsonl").read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{shard}: not a shard of rendered stems ({error})") from error
    for row, scene in enumerate(described):
        if scene["sources"]:
            yield stems[row], float(scale[row]), scene


def _cut(stems: NDArray[np.int16], scale: float, scene: dict[str, Any]) -> StemClip:
    """The first source and the background, from before its onset."""
    source = scene["sources"][0]
    begin_s = max(0.0, source["onset_s"] - BEFORE_S)
    end_s = min(source["offset_s"] + BEFORE_S, begin_s + LONGEST_S)
    span = slice(round(begin_s * RATE_HZ), round(end_s * RATE_HZ))
    audio = stems[0, :, span].astype(np.float32) + stems[-1, :, span]
    return StemClip(audio * np.float32(scale), source["label"], float(source["trajectory"][0]["azimuth_deg"]))
