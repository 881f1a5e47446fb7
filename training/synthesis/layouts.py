"""Readers of the layouts that sound collections come in: each gives rows of the events manifest.

The manifest (``manifest.csv`` with columns path, cls, group, fold, ...) is what
:class:`earshot.training.synthesis.events.ManifestLibrary` reads. Folds 1 to 3 are for training, fold 4 for validation,
fold 5 is left for tests; a group (same source recording, same uploader, same speaker) is never split over folds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.class_names import fsd50k_key, known_class
from earshot.training.synthesis.layout_audioset import audioset
from earshot.training.synthesis.layout_parts import (
    AUDIO_SUFFIXES,
    TEST_FOLD,
    VALIDATION_FOLD,
    EventRow,
    existing_file,
    hashed,
    table_rows,
    training_fold,
)
from earshot.training.synthesis.layout_spatial import starss, tau_nigens_2020, tau_nigens_2021

# Labels of a clip include the ancestors of what is heard; these two of the label table are ancestor and descendant.
FSD50K_ANCESTORS = {"crickets": "insects_flying"}


def read_layout(name: str, root: Path) -> list[EventRow]:
    """Rows of a collection in one of the layouts of `LAYOUTS`.

    Raises
    ------
    UsageError
        No such layout.
    InputError
        A file is missing or breaks the layout, or no clip is of a known class.
    """
    if name not in LAYOUTS:
        raise UsageError(f"layout {name!r}: choose {', '.join(LAYOUTS)}")
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder of the {name} collection")
    rows = list(LAYOUTS[name](root.resolve()))
    if not rows:
        raise InputError(f"{root}: no clip of a known class in layout {name!r}; is this the collection's own folder?")
    return whole_groups(rows)


def whole_groups(rows: list[EventRow]) -> list[EventRow]:
    """Put every clip of a group into the first fold in which the group appears."""
    fold_of: dict[str, int] = {}
    for row in rows:
        fold_of.setdefault(row.group, row.fold)
    return [replace(row, fold=fold_of[row.group]) for row in rows]


def esc50(root: Path) -> Iterator[EventRow]:
    """ESC-50 (Piczak 2015): ``meta/esc50.csv`` with filename,fold,target,category,esc10,src_file,take and ``audio/``."""
    table = root / "meta" / "esc50.csv"
    for number, row in table_rows(table, ("filename", "fold", "category", "src_file")):
        path = existing_file(root / "audio" / row["filename"], table, number)
        if row["fold"] not in {"1", "2", "3", "4", "5"}:
            raise InputError(f"{table}, line {number}: fold {row['fold']!r} is none of 1 to 5")
        key = known_class(row["category"], f"{table}, line {number}")
        licence = "CC BY 3.0 (ESC-10)" if row.get("esc10") == "True" else "CC BY-NC 3.0 (ESC-50)"
        yield EventRow(path, key, f"freesound-{row['src_file']}", int(row["fold"]), licence)


def fsd50k(root: Path) -> Iterator[EventRow]:
    """FSD50K (Fonseca et al. 2022): ``FSD50K.ground_truth/{dev,eval}.csv``, ``FSD50K.{dev,eval}_audio/FNAME.wav``.

    Clips with labels of exactly one known class are taken. Groups are uploaders where ``FSD50K.metadata`` is present,
    else single clips; the training part goes to folds 1 to 3, its validation part to 4, the evaluation set to 5.
    """
    found = False
    for part in ("dev", "eval"):
        table = root / "FSD50K.ground_truth" / f"{part}.csv"
        if part == "eval" and found and not table.is_file():
            return
        info = _fsd50k_info(root / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json")
        columns = ("fname", "labels", "split") if part == "dev" else ("fname", "labels")
        for number, row in table_rows(table, columns):
            found = True
            split = row.get("split", "test") if part == "dev" else "test"
            if split not in {"train", "val", "test"}:
                raise InputError(f"{table}, line {number}: split {split!r} is neither train nor val")
            key = fsd50k_class(row["labels"].split(","))
            if key is None:
                continue
            path = existing_file(root / f"FSD50K.{part}_audio" / f"{row['fname']}.wav", table, number)
            licence, author = info.get(row["fname"], ("", ""))
            group = f"uploader-{author}" if author else f"freesound-{row['fname']}"
            fold = {"train": training_fold(group), "val": VALIDATION_FOLD, "test": TEST_FOLD}[split]
            yield EventRow(path, key, group, fold, licence, author)


def fsd50k_class(labels: list[str]) -> str | None:
    """The one class that the labels of a clip speak of; None if it is none or more than one."""
    keys = {fsd50k_key(label.strip()) for label in labels} - {None}
    keys -= {FSD50K_ANCESTORS.get(key or "") for key in keys}
    return keys.pop() if len(keys) == 1 else None


def _fsd50k_info(path: Path) -> dict[str, tuple[str, str]]:
    """Licence and uploader by clip; empty where the metadata were not downloaded."""
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (str(e.get("license", "")), str(e.get("uploader", ""))) for name, e in entries.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: not the clip information of FSD50K ({error})") from error


def folder_per_class(root: Path) -> Iterator[EventRow]:
    """One folder per class, named as in the label table (key, name or synonym), audio files anywhere below it.

    Files in a sub-folder are one group (takes of one recording); a file directly in the class folder is its own.
    Groups are spread over folds 1 to 4 by a hash of their name, so that adding files moves no other.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise InputError(f"{root}: no folders; this layout has one folder per class, for example {root / 'dog'}")
    for folder in folders:
        key = known_class(folder.name, str(folder))
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
        if not files:
            raise InputError(f"{folder}: no audio file ({', '.join(sorted(AUDIO_SUFFIXES))})")
        for path in files:
            below = path.relative_to(root)
            group = str(below.parent) if len(below.parts) > 2 else str(below)
            yield EventRow(path, key, group, 1 + hashed(group) % 4)


def librispeech(root: Path) -> Iterator[EventRow]:
    """LibriSpeech (Panayotov et al. 2015): ``SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac``, groups are speakers.

    ``train-*`` goes to folds 1 to 3, ``dev-*`` to 4, ``test-*`` to 5. The folder may be the one that holds the subsets
    or the one above it (``LibriSpeech/``).
    """
    base = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    subsets = sorted(p for p in base.iterdir() if p.is_dir() and re.match(r"(train|dev|test)-", p.name))
    if not subsets:
        raise InputError(
            f"{base}: no folder train-*, dev-* or test-*; give the folder that holds LibriSpeech's subsets"
        )
    for subset in subsets:
        for path in sorted(subset.rglob("*.flac")):
            speaker, chapter = path.parent.parent.name, path.parent.name
            if not re.fullmatch(rf"{speaker}-{chapter}-\d+", path.stem) or not speaker.isdigit():
                raise InputError(f"{path}: not named SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac")
            group = f"librispeech-{speaker}"
            kind = subset.name.split("-")[0]
            fold = {"train": training_fold(group), "dev": VALIDATION_FOLD, "test": TEST_FOLD}[kind]
            yield EventRow(path, "speech", group, fold, "CC BY 4.0", f"LibriSpeech speaker {speaker}")


Reader = Callable[[Path], Iterator[EventRow]]
LAYOUTS: dict[str, Reader] = {
    "esc50": esc50,
    "fsd50k": fsd50k,
    "folders": folder_per_class,
    "librispeech": librispeech,
    "audioset": audioset,
    "starss": starss,
    "tau-nigens-2020": tau_nigens_2020,
    "tau-nigens-2021": tau_nigens_2021,
}
