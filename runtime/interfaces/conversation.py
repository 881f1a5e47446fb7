"""Somebody sits in front of a listener: is told what happens, types questions, and is answered meanwhile.

The caller's thread asks and waits; another one only waits for typed lines. The line of questions is bounded: what does not
fit is refused with a note, never kept for later.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.errors import EarshotError
from earshot.runtime.happenings import EffortChange, End, Happening, Note
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.telling import CaptureTeller, EffortTeller, SceneTeller, Teller, WritingTeller
from earshot.runtime.interfaces.turns import Turns
from earshot.runtime.interfaces.typed_requests import HELP, Request, request_of
from earshot.runtime.language.dialogue import AnswerText, Dialogue
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.questions import Question, Reply
from earshot.runtime.listener import Listener
from earshot.runtime.scene.changes import TrackChange

MAX_WAITING_QUESTIONS = 8


class Conversation:
    """Tells what a listener hears and asks it what is typed.

    Parameters
    ----------
    listener : Listener
        Not started; closed at the end.
    teller : Teller
    think : bool
        Whether answers begin with written evidence.
    """

    def __init__(self, listener: Listener, teller: Teller, think: bool = True) -> None:
        self._listener = listener
        self._teller = teller
        self._think = think
        self._questions: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._dialogue = Dialogue()
        self._turns = Turns(self._cancel)
        self._asked: Question | None = None
        self._untold: Exception | None = None

    def run(self, questions: Iterable[str]) -> None:
        """Hear until the source ends, then answer what was asked before its end.

        Parameters
        ----------
        questions : iterable of str
            Lines; read in a thread of its own, which may stay blocked in it after the return.

        Raises
        ------
        EarshotError
            When bundle or source cannot be used, or the source fails on the way.
        BrokenPipeError
            When whoever read what is told has left.
        OSError
            When what is told cannot be written.
        """
        self._listener.follow(self._tell)
        with self._listener:
            threading.Thread(target=self._ask, args=(questions,), name="asking", daemon=True).start()
            self._answer_until_end()
        if self._untold is not None:
            raise self._untold
        if self._listener.failure is not None:
            raise self._listener.failure

    def _tell(self, happening: Happening) -> None:
        """Called by the threads that hear and capture; when nobody reads any more, the end is asked for."""
        if self._untold is None:
            try:
                self._pass_on(happening)
            except Exception as error:  # whatever it is, a listener that can tell nothing must not go on for ever
                self._untold = error
                self._questions.put(None)

    def _pass_on(self, happening: Happening) -> None:
        if isinstance(happening, SceneSnapshot):
            if isinstance(self._teller, SceneTeller):
                self._teller.scene(happening)
        elif isinstance(happening, TrackChange):
            self._teller.change(happening)
        elif isinstance(happening, CaptureEvent):
            self._tell_capture(happening)
        elif isinstance(happening, EffortChange) and isinstance(self._teller, EffortTeller):
            self._teller.effort(happening)
        elif isinstance(happening, End):
            self._questions.put(None)
        else:
            self._teller.note(happening.text, happening.time_s)

    def _tell_capture(self, event: CaptureEvent) -> None:
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
            elif (request := request_of(question)) is not None:
                self._do(request, question)
            elif self._questions.qsize() >= MAX_WAITING_QUESTIONS:
                self._note(f"too many questions waiting, not asked: {question}")
            else:
                self._questions.put((question, self._turns.next()))

    def _do(self, request: Request, line: str) -> None:
        """What was typed and is no question; the answers under way go on."""
        if request is Request.LEAVE:
            self._questions.put(None)
        elif request is Request.WATCH:
            self._watch(line)
        elif request is Request.UNWATCH:
            self._unwatch()
        else:
            self._note(HELP if request is Request.HELP else "you are welcome; 'help' tells what can be asked")

    def _watch(self, line: str) -> None:
        try:
            number, note = self._listener.watch(line)
        except EarshotError as error:
            self._note(str(error))
            return
        words = self._listener.watches[number].words
        self._note(f"you will be told {words}{f' ({note})' if note else ''}; 'stop watching' ends it")

    def _unwatch(self) -> None:
        armed = [number for number in self._listener.watches if self._listener.unwatch(number)]
        self._note(f"no longer watching ({len(armed)} ended)" if armed else "nothing was watched for")

    def _answer_until_end(self) -> None:
        while (asked := self._questions.get()) is not None:
            with self._turns.taken(asked[1]) as wanted:
                if wanted:
                    self._answer(self._dialogue.complete(asked[0]), asked[0])
                else:
                    self._note(f"stopped before its turn: {asked[0]}")

    def _answer(self, question: str, typed: str) -> None:
        """Have a question answered; one that cannot be asked becomes a note."""
        if question != typed:
            self._note(f"{typed!r} is taken for: {question}")
        try:
            reply = self._reply(question)
        except CancelledError:
            self._write(question, "", self._listener.heard_s)
            self._note(f"stopped: {question}")
        except EarshotError as error:
            self._note(str(error))
        else:
            self._dialogue.answered(question, reply.answer.text)
            self._teller.answer(question, reply.answer, reply.matter.end_s)

    def _reply(self, question: str) -> Reply:
        """Let the listener answer; its text is told while it comes."""
        text, heard_s = AnswerText(self._think), self._listener.heard_s

        def on_text(piece: str) -> None:
            self._turns.check()
            if said := text.take(piece):
                self._write(question, said, heard_s)

        self._asked = self._listener.submit(question, think=self._think, on_text=on_text)
        try:
            return self._asked.result()
        finally:
            self._asked = None

    def _cancel(self) -> None:
        """Stop what is being answered; called from the thread that types."""
        asked = self._asked
        if asked is not None:
            self._listener.cancel(asked)

    def _write(self, question: str, piece: str, heard_s: float) -> None:
        if isinstance(self._teller, WritingTeller):
            self._teller.writing(question, piece, heard_s)

    def _note(self, text: str) -> None:
        self._tell(Note(text, self._listener.heard_s))
