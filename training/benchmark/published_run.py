"""From a downloaded question set to a score: read, render, ask, judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from earshot.runtime.errors import UsageError
from earshot.training.benchmark.ambisonics import CONVENTIONS, ear_filters
from earshot.training.benchmark.answers import score_answers
from earshot.training.benchmark.published import Published, read_bat, read_twnm, write_items
from earshot.training.synthesis.heads import load_sofa, parametric_head

SPHERE_SEED = 1000


@dataclass(frozen=True)
class Request:
    """What to read and where to put it.

    Attributes
    ----------
    layout : {"twnm", "bat"}
    source : Path
        Metadata file, or the folder that holds it.
    out : Path
        Folder for ``items.jsonl``, ``audio/`` and ``answers.jsonl``.
    head : Path, optional
        SOFA head through which ambisonics are heard; by default a spherical one made by rule.
    convention : {"ambix", "n3d", "fuma"}
    audio, reverbs : Path, optional
        Folders of SpatialSoundQA.
    """

    layout: str
    source: Path
    out: Path
    head: Path | None = None
    convention: str = "ambix"
    audio: Path | None = None
    reverbs: Path | None = None


def prepare(request: Request) -> Path:
    """Write items and audio; returns the items file."""
    return write_items(iter(track(_read(request), description="rendering", console=Console(stderr=True))), request.out)


def run_published(
    request: Request, bundle: Path | None, predictions: Path | None, think: bool = True
) -> dict[str, Any]:
    """Score a bundle, or the answers of any system, on a published set; the report of `score_answers`.

    A bundle's answers are kept in ``answers.jsonl`` of the output folder, which must not be there yet.
    """
    items = prepare(request)
    answers = predictions
    if answers is None:
        from earshot.runtime.interfaces.asking import Asker
        from earshot.runtime.interfaces.commands.ask import answer_batch

        answers = request.out / "answers.jsonl"
        if answers.exists():
            raise UsageError(f"{answers} is there already; score it with --predictions, or name another folder")
        answer_batch(Asker(bundle, think=think), items, answers)
    report = score_answers(items, answers)
    return {"layout": request.layout, "bundle": str(bundle) if predictions is None else None, **report}


def _read(request: Request) -> list[Published]:
    return list(_entries(request))


def _entries(request: Request) -> Iterator[Published]:
    if request.layout == "twnm":
        if request.convention not in CONVENTIONS:
            raise UsageError(f"--convention {request.convention}: choose {', '.join(CONVENTIONS)}")
        sphere = parametric_head(np.random.default_rng(SPHERE_SEED), f"sphere-{SPHERE_SEED}")
        head = sphere if request.head is None else load_sofa(request.head)
        return read_twnm(request.source, ear_filters(head), request.convention)  # type: ignore[arg-type]
    if request.layout == "bat":
        if request.audio is None or request.reverbs is None:
            raise UsageError("bat needs --audio (AudioSet clips) and --reverbs (binaural responses)")
        return read_bat(request.source, request.audio, request.reverbs)
    raise UsageError(f"layout {request.layout!r}: choose twnm or bat")
