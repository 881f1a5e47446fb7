"""Questions that wait for the language model: a bounded line, one thread that answers, and a handle on each.

The thread owns the language model: nobody else may call it, but anybody may ask, wait and cancel.
"""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from earshot.runtime.errors import EarshotError
from earshot.runtime.language.answerer import Answer, Answerer, OnText
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.scene.sources import SourceEstimate

MAX_WAITING = 8
_FUTURE_TIMEOUT = concurrent.futures.TimeoutError


class BusyError(EarshotError):
    """Too many questions wait already."""


@dataclass(frozen=True, eq=False)
class Matter:
    """What a question is about, as the language model gets it.

    Attributes
    ----------
    heard : Heard
        Audio tokens, and the names of what was heard.
    sources : list of SourceEstimate
        What was heard, in order of onset.
    audio_s, hearing_s, end_s : float
        Length of the sound; the time it took to hear it (0 for live sound, which was heard as it came); where it
        ends, since stream start. Seconds.
    """

    heard: Heard
    sources: list[SourceEstimate]
    audio_s: float
    hearing_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Reply:
    """An answer and what it is about."""

    answer: Answer
    matter: Matter


FindMatter = Callable[["Question"], Matter]


class Question:
    """One question on its way.

    Parameters
    ----------
    text : str
    find_matter : callable
        Gives what the question is about, at the moment it is answered; called in the answering thread.
    choices : sequence of str, optional
        2 to 8 options.
    think : bool
        Let the model write its evidence first.
    on_text : callable, optional
        Called in the answering thread with pieces of text; see `Answerer.answer`.
    """

    def __init__(
        self,
        text: str,
        find_matter: FindMatter,
        choices: Sequence[str] | None = None,
        think: bool = True,
        on_text: OnText | None = None,
    ) -> None:
        self.text = text
        self.find_matter = find_matter
        self.choices = None if choices is None else tuple(choices)
        self.think = think
        self.future: Future[Reply] = Future()
        self.future.set_running_or_notify_cancel()  # only `Answering.cancel` cancels
        self._on_text = on_text
        self._cancelled = threading.Event()

    def result(self, timeout_s: float | None = None) -> Reply:
        """Wait for the answer.

        Raises
        ------
        UsageError
            When question or choices cannot be asked.
        CancelledError
            When it was cancelled.
        TimeoutError
            When it is not there in time; the question stays in the line.
        """
        try:
            return self.future.result(timeout_s)
        except TimeoutError:
            raise
        except _FUTURE_TIMEOUT as error:  # another class before Python 3.11
            raise TimeoutError(f"no answer within {timeout_s} s") from error

    def mark_cancelled(self) -> None:
        """Make `check` raise from now on."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise CancelledError once the question was cancelled."""
        if self._cancelled.is_set():
            raise CancelledError("the question was cancelled")

    def hear(self, text: str) -> None:
        """Pass a piece of text on; a cancel that the language model missed takes effect here."""
        self.check()
        if self._on_text is not None:
            self._on_text(text)


class Answering:
    """The thread that owns the language model.

    Parameters
    ----------
    answerer : Answerer
        Loaded; closed by `close()`.
    max_waiting : int
        Questions that may wait besides the one under way.
    """

    def __init__(self, answerer: Answerer, max_waiting: int = MAX_WAITING) -> None:
        self._answerer = answerer
        self._waiting: queue.Queue[Question | None] = queue.Queue(max_waiting + 1)  # the last place is for the end
        self._max_waiting = max_waiting
        self._lock = threading.RLock()  # whoever is told of an outcome may ask or cancel at once
        self._current: Question | None = None
        self._closed = False
        self._answered = 0
        self._last: Answer | None = None
        self._thread = threading.Thread(target=self._run, name="answering", daemon=True)

    @property
    def waiting(self) -> int:
        """Questions in the line."""
        return self._waiting.qsize()

    @property
    def answered(self) -> int:
        """Questions answered so far."""
        return self._answered

    @property
    def last(self) -> Answer | None:
        """The latest answer."""
        return self._last

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def submit(self, question: Question) -> Question:
        """Put a question at the end of the line and return it.

        Raises
        ------
        BusyError
            When the line is full, or closed.
        """
        with self._lock:
            if self._closed:
                raise BusyError("the listener has been closed; no question can be asked")
            if self._waiting.qsize() >= self._max_waiting:
                raise BusyError(f"{self._max_waiting} questions wait already; ask again in a moment")
            self._waiting.put_nowait(question)
        return question

    def cancel(self, question: Question) -> None:
        """Stop a question, whether it waits or is being answered; one that is done stays done."""
        with self._lock:
            question.mark_cancelled()
            if self._current is question:
                self._answerer.cancel()
            else:
                _fail(question, CancelledError("the question was cancelled"))

    def close(self) -> None:
        """Cancel everything, end the thread and free the language model; may be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._current is not None:
                self._current.mark_cancelled()
                self._answerer.cancel()
            self._cancel_waiting()
            self._waiting.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join()
        self._answerer.close()

    def _cancel_waiting(self) -> None:
        with suppress(queue.Empty):
            while True:
                question = self._waiting.get_nowait()
                if question is not None:
                    _fail(question, CancelledError("the listener was closed before it could answer"))

    def _run(self) -> None:
        while (question := self._waiting.get()) is not None:
            with self._lock:
                if question.future.done():  # cancelled while it waited
                    continue
                self._current = question
            try:
                reply = self._reply(question)
            except Exception as error:
                self._finish(question, error)
            else:
                self._finish(question, reply)

    def _finish(self, question: Question, outcome: Reply | Exception) -> None:
        with self._lock:  # from here on a cancel can no longer reach the language model
            self._current = None
            if isinstance(outcome, Exception):
                _fail(question, outcome)
                return
            self._answered += 1
            self._last = outcome.answer
            question.future.set_result(outcome)

    def _reply(self, question: Question) -> Reply:
        question.check()
        matter = question.find_matter(question)
        question.check()
        choices = None if question.choices is None else list(question.choices)
        answer = self._answerer.answer(question.text, matter.heard, choices, question.think, question.hear)
        return Reply(answer, matter)


def _fail(question: Question, error: Exception) -> None:
    if not question.future.done():
        question.future.set_exception(error)
