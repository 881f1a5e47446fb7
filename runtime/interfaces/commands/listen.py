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

from earshot.runtime.audio.capture import CaptureEvent, Reporting
from earshot.runtime.audio.health import ChannelHealth
from earshot.runtime.audio.source import AudioChunk, AudioSource
from earshot.runtime.errors import EarshotError, UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.interfaces.config import Ui, read_config
from earshot.runtime.interfaces.front import open_front
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.past import Past
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.telling import CaptureTeller, SceneTeller, Teller, WritingTeller
from earshot.runtime.interfaces.turns import Turns
from earshot.runtime.interfaces.web_extra import serve_source
from earshot.runtime.language.answerer import Answer, Answerer
from earshot.runtime.language.dialogue import AnswerText, Dialogue
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.scene.changes import ChangeDetector, TrackChange
from earshot.runtime.scene.memory import SceneMemory, default_memory_path

MAX_WAITING_QUESTIONS = 8
_END = object()


def listen(
    source: Annotated[
        str | None, typer.Option(help="A WAV, FLAC or OGG file to hear as if it were live; the microphone by default.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Name of the microphone, see 'earshot devices'.")] = None,
    speed: Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")] = 1.0,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    think: Annotated[
        bool | None, typer.Option("--think/--no-think", help="Let the model write its evidence before it answers.")
    ] = None,
    ui: Annotated[
        Ui | None, typer.Option(help="A moving radar on the terminal or in the browser, or plain lines.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, see 'earshot init'.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep what happens on disk (never sound), to be asked about the past.")
    ] = False,
    memory: Annotated[
        Path | None, typer.Option(help="File to remember in, see 'earshot memory'; goes with --remember.")
    ] = None,
) -> None:
    """Listen, tell what happens, and answer questions typed meanwhile (one per line)."""
    settings = read_config(config).listen
    if source is None and device is None:
        source, device = settings.source, settings.device if settings.source in (None, "mic") else None
    audio = open_source(source_spec(source, device), speed)
    if (ui or settings.ui) is Ui.WEB and not json:
        if remember or memory:
            raise UsageError("--ui web does not remember yet; use --ui terminal or leave --remember out")
        thinks = settings.think if think is None else think
        serve_source(audio, what="'--ui web'", bundle=bundle or settings.bundle, think=thinks)
        return
    directory, encoders = open_encoders(bundle or settings.bundle)
    answerer = Answerer(directory)
    answerer.load()
    try:
        with open_front(ui or settings.ui, json, audio.name) as (teller, questions):
            evidence = settings.think if think is None else think
            kept = SceneMemory(memory or default_memory_path()) if remember or memory else None
            Conversation(encoders, answerer, teller, evidence, kept).run(audio, questions)
    finally:
        answerer.close()


def source_spec(source: str | None, device: str | None) -> str:
    """What `--source` and `--device` mean together: "mic", "mic:NAME" or the source.

    Raises
    ------
    UsageError
        When a device is named for another source than the microphone.
    """
    if device is None:
        return source or "mic"
    if source not in (None, "mic"):
        raise UsageError(f"--device names a microphone and --source {source} is another source; leave one out")
    return f"mic:{device}"


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
    memory : SceneMemory, optional
        Not open; without one nothing is kept beyond the last 10 seconds.
    """

    def __init__(
        self,
        encoders: Encoders,
        answerer: Answerer,
        teller: Teller,
        think: bool = True,
        memory: SceneMemory | None = None,
    ) -> None:
        self._encoders = encoders
        self._answerer = answerer
        self._teller = teller
        self._think = think
        self._hearing = Hearing(encoders)
        self._changes = ChangeDetector()
        self._health = ChannelHealth()
        self._questions: queue.Queue[object] = queue.Queue(MAX_WAITING_QUESTIONS)
        self._dialogue = Dialogue()
        self._turns = Turns(answerer.cancel)
        self._failure: BaseException | None = None
        self._past = Past(memory, lambda text: teller.note(text, self._heard_s()))

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
        if isinstance(source, Reporting):
            source.on_event = self._captured
        with source:
            hearing = threading.Thread(target=self._hear, args=(source,), name="hearing")
            asking = threading.Thread(target=self._ask, args=(questions,), name="asking", daemon=True)
            self._past.start()
            hearing.start()
            asking.start()
            try:
                self._answer_until_end()
            finally:
                source.close()
                self._drain_until_dead(hearing)
                self._past.close()
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
                self._changed(change)
        except BaseException as error:
            self._failure = error
        finally:
            self._questions.put(_END)

    def _take(self, chunk: AudioChunk) -> None:
        for finding in self._health.process(chunk):
            self._teller.note(finding.text, chunk.end_s)
        for snapshot in self._hearing.process(chunk):
            if isinstance(self._teller, SceneTeller):
                self._teller.scene(snapshot)
            for change in self._changes.process(snapshot):
                self._changed(change)

    def _changed(self, change: TrackChange) -> None:
        self._teller.change(change)
        self._past.take(change)

    def _captured(self, event: CaptureEvent) -> None:
        """Tell a change of a live source; called from its capture thread."""
        if isinstance(self._teller, CaptureTeller):
            self._teller.capture(event)
        else:
            self._teller.note(f"{event.state.value}: {event.text}", event.time_s)

    def _ask(self, questions: Iterable[str]) -> None:
        """The asking thread: typed lines into the queue; an empty one or "stop" ends what is being answered."""
        for line in questions:
            question = line.strip()
            if self._turns.is_stop(question):
                self._turns.stop(all_waiting=bool(question))
                continue
            try:
                self._questions.put_nowait((question, self._turns.next()))
            except queue.Full:
                self._teller.note(f"too many questions waiting, not asked: {question}", self._heard_s())

    def _answer_until_end(self) -> None:
        while isinstance(asked := self._questions.get(), tuple):
            with self._turns.taken(asked[1]) as wanted:
                if wanted:
                    self._answer(self._dialogue.complete(asked[0]), asked[0])
                else:
                    self._teller.note(f"stopped before its turn: {asked[0]}", self._heard_s())

    def _answer(self, question: str, typed: str) -> None:
        """Answer about the last 10 seconds, or from memory; a question that cannot be asked becomes a note."""
        if question != typed:
            self._teller.note(f"{typed!r} is taken for: {question}", self._heard_s())
        window = self._hearing.window()
        try:
            answer = self._past.answer(question) or self._ask_model(question, window)
        except CancelledError:
            self._write(question, "", window.end_s)
            self._teller.note(f"stopped: {question}", window.end_s)
            return
        except EarshotError as error:
            self._teller.note(str(error), window.end_s)
            return
        self._dialogue.answered(question, answer.text)
        self._teller.answer(question, answer, window.end_s)

    def _ask_model(self, question: str, window: HearingWindow) -> Answer:
        """Let the language model answer; its text is told while it comes."""
        embeddings = self._encoders.project(window.tokens)
        text = AnswerText(self._think)

        def on_text(piece: str) -> None:
            self._turns.check()
            if said := text.take(piece):
                self._write(question, said, window.end_s)

        return self._answerer.answer(question, embeddings, think=self._think, on_text=on_text)

    def _write(self, question: str, piece: str, heard_s: float) -> None:
        if isinstance(self._teller, WritingTeller):
            self._teller.writing(question, piece, heard_s)

    def _heard_s(self) -> float:
        return self._hearing.window().end_s
