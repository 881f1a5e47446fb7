"""`earshot profile`: how fast the listener is on this machine, stage by stage."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from earshot.runtime.audio.file import FileSource
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.features import SAMPLE_RATE_HZ
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.measure import Profile, Samples, measure

NOISE_S = 12.0


def profile(
    audio: Annotated[Path | None, typer.Argument(help="Binaural file; noise is made without one.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    board: Annotated[str, typer.Option(help="Only 'host', this machine, can be measured here.")] = "host",
    json: Annotated[bool, typer.Option("--json", help="The JSON document only.")] = False,
) -> None:
    """Measure speed and memory; the last line is one JSON document."""
    if board != "host":
        raise UsageError(f"--board {board}: only this machine can be measured; use --board host")
    samples = read_samples(audio) if audio else make_noise(NOISE_S)
    result = measure(lambda: open_encoders(bundle), samples)
    if not json:
        Console().print(table_of(result))
    typer.echo(json_module.dumps({"board": board, **result.as_dict()}))


def read_samples(audio: Path) -> Samples:
    """A whole file as float32 [2, n] at 16 kHz."""
    with FileSource(audio) as source:
        return np.concatenate([chunk.samples for chunk in source], axis=1)


def make_noise(duration_s: float) -> Samples:
    """Seeded noise in both ears, float32 [2, n], that swells and fades so that sources come and go."""
    count = round(duration_s * SAMPLE_RATE_HZ)
    swell = 0.1 * np.sin(np.pi * np.arange(count) / SAMPLE_RATE_HZ) ** 2
    return np.asarray(np.random.default_rng(0).standard_normal((2, count)) * swell, np.float32)


def table_of(result: Profile) -> Table:
    """The figures for people."""
    table = Table(title=f"{result.audio_s:.1f} s of audio, hops of {1000 * result.hop_s:.0f} ms, one thread")
    for heading in ("stage", "median ms", "95 % ms"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, spread in result.stages.items():
        table.add_row(name, f"{spread.p50_ms:.3f}", f"{spread.p95_ms:.3f}")
    hearing = result.hearing
    table.add_row("hearing, all", f"{hearing.p50_ms:.3f}", f"{hearing.p95_ms:.3f}", end_section=True)
    for name, figure in _figures(result):
        table.add_row(name, figure, "")
    return table


def _figures(result: Profile) -> list[tuple[str, str]]:
    return [
        ("hearing, part of real time", f"{result.realtime_factor:.2%}"),
        ("load encoders", f"{result.load_s:.2f} s"),
        ("cold start to first frame", f"{result.cold_start_s:.2f} s"),
        ("load language model", f"{result.llm_load_s:.2f} s"),
        ("question to first token", f"{1000 * result.first_token_s:.0f} ms"),
        ("question to full answer", f"{1000 * result.answer_s:.0f} ms"),
        ("memory, high-water", f"{result.peak_memory_mb:.0f} MB"),
    ]
