"""A scene as a picture: direction against time, one line per source, as wide as the direction is uncertain.

The paths are plain arrays made by a pure function; only drawing needs matplotlib, which is loaded when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot
from earshot.runtime.interfaces.line_output import printable

FORMATS = (".png", ".svg", ".pdf")
_MISSING = 'drawing needs the package matplotlib; install it with: pip install "earshot[plot]"'
_WRAP_DEG = 180.0
_SIZE_INCHES = (10.0, 5.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SourcePath:
    """Where one source was.

    Attributes
    ----------
    track_id : int
    label : str
    confidence : float
        The highest it had, 0 to 1.
    time_s, azimuth_deg, spread_deg : ndarray [n]
        While it sounded. NaN stands between two pieces: after a pause, and where the azimuth steps over 180 degrees.
    """

    track_id: int
    label: str
    confidence: float
    time_s: Floats
    azimuth_deg: Floats
    spread_deg: Floats


@dataclass
class _Points:
    label: str
    confidence: float = 0.0
    rows: list[tuple[float, float, float]] = field(default_factory=list)


def paths_of(snapshots: Iterable[SceneSnapshot]) -> list[SourcePath]:
    """Collect the path of every source from snapshots in order of time.

    Returns
    -------
    list of SourcePath
        In order of their track ids; sources that never sounded are left out.
    """
    found: dict[int, _Points] = {}
    for snapshot in snapshots:
        for track in snapshot.tracks:
            if track.active:
                points = found.setdefault(track.track_id, _Points(track.label))
                points.confidence = max(points.confidence, track.confidence)
                points.rows.append((snapshot.time_s, track.azimuth_deg, track.spread_deg))
    return [
        SourcePath(track_id, points.label, points.confidence, *_broken(np.array(points.rows)))
        for track_id, points in sorted(found.items())
    ]


def save_picture(paths: Sequence[SourcePath], out: Path, title: str = "") -> None:
    """Draw paths into a file; its suffix says the format.

    Raises
    ------
    UsageError
        When matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UsageError(_MISSING) from error
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for path in paths:
        _draw(axes, path)
    _label(axes, title, bool(paths))
    try:
        with rc_context({"svg.fonttype": "none"}):  # words stay words, to be searched and read aloud
            figure.savefig(out, dpi=150)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); name another --out") from error


def _broken(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Columns of rows (time, azimuth, spread), with NaN where a line must not be drawn."""
    late = np.diff(rows[:, 0]) > 1.5 * SNAPSHOT_S
    over = np.abs(np.diff(rows[:, 1])) > _WRAP_DEG
    cuts = np.flatnonzero(late | over) + 1
    time_s, azimuth_deg, spread_deg = np.insert(rows, cuts, np.nan, axis=0).T
    return time_s, azimuth_deg, spread_deg


def _draw(axes: Any, path: SourcePath) -> None:
    (line,) = axes.plot(
        path.time_s, path.azimuth_deg, marker=".", label=f"{path.track_id} {path.label} ({path.confidence:.0%})"
    )
    low, high = path.azimuth_deg - path.spread_deg, path.azimuth_deg + path.spread_deg
    axes.fill_between(path.time_s, low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def _label(axes: Any, title: str, any_source: bool) -> None:
    places = {180: "behind", 90: "left", 0: "front", -90: "right", -180: "behind"}
    axes.set_yticks(list(places), [f"{word}\n{degrees}°" for degrees, word in places.items()])
    axes.set(ylim=(-180, 180), xlabel="time in seconds", ylabel="direction")
    axes.set_title(printable(title), parse_math=False)  # a file may be called "$x$" or no text at all
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    if any_source:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    else:
        axes.text(0.5, 0.5, "nothing heard", transform=axes.transAxes, ha="center")
