"""Frame tables: what sounds where in every 100 ms of a recording; read from DCASE csv files or made from a scene."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.runtime.geometry import angles_of, unit_vector, wrap_deg
from earshot.runtime.labels import class_id

FRAME_S = 0.1
CENTIMETRES = 100.0
# DCASE 2023 and 2024: no heading; the files of 2020 to 2022 end before the distance.
COLUMNS = ("frame", "class", "source", "azimuth", "elevation", "distance")
OPTIONAL = {"source": 0.0, "elevation": 0.0, "distance": np.nan}

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class FrameTable:
    """Sounding sources, one row per source and 100 ms frame.

    Attributes
    ----------
    frame, class_id, source : int64 [N]
        Frame number from 0, class number, number that tells sources of a recording apart.
    azimuth_deg, elevation_deg : float64 [N]
        Azimuth in (-180, 180], positive = left; elevation in [-90, 90], positive = up.
    distance_m : float64 [N]
        Metres; NaN where it is not known.
    """

    frame: IntArray
    class_id: IntArray
    source: IntArray
    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    distance_m: FloatArray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: NDArray[Any]) -> FrameTable:
        """The table of some rows (a mask or row numbers), in their order."""
        return FrameTable(*(getattr(self, column.name)[rows] for column in fields(self)))


def table_of(rows: Sequence[Sequence[float]]) -> FrameTable:
    """Table of rows (frame, class, source, azimuth in degrees, elevation in degrees, distance in metres)."""
    values = np.asarray(rows, np.float64).reshape(-1, len(COLUMNS)).T
    frame, identity, source = (column.astype(np.int64) for column in values[:3])
    return FrameTable(frame, identity, source, wrap_deg(values[3]), values[4].copy(), values[5].copy())


def read_dcase_csv(path: Path) -> FrameTable:
    """Read a metadata or prediction file of the DCASE challenge, task 3, or of ``earshot track --format csv``.

    Without a heading the columns are ``frame,class,source,azimuth,elevation[,distance]`` (2020 to 2024). With one,
    columns are found by name (2025 has ``frame,class,source,azimuth,distance,onscreen``: elevation is then 0).
    Azimuth and elevation are in degrees, distance in centimetres; frames last 100 ms.

    Raises
    ------
    InputError
        The file cannot be read, or a row breaks the layout.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if any(row)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); expected a DCASE csv: {','.join(COLUMNS)}") from error
    names: Sequence[str] = COLUMNS
    if lines and not lines[0][1][0].strip().lstrip("-").isdigit():
        names = [name.strip().lower() for name in lines.pop(0)[1]]
        missing = {"frame", "class", "azimuth"} - set(names)
        if missing:
            raise InputError(f"{path}, line 1: no column {', '.join(sorted(missing))}; expected {','.join(COLUMNS)}")
    return table_of([_dcase_row(path, number, row, names) for number, row in lines])


def _dcase_row(path: Path, number: int, row: Sequence[str], names: Sequence[str]) -> list[float]:
    try:
        given = {name: float(text) for name, text in zip(names, row, strict=False) if name in COLUMNS}
        values = [given[name] if name in given else OPTIONAL[name] for name in COLUMNS]
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}, line {number}: {','.join(row)!r} is not {','.join(COLUMNS)}") from error
    if values[0] < 0 or abs(values[4]) > 90 or abs(values[3]) > 360 or values[5] < 0:
        raise InputError(f"{path}, line {number}: a frame, angle or distance out of range in {','.join(row)!r}")
    values[5] /= CENTIMETRES
    return values


def table_of_scene(scene: Mapping[str, Any]) -> FrameTable:
    """Ground truth of a scene description: a source counts in a frame if it sounds at the frame's middle.

    Positions between the points of a trajectory are interpolated on the straight line between them; directions are
    those at the head, in its own coordinates, as trajectories state them.
    """
    rows: list[tuple[float, ...]] = []
    for number, source in enumerate(scene["sources"]):
        frames = np.arange(int(np.ceil(scene["duration_s"] / FRAME_S - 1e-9)))
        middle = (frames + 0.5) * FRAME_S
        sounding = (middle >= source["onset_s"]) & (middle < source["offset_s"])
        azimuth, elevation, distance = positions_at(source["trajectory"], middle[sounding])
        identity = class_id(source["label"])
        for frame, *place in zip(frames[sounding], azimuth, elevation, distance, strict=True):
            rows.append((frame, identity, number, *place))
    return table_of(rows)


def positions_at(
    trajectory: Sequence[Mapping[str, Any]], time_s: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Azimuth, elevation (degrees) and distance (metres, NaN if unknown) at times [N] of a trajectory."""
    times = np.array([point["time_s"] for point in trajectory], np.float64)
    known = all(point["distance_m"] is not None for point in trajectory)
    radius = np.array([point["distance_m"] if known else 1.0 for point in trajectory], np.float64)
    directions = unit_vector([p["azimuth_deg"] for p in trajectory], [p["elevation_deg"] for p in trajectory])
    points = directions * radius[:, None]
    between = np.stack([np.interp(time_s, times, points[:, axis]) for axis in range(3)], axis=-1)
    azimuth, elevation = angles_of(between)
    distance = np.linalg.norm(between, axis=-1) if known else np.full(len(time_s), np.nan)
    return azimuth, elevation, distance
