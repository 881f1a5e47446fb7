"""The moving radar of `earshot listen`: a teller that keeps a whole terminal up to date.

The screen is drawn anew when something on it has changed, not by the clock, so that a quiet scene costs nothing.
What was said is printed once more when the screen is put back, since it would be lost with it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text
from typing_extensions import Self

from earshot.runtime.audio.capture import CaptureEvent, CaptureState
from earshot.runtime.hearing.beliefs import rival
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.radar import LEAST_HEIGHT, LEAST_WIDTH, RadarScreen, render_screen
from earshot.runtime.language.answerer import Answer
from earshot.runtime.scene.changes import TrackChange

_MARKS = "123456789"
_KEPT_LINES = 200
_QUIET_CLOCK_STEP_S = 2.0
_COLOURS = {
    CaptureState.STARTING: "yellow",
    CaptureState.LISTENING: "green",
    CaptureState.LAGGING: "yellow",
    CaptureState.DEAF: "red",
    CaptureState.RECONNECTING: "red",
}


@dataclass(frozen=True)
class Shown:
    """A track as the legend names it: with a second kind where the first is doubtful."""

    label: str
    confidence: float
    azimuth_deg: float
    distance_m: float
    front_back_ambiguous: bool


def shown(track: TrackSnapshot) -> Shown:
    """What the radar shows of a track."""
    other = rival(track.classes, track.class_id)
    label = track.label if other is None else f"{track.label}, or {other.label}"
    return Shown(label, track.confidence, track.azimuth_deg, track.distance_m, track.front_back_ambiguous)


def can_show(console: Console) -> bool:
    """Whether a terminal is there, can place text, and is large enough."""
    width, height = console.size
    large_enough = width >= LEAST_WIDTH and height >= LEAST_HEIGHT
    return console.is_terminal and not console.is_dumb_terminal and large_enough


class LiveRadar:
    """Teller for a terminal; use it as a context.

    Parameters
    ----------
    console : Console
        One for which `can_show` holds.
    name : str
        What is heard, for the line of health.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._lock = threading.Lock()
        self._drawing = threading.Lock()  # one drawing at a time, so that an older one never comes last
        self._tracks: tuple[TrackSnapshot, ...] = ()
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._typed = ""
        self._writing = ""
        self._time_s = 0.0
        self._state: CaptureState | None = None  # a file has none
        self._state_text = ""
        self._shown: tuple[list[str], object] = ([], None)
        self._live = Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        self._live.start()
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        for line in self._said:
            self._console.print(Text(line))

    def scene(self, snapshot: SceneSnapshot) -> None:
        """Move the marks; where there are none, only the clock moves, and that in larger steps."""
        with self._lock:
            tracks = () if self._deaf else tuple(track for track in snapshot.tracks if track.active)
            step = snapshot.time_s // _QUIET_CLOCK_STEP_S
            idle = not tracks and not self._tracks and step == self._time_s // _QUIET_CLOCK_STEP_S
            self._tracks, self._time_s = tracks, snapshot.time_s
        if not idle:
            self._draw()

    def change(self, change: TrackChange) -> None:
        """Nothing to add: the marks show it."""

    def answer(self, question: str, answer: Answer, heard_s: float) -> None:
        """Show the question again and its answer, in place of what was shown of it."""
        self._writing = ""
        doubts = (f"      not certain: {doubt}" for doubt in answer.doubts)
        self._say(f"{clock(heard_s)} {question}", f"      {answer.text} ({answer.answer_s:.2f} s)", *doubts)

    def writing(self, question: str, piece: str, heard_s: float) -> None:
        """Show an answer while it comes; nothing of one that was stopped."""
        with self._lock:
            self._writing = (self._writing or f"{clock(heard_s)} {question} ") + piece if piece else ""
        self._draw()

    def note(self, text: str, time_s: float) -> None:
        """Show a note."""
        self._say(f"{clock(time_s)} note: {text}")

    def capture(self, event: CaptureEvent) -> None:
        """Show the state of a live source; a trouble is also kept among what was said."""
        with self._lock:
            troubled = event.state not in (CaptureState.STARTING, CaptureState.LISTENING)
            news = troubled or self._state not in (None, CaptureState.STARTING)
            self._state, self._state_text = event.state, event.text
            if self._deaf:
                self._tracks = ()
        if news:
            self._say(f"{clock(event.time_s)} {event.state.value}: {event.text}")
        else:
            self._draw()

    def type(self, text: str) -> None:
        """Show the question so far."""
        with self._lock:
            self._typed = text
        self._draw()

    def screen(self) -> RadarScreen:
        """What there is to see at this moment."""
        with self._lock:
            return RadarScreen(
                sources=tuple(shown(track) for track in self._tracks),
                marks="".join(_MARKS[(track.track_id - 1) % len(_MARKS)] for track in self._tracks),
                health=self._health(),
                said=(*self._said, self._writing) if self._writing else tuple(self._said),
                typed=self._typed,
                nothing="no sound arrives" if self._deaf else "nothing heard",
            )

    @property
    def _deaf(self) -> bool:
        """Whether nothing at all can be said about the scene."""
        return self._state in (CaptureState.DEAF, CaptureState.RECONNECTING)

    def _health(self) -> str:
        state = "playing" if self._state is None else self._state.value
        text = f": {self._state_text}" if self._state_text else f" {self._name}"
        return f"{clock(self._time_s)} {state}{text}"

    def _say(self, *lines: str) -> None:
        with self._lock:
            self._said.extend(lines)
        self._draw()

    def _draw(self) -> None:
        """Bring the screen up to date, if anything on it has changed."""
        with self._drawing:
            width, height = self._console.size
            lines = render_screen(self.screen(), max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT))
            shown = (lines, self._console.size)
            if shown == self._shown or not self._live.is_started:
                return
            self._shown = shown
            text = Text("\n".join(lines), no_wrap=True, overflow="crop")
            text.stylize(f"bold {_COLOURS[self._state or CaptureState.LISTENING]}", 0, len(lines[0]))
            self._live.update(text, refresh=True)


def clock(time_s: float) -> str:
    """Minutes and whole seconds since stream start, hours when there are any."""
    minutes, seconds = divmod(int(max(0.0, time_s)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:2}:{seconds:02}"
