"""Batches of random mixtures from stem shards, with their targets: the encoders' training data.

Each example takes one to three sources of a rendered scene, new relative levels, a crop around an onset, another
background level, another playback speed, and sometimes exchanged ears (with mirrored labels).

Played faster by a factor, everything is as if it were smaller by that factor: the head, the pinnae, the room and all
distances. The ears' cues move along frequency as they do between people of different size (Middlebrooks 1999).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from earshot.runtime.errors import InputError
from earshot.runtime.labels import load_labels
from earshot.training.stages.teacher import Teacher
from earshot.training.synthesis.dataset import Shard, open_shards
from earshot.training.synthesis.scenes import Split, places_at

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 640
QUERIES = 4
"""As many as the runtime has slots: at least one asks for what is not there."""
# A source counts as audible in a frame when it is within 30 dB of its loudest frame and not buried under the rest.
AUDIBLE_RANGE_LOG10 = 3.0
AUDIBLE_SHARE = 0.03


@dataclass(frozen=True)
class RemixSettings:
    """How mixtures are drawn.

    Attributes
    ----------
    frames : int
        Length of a crop in 40 ms frames.
    source_counts : tuple of float
        Probabilities of one, two, three sources.
    swap_probability : float
        How often the ears are exchanged.
    speed_spread : float
        Standard deviation of the logarithm of the playback speed (at most two of them away from 1).
    """

    frames: int = 128
    source_counts: tuple[float, float, float] = (0.5, 0.33, 0.17)
    swap_probability: float = 0.5
    gain_db: float = 4.0
    background_db: tuple[float, float] = (-8.0, 8.0)
    ear_gain_db: float = 1.0
    level_db: float = 8.0
    speed_spread: float = 0.08


def crowded(share: float) -> RemixSettings:
    """Settings with this share of mixtures of two or three sounds, two of them twice as often."""
    return RemixSettings(source_counts=(1.0 - share, share * 2 / 3, share / 3))


@dataclass
class Batch:
    """Mixtures and targets; Q = QUERIES queries, the first ``count`` of them present.

    ``audio`` [B, 2, N]; ``queries`` int64 [B, Q]; ``present`` [B, Q]; ``active`` [B, Q, T] audible frames;
    ``share`` [B, Q, T, 8]; ``azimuth_deg`` [B, Q, T]; ``direction`` [B, Q, T, 3]; ``log_distance`` [B, Q, T] (NaN unknown);
    ``log_t60`` [B] (NaN unknown); ``event`` [B, Q, T] between onset and offset; ``taught`` [B, Q, D] what a teacher makes of the
    clips (zeros unknown; D = 0 without a teacher).
    """

    audio: Tensor
    queries: Tensor
    present: Tensor
    active: Tensor
    event: Tensor
    share: Tensor
    azimuth_deg: Tensor
    direction: Tensor
    log_distance: Tensor
    log_t60: Tensor
    taught: Tensor


class Remixer:
    """Draws examples from shards.

    Parameters
    ----------
    folder : Path
        Folder of stem shards.
    settings : RemixSettings
    only_still : bool
        Leave out shards in which anything moves.
    teacher : Teacher, optional
        What another network makes of the clips.
    split : {"train", "validation"}, optional
        What the shards must be of; any by default.

    Raises
    ------
    InputError
        There is no such shard, one is damaged or of the other split, or the teacher knows no clip of them.
    """

    def __init__(
        self,
        folder: Path,
        settings: RemixSettings = RemixSettings(),
        only_still: bool = False,
        teacher: Teacher | None = None,
        split: Split | None = None,
    ) -> None:
        self._teacher = teacher
        shards = open_shards(folder, split)
        self._shards = [shard for shard in shards if shard.stands_still] if only_still else shards
        if not self._shards:
            raise InputError(
                f"{folder}: something moves in every shard; render still ones beside them: earshot synth stems"
            )
        if teacher is not None and not any(clip in teacher for clip in _clips(self._shards)):
            raise InputError(
                f"{folder}: the teacher has heard none of its clips; let it hear those: earshot train teacher"
            )
        self._settings = settings
        self._ids = {label.key: index for index, label in enumerate(load_labels())}

    def batches(self, size: int, seed: int) -> Iterator[Batch]:
        """Endless random batches; the same seed gives the same batches."""
        rng = np.random.default_rng(seed)
        while True:
            yield collate([self.example(rng) for _ in range(size)])

    def example(self, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        """One random mixture with its targets."""
        shard = self._shards[rng.integers(len(self._shards))]
        row = int(rng.integers(len(shard.scenes)))
        count = int(rng.choice(3, p=self._settings.source_counts)) + 1
        order = rng.permutation(len(shard.scenes[row]["sources"]))
        spread = self._settings.speed_spread
        speed = float(np.exp(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread)))
        length = int(np.ceil(self._settings.frames * speed))
        start = self._crop_start(shard.scenes[row]["sources"][order[0]], shard.stems.shape[-1], length, rng)
        return self.mix(shard, row, [int(i) for i in order], count, start, rng, speed)

    def _crop_start(self, source: dict[str, float], samples: int, length: int, rng: np.random.Generator) -> int:
        """First frame of a crop of ``length`` frames that holds the onset, or the middle, of a source."""
        anchor = source["onset_s"] if rng.random() < 0.8 else rng.uniform(source["onset_s"], source["offset_s"])
        start = int(anchor * 25 - rng.uniform(0, 0.6) * length)
        return int(np.clip(start, 0, samples // FRAME_SAMPLES - length))

    def mix(
        self,
        shard: Shard,
        row: int,
        order: list[int],
        count: int,
        start: int,
        rng: np.random.Generator,
        speed: float = 1.0,
    ) -> dict[str, NDArray[np.generic]]:
        """Mix the first ``count`` audible sources of ``order`` in the crop that begins at frame ``start``."""
        settings = self._settings
        frames = start + np.floor((np.arange(settings.frames) + 0.5) * speed).astype(np.int64)
        first = start * FRAME_SAMPLES
        samples = slice(first, first + int(np.ceil(settings.frames * speed)) * FRAME_SAMPLES)
        power = 10.0 ** shard.power[row].astype(np.float64)
        loudest = power.sum(axis=-1).max(axis=1)
        audible = [i for i in order if power[i, frames].sum(axis=-1).max() > 0.1 * loudest[i]][:count]
        audible = audible or order[:1]
        gains = 10 ** (rng.normal(0, settings.gain_db, len(audible)) / 20)
        noise_gain = 10 ** (rng.uniform(*settings.background_db) / 20)
        audio = noise_gain * shard.stems[row, -1, :, samples].astype(np.float32)
        for gain, index in zip(gains, audible, strict=True):
            audio += gain * shard.stems[row, index, :, samples]
        audio *= shard.scale[row]
        total = noise_gain**2 * power[-1, frames]
        total = total + sum(g**2 * power[i, frames] for g, i in zip(gains, audible, strict=True))
        targets = self._targets(shard, row, audible, gains, total, frames, rng, speed)
        return {"audio": self._ears(self._played(audio, speed), targets, rng), **targets}

    def _played(self, audio: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
        """Audio [2, n] at another speed, exactly as long as a crop."""
        wanted = self._settings.frames * FRAME_SAMPLES
        if speed != 1.0:
            audio = soxr.resample(audio.T, speed * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, quality="MQ").T
        return np.pad(audio, ((0, 0), (0, max(0, wanted - audio.shape[1]))))[:, :wanted]

    def _targets(
        self,
        shard: Shard,
        row: int,
        audible: list[int],
        gains: NDArray[np.float64],
        total: NDArray[np.float64],
        frames: NDArray[np.int64],
        rng: np.random.Generator,
        speed: float,
    ) -> dict[str, NDArray[np.generic]]:
        length = self._settings.frames
        scene = shard.scenes[row]
        out: dict[str, NDArray[np.generic]] = {
            "queries": np.zeros(QUERIES, np.int64),
            "present": np.zeros(QUERIES, np.float32),
            "active": np.zeros((QUERIES, length), np.float32),
            "event": np.zeros((QUERIES, length), np.float32),
            "share": np.zeros((QUERIES, length, 8), np.float32),
            "azimuth_deg": np.zeros((QUERIES, length), np.float32),
            "direction": np.zeros((QUERIES, length, 3), np.float32),
            "log_distance": np.full((QUERIES, length), np.nan, np.float32),
            "taught": np.zeros((QUERIES, self._teacher.dimensions if self._teacher else 0), np.float32),
            "log_t60": np.float32(np.log((scene["room"]["t60_s"] or np.nan) / speed)) * np.ones((), np.float32),
        }
        time_s = (frames + 0.5) / 25
        for slot, (index, gain) in enumerate(zip(audible, gains, strict=True)):
            source = scene["sources"][index]
            power = gain**2 * 10.0 ** shard.power[row, index].astype(np.float64)
            level = power.sum(axis=-1)
            crop = power[frames]
            out["share"][slot] = crop / (total + 1e-12)
            loud = level[frames] > level.max() * 10**-AUDIBLE_RANGE_LOG10
            out["active"][slot] = loud & (crop.sum(axis=-1) > AUDIBLE_SHARE * total.sum(axis=-1))
            out["event"][slot] = (time_s > source["onset_s"]) & (time_s < source["offset_s"])
            azimuth_deg, elevation_deg, distance_m = places_at(source["trajectory"], time_s)
            azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
            out["queries"][slot] = self._ids[source["label"]]
            out["present"][slot] = 1.0
            if self._teacher:
                out["taught"][slot] = self._teacher(source.get("clip"))
            out["azimuth_deg"][slot] = azimuth_deg
            level = np.cos(elevation)
            out["direction"][slot] = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], 1)
            out["log_distance"][slot] = np.log(distance_m / speed)
        absent = rng.permutation(len(self._ids))
        absent = absent[~np.isin(absent, [self._ids[scene["sources"][i]["label"]] for i in audible])]
        out["queries"][len(audible) :] = absent[: QUERIES - len(audible)]
        return out

    def _ears(
        self, audio: NDArray[np.float32], targets: dict[str, NDArray[np.generic]], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Random level, ear mismatch and exchange of the ears (labels are mirrored in place)."""
        settings = self._settings
        gain_db = rng.uniform(-settings.level_db, settings.level_db)
        ears_db = rng.normal(0, settings.ear_gain_db, (2, 1)) * settings.swap_probability * 2
        audio = (audio * 10 ** ((gain_db + ears_db) / 20)).astype(np.float32)
        if rng.random() < settings.swap_probability:
            audio = audio[::-1]
            targets["azimuth_deg"] = np.negative(targets["azimuth_deg"])
            targets["direction"] = targets["direction"] * np.array([1, -1, 1], np.float32)
        return np.ascontiguousarray(audio)


