"""How `earshot listen` tells what happens: plain lines for people, NDJSON for programs."""

from __future__ import annotations

import json
from typing import Any, Protocol, TextIO, runtime_checkable

from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.happenings import EffortChange
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.line_output import Lines, printable
from earshot.runtime.language.answerer import Answer
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.now import name_of, names_of, words_of


class Teller(Protocol):
    """Something that is told what happens, from any thread."""

    def change(self, change: TrackChange) -> None:
        """A source is new, has moved or has ended."""

    def answer(self, question: str, answer: Answer, heard_s: float) -> None:
        """A question has been answered about the sound up to `heard_s`."""

    def note(self, text: str, time_s: float) -> None:
        """Something else the user should know."""


@runtime_checkable
class CaptureTeller(Protocol):
    """A teller that has its own way to tell the state of a live source."""

    def capture(self, event: CaptureEvent) -> None:
        """The source is in another state."""


@runtime_checkable
class EffortTeller(Protocol):
    """A teller that has its own way to tell how much is done."""

    def effort(self, change: EffortChange) -> None:
        """More or less is done from now on, because the machine is faster or slower."""


@runtime_checkable
class SceneTeller(Protocol):
    """A teller that shows the whole scene."""

    def scene(self, snapshot: SceneSnapshot) -> None:
        """The scene as it is now, ten times a second."""


@runtime_checkable
class WritingTeller(Protocol):
    """A teller that shows an answer while it is written."""

    def writing(self, question: str, piece: str, heard_s: float) -> None:
        """The next piece of the answer, which `answer` follows; an empty one when it was stopped."""


class JsonTeller:
    """One JSON object per line: `event` is new, moved, ended, writing, answer, note, capture or effort."""

    def __init__(self, target: TextIO) -> None:
        self._lines = Lines(target)

    def change(self, change: TrackChange) -> None:
        """Write a change with all fields of its track."""
        self._write(change.as_dict())

    def answer(self, question: str, answer: Answer, heard_s: float) -> None:
        """Write question, answer, reasoning and timing."""
        timing = {"first_token_s": round(answer.first_token_s, 4), "answer_s": round(answer.answer_s, 4)}
        self._write(
            {
                "event": "answer",
                "time_s": round(heard_s, 1),
                "question": question,
                "answer": answer.text,
                "reasoning": answer.reasoning,
                "doubts": list(answer.doubts),
                "timing": timing,
            }
        )

    def writing(self, question: str, piece: str, heard_s: float) -> None:
        """Write a piece of an answer that is under way."""
        self._write({"event": "writing", "time_s": round(heard_s, 1), "question": question, "text": piece})

    def note(self, text: str, time_s: float) -> None:
        """Write a note."""
        self._write({"event": "note", "time_s": round(time_s, 1), "text": text})

    def capture(self, event: CaptureEvent) -> None:
        """Write the state of a live source: starting, listening, lagging, deaf or reconnecting."""
        document = {"event": "capture", "time_s": round(event.time_s, 1), "state": event.state.value}
        self._write({**document, "text": event.text})

    def effort(self, change: EffortChange) -> None:
        """Write how much is done: full, half or hearing-only."""
        document = {"event": "effort", "time_s": round(change.time_s, 1), "effort": change.effort.value}
        self._write({**document, "text": change.text})

    def _write(self, document: dict[str, Any]) -> None:
        self._lines.write(json.dumps(document))


class PlainTeller:
    """Lines that a person can follow."""

    def __init__(self, target: TextIO) -> None:
        self._lines = Lines(target)

    def change(self, change: TrackChange) -> None:
        """Write time, kind, noun and place."""
        told = (
            name_of(change.track) if change.kind == "ended" else f"{names_of(change.track)}: {words_of(change.track)}"
        )
        self._lines.write(f"{change.time_s:7.1f} s  {change.kind:<5}  {told}")

    def answer(self, question: str, answer: Answer, heard_s: float) -> None:
        """Write the question again, as it may have scrolled away, and the answer."""
        self._lines.write(f"{heard_s:7.1f} s  asked  {printable(question)}")
        self._lines.write(f"{'':>9}  answer {answer.text} ({answer.answer_s:.2f} s)")
        for doubt in answer.doubts:
            self._lines.write(f"{'':>9}  not certain: {doubt}")

    def note(self, text: str, time_s: float) -> None:
        """Write a note."""
        self._lines.write(f"{time_s:7.1f} s  note   {printable(text)}")

    def capture(self, event: CaptureEvent) -> None:
        """Write the state of a live source."""
        self._lines.write(f"{event.time_s:7.1f} s  {event.state.value}: {printable(event.text)}")
