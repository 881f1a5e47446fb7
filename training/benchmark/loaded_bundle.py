"""A bundle as benchmarks examine it: loaded once, it hears whole clips and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answerer
from earshot.runtime.language.heard import Heard, embed

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class LoadedBundle:
    """Ears and language model, both loaded."""

    encoders: Encoders
    answerer: Answerer

    def hear(self, audio: Float32) -> HearingWindow:
        """The last 10 s of a clip [2, samples]."""
        hearing = Hearing(self.encoders)
        hearing.process(AudioChunk(np.ascontiguousarray(audio), 0))
        return hearing.window()

    def embed(self, window: HearingWindow | None, question: str, choices: Sequence[str] | None = None) -> Heard:
        """What is heard of a window for a question; nothing without a window."""
        if window is None:
            return Heard(np.zeros((0, self.encoders.embedding_width), np.float32))
        return embed(self.encoders, window, question, choices)


def load_bundle(bundle: Path | None) -> LoadedBundle:
    """Load a bundle; None for the built-in one.

    Raises
    ------
    BundleError
        The bundle is missing or refused.
    """
    directory, encoders = open_encoders(bundle)
    answerer = Answerer(directory)
    answerer.load()
    return LoadedBundle(encoders, answerer)
