"""`earshot listen`: follow a stream, tell what is new, moves and ends, and answer questions meanwhile.

One thread hears; the main thread owns the language model; a third only waits for typed lines. The queue of
questions is bounded: what does not fit is refused with a note, never kept for later.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.health import ChannelHealth
from earshot.runtime.audio.source import AudioChunk, AudioSource
from earshot.runtime.errors import EarshotError, UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.telling import JsonTeller, PlainTeller, Teller
from earshot.runtime.language.answerer import Answerer
from earshot.runtime.scene.changes import ChangeDetector

MAX_WAITING_QUESTIONS = 8
_END = object()


def listen(
    source: Annotated[str, typer.Option(help="Binaural WAV, FLAC or OGG file to hear as if it were live.")],
    speed: Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")] = 1.0,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    think: Annotated[bool, typer.Option(help="Let the model write its evidence before it answers.")] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Listen, tell what happens, and answer questions typed meanwhile (one per line)."""
    audio = open_source(source, speed)
    directory, encoders = open_encoders(bundle)
    answerer = Answerer(directory)
    answerer.load()
    stdout = typer.get_text_stream("stdout")
    teller: Teller = JsonTeller(stdout) if json else PlainTeller(stdout)
    try:
        Conversation(encoders, answerer, teller, think).run(audio, typer.get_text_stream("stdin"))
    finally:
        answerer.close()


def open_source(spec: str, speed: float) -> AudioSource:
    """The source that `--source` names, not opened yet.

    Raises
    ------
    UsageError
        For a kind of source that this version cannot hear.
    """
    if spec == "mic" or spec.startswith(("tcp:", "sim:")):
        raise UsageError(f"--source {spec}: only files in this version; give a WAV, FLAC or OGG file")
    return FileSource(spec, pace="real", speed=speed)


class Conversation:
    """Hears a source in one thread and answers questions in the caller's.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    answerer : Answerer
        Loaded.
    teller : Teller
    think : bool
        Whether answers begin with written evidence.
    """

    def __init__(self, encoders: Encoders, answerer: Answerer, teller: Teller, think: bool = True) -> None:
        self._encoders = encoders
        self._answerer = answerer
        self._teller = teller
        self._think = think
        self._hearing = Hearing(encoders)
        self._changes = ChangeDetector()
        self._health = ChannelHealth()
        self._questions: queue.Queue[object] = queue.Queue(MAX_WAITING_QUESTIONS)
        self._failure: BaseException | None = None

    def run(self, source: AudioSource, questions: Iterable[str]) -> None:
        """Hear until the source ends, then answer what was asked before its end.

        Parameters
        ----------
        source : AudioSource
            Not open.
        questions : iterable of str
            Lines; read in a thread of its own, which may stay blocked in it after the return.

        Raises
        ------
        EarshotError
            When the source fails on the way.
        """
        with source:
            hearing = threading.Thread(target=self._hear, args=(source,), name="hearing")
            asking = threading.Thread(target=self._ask, args=(questions,), name="asking", daemon=True)
            hearing.start()
            asking.start()
            try:
                self._answer_until_end()
            finally:
                source.close()
                self._drain_until_dead(hearing)
        if self._failure is not None:
            raise self._failure

    def _drain_until_dead(self, hearing: threading.Thread) -> None:
        """Wait for the hearing thread; it may itself wait for room to say that it has ended."""
        while hearing.is_alive():
            with suppress(queue.Empty):
                self._questions.get(timeout=0.05)

    def _hear(self, source: AudioSource) -> None:
        """The hearing thread; whatever goes wrong is kept for the main thread."""
        try:
            for chunk in source:
                self._take(chunk)
            for finding in self._health.flush():
                self._teller.note(finding.text, self._heard_s())
            for change in self._changes.flush():
                self._teller.change(change)
        except BaseException as error:
            self._failure = error
        finally:
            self._questions.put(_END)

    def _take(self, chunk: AudioChunk) -> None:
        for finding in self._health.process(chunk):
            self._teller.note(finding.text, chunk.end_s)
        for snapshot in self._hearing.process(chunk):
            for change in self._changes.process(snapshot):
                self._teller.change(change)

    def _ask(self, questions: Iterable[str]) -> None:
        """The asking thread: typed lines into the queue."""
        for line in questions:
            question = line.strip()
            if not question:
                continue
            try:
                self._questions.put_nowait(question)
            except queue.Full:
                self._teller.note(f"too many questions waiting, not asked: {question}", self._heard_s())

    def _answer_until_end(self) -> None:
        while (question := self._questions.get()) is not _END:
            self._answer(str(question))

    def _answer(self, question: str) -> None:
        """Answer about the last 10 seconds; a question that cannot be asked becomes a note."""
        window = self._hearing.window()
        embeddings = self._encoders.project(window.tokens)
        try:
            answer = self._answerer.answer(question, embeddings, think=self._think)
        except EarshotError as error:
            self._teller.note(str(error), window.end_s)
            return
        self._teller.answer(question, answer, window.end_s)

    def _heard_s(self) -> float:
        return self._hearing.window().end_s
