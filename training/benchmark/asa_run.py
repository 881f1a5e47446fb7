"""ASA-bench from the stems to the report: build, check against what is frozen, examine or read answers, score."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import UsageError
from earshot.training.benchmark.answers import demand_places, save_answers
from earshot.training.benchmark.asa_baselines import baseline_lines
from earshot.training.benchmark.asa_clips import AsaClip, draw_clips, mix
from earshot.training.benchmark.asa_examinee import examine, jobs_of
from earshot.training.benchmark.asa_export import export_items, read_predictions
from earshot.training.benchmark.asa_items import AsaItems, make_asa_items
from earshot.training.benchmark.asa_probes import Controls, Probe, probes_of
from earshot.training.benchmark.asa_report import counts_of, letters_of, question_records, score
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
from earshot.training.benchmark.stems import open_stems
from earshot.training.synthesis.dataset import Shard

NAME = "asa"
Lines = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class AsaBench:
    """The whole benchmark of one size on one set of stems."""

    size: str
    shards: list[Shard]
    clips: list[AsaClip]
    items: AsaItems
    contents: Contents


@dataclass(frozen=True)
class AsaRequest:
    """What is to be done.

    Attributes
    ----------
    data : Path
        Folder of stem shards.
    size : {"full", "quick"}
    bundle : Path or None
        None for the built-in one.
    baseline, predictions : optional
        Score a baseline, or a file of answers, instead of a bundle.
    recordings : Path, optional
        Training heads of the ``gcc`` baseline.
    controls : Controls
    think : bool
    workers : int
        Processes.
    answers, plots : Path, optional
        Where to keep a bundle's answers (JSON lines), and plots.
    manifest : Path
    cascade : Path, optional
        Folder of ``earshot train cascade``: score its language model, told in text what the bundle's encoders hear.
    """

    data: Path
    size: str = "full"
    bundle: Path | None = None
    baseline: str | None = None
    predictions: Path | None = None
    recordings: Path | None = None
    controls: Controls = field(default_factory=Controls)
    think: bool = True
    workers: int = 1
    answers: Path | None = None
    plots: Path | None = None
    manifest: Path = MANIFEST
    cascade: Path | None = None


def build_asa(data: Path, size: str = "full", manifest: Path = MANIFEST) -> AsaBench:
    """Make the benchmark from stems; the same stems give the same one, sample for sample."""
    definition = load_manifest(manifest)[NAME]
    sizes, seed = definition["sizes"][size], int(definition["seed"])
    shards = open_stems(data)
    clips = draw_clips(shards, sizes["clips"], seed)
    items = make_asa_items(clips, sizes, seed)
    audio = (mix(shards, clip) for clip in track(clips, description="clips", console=Console(stderr=True)))
    # A clip's truth is hashed with the questions: an unasked one is heard as the "other scene".
    documents = [*(clip.scene for clip in clips), *(item.to_json() for item in items)]
    return AsaBench(size, shards, clips, items, contents_of(shards, documents, audio))


def freeze_asa(data: Path, manifest: Path = MANIFEST) -> list[Verdict]:
    """Write the hashes of all sizes into the manifest."""
    return freeze_all(NAME, lambda size: build_asa(data, size, manifest).contents, manifest)


def export_asa(request: AsaRequest, folder: Path) -> dict[str, Any]:
    """Write items and audio for other systems."""
    bench = build_asa(request.data, request.size, request.manifest)
    probes = probes_of(bench.items, bench.clips, request.controls)
    items = export_items(folder, probes, bench.clips, bench.shards)
    return {**_identity(bench, request.manifest), "items": str(items)}


def run_asa(request: AsaRequest) -> dict[str, Any]:
    """Score a bundle, a baseline or a file of answers.

    Returns
    -------
    dict
        ``hash`` and what it belongs to, ``system``, the figures of `asa_report.score`, ``seconds``.
    """
    if sum(given is not None for given in (request.baseline, request.predictions, request.cascade)) > 1:
        raise UsageError("--baseline, --predictions and --cascade: choose one")
    demand_places(request.answers, request.plots)
    begin_s = time.perf_counter()
    bench = build_asa(request.data, request.size, request.manifest)
    probes = probes_of(bench.items, bench.clips, request.controls)
    system, lines = _lines(request, bench, probes)
    if request.plots is not None:
        _draw(bench, lines, request.plots)
    return {
        **_identity(bench, request.manifest),
        "system": system,
        "think": request.think,
        "letters": letters_of(bench.items),
        **score(bench.items, bench.clips, probes, lines),
        "seconds": round(time.perf_counter() - begin_s, 1),
    }


def _identity(bench: AsaBench, manifest: Path) -> dict[str, Any]:
    verdict = check(bench.contents, NAME, bench.size, manifest)
    return {
        **identity(NAME, bench.size, bench.contents, verdict),
        "clips": len(bench.clips),
        "questions": counts_of(bench.items),
    }


def _lines(request: AsaRequest, bench: AsaBench, probes: list[Probe]) -> tuple[str, Lines]:
    if request.predictions is not None:
        return str(request.predictions), read_predictions(request.predictions, probes)
    if request.baseline is not None:
        definition = load_manifest(request.manifest)[NAME]
        prior = make_asa_items(bench.clips, definition["sizes"][bench.size], int(definition["seed"]) + 1)
        return request.baseline, baseline_lines(request.baseline, bench, prior, request.recordings)
    jobs = jobs_of(probes, bench.clips)
    if request.cascade is None:
        answers = examine(jobs, request.bundle, request.data, request.think, request.workers)
    else:
        from earshot.training.benchmark.asa_cascade import examine_cascade  # torch, which bundles do not need

        answers = examine_cascade(jobs, request.bundle, request.data, request.cascade, request.think)
    lines: Lines = {}
    for part in track(answers, "answers", len(jobs), console=Console(stderr=True)):
        lines.update({line["id"]: line for line in part})
    if request.answers is not None:
        save_answers(request.answers, (lines[name] for name in sorted(lines)), make_folder=True)
    name = str(request.bundle or "built-in bundle")
    return name if request.cascade is None else f"{request.cascade}, told what {name} hears", lines


def _draw(bench: AsaBench, lines: Lines, folder: Path) -> None:
    from earshot.training.benchmark.plots import plot_accuracy_by_task

    of_scene = {clip.id: clip.origin for clip in bench.clips}
    plot_accuracy_by_task(question_records(bench.items.choice, of_scene, lines), folder / "accuracy_by_task.png")
