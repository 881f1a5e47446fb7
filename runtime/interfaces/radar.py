"""The scene as a picture of characters: the head in the centre, front at the top, rings of distance.

Pure functions: sources and words in, lines out. What moves them is in `live_radar`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

RINGS_M = (1.0, 2.0, 4.0)
_MAX_M = 8.0
_ROWS = 17
_COLUMNS = 2 * _ROWS - 1  # a character is about twice as high as wide
_MARKS = "123456789"
RADAR_LINES = _ROWS + 1
_WIDEST = 80
LEAST_WIDTH, LEAST_HEIGHT = 50, RADAR_LINES + 3
"""Of a screen: the radar, a line of health, one of answers and one to type on."""


class Placed(Protocol):
    """Anything with a name and a place: a source estimate or a track."""

    @property
    def label(self) -> str:
        """Name to show."""

    @property
    def confidence(self) -> float:
        """0 to 1."""

    @property
    def azimuth_deg(self) -> float:
        """Positive = left."""

    @property
    def distance_m(self) -> float:
        """Metres."""


@dataclass(frozen=True)
class RadarScreen:
    """What a live screen shows.

    Attributes
    ----------
    sources : tuple
        With a name and a place each.
    marks : str
        One character for each source, so that a source keeps its mark while others come and go.
    health : str
        One line on the state of the sound.
    said : tuple of str
        Questions, answers and notes, the latest last.
    typed : str
        The question so far.
    nothing : str
        What stands for an empty scene; a deaf listener has not heard that there is nothing.
    """

    sources: tuple[Placed, ...] = ()
    marks: str = ""
    health: str = ""
    said: tuple[str, ...] = ()
    typed: str = ""
    nothing: str = "nothing heard"


def render_screen(screen: RadarScreen, width: int, height: int) -> list[str]:
    """Lay out a whole terminal: health on top, the radar, what was said, and the line to type on.

    Parameters
    ----------
    screen : RadarScreen
    width, height : int
        Of the terminal, at least `LEAST_WIDTH` and `LEAST_HEIGHT`.

    Returns
    -------
    list of str
        Exactly `height` lines of at most `width` characters; what was said last is always there.
    """
    room = height - RADAR_LINES - 2
    said = [line for text in screen.said[-room:] for line in _wrapped(text, width)]
    prompt = "> " + _printable(screen.typed)[-(width - 3) :]
    marks = screen.marks or _MARKS
    radar = render_radar(screen.sources, min(width, _WIDEST), marks, screen.nothing).split("\n")
    below = said[-room:] + [""] * max(0, room - len(said))
    return [_printable(screen.health)[:width], *(line[:width] for line in radar), *below, prompt]


def render_radar(
    sources: Sequence[Placed], width: int = 60, marks: str = _MARKS, nothing: str = "nothing heard"
) -> str:
    """Draw sources around the listener.

    Distance grows outwards on a logarithmic scale, with rings at 1, 2 and 4 m; what is farther than 8 m
    stands at the rim. Sources are numbered in the order given and named beside the picture.

    Parameters
    ----------
    sources : sequence
        `SourceEstimate`s or `TrackSnapshot`s; the first nine are drawn.
    width : int
        Columns of the whole picture, at least 50.
    marks : str
        One character for each source.
    nothing : str
        What stands in the legend of an empty scene.

    Returns
    -------
    str
        18 lines of at most `width` characters, without a trailing line break.
    """
    grid = [[" "] * _COLUMNS for _ in range(_ROWS)]
    _draw_rings(grid)
    _write(grid, _ROWS // 2, _COLUMNS // 2 - 2, "(o o)")
    for mark, source in reversed(list(zip(marks, sources, strict=False))):
        row, column = _cell(source.azimuth_deg, source.distance_m)
        grid[row][column] = mark
    legend = _legend(sources, max(50, width) - _COLUMNS - 2, marks) if sources else [nothing]
    title = "front".center(_COLUMNS).rstrip()
    picture = ["".join(row) for row in grid]
    lines = [f"{left}  {right}".rstrip() for left, right in zip_longest(picture, legend, fillvalue="")]
    return "\n".join([title, *lines])


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_printable(text), width, subsequent_indent="  ") or [""]


def _printable(text: str) -> str:
    """Without anything that a terminal would obey; what a model writes is not to be trusted."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cell(azimuth_deg: float, distance_m: float) -> tuple[int, int]:
    """Row and column of a place; never on the head itself."""
    radius = min(1.0, max(0.22, math.log1p(distance_m) / math.log1p(_MAX_M)))
    angle = math.radians(azimuth_deg)
    row = _ROWS // 2 - radius * (_ROWS // 2) * math.cos(angle)
    column = _COLUMNS // 2 - radius * (_COLUMNS // 2) * math.sin(angle)
    return round(row), round(column)


def _draw_rings(grid: list[list[str]]) -> None:
    for ring_m in RINGS_M:
        for azimuth_deg in range(0, 360, 4):
            row, column = _cell(azimuth_deg, ring_m)
            grid[row][column] = "."
        row, column = _cell(180.0, ring_m)
        _write(grid, row, column - 1, f"{ring_m:g} m")


def _write(grid: list[list[str]], row: int, column: int, text: str) -> None:
    grid[row][column : column + len(text)] = text


def _legend(sources: Sequence[Placed], width: int, marks: str) -> list[str]:
    """One line per row of the picture: two lines for each source, cut to the width."""
    lines: list[str] = []
    for mark, source in zip(marks, sources, strict=False):
        lines.append(f"{mark} {source.label}"[: width - 5].ljust(width - 5) + f"{source.confidence:5.0%}")
        # Whether front and back are doubtful is known of a live track, not of the summary of a recording.
        degrees = _either if getattr(source, "front_back_ambiguous", False) else _degrees
        lines.append(f"  {degrees(source.azimuth_deg)}, {source.distance_m:.1f} m"[:width])
    return lines[:_ROWS]


def _degrees(azimuth_deg: float) -> str:
    magnitude = round(abs(azimuth_deg))
    if magnitude in (0, 180):
        return "ahead" if magnitude == 0 else "behind"
    return f"{magnitude} deg {'left' if azimuth_deg > 0 else 'right'}"


def _either(azimuth_deg: float) -> str:
    """A direction that may as well be its mirror image, front for back."""
    frontal = round(min(abs(azimuth_deg), 180.0 - abs(azimuth_deg)))
    side = "" if frontal == 0 else f"{frontal} deg {'left' if azimuth_deg > 0 else 'right'}, "
    return f"{side}front or back"
