"""`earshot ask`: one question about a recording, or a batch of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.asking import Asker, AskResult
from earshot.runtime.interfaces.batch import BatchCounts, BatchItem, read_items, run_batch
from earshot.runtime.interfaces.outputs import check_out
from earshot.runtime.scene.sources import SourceEstimate
from earshot.runtime.scene.words import direction_words, distance_words


def ask(
    audio: Annotated[Path | None, typer.Argument(help="Binaural WAV, FLAC or OGG file, left ear first.")] = None,
    question: Annotated[str | None, typer.Argument(help="For example: 'Where is the dog?'")] = None,
    choices: Annotated[
        list[str] | None, typer.Option(help="An option to choose from; give it two to eight times.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    no_think: Annotated[bool, typer.Option("--no-think", help="Answer without writing evidence first.")] = False,
    batch: Annotated[Path | None, typer.Option(help="JSONL file of items to answer.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSONL file of answers; continued if it exists.")] = None,
) -> None:
    """Answer a question about a recording, or a file of questions."""
    asker = Asker(bundle, think=not no_think)
    if batch is not None or out is not None:
        if batch is None or out is None:
            raise UsageError("a batch needs both --batch ITEMS and --out ANSWERS")
        if audio is not None or choices:
            raise UsageError("a batch takes audio, question and choices from its items")
        _tell_counts(answer_batch(asker, batch, out), out, as_json)
    else:
        if audio is None or question is None:
            raise UsageError("give AUDIO and QUESTION, or --batch ITEMS --out ANSWERS")
        asker.load()
        _tell(asker.ask(audio, question, choices or None, item_id=_id_of(audio)), as_json)
        asker.close()


def answer_batch(asker: Asker, batch: Path, out: Path) -> BatchCounts:
    """Answer the items of a file with one load of the model; a progress bar goes to stderr.

    Raises
    ------
    EarshotError
        When the items, the answer file or the bundle cannot be used. A bad item is no error.
    """
    check_out(out, batch)
    items = read_items(batch)
    asker.load()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("answering", total=len(items))

        def answer(item: BatchItem) -> dict[str, Any]:
            audio = batch.parent / item.audio
            return asker.ask(audio, item.question, item.choices, item.id).document()

        counts = run_batch(items, out, answer, lambda: progress.advance(task))
    asker.close()
    return counts


def _tell(result: AskResult, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.document()))
        return
    typer.echo(result.answer)
    for doubt in result.doubts:
        typer.echo(f"  not certain: {doubt}")
    for source in result.sources:
        typer.echo(f"  heard {_words(source)}")
    timing = result.timing
    heard = f"{timing.audio_s:.1f} s of audio heard in {timing.hearing_s:.2f} s"
    typer.echo(f"  {heard}, answered in {timing.answer_s:.2f} s")


def _id_of(audio: Path) -> str:
    """The name of a file as any JSON parser takes it: bytes that are not UTF-8 stand there as escapes."""
    return audio.stem.encode("utf-8", "backslashreplace").decode("utf-8")


def _words(source: SourceEstimate) -> str:
    place = f"{direction_words(source.azimuth_deg, source.elevation_deg)}, {distance_words(source.distance_m)}"
    return f"{source.label}: {place}, {source.onset_s:.1f}-{source.offset_s:.1f} s ({source.confidence:.0%})"


def _tell_counts(counts: BatchCounts, out: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**vars(counts), "out": str(out)}))
        return
    skipped = f", {counts.skipped} were there already" if counts.skipped else ""
    typer.echo(f"{counts.answered} answered, {counts.failed} failed{skipped}: {out}")
