"""What all stage commands take and how they run: options, a bar on standard error, the last record as JSON, errors in one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from earshot.runtime.errors import EarshotError, InputError, UsageError

RunDir = Annotated[Path, typer.Option("--run", help="Run directory; every stage has a folder in it.")]
Minutes = Annotated[float, typer.Option(help="Wall time of the whole stage, over all resumed runs.", min=0.01)]
Steps = Annotated[int | None, typer.Option(help="End after this many steps instead.", min=1)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the run directory.")]
Threads = Annotated[int, typer.Option(help="Threads of the matrix products.", min=1)]
Precision = Annotated[str, typer.Option(help="auto (times both), bf16 or fp32.")]
LearningRate = Annotated[float, typer.Option(min=1e-6, max=10.0)]
Seed = Annotated[int, typer.Option(help="Seed of weights and questions.", min=0, max=2**32 - 1)]


def prepare(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
        force=True,
    )


def spared(folder: Path, resume: bool) -> Path:
    """The folder of a stage, unless it holds a checkpoint that the stage would write over: then one line, and the end."""
    from earshot.training.stages.checkpoint import has_state

    if not resume and has_state(folder):
        fail(UsageError(f"{folder} holds a checkpoint: --resume goes on from it; to begin anew name another --run"))
    return folder


def checked_precision(precision: str) -> str:
    if precision not in ("auto", "bf16", "fp32"):
        fail(UsageError(f"--precision {precision}: choose auto, bf16 or fp32"))
    return precision


def readable(records: Iterator[dict[str, float]]) -> Iterator[dict[str, float]]:
    """A missing checkpoint or bank is the user's to fix: say so in one line."""
    try:
        yield from records
    except FileNotFoundError as error:
        raise InputError(str(error)) from error


def follow(stage: str, records: Iterator[dict[str, float]]) -> None:
    """Show progress; the last line on stdout is the last record as JSON."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
    )
    last: dict[str, float] = {}
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task(stage, total=1.0)
            for last in records:
                progress.update(bar, completed=last["share"], description=f"{stage} loss {last['loss']:.3f}")
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": stage, **last}))


def drain(records: Iterator[dict[str, float]]) -> None:
    """Run without a word; the first process speaks for all."""
    try:
        for _ in records:
            pass
    except EarshotError as error:
        raise typer.Exit(error.exit_code) from error


def fail(error: EarshotError) -> None:
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(error.exit_code)
