"""Asks about recordings: hears a file through the live path, gives what was heard to the language model.

A recording is heard once for all questions about it that follow each other. The result is the JSON of the
contract.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import SAMPLE_RATE_HZ
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answerer, OnText
from earshot.runtime.language.heard import embed
from earshot.runtime.scene.sources import SourceEstimate, summarize

HEARING_CHUNK_SAMPLES = 16 * 640
"""Files are heard in larger chunks than live sound; no result depends on it."""


class Timing(BaseModel):
    """Seconds: length of the recording, to hear it, to the first token, to the end of the answer."""

    model_config = ConfigDict(frozen=True)

    audio_s: float
    hearing_s: float
    first_token_s: float
    answer_s: float


class AskResult(BaseModel):
    """One answered question; `document()` is the JSON of the contract."""

    model_config = ConfigDict(frozen=True)

    id: str
    answer: str
    choice: int | None
    reasoning: str
    sources: list[SourceEstimate]
    timing: Timing
    doubts: list[str] = []

    def document(self) -> dict[str, Any]:
        """A JSON object. Doubts are no part of the contract, and only there when there are any."""
        return self.model_dump(exclude=None if self.doubts else {"doubts"})


@dataclass(frozen=True, eq=False)
class Heard:
    """A recording as the language model gets it.

    Attributes
    ----------
    window : HearingWindow
        Its last 10 s.
    sources : list of SourceEstimate
        Of the whole recording, in order of onset.
    audio_s, hearing_s : float
        Its length; the time it took to hear it.
    """

    window: HearingWindow
    sources: list[SourceEstimate]
    audio_s: float
    hearing_s: float


class Asker:
    """A loaded bundle that answers questions about files.

    Parameters
    ----------
    bundle : Path or None
        Bundle directory; None for the default one.
    think : bool
        Let the model write its evidence first.
    """

    def __init__(self, bundle: Path | None = None, think: bool = True) -> None:
        self._bundle = bundle
        self._think = think
        self._last: tuple[Path, Heard] | None = None

    def load(self) -> None:
        """Verify the bundle, load its networks and the language model.

        Raises
        ------
        BundleError
            When it is missing or refused.
        """
        directory, self._encoders = open_encoders(self._bundle)
        self._answerer = Answerer(directory)
        self._answerer.load()

    def close(self) -> None:
        """Free the language model."""
        self._answerer.close()

    def hear(self, audio: Path) -> Heard:
        """Hear a recording, unless it is the one heard last.

        Raises
        ------
        InputError
            When the file is missing, is not binaural or cannot be read.
        """
        if self._last is None or self._last[0] != audio:
            self._last = (audio, self._hear(audio))
        return self._last[1]

    def ask(
        self,
        audio: Path,
        question: str,
        choices: Sequence[str] | None = None,
        item_id: str = "",
        on_text: OnText | None = None,
    ) -> AskResult:
        """Answer one question about a recording.

        Parameters
        ----------
        audio : Path
        question : str
        choices : sequence of str, optional
            2 to 8 options.
        item_id : str
            Comes back as `id`.
        on_text : callable, optional
            Called with pieces of text as the model writes them; see `Answerer.answer`.

        Raises
        ------
        InputError
            When the recording cannot be used.
        UsageError
            When the question or the choices cannot.
        """
        heard = self.hear(audio)
        began_s = time.perf_counter()
        told = embed(self._encoders, heard.window, question, choices)
        embed_s = time.perf_counter() - began_s
        answer = self._answerer.answer(question, told, choices, self._think, on_text)
        timing = {
            "audio_s": heard.audio_s,
            "hearing_s": heard.hearing_s,
            "first_token_s": embed_s + answer.first_token_s,
            "answer_s": embed_s + answer.answer_s,
        }
        return AskResult(
            id=item_id,
            answer=answer.text,
            choice=answer.choice,
            reasoning=answer.reasoning,
            sources=heard.sources,
            timing=Timing(**{name: round(value, 4) for name, value in timing.items()}),
            doubts=list(answer.doubts),
        )

    def _hear(self, audio: Path) -> Heard:
        start_s = time.perf_counter()
        hearing = Hearing(self._encoders)
        snapshots: list[SceneSnapshot] = []
        samples = 0
        with FileSource(audio, chunk_samples=HEARING_CHUNK_SAMPLES) as source:
            for chunk in source:
                snapshots += hearing.process(chunk)
                samples += chunk.samples.shape[1]
        snapshots += hearing.flush()
        sources = summarize(snapshots)
        return Heard(hearing.window(), sources, samples / SAMPLE_RATE_HZ, time.perf_counter() - start_s)
