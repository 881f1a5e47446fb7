"""Clips of the hearing benchmark: some stems of a validation scene over its background, cut around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.training.synthesis.dataset import Shard, iterate_scenes

SAMPLE_RATE_HZ = 16_000
TAIL_S = 0.5
LEAD_S = 0.5
CHANCE_AZIMUTH_ERROR_DEG = 90.0
"""What a silent answer is worth: the mean error of a guess over the whole circle."""


@dataclass(frozen=True)
class Clip:
    """A mixture of some stems of a scene, cut around them, with the sources' truth."""

    audio: NDArray[np.float32]
    sources: list[dict[str, Any]]
    room: dict[str, Any]
    head: str
    scene: str = ""
    snr_db: float | None = None


def single_source_clips(shards: list[Shard], limit: int) -> Iterator[Clip]:
    """Every stem alone over its background, from half a second before its onset."""
    made = 0
    for number in range(4):
        for shard, row in iterate_scenes(shards):
            if made >= limit:
                return
            if number >= len(shard.scenes[row]["sources"]):
                continue
            yield cut(shard, row, [number])
            made += 1


def two_source_clips(shards: list[Shard], limit: int) -> Iterator[Clip]:
    """Pairs of stems that overlap for at least half a second."""
    made = 0
    for shard, row in iterate_scenes(shards):
        sources = shard.scenes[row]["sources"]
        for first, second in ((0, 1), (2, 3), (0, 2), (1, 3)):
            if second >= len(sources):
                continue
            a, b = sources[first], sources[second]
            overlap = min(a["offset_s"], b["offset_s"]) - max(a["onset_s"], b["onset_s"])
            if overlap < 0.5:
                continue
            if made >= limit:
                return
            yield cut(shard, row, [first, second])
            made += 1


def cut(shard: Shard, row: int, keep: list[int]) -> Clip:
    """Mix stems ``keep`` of a scene with its background and cut from before the first onset to after the last end."""
    scene = shard.scenes[row]
    sources = [dict(scene["sources"][i]) for i in keep]
    begin = max(0.0, min(s["onset_s"] for s in sources) - LEAD_S)
    end = min(scene["duration_s"], max(s["offset_s"] for s in sources) + TAIL_S)
    samples = slice(int(begin * SAMPLE_RATE_HZ), int(end * SAMPLE_RATE_HZ))
    audio = shard.stems[row, -1, :, samples].astype(np.float32)
    for index in keep:
        audio += shard.stems[row, index, :, samples]
    for source in sources:
        source["onset_s"] -= begin
        source["offset_s"] -= begin
    return Clip(
        audio * shard.scale[row], sources, scene["room"], scene["head"]["id"], scene["id"], scene["ambience"]["snr_db"]
    )
