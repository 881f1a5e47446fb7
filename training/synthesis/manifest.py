"""The events manifest: rows of collections, checked against their audio, written as one csv file."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from earshot.runtime.errors import InputError
from earshot.training.synthesis.events import SHORTEST_S
from earshot.training.synthesis.layouts import EventRow

COLUMNS = ("path", "cls", "group", "fold", "duration", "licence", "author")


def write_manifest(folder: Path, rows: Sequence[EventRow], advance: Callable[[], None] = lambda: None) -> Path:
    """Add rows to ``folder/manifest.csv``; rows of files that it lists already are replaced.

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
        A file cannot be read as audio, or a group is already in another fold of the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "manifest.csv"
    listed = {row["path"]: row for row in _listed(target)}
    fold_of = {row["group"]: row["fold"] for row in listed.values()}
    for row in rows:
        entry = _entry(folder, row)
        if fold_of.setdefault(row.group, entry["fold"]) != entry["fold"]:
            raise InputError(f"{row.path}: its group {row.group!r} is in fold {fold_of[row.group]} of {target} already")
        listed[entry["path"]] = entry
        advance()
    partial = target.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(listed.values(), key=lambda entry: (entry["cls"], entry["path"])))
    partial.replace(target)
    return target


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
    try:
        info = soundfile.info(row.path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{row.path}: cannot be read as audio ({error})") from error
    if info.duration < SHORTEST_S:
        raise InputError(f"{row.path}: {info.duration:.3f} s of audio; a clip has at least {SHORTEST_S} s")
    return {
        "path": os.path.relpath(row.path, folder.resolve()),
        "cls": row.key,
        "group": row.group,
        "fold": str(row.fold),
        "duration": f"{info.duration:.3f}",
        "licence": row.licence,
        "author": row.author,
    }
