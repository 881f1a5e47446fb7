"""``earshot bench asa``, ``seld`` and ``dialogue``: the frozen benchmarks on the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from earshot.runtime.errors import UsageError

if TYPE_CHECKING:
    from earshot.training.benchmark.frozen import Verdict

console = Console(stderr=True)

Bundle = Annotated[Path | None, typer.Argument(help="Bundle folder; by default the built-in one.")]
Data = Annotated[
    Path,
    typer.Option(
        help="Folder of validation stems (`earshot synth stems DIR --split validation`, with or without recordings)."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="A small benchmark of the same kind, in about a minute.")]
Freeze = Annotated[bool, typer.Option("--freeze", help="Only write the hashes of these stems into frozen.json.")]
Export = Annotated[Path | None, typer.Option(help="Only write items and audio into this folder, for other systems.")]
Baseline = Annotated[str | None, typer.Option(help="Score gcc, random or majority instead of a bundle.")]
Recordings = Annotated[
    Path | None, typer.Option(help="Folder with hrtf/: the training heads that --baseline gcc looks up.")
]
Plots = Annotated[Path | None, typer.Option(help="Folder for plots.")]
SeldnetRun = Annotated[Path | None, typer.Option("--seldnet", help="Score the network of this `train seldnet` run.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes; each loads the bundle.")]
WORKERS = min(2, os.cpu_count() or 1)


def asa(
    data: Data,
    bundle: Bundle = None,
    quick: Quick = False,
    freeze: Freeze = False,
    export_items: Export = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these answers (JSON lines with id, answer, choice) of any system.")
    ] = None,
    baseline: Baseline = None,
    recordings: Recordings = None,
    answers: Annotated[Path | None, typer.Option(help="Keep the bundle's answers in this file.")] = None,
    plots: Plots = None,
    workers: Workers = WORKERS,
    think: bool = True,
    controls: Annotated[bool, typer.Option(help="--no-controls switches all six off.")] = True,
    ear_swap: Annotated[bool, typer.Option(help="Control: ears exchanged, answers mirrored.")] = True,
    rotations: Annotated[bool, typer.Option(help="Control: options in all four rotations.")] = True,
    question_only: Annotated[bool, typer.Option(help="Control: no audio.")] = True,
    spatial_zeroed: Annotated[bool, typer.Option(help="Control: no directions, distances, room.")] = True,
    semantic_zeroed: Annotated[bool, typer.Option(help="Control: not told what sounds.")] = True,
    other_scene: Annotated[bool, typer.Option(help="Control: the audio of another clip.")] = True,
    cascade: Annotated[
        Path | None,
        typer.Option(help="Score this `train cascade` folder, told in text what the bundle hears; in one process."),
    ] = None,
) -> None:
    """ASA-bench: 1,000 four-option questions, 300 free ones, 200 about absent sounds; with controls."""
    from earshot.training.benchmark.asa_probes import Controls
    from earshot.training.benchmark.asa_run import AsaRequest, export_asa, freeze_asa, run_asa
    from earshot.training.benchmark.tables import asa_tables

    switches = (ear_swap, rotations, question_only, spatial_zeroed, semantic_zeroed, other_scene)
    request = AsaRequest(
        data, _size(quick), bundle, baseline, predictions, recordings,
        Controls(*switches) if controls else Controls.none(), think, workers, answers, plots, cascade=cascade,
    )  # fmt: skip
    _refuse_both(freeze, export_items)
    if freeze:
        _tell_frozen(freeze_asa(data))
        return
    if export_items is not None:
        _tell_exported(export_asa(request, export_items))
        return
    report = run_asa(request)
    asa_tables(console, report)
    typer.echo(json.dumps(report))


def seld(
    data: Data,
    bundle: Bundle = None,
    quick: Quick = False,
    freeze: Freeze = False,
    export_items: Export = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score the tracks in this folder: one DCASE 2024 csv per scene (SCENE.csv).")
    ] = None,
    baseline: Baseline = None,
    recordings: Recordings = None,
    plots: Plots = None,
    workers: Workers = WORKERS,
    seldnet: SeldnetRun = None,
) -> None:
    """Continuous scenes: DCASE figures of the tracks, and how well static sources are placed."""
    from earshot.training.benchmark.seld_run import SeldRequest, export_seld, freeze_seld, run_seld
    from earshot.training.benchmark.tables import seld_tables

    request = SeldRequest(
        data, _size(quick), bundle, baseline, predictions, recordings, workers, plots, seldnet=seldnet
    )
    _refuse_both(freeze, export_items)
    if freeze:
        _tell_frozen(freeze_seld(data))
        return
    if export_items is not None:
        _tell_exported(export_seld(request, export_items))
        return
    report = run_seld(request)
    seld_tables(console, report)
    typer.echo(json.dumps(report))


def dialogue(
    data: Data,
    bundle: Bundle = None,
    quick: Quick = False,
    freeze: Freeze = False,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these answers (JSON lines with id, answer) of any system.")
    ] = None,
    answers: Annotated[Path | None, typer.Option(help="Keep the bundle's answers in this file.")] = None,
    think: bool = True,
    controls: Annotated[bool, typer.Option(help="Controls: follow-ups as full questions; no audio.")] = True,
) -> None:
    """Conversations: follow-ups like "and the other one?", clock-face and compass words."""
    from earshot.training.benchmark.dialogue_run import DialogueRequest, freeze_dialogue, run_dialogue
    from earshot.training.benchmark.tables import dialogue_tables

    if freeze:
        _tell_frozen(freeze_dialogue(data))
        return
    report = run_dialogue(DialogueRequest(data, _size(quick), bundle, predictions, think, controls, answers))
    dialogue_tables(console, report)
    typer.echo(json.dumps(report))


def _size(quick: bool) -> str:
    return "quick" if quick else "full"


def _refuse_both(freeze: bool, export_items: Path | None) -> None:
    if freeze and export_items is not None:
        raise UsageError("--freeze and --export-items: choose one")


def _tell_frozen(verdicts: list[Verdict]) -> None:
    lines = [verdict.line for verdict in verdicts]
    for line in lines:
        console.print(line)
    typer.echo(json.dumps({"frozen": lines}))


def _tell_exported(report: dict[str, Any]) -> None:
    console.print(report["verdict"])
    typer.echo(json.dumps(report))
