"""The asking side of a listener: questions about now, about the past and about recordings, waited for or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.hearing.effort import REFUSAL
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.language.answerer import Answer, OnText
from earshot.runtime.language.questions import Answering, BusyError, Question, Reply
from earshot.runtime.loop import HearingLoop
from earshot.runtime.matters import QuestionNow, QuestionOf

FILE_CHUNK_SAMPLES = 16 * 640
"""Files are heard in larger chunks than live sound; no result depends on it."""


class Inquiry(ABC):
    """What can be asked of something that hears; the base of `Listener`.

    Parameters
    ----------
    think : bool
        Whether answers begin with written evidence, unless a question says otherwise.
    """

    def __init__(self, think: bool) -> None:
        self._think = think

    @abstractmethod
    def _parts(self) -> tuple[Encoders, HearingLoop, Answering]:
        """What hears and what answers.

        Raises
        ------
        UsageError
            When nothing is loaded yet.
        """

    @property
    def answering(self) -> Answering:
        """The line of questions.

        Raises
        ------
        UsageError
            When nothing is loaded yet.
        """
        return self._parts()[2]

    def ask(
        self,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        on_text: OnText | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask about the last 10 seconds and wait for the answer.

        Parameters
        ----------
        question : str
        choices : sequence of str, optional
            2 to 8 options; the answer is then one of them.
        think : bool, optional
            Whether the model writes its evidence first; as the listener was made without it.
        on_text : callable, optional
            Called with pieces of text as they come; see `Answerer.answer`.
        timeout_s : float, optional
            How long to wait.

        Raises
        ------
        UsageError
            When question or choices cannot be asked.
        BusyError
            When too many questions wait.
        TimeoutError
            When it takes too long; the question is cancelled then.
        """
        return self._wait_for(self.submit(question, choices, think=think, on_text=on_text), timeout_s).answer

    def ask_file(
        self,
        audio: Path | str,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Ask about a recording, while live hearing goes on; parameters and errors as `ask`.

        Raises
        ------
        InputError
            When the recording cannot be used.
        """
        source = FileSource(audio, chunk_samples=FILE_CHUNK_SAMPLES)
        return self._wait_for(self.submit(question, choices, think=think, source=source), timeout_s)

    def submit(
        self,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        on_text: OnText | None = None,
        source: AudioSource | None = None,
        longest_s: float | None = None,
    ) -> Question:
        """Ask without waiting; `Question.result` waits, `cancel` cancels.

        Parameters
        ----------
        question, choices, think, on_text
            As in `ask`.
        source : AudioSource, optional
            What it is about, not open; without it, the last 10 seconds.
        longest_s : float, optional
            A longer source is refused.

        Raises
        ------
        BusyError
            When too many questions wait, or this machine is too busy with hearing.
        """
        encoders, loop, answering = self._parts()
        if not loop.effort.answers:
            raise BusyError(REFUSAL)
        evidence = self._think if think is None else think
        if source is None:
            return answering.submit(QuestionNow(question, encoders, loop.hearing, choices, evidence, on_text))
        return answering.submit(QuestionOf(question, encoders, source, longest_s, choices, evidence, on_text))

    def cancel(self, question: Question) -> None:
        """Stop a question; one that is done stays done."""
        self._parts()[2].cancel(question)

    def _wait_for(self, question: Question, timeout_s: float | None) -> Reply:
        try:
            return question.result(timeout_s)
        except BaseException:  # time is up, or Ctrl-C: nobody waits any more
            self.cancel(question)
            raise
