"""What the readers of all layouts share: the row of a clip, folds, and tables with clear errors."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from earshot.runtime.errors import InputError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"})
TRAINING_FOLDS, VALIDATION_FOLD, TEST_FOLD = (1, 2, 3), 4, 5


@dataclass(frozen=True)
class EventRow:
    """One clip of a collection.

    Attributes
    ----------
    path : Path
        Audio file, absolute.
    key : str
        Class key of the label table.
    group : str
        Clips of one group come from one source and stay in one fold.
    fold : int
        1 to 5.
    licence, author : str
        As the collection states them; empty where it does not.
    span_s : tuple of two floats, optional
        Start and end of the excerpt that holds the event, seconds; None for the whole file.
    """

    path: Path
    key: str
    group: str
    fold: int
    licence: str = ""
    author: str = ""
    span_s: tuple[float, float] | None = None


def training_fold(group: str) -> int:
    """Fold 1, 2 or 3 of a group, by a hash of its name."""
    return TRAINING_FOLDS[hashed(group) % len(TRAINING_FOLDS)]


def hashed(text: str) -> int:
    """A number below 2^32 that follows from a text, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def table_rows(table: Path, columns: tuple[str, ...], delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and rows of a csv file that must have some columns.

    Raises
    ------
    InputError
        The file is missing or no csv, or a column or a field is.
    """
    if not table.is_file():
        raise InputError(f"{table}: missing; expected a csv with columns {','.join(columns)}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{table}, line 1: no column {', '.join(missing)}; expected {','.join(columns)}")
            for number, row in enumerate(reader, start=2):
                if any(row[column] is None for column in columns):
                    raise InputError(f"{table}, line {number}: too few columns; expected {','.join(columns)}")
                yield number, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable csv ({error})") from error


def existing_file(path: Path, table: Path, number: int) -> Path:
    """The path, if there is such a file; else an error that names the line of the table that speaks of it."""
    if not path.is_file():
        raise InputError(f"{table}, line {number}: {path} is missing")
    return path


@dataclass(frozen=True)
class AudioInfo:
    """Length of an audio file in seconds, and its number of channels."""

    duration_s: float
    channels: int


def audio_info(path: Path) -> AudioInfo:
    """Length and channels of an audio file.

    Raises
    ------
    InputError
        It cannot be read as audio.
    """
    try:
        info = soundfile.info(path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from error
    return AudioInfo(float(info.duration), int(info.channels))
