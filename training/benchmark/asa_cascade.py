"""The cascade baseline as the one examined: the ears of a bundle, and a language model that reads what they heard.

Nothing but the prompt differs from how a bundle is examined: the same hearing, probes, treatments, reasoning and weighing of
options, and a language model in the format of the shipped bundles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.export.gguf_llm import write_gguf
from earshot.runtime.bundle.manifest import LLM_NAME
from earshot.runtime.errors import InputError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answerer
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.llm import LanguageModel
from earshot.training.benchmark.asa_examinee import Examinee, Job, Line
from earshot.training.benchmark.asa_probes import Treatment
from earshot.training.benchmark.loaded_bundle import LoadedBundle
from earshot.training.models.llm import load_llm
from earshot.training.questions.items import Item
from earshot.training.stages.cascade_text import tracks_text
from earshot.training.synthesis.dataset import open_shards

Float32 = NDArray[np.float32]
QUANTIZATION = "Q8_0"


def examine_cascade(
    jobs: Sequence[Job], bundle: Path | None, data: Path, cascade: Path, think: bool = True
) -> Iterator[list[Line]]:
    """Answers of one job after the other, in one process.

    Parameters
    ----------
    jobs, bundle, data, think
        As for `asa_examinee.examine`; the bundle's encoders are the ears.
    cascade : Path
        Folder of `earshot train cascade`; gets `llm.gguf`.

    Raises
    ------
    InputError
        There is no cascade.
    """
    if not (cascade / "model.safetensors").is_file():
        raise InputError(f"no cascade at {cascade}: run `earshot train cascade` first")
    write_gguf(load_llm(cascade), cascade / "tokenizer.json", cascade / LLM_NAME, QUANTIZATION)
    yield from map(CascadeExaminee(bundle, data, cascade, think).answer, jobs)


class CascadeExaminee(Examinee):
    """The ears of a bundle and a language model that reads, asked about clips.

    Parameters
    ----------
    bundle : Path or None
        None for the built-in one.
    data : Path
        Stems that the clips are mixed from.
    cascade : Path
        Folder with `llm.gguf`.
    think : bool
        Whether it writes its evidence before it answers.
    """

    def __init__(self, bundle: Path | None, data: Path, cascade: Path, think: bool = True) -> None:
        directory, _ = open_encoders(bundle)
        answerer = Answerer(cascade)
        answerer.llm = self._reader = Reader(cascade / LLM_NAME)
        answerer.load()
        encoders = WritingEncoders(self._reader)
        encoders.load(directory)
        self._bundle = LoadedBundle(encoders, answerer)
        self._shards = open_shards(data)
        self._think = think

    def _embed(self, window: HearingWindow | None, treatment: Treatment, item: Item) -> Heard:
        self._reader.heard = ""
        return super()._embed(window, treatment, item)


class Reader(LanguageModel):
    """A language model that is told in text what was heard.

    Attributes
    ----------
    heard : str
        What stands in the place of audio embeddings; empty without audio.
    """

    heard = ""

    def begin(self, prefix: str, embeddings: Float32, suffix: str, reserve: int = 0) -> int:
        """As `LanguageModel.begin`, with what was heard behind the prefix."""
        return super().begin(prefix + self.heard, embeddings, suffix, reserve)


class WritingEncoders(Encoders):
    """Encoders that write down for a reader what others project."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    @property
    def embedding_width(self) -> int:
        """That of the reader, which gets no embeddings."""
        return self._reader.hidden

    def project_inputs(self, inputs: ProjectorInputs) -> Float32:
        """No embeddings; the reader is told."""
        self._reader.heard = tracks_text(inputs)
        return np.zeros((0, self.embedding_width), np.float32)
