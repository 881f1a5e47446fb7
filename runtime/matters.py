"""What questions are about, and who answers them: now and recordings by the language model, the past by the memory."""

from __future__ import annotations

import time
from collections.abc import Sequence

from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot
from earshot.runtime.interfaces.past import Past
from earshot.runtime.language.answerer import Answerer, OnText
from earshot.runtime.language.heard import embed
from earshot.runtime.language.questions import Answering, Matter, Question, Reply
from earshot.runtime.scene.sources import summarize


class QuestionNow(Question):
    """A question about the last 10 seconds, or about the past."""

    def __init__(
        self,
        text: str,
        encoders: Encoders,
        hearing: Hearing,
        choices: Sequence[str] | None = None,
        think: bool = True,
        on_text: OnText | None = None,
    ) -> None:
        super().__init__(text, lambda asked: matter_now(encoders, hearing, asked), choices, think, on_text)


class QuestionOf(Question):
    """A question about a recording; a longer one than `longest_s` is refused."""

    def __init__(
        self,
        text: str,
        encoders: Encoders,
        source: AudioSource,
        longest_s: float | None = None,
        choices: Sequence[str] | None = None,
        think: bool = True,
        on_text: OnText | None = None,
    ) -> None:
        super().__init__(text, lambda asked: matter_of(encoders, source, asked, longest_s), choices, think, on_text)


class Answers(Answering):
    """The thread that answers; what is asked about the past goes to the memory first.

    Parameters
    ----------
    answerer : Answerer
        Loaded; closed by `close()`.
    past : Past
    """

    def __init__(self, answerer: Answerer, past: Past) -> None:
        super().__init__(answerer)
        self._past = past

    def _reply(self, question: Question) -> Reply:
        if isinstance(question, QuestionNow) and question.choices is None:
            question.check()
            recalled = self._past.answer(question.text)
            if recalled is not None:
                return Reply(recalled, question.find_matter(question))
        return super()._reply(question)


def matter_now(encoders: Encoders, hearing: Hearing, question: Question) -> Matter:
    """The last 10 seconds."""
    window = hearing.window()
    heard = embed(encoders, window, question.text, question.choices)
    return Matter(heard, summarize(window.snapshots), len(window.snapshots) * SNAPSHOT_S, 0.0, window.end_s)


def matter_of(encoders: Encoders, source: AudioSource, question: Question, longest_s: float | None) -> Matter:
    """Hear a whole recording.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    source : AudioSource
        Not open.
    question : Question
        Looked at between chunks: once it was cancelled, hearing stops.
    longest_s : float or None
        A longer one is refused.

    Raises
    ------
    InputError
        When the recording cannot be used or is too long.
    """
    began_s = time.perf_counter()
    hearing = Hearing(encoders)
    snapshots: list[SceneSnapshot] = []
    audio_s = 0.0
    with source:
        for chunk in source:
            question.check()
            audio_s = chunk.end_s
            if longest_s is not None and audio_s > longest_s:
                raise InputError(f"{source.name}: longer than {longest_s:g} s; send a shorter recording")
            snapshots += hearing.process(chunk)
    heard = embed(encoders, hearing.window(), question.text, question.choices)
    return Matter(heard, summarize(snapshots), audio_s, time.perf_counter() - began_s, audio_s)
