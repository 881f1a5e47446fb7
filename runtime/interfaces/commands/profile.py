"""`earshot profile`: how fast the listener is on this machine, stage by stage, or an estimate for a board."""

from __future__ import annotations

import hashlib
import json as json_module
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from earshot.runtime.audio.file import FileSource
from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.bundle.manifest import Manifest
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.hearing.features import FRAME_SAMPLES, SAMPLE_RATE_HZ
from earshot.runtime.interfaces import profile_added, profile_tables
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.measure import Samples
from earshot.runtime.interfaces.profile_added import BOARDS
from earshot.runtime.interfaces.profile_cold import cold_start_s
from earshot.runtime.interfaces.profile_compare import compare as compare_documents
from earshot.runtime.interfaces.profile_compare import other_bundle, other_machine, read_document
from earshot.runtime.interfaces.profile_plot import check_plot, save_plot
from earshot.runtime.interfaces.profile_runs import REPEATS, Document, Plan, processor_name, profile_host
from earshot.runtime.interfaces.profile_suggest import processor_flags
from earshot.runtime.interfaces.profile_suggest import suggest as suggest_from

NOISE_S = 12.0
MAX_THREADS = 64


def profile(
    audio: Annotated[Path | None, typer.Argument(help="Binaural file; noise is made without one.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    board: Annotated[str, typer.Option(help=f"One of {', '.join(BOARDS)}; estimated unless it is this one.")] = "host",
    repeat: Annotated[int, typer.Option(help="Whole runs; figures are their medians.", min=1)] = REPEATS,
    threads: Annotated[
        str, typer.Option(help="Thread counts to sweep, as 1,2,4; --suggest sweeps up to four by itself.")
    ] = "",
    compare: Annotated[Path | None, typer.Option(help="Earlier output; marks what changed beyond noise.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Say which settings this machine can hold.")] = False,
    alternatives: Annotated[bool, typer.Option("--alternatives", help="Time what one would take instead.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw, PNG, SVG or PDF.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The JSON document only.")] = False,
) -> None:
    """Measure speed and memory; the last line is one JSON document."""
    if board not in BOARDS:
        raise UsageError(f"--board {board}: not known; one of {', '.join(BOARDS)}")
    counts = read_threads(threads)
    old = read_document(compare) if compare else None
    if plot:
        check_plot(plot)
    samples = read_samples(audio) if audio else make_noise(NOISE_S)
    if profile_added.is_here(board, processor_name()):
        swept = counts or (default_threads(os.cpu_count() or 1) if suggest else ())
        plan = Plan(lambda: cold_start_s(bundle), repeat, swept)
        document = _measured(board, bundle, samples, plan, alternatives)
    else:
        given = {"--compare": compare, "--suggest": suggest, "--alternatives": alternatives, "--threads": counts}
        _refuse_for_estimates(board, given)
        document = profile_added.estimate(board, verified_bundle(bundle)[0], samples)
    if suggest:
        document["suggestion"] = asdict(suggest_from(document, processor_flags()))
    if old is not None:
        document["comparison"] = _comparison(old, document)
    if not json:
        _tell(document, old, Console())
    if plot:
        save_plot(document, plot)
    typer.echo(json_module.dumps(document))


def _measured(board: str, bundle: Path | None, samples: Samples, plan: Plan, with_others: bool) -> Document:
    directory, manifest = verified_bundle(bundle)
    document = {"board": board, "kind": "measured", "bundle": _named(manifest)}
    document |= profile_host(lambda: open_encoders(bundle), samples, plan)
    if with_others:
        document["alternatives"] = profile_added.alternatives(directory, samples)
    return document


def _named(manifest: Manifest) -> Document:
    """Which model the figures belong to; the fingerprint is that of its files."""
    files = "".join(manifest.files[name].sha256 for name in sorted(manifest.files))
    return {
        "name": manifest.name,
        "version": manifest.version,
        "llm": manifest.llm.quantization,
        "size_mb": round(sum(entry.size for entry in manifest.files.values()) / 1e6, 2),
        "fingerprint": hashlib.sha256(files.encode()).hexdigest()[:16],
    }


def _refuse_for_estimates(board: str, given: dict[str, Any]) -> None:
    """Options that make no sense without measuring."""
    wrong = [option for option, value in given.items() if value]
    if wrong:
        raise UsageError(f"--board {board} is estimated here: {', '.join(wrong)} must be run on the board itself")


def _comparison(old: Document, new: Document) -> Document:
    changes = compare_documents(old, new)
    return {
        "warning": "; ".join(filter(None, (other_machine(old, new), other_bundle(old, new)))) or None,
        "changes": [asdict(change) for change in changes],
        "regressions": [change.name for change in changes if change.verdict == "regression"],
    }


def _tell(document: Document, old: Document | None, console: Console) -> None:
    profile_tables.show(document, console)
    if old is not None:
        console.print(profile_tables.comparison_table(compare_documents(old, document)))
        if warning := document["comparison"]["warning"]:
            console.print(warning)
    for line in document.get("suggestion", {}).get("why", ()):
        console.print(f"- {line}", highlight=False)
    for line in document.get("notes", ()):
        console.print(f"note: {line}", highlight=False)


def read_threads(text: str) -> tuple[int, ...]:
    """Thread counts of ``1,2,4``; none for an empty text.

    Raises
    ------
    UsageError
        For anything but whole numbers from 1 to 64.
    """
    try:
        counts = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise UsageError(f"--threads {text}: give whole numbers with commas, as 1,2,4") from error
    if any(not 1 <= count <= MAX_THREADS for count in counts):
        raise UsageError(f"--threads {text}: each must be from 1 to {MAX_THREADS}")
    return tuple(sorted(set(counts)))


def default_threads(cores: int) -> tuple[int, ...]:
    """Thread counts that advice needs: up to four, for more bring nothing to a model this small."""
    return tuple(range(1, min(cores, 4) + 1))


def read_samples(audio: Path) -> Samples:
    """A whole file as float32 [2, n] at 16 kHz.

    Raises
    ------
    InputError
        When it is shorter than one encoder frame.
    """
    with FileSource(audio) as source:
        pieces = [chunk.samples for chunk in source]
    samples = np.concatenate([np.zeros((2, 0), np.float32), *pieces], axis=1)
    if samples.shape[1] < FRAME_SAMPLES:
        raise InputError(f"{audio}: {samples.shape[1] / SAMPLE_RATE_HZ:.3f} s is too short; a second or more is needed")
    return samples


def make_noise(duration_s: float) -> Samples:
    """Seeded noise in both ears, float32 [2, n], that swells and fades so that sources come and go."""
    count = round(duration_s * SAMPLE_RATE_HZ)
    swell = 0.1 * np.sin(np.pi * np.arange(count) / SAMPLE_RATE_HZ) ** 2
    return np.asarray(np.random.default_rng(0).standard_normal((2, count)) * swell, np.float32)
