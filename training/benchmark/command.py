"""``earshot bench``: score a bundle on unseen heads, rooms, recordings and phrasings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from earshot.training.benchmark.frozen_commands import SeldnetRun, asa, dialogue, seld

app = typer.Typer(help="Score a bundle on held-out scenes.", no_args_is_help=True)
console = Console(stderr=True)
app.command()(asa)
app.command()(seld)
app.command()(dialogue)

BundleArgument = Annotated[Path, typer.Argument(help="Bundle folder.")]
DataOption = Annotated[
    Path, typer.Option(help="Folder of validation stem shards (earshot synth stems --split validation).")
]


@app.command()
def hearing(
    data: DataOption,
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle folder; not needed with --baseline or --seldnet.")
    ] = None,
    singles: Annotated[int, typer.Option(min=10)] = 1000,
    pairs: Annotated[int, typer.Option(min=5)] = 300,
    triples: Annotated[int, typer.Option(min=5, help="Clips of three overlapping sources.")] = 150,
    baseline: Annotated[
        str | None, typer.Option(help="Score gcc, random or majority on the same clips, instead of a bundle.")
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="Folder with hrtf/: the training heads that --baseline gcc looks up.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for plots.")] = None,
    seldnet: SeldnetRun = None,
) -> None:
    """Class, direction and distance of single sources, F1 of overlapping pairs."""
    from earshot.training.benchmark.hearing import run_hearing

    report = run_hearing(bundle, data, singles, pairs, triples, baseline, recordings, plots, seldnet)
    _print_rows("hearing", {name: report[name] for name in ("single", "single_measured", "single_dry", "pairs")})
    _print_rows("a named one of several", {name: report[name] for name in ("named_of_two", "named_of_three")})
    typer.echo(json.dumps(report))


@app.command()
def questions(
    bundle: BundleArgument,
    data: DataOption,
    count: Annotated[int, typer.Option(min=20)] = 510,
    controls: bool = True,
    split: Annotated[str, typer.Option(help="paraphrase (never trained on) or train")] = "paraphrase",
    think: bool = True,
) -> None:
    """Four-option questions with controls."""
    from earshot.training.benchmark.questions import run_questions

    report = run_questions(bundle, data, count, controls, split, think)
    by_task = report["by_task"]
    rows = {"bundle": {k: report[k] for k in ("overall", "L1", "L2", "L3")}, **report.get("controls", {})}
    _print_rows(f"four-option questions, {report['items']} items, hash {report['hash']}", rows)
    _print_rows("by task", by_task)
    typer.echo(json.dumps(report))


@app.command()
def everyday(
    bundle: BundleArgument,
    data: DataOption,
    count: Annotated[int, typer.Option(min=20)] = 500,
) -> None:
    """Questions without options, in words that training never saw."""
    from earshot.training.benchmark.everyday import FIGURES, run_everyday

    report = run_everyday(bundle, data, count)
    title = f"everyday questions, {report['items']} items, hash {report['hash']}"
    _print_rows(title, {name: report[name] for name in FIGURES})
    _print_rows("by kind", report["by_kind"])
    typer.echo(json.dumps(report))


@app.command("real-room")
def real_room(
    data: Annotated[Path, typer.Argument(help="Folder with events/, hrtf/, brir/.")],
    out: Annotated[Path, typer.Argument(help="Folder for recordings, items and truth.")],
    count: Annotated[int, typer.Option(min=1)] = 24,
    answers: Annotated[Path | None, typer.Option(help="Answers of `earshot ask --batch`: prints the table.")] = None,
) -> None:
    """Make recordings through the measured BBC room, or tabulate the answers given about them."""
    from earshot.training.benchmark.real_rooms import make_recordings, table

    if answers is not None:
        typer.echo(table(out, answers))
        return
    items = make_recordings(data, out, count)
    typer.echo(json.dumps({"items": str(items)}))


@app.command()
def turning(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle folder; the built-in one by default.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with events/, hrtf/, ambient/; without it sounds and heads are made by rule."),
    ] = None,
    count: Annotated[int, typer.Option(min=2)] = 200,
    turn_deg: Annotated[float, typer.Option(min=0.0, max=180.0)] = 30.0,
) -> None:
    """Front and back with a still head, and with one that turns."""
    from earshot.training.benchmark.turning import run_turning

    report = run_turning(bundle, data, count, turn_deg)
    rows: dict[str, dict[str, Any] | None] = {
        name: {key: f"{f['value']:.3g} ({f['low']:.3g} to {f['high']:.3g})" for key, f in figures.items()}
        for name, figures in report["figures"].items()
    }
    _print_rows(f"{count} sounds, a turn of {turn_deg:g} degrees, with 95 % intervals", rows)
    typer.echo(json.dumps(report))


@app.command()
def alike(
    bundle: Annotated[Path | None, typer.Argument(help="Bundle folder; the built-in one by default.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with events/, hrtf/, ambient/; without it sounds and heads are made by rule."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Scenes of each kind.")] = 30,
) -> None:
    """Several sources of one class: kept apart or taken for one, and one taken for two."""
    from earshot.training.benchmark.alike import run_alike

    report = run_alike(bundle, data, count)
    _print_rows(f"{count} scenes of each kind", report["figures"])
    typer.echo(json.dumps(report))


@app.command()
def published(
    layout: Annotated[str, typer.Argument(help="twnm (TWNM-FOA) or bat (SpatialSoundQA)")],
    source: Annotated[Path, typer.Argument(help="Metadata file of the set, or (twnm) the folder that holds it.")],
    out: Annotated[Path, typer.Argument(help="Folder for items.jsonl, audio and answers.")],
    bundle: Annotated[Path | None, typer.Option(help="Answer the items with this bundle, and score.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Score these answers (JSONL with id, answer, choice), of any system.")
    ] = None,
    head: Annotated[Path | None, typer.Option(help="SOFA head for ambisonics; by default a sphere.")] = None,
    convention: Annotated[str, typer.Option(help="Ambisonic channels: ambix, n3d or fuma.")] = "ambix",
    audio: Annotated[Path | None, typer.Option(help="bat: folder of AudioSet clips.")] = None,
    reverbs: Annotated[Path | None, typer.Option(help="bat: folder of binaural responses.")] = None,
    think: bool = True,
) -> None:
    """Read a published question set, answer it, score the answers."""
    from earshot.training.benchmark.published_run import Request, prepare, run_published

    request = Request(layout, source, out, head, convention, audio, reverbs)
    if bundle is None and predictions is None:
        typer.echo(json.dumps({"items": str(prepare(request))}))
        return
    report = run_published(request, bundle, predictions, think)
    rows = {"all": report["overall"], **{k: v["accuracy"] for k, v in report["by_level"].items()}}
    _print_rows(f"{layout}, {report['items']} items, {report['not_judged']} not judged", rows)
    _print_rows("by task", {name: {"items": v["items"], **v["accuracy"]} for name, v in report["by_task"].items()})
    typer.echo(json.dumps(report))


def _print_rows(title: str, rows: dict[str, dict[str, Any] | None]) -> None:
    filled = {name: row for name, row in rows.items() if row}
    columns = list(dict.fromkeys(key for row in filled.values() for key in row))
    table = Table(title=title)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in filled.items():
        table.add_row(name, *(_cell(row.get(column)) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
