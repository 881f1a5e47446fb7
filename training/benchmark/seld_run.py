"""``earshot bench seld`` from the stems to the report: build, check against what is frozen, hear, score, export."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.commands.track import write_classes
from earshot.training.benchmark.answers import demand_places
from earshot.training.benchmark.asa_clips import SAMPLE_RATE_HZ, to_float
from earshot.training.benchmark.baselines import baseline_listener
from earshot.training.benchmark.frame_tables import CENTIMETRES, FrameTable
from earshot.training.benchmark.frozen import (
    MANIFEST,
    Contents,
    Verdict,
    check,
    contents_of,
    freeze_all,
    identity,
    load_manifest,
)
from earshot.training.benchmark.seld_report import records_of, report
from earshot.training.benchmark.seld_scenes import SeldScene, draw_scenes, mix_scene
from earshot.training.benchmark.seld_systems import baseline_table, hear_scenes, read_tables
from earshot.training.benchmark.stems import open_stems
from earshot.training.synthesis.dataset import Shard

NAME = "seld"


@dataclass(frozen=True)
class SeldBench:
    """All scenes of one size on one set of stems."""

    size: str
    shards: list[Shard]
    scenes: list[SeldScene]
    contents: Contents


@dataclass(frozen=True)
class SeldRequest:
    """What is to be done; see `asa_run.AsaRequest`.

    ``predictions`` is a folder with one DCASE csv per scene, ``seldnet`` a run of ``earshot train seldnet``.
    """

    data: Path
    size: str = "full"
    bundle: Path | None = None
    baseline: str | None = None
    predictions: Path | None = None
    recordings: Path | None = None
    workers: int = 1
    plots: Path | None = None
    manifest: Path = MANIFEST
    seldnet: Path | None = None


def build_seld(data: Path, size: str = "full", manifest: Path = MANIFEST) -> SeldBench:
    """Make the scenes from stems; the same stems give the same ones, sample for sample."""
    definition = load_manifest(manifest)[NAME]
    sizes, seed = definition["sizes"][size], int(definition["seed"])
    shards = open_stems(data)
    scenes = draw_scenes(shards, sizes["scenes"], sizes["duration_s"], seed)
    audio = (mix_scene(shards, s) for s in track(scenes, description="scenes", console=Console(stderr=True)))
    return SeldBench(size, shards, scenes, contents_of(shards, (scene.scene for scene in scenes), audio))


def freeze_seld(data: Path, manifest: Path = MANIFEST) -> list[Verdict]:
    """Write the hashes of all sizes into the manifest."""
    return freeze_all(NAME, lambda size: build_seld(data, size, manifest).contents, manifest)


def export_seld(request: SeldRequest, folder: Path) -> dict[str, Any]:
    """Write ``audio/SCENE.wav``, ``truth/SCENE.csv`` (DCASE 2024) and ``classes.csv``.

    Raises
    ------
    UsageError
        The folder cannot be written.
    """
    bench = build_seld(request.data, request.size, request.manifest)
    try:
        for name in ("audio", "truth"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        write_classes(folder / "classes.csv")
        for scene in bench.scenes:
            samples = mix_scene(bench.shards, scene)
            soundfile.write(folder / "audio" / f"{scene.id}.wav", samples.T, SAMPLE_RATE_HZ, subtype="PCM_16")
            write_table(folder / "truth" / f"{scene.id}.csv", scene.truth())
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
    return {**_identity(bench, request.manifest), "items": str(folder)}


def write_table(path: Path, table: FrameTable) -> None:
    """Write a table as DCASE 2024 has it: whole degrees and centimetres, ordered by frame, no heading."""
    columns = (table.frame, table.class_id, table.source, table.azimuth_deg, table.elevation_deg)
    centimetres = table.distance_m * CENTIMETRES
    rows = zip(*(column.round().astype(int).tolist() for column in (*columns, centimetres)), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))


def run_seld(request: SeldRequest) -> dict[str, Any]:
    """Score a bundle, a baseline, a SELDnet or the csv files of another system.

    Returns
    -------
    dict
        ``hash`` and what it belongs to, ``system``, the figures of `seld_report.report`, ``seconds``.
    """
    if sum(given is not None for given in (request.baseline, request.predictions, request.seldnet)) > 1:
        raise UsageError("--baseline, --predictions and --seldnet: choose one")
    demand_places(plots=request.plots)
    begin_s = time.perf_counter()
    bench = build_seld(request.data, request.size, request.manifest)
    system, predictions = _predictions(request, bench)
    if request.plots is not None:
        _draw(records_of(bench.scenes, predictions), request.plots)
    return {
        **_identity(bench, request.manifest),
        "system": system,
        **report(bench.scenes, predictions),
        "seconds": round(time.perf_counter() - begin_s, 1),
    }


def _identity(bench: SeldBench, manifest: Path) -> dict[str, Any]:
    verdict = check(bench.contents, NAME, bench.size, manifest)
    return {
        **identity(NAME, bench.size, bench.contents, verdict),
        "scenes": len(bench.scenes),
        "audio_s": sum(scene.samples for scene in bench.scenes) / SAMPLE_RATE_HZ,
    }


def _predictions(request: SeldRequest, bench: SeldBench) -> tuple[str, list[FrameTable]]:
    if request.predictions is not None:
        return str(request.predictions), read_tables(request.predictions, bench.scenes)
    audio = (to_float(mix_scene(bench.shards, scene)) for scene in bench.scenes)
    if request.baseline is not None:
        truths = [source for scene in bench.scenes for source in scene.scene["sources"]]
        listen = baseline_listener(request.baseline, truths, request.recordings)
        return request.baseline, [baseline_table(listen, samples) for samples in audio]
    if request.seldnet is not None:
        from earshot.training.benchmark.seldnet_system import SeldnetSystem  # torch, which bundles do not need

        system = SeldnetSystem(request.seldnet)
        shown = track(audio, "hearing", len(bench.scenes), console=Console(stderr=True))
        return system.name, [system.table(samples) for samples in shown]
    heard = hear_scenes(bench.scenes, request.bundle, request.data, request.workers)
    tables = list(track(heard, "hearing", len(bench.scenes), console=Console(stderr=True)))
    return str(request.bundle or "built-in bundle"), tables


def _draw(records: list[dict[str, Any]], folder: Path) -> None:
    from earshot.training.benchmark.plots import plot_azimuth_error, plot_front_back

    plot_azimuth_error(records, folder / "azimuth_error.png")
    plot_front_back(records, folder / "front_back.png")
