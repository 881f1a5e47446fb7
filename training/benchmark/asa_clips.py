"""Clips of ASA-bench: 5 to 10 seconds with 0 to 3 sources, mixed from stems of heads and rooms that training never saw.

A clip is a recipe of a few numbers; its audio is mixed when it is needed, the same samples every time. The samples are
16-bit: what is hashed, what a bundle hears and what is exported as WAV are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.training.synthesis.dataset import Shard, iterate_scenes
from earshot.training.synthesis.scenes import Scene, fully_known, restrict

SAMPLE_RATE_HZ = 16_000
SOURCE_SHARES = (0.05, 0.20, 0.40, 0.35)
DURATION_S = (5.0, 10.0)
STEP_S = 0.4
"""Lengths are multiples of an audio token."""
LATEST_ONSET_S = 0.8
"""A source sounds for at least this long before the clip ends."""
GAIN_DB = 2.5
BACKGROUND_DB = (-6.0, 6.0)
LEVEL_DB = (-8.0, 8.0)
LOUDEST = 0.99

Pcm = NDArray[np.int16]


@dataclass(frozen=True)
class AsaClip:
    """A clip before it is mixed.

    Attributes
    ----------
    scene : dict
        Its description (truth); the id is that of the clip.
    origin : str
        Stem scene that it is made of: clips of one origin share head, room and recordings.
    shard, row : int
        Where the stems are.
    gains : tuple of float
        Factors of stems (as in the description) and background (last).
    samples : int
    """

    scene: Scene
    origin: str
    shard: int
    row: int
    gains: tuple[float, ...]
    samples: int

    @property
    def id(self) -> str:
        """Name of the clip."""
        return str(self.scene["id"])

    @property
    def labels(self) -> frozenset[str]:
        """Class keys that sound in it."""
        return frozenset(source["label"] for source in self.scene["sources"])


def draw_clips(shards: Sequence[Shard], count: int, seed: int) -> list[AsaClip]:
    """Draw clips, from different stem scenes as far as there are enough.

    Raises
    ------
    InputError
        No stem scene states all distances.
    """
    numbers = {id(shard): number for number, shard in enumerate(shards)}
    known = [(s, row) for s, row in iterate_scenes(list(shards)) if fully_known(s.scenes[row])]
    if not known:
        raise InputError(
            "the stems hold no scene whose distances are all known; render some with `earshot synth stems`"
        )
    order = np.random.default_rng(seed).permutation(len(known))
    chosen = (known[order[number % len(known)]] for number in range(count))
    return [
        _draw(shard, row, numbers[id(shard)], number, np.random.default_rng([seed, number]))
        for number, (shard, row) in enumerate(chosen)
    ]


def _draw(shard: Shard, row: int, shard_number: int, number: int, rng: np.random.Generator) -> AsaClip:
    scene = shard.scenes[row]
    count = int(rng.choice(len(SOURCE_SHARES), p=SOURCE_SHARES))
    low, high = (round(limit / STEP_S) for limit in (DURATION_S[0], min(DURATION_S[1], scene["duration_s"])))
    duration_s = round(STEP_S * int(rng.integers(low, high + 1)), 1)
    early = [i for i, s in enumerate(scene["sources"]) if s["onset_s"] <= duration_s - LATEST_ONSET_S]
    keep = sorted(rng.permutation(early)[:count].tolist())
    mixed = restrict(scene, keep, duration_s, f"asa-{number:04d}")
    gains_db = [float(rng.normal(0, GAIN_DB)) for _ in mixed["sources"]]
    for source, gain_db in zip(mixed["sources"], gains_db, strict=True):
        source["level_db"] = round(source["level_db"] + gain_db, 1)
    level_db = float(rng.uniform(*LEVEL_DB))
    gains = [10 ** ((g + level_db) / 20) for g in (*gains_db, float(rng.uniform(*BACKGROUND_DB)))]
    samples = round(duration_s * SAMPLE_RATE_HZ)
    return AsaClip(mixed, str(scene["id"]), shard_number, row, tuple(gains), samples)


def mix(shards: Sequence[Shard], clip: AsaClip) -> Pcm:
    """Audio of a clip, int16 [2, samples]; turned down where it would clip."""
    shard = shards[clip.shard]
    stems = [source["stem"] for source in clip.scene["sources"]] + [-1]
    mixture = np.zeros((2, clip.samples), np.float64)
    for stem, gain in zip(stems, clip.gains, strict=True):
        mixture += gain * shard.stems[clip.row, stem, :, : clip.samples]
    return to_pcm(mixture * float(shard.scale[clip.row]))


def to_pcm(audio: NDArray[np.floating]) -> Pcm:
    """Round float audio (full scale 1) to 16 bits; turned down where it would clip."""
    peak = float(np.abs(audio).max(initial=0.0))
    return np.asarray(np.rint(audio * (32_768 * min(1.0, LOUDEST / max(peak, 1e-9)))), np.int16)


def to_float(pcm: Pcm) -> NDArray[np.float32]:
    """16-bit samples as they come out of a WAV file: float32, full scale 1."""
    return pcm.astype(np.float32) / np.float32(32_768)