def _clips(shards: Sequence[Shard]) -> Iterator[str | None]:
    """Clips of all sources."""
    return (source.get("clip") for shard in shards for scene in shard.scenes for source in scene["sources"])


def collate(examples: list[dict[str, NDArray[np.generic]]]) -> Batch:
    """Stack examples into tensors."""
    return Batch(**{key: torch.from_numpy(np.stack([e[key] for e in examples])) for key in examples[0]})


def validation_batches(folder: Path, settings: RemixSettings, size: int, count: int) -> dict[str, list[Batch]]:
    """Fixed mixtures of unseen heads, rooms and recordings: ``count`` batches of one source, as many of two and of three."""
    out = {}
    for number, name in enumerate(("one", "two", "three")):
        plain = replace(settings, swap_probability=0.0, background_db=(0.0, 0.0), speed_spread=0.0)
        remix = replace(plain, source_counts=(number == 0, number == 1, number == 2))
        out[name] = list(islice(Remixer(folder, remix, only_still=True, split="validation").batches(size, 7), count))
    return out


def ahead(batches: Iterator[Batch], depth: int = 4) -> Iterator[Batch]:
    """Prepare batches in a thread, a few ahead (numpy releases the interpreter while it mixes).

    What goes wrong in the thread is raised here in its turn: else one would wait for the next batch for ever.
    """
    queue: Queue[Batch | BaseException | None] = Queue(depth)

    def fill() -> None:
        try:
            for batch in batches:
                queue.put(batch)
            queue.put(None)
        except BaseException as error:
            queue.put(error)

    Thread(target=fill, name="remix", daemon=True).start()
    while (made := queue.get()) is not None:
        if isinstance(made, BaseException):
            raise made
        yield made
