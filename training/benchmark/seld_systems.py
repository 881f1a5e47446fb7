"""What is scored by ``earshot bench seld``: the tracks of a bundle, a baseline, or csv files of any other system."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.labels import load_labels
from earshot.training.benchmark.asa_clips import SAMPLE_RATE_HZ, to_float
from earshot.training.benchmark.baselines import Listen
from earshot.training.benchmark.frame_tables import FrameTable, read_dcase_csv, table_of
from earshot.training.benchmark.seld_scenes import SeldScene, mix_scene
from earshot.training.processes import worker_processes
from earshot.training.synthesis.dataset import open_shards

CHUNK_S = 1.0
FRAMES_PER_CHUNK = round(CHUNK_S / SNAPSHOT_S)
OVER_BACKGROUND = 1.4
Audio = NDArray[np.float32]


def tracks_of(encoders: Encoders, audio: Audio) -> FrameTable:
    """Tracks that a loaded bundle follows through a recording [2, samples], by the live path."""
    hearing = Hearing(encoders)
    size = round(CHUNK_S * SAMPLE_RATE_HZ)
    rows: list[tuple[float, ...]] = []
    for start in range(0, audio.shape[1], size):
        rows += _rows(hearing.process(AudioChunk(audio[:, start : start + size], start)))
    return table_of(rows)


def _rows(snapshots: Iterable[SceneSnapshot]) -> Iterator[tuple[float, ...]]:
    """Rows as `earshot track --format csv` writes them: whole degrees and centimetres."""
    for snapshot in snapshots:
        frame = round(snapshot.time_s / SNAPSHOT_S) - 1
        for t in snapshot.tracks:
            if t.active:
                metres = round(100 * t.distance_m) / 100
                yield frame, t.class_id, t.track_id, round(t.azimuth_deg), round(t.elevation_deg), metres


def hear_scenes(scenes: Sequence[SeldScene], bundle: Path | None, data: Path, workers: int = 1) -> Iterator[FrameTable]:
    """Tracks of a bundle for every scene, in order, however many processes work on them."""
    if workers == 1:
        _open(bundle, data)
        yield from map(_hear, scenes)
        return
    context = multiprocessing.get_context("spawn")
    with worker_processes(workers, context, _open, (bundle, data)) as pool:
        yield from pool.map(_hear, scenes)


_LOADED: list[tuple[Encoders, Path]] = []
"""Of a worker process."""


def _open(bundle: Path | None, data: Path) -> None:
    _LOADED[:] = [(open_encoders(bundle)[1], data)]


def _hear(scene: SeldScene) -> FrameTable:
    encoders, data = _LOADED[0]
    return tracks_of(encoders, to_float(mix_scene(open_shards(data), scene)))


def baseline_table(listen: Listen, audio: Audio) -> FrameTable:
    """A baseline's estimate of every second that is louder than the background, for all of its frames."""
    size = round(CHUNK_S * SAMPLE_RATE_HZ)
    blocks = [audio[:, start : start + size] for start in range(0, audio.shape[1] - size + 1, size)]
    levels = np.array([float(np.sqrt((block.astype(np.float64) ** 2).mean())) for block in blocks])
    numbers = {label.name: number for number, label in enumerate(load_labels())}
    rows: list[tuple[float, ...]] = []
    for number in np.flatnonzero(levels > OVER_BACKGROUND * np.percentile(levels, 10)):
        for source, heard in enumerate(listen(blocks[number])):
            place = (heard.azimuth_deg, heard.elevation_deg, heard.distance_m)
            first = int(number) * FRAMES_PER_CHUNK
            rows += [(first + k, numbers[heard.label], source, *place) for k in range(FRAMES_PER_CHUNK)]
    return table_of(rows)


def read_tables(folder: Path, scenes: Sequence[SeldScene]) -> list[FrameTable]:
    """Predictions ``SCENE.csv`` of a folder, in the order of the scenes.

    Raises
    ------
    InputError
        A file is missing or breaks the layout (a scene in which nothing was heard has an empty file).
    """
    missing = [scene.id for scene in scenes if not (folder / f"{scene.id}.csv").is_file()]
    if missing:
        raise InputError(
            f"{folder}: no {missing[0]}.csv ({len(missing)} of {len(scenes)} missing); give one DCASE csv per scene, "
            "empty where nothing was heard"
        )
    return [read_dcase_csv(folder / f"{scene.id}.csv") for scene in scenes]
