"""The events manifest: rows of collections, checked against their audio, written as one csv file."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from earshot.runtime.errors import InputError
from earshot.training.synthesis.events import SHORTEST_S, SILENT
from earshot.training.synthesis.excerpts import read_excerpt
from earshot.training.synthesis.layout_parts import EventRow, audio_info

COLUMNS = ("path", "cls", "group", "fold", "duration", "licence", "author")
SPAN_COLUMNS = ("start_s", "end_s")
"""Only in manifests that list excerpts."""


def write_manifest(folder: Path, rows: Sequence[EventRow], advance: Callable[[], None] = lambda: None) -> Path:
    """Add rows to ``folder/manifest.csv``; rows of files that it lists already, all their excerpts too, are replaced.

    Parameters
    ----------
    folder : Path
        Folder of the manifest; paths in it are relative to this folder.
    rows : sequence of EventRow
        Every file is opened: its length goes into the manifest.
    advance : callable
        Called after each file.

    Raises
    ------
    InputError
        A file cannot be read as audio, an excerpt is not within its file, or a group is already in another fold of the
        manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "manifest.csv"
    listed = {_place(entry): entry for entry in _listed(target)}
    fold_of = {row["group"]: row["fold"] for row in listed.values()}
    fresh: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        entry = _entry(folder, row)
        if fold_of.setdefault(row.group, entry["fold"]) != entry["fold"]:
            raise InputError(f"{row.path}: its group {row.group!r} is in fold {fold_of[row.group]} of {target} already")
        fresh[_place(entry)] = entry
        advance()
    replaced = {entry["path"] for entry in fresh.values()}
    kept = [entry for entry in listed.values() if entry["path"] not in replaced]
    _write(target, sorted([*kept, *fresh.values()], key=_order))
    return target


def without_shared(folder: Path, rows: Sequence[EventRow]) -> list[EventRow]:
    """Rows but those of recordings that the manifest lists in another fold already, brought by another collection.

    ESC-50 and FSD50K both took clips from Freesound; the first names it in its groups, the second in its files.
    """
    fold_of = {_freesound(entry["path"], entry["group"]): entry for entry in _listed(folder / "manifest.csv")}
    kept = []
    for row in rows:
        other = fold_of.get(_freesound(str(row.path), row.group))
        same_collection = other is None or Path(other["path"]).parent.name == row.path.parent.name
        if other is None or same_collection or other["fold"] == str(row.fold):
            kept.append(row)
    return kept


def _freesound(path: str, group: str) -> str:
    """Name of a recording by its number on Freesound, as ESC-50 names groups; the path where there is none."""
    if group.startswith("freesound-"):
        return group
    found = re.search(r"FSD50K\.(?:dev|eval)_audio[\\/](\d+)\.", path)
    return f"freesound-{found[1]}" if found else path


def _place(entry: dict[str, str]) -> tuple[str, ...]:
    """What an entry speaks of: a file, or a part of it."""
    return entry["path"], *(entry.get(column) or "" for column in SPAN_COLUMNS)


def _order(entry: dict[str, str]) -> tuple[str, ...]:
    """Sorts by class, file and start; the decimals of all starts are as many, so their text does it."""
    return entry["cls"], entry["path"], (entry.get("start_s") or "").rjust(12)


def _write(target: Path, entries: Sequence[dict[str, str]]) -> None:
    columns = COLUMNS + (SPAN_COLUMNS if any(entry.get("start_s") for entry in entries) else ())
    partial = target.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries)
    partial.replace(target)


def audible(row: EventRow) -> bool:
    """Whether an excerpt holds a sound: what is annotated of a video may be muted. Whole files are not listened to.

    Raises
    ------
    InputError
        The excerpt cannot be read as audio.
    """
    if row.span_s is None:
        return True
    try:
        samples, _ = read_excerpt(row.path, *row.span_s)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{row.path}: cannot be read as audio ({error})") from error
    return bool(len(samples) and np.isfinite(samples).all() and np.abs(samples).max() >= SILENT)


def summary(rows: Sequence[EventRow]) -> dict[str, int]:
    """How many clips of each class, most frequent first."""
    return dict(Counter(row.key for row in rows).most_common())


def _listed(target: Path) -> list[dict[str, str]]:
    if not target.is_file():
        return []
    with target.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"path", "cls", "group", "fold"} <= set(reader.fieldnames or ()):
            raise InputError(f"{target}: not an events manifest; expected columns {','.join(COLUMNS)}")
        return list(reader)


def _entry(folder: Path, row: EventRow) -> dict[str, str]:
    file_s = audio_info(row.path).duration_s
    start_s, end_s = row.span_s or (0.0, file_s)
    if end_s > file_s:
        raise InputError(f"{row.path}: ends at {file_s:.3f} s, before the end of its excerpt at {end_s:.3f} s")
    if end_s - start_s < SHORTEST_S - 1e-6:
        raise InputError(f"{row.path}: {end_s - start_s:.3f} s of audio; a clip has at least {SHORTEST_S} s")
    entry = {
        "path": os.path.relpath(row.path, folder.resolve()),
        "cls": row.key,
        "group": row.group,
        "fold": str(row.fold),
        "duration": f"{end_s - start_s:.3f}",
        "licence": row.licence,
        "author": row.author,
    }
    return entry if row.span_s is None else entry | {"start_s": f"{start_s:.3f}", "end_s": f"{end_s:.3f}"}
