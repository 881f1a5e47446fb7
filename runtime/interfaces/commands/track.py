"""`earshot track`: the scene of a file as tracks at 10 Hz, through exactly the live path."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.outputs import check_out, replacing
from earshot.runtime.labels import load_labels

CLASSES_NAME = "classes.csv"
CLASSES_HEADING = "class,key,name"


class TrackFormat(str, Enum):
    """How tracks are written."""

    NDJSON = "ndjson"
    CSV = "csv"


def track(
    audio: Annotated[Path, typer.Argument(help="Binaural WAV, FLAC or OGG file, left ear first.")],
    format: Annotated[
        TrackFormat,
        typer.Option(help="ndjson: one line per 100 ms; csv: DCASE 2024 (class numbers in classes.csv)."),
    ] = TrackFormat.NDJSON,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write instead of standard output.")] = None,
) -> None:
    """Write what sounds where, ten times a second."""
    if out:
        _check(out, audio, format)
    _, encoders = open_encoders(bundle)
    with ExitStack() as stack:
        source = stack.enter_context(FileSource(audio))
        target = stack.enter_context(replacing(out)) if out else typer.get_text_stream("stdout")
        snapshots = hear(encoders, source)
        if format is TrackFormat.NDJSON:
            write_ndjson(snapshots, target)
        else:
            write_dcase(snapshots, target)
    if out and format is TrackFormat.CSV and out.is_file():
        write_classes(out.with_name(CLASSES_NAME))


def _check(out: Path, audio: Path, format: TrackFormat) -> None:
    """Require that nothing is lost to what will be written.

    Raises
    ------
    UsageError
    """
    check_out(out, audio)
    if format is not TrackFormat.CSV:
        return
    classes = out.with_name(CLASSES_NAME)
    check_out(classes, audio)
    if out.name.lower() == CLASSES_NAME:
        raise UsageError(f"--out {out}: the names of the classes are written there; name another file")
    if classes.is_file() and not classes.read_bytes().startswith(CLASSES_HEADING.encode()):
        raise UsageError(f"{classes}: the names of the classes would be written over it; name a file in another folder")


def hear(encoders: Encoders, source: AudioSource) -> Iterator[SceneSnapshot]:
    """Snapshots of an open source, as they become due."""
    hearing = Hearing(encoders)
    for chunk in source:
        yield from hearing.process(chunk)
    yield from hearing.flush()


def write_ndjson(snapshots: Iterable[SceneSnapshot], target: TextIO) -> None:
    """One JSON object per snapshot and line."""
    for snapshot in snapshots:
        target.write(json.dumps(snapshot.as_dict()) + "\n")


def write_dcase(snapshots: Iterable[SceneSnapshot], target: TextIO) -> None:
    """Rows `frame,class,source,azimuth,elevation,distance` of all sounding tracks, without a heading.

    The layout of the DCASE 2024 challenge, task 3: frames of 100 ms from 0, azimuth (positive = left) and
    elevation in whole degrees, distance in whole centimetres. `source` is the number of the track.
    """
    rows = csv.writer(target, lineterminator="\n")
    for snapshot in snapshots:
        frame = round(snapshot.time_s / SNAPSHOT_S) - 1
        rows.writerows(_row(frame, track) for track in snapshot.tracks if track.active)


def write_classes(path: Path) -> None:
    """The meaning of the class numbers: `class,key,name` with a heading."""
    with replacing(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(CLASSES_HEADING.split(","))
        rows.writerows([number, label.key, label.name] for number, label in enumerate(load_labels()))


def _row(frame: int, track: TrackSnapshot) -> list[int]:
    azimuth = round(track.azimuth_deg)
    return [
        frame,
        track.class_id,
        track.track_id,
        180 if azimuth == -180 else azimuth,
        round(track.elevation_deg),
        round(100 * track.distance_m),
    ]
