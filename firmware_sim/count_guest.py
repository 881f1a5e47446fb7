"""Runs on the emulated core: hears and answers, and marks every stage for the instruction counter.

Not imported by anything: `estimate.py` starts it as a program. Standard input is float32 [2, n] at 16 kHz, interleaved
by ear (all left samples first). The last line of standard output says which region is what.

Usage: count_guest.py BUNDLE language|no-language
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tokens import MAX_TOKENS, Tokens
from earshot.runtime.interfaces.measure import QUESTIONS, Stopwatch, hops, time_stages

_MARK = 4242  # a system call that Linux does not have; see boards/count_instructions.c
_BEGIN, _END = 1, 2
WARM_HOPS = 5
"""Hops before counting: first calls load and allocate."""
EMPTY_REGIONS = 20


class Marker(Stopwatch):
    """A stopwatch that marks regions instead of timing them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self._call = ctypes.CDLL(None).syscall

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Mark the `with` block."""
        self.begin(name)
        yield
        self.end(name)

    def begin(self, name: str) -> None:
        """A region begins."""
        self._call(_MARK, _BEGIN, self.number_of(name))

    def end(self, name: str) -> None:
        """It ends."""
        self._call(_MARK, _END, self.number_of(name))

    def number_of(self, name: str) -> int:
        """The region's number, a new one for a new name."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


def main() -> None:
    """Count everything once."""
    bundle, with_language = Path(sys.argv[1]), sys.argv[2] == "language"
    samples = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(2, -1)
    encoders = Encoders()
    encoders.load(bundle)
    hearing = Hearing(encoders)
    chunks = hops(samples)
    for chunk in chunks[:WARM_HOPS]:
        hearing.process(chunk)
    time_stages(encoders, samples[:, : WARM_HOPS * FRAME_SAMPLES], Stopwatch())
    gc.disable()
    marker = Marker()
    for _ in range(EMPTY_REGIONS):
        with marker.time("nothing"):
            pass
    for chunk in chunks[WARM_HOPS:]:
        with marker.time("hearing"):
            hearing.process(chunk)
    time_stages(encoders, samples, marker)
    tokens = window_of_ten_seconds(hearing.window().tokens)
    encoders.project(tokens)
    with marker.time("projector"):
        embeddings = encoders.project(tokens)
    written = count_answer(bundle, embeddings, marker) if with_language else None
    sys.stdout.write(json.dumps({"regions": marker.names, "answer": written}) + "\n")


def window_of_ten_seconds(tokens: Tokens) -> Tokens:
    """25 tokens, what was heard repeated: the language model's work does not depend on what they say."""
    parts = tokens.as_dict()
    return Tokens(**{name: np.resize(value, (MAX_TOKENS, *value.shape[1:])) for name, value in parts.items()})


def count_answer(bundle: Path, embeddings: NDArray[np.float32], marker: Marker) -> str:
    """Mark one question about new audio, up to its first token and up to its end; returns what was written."""
    from earshot.runtime.language.answerer import Answerer

    pieces: list[str] = []

    def hear(text: str) -> None:
        if not pieces:
            marker.end("first_token")
        pieces.append(text)

    answerer = Answerer(bundle)
    answerer.load()
    marker.begin("first_token")
    marker.begin("answer")
    answerer.answer(QUESTIONS[0], embeddings, on_text=hear)
    marker.end("answer")
    answerer.close()
    return "".join(pieces)


if __name__ == "__main__":
    main()
