"""Runs on the emulated core: hears and answers, and marks every stage for the instruction counter.

Not imported by anything: `estimate.py` starts it as a program. Standard input is float32 [2, n] at 16 kHz, interleaved
by ear (all left samples first). TOKENS is a file of audio tokens as `Tokens.as_dict` names them: what the question is
about. The last line of standard output says which region is what.

Usage: count_guest.py BUNDLE TOKENS language|no-language
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.names import NAMES_SAMPLES
from earshot.runtime.hearing.tokens import Tokens
from earshot.runtime.interfaces.measure import QUESTIONS, Stopwatch, hops, time_stages
from earshot.runtime.language.heard import Heard, names_heard
from earshot.runtime.language.prompt import THINK_END

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
    bundle, with_language = Path(sys.argv[1]), sys.argv[3] == "language"
    samples = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(2, -1)
    encoders = Encoders()
    encoders.load(bundle)
    hearing = Hearing(encoders)
    chunks = hops(samples)
    for chunk in chunks[:WARM_HOPS]:
        hearing.process(chunk)
    time_stages(encoders, samples[:, : WARM_HOPS * FRAME_SAMPLES], Stopwatch())
    if encoders.has("names"):
        encoders.name_sounds(np.zeros((1, NAMES_SAMPLES), np.float32))  # it hears in two of ten hops only
    gc.disable()
    marker = Marker()
    for _ in range(EMPTY_REGIONS):
        with marker.time("nothing"):
            pass
    for chunk in chunks[WARM_HOPS:]:
        with marker.time("hearing"):
            hearing.process(chunk)
    time_stages(encoders, samples, marker)
    tokens = Tokens(**np.load(sys.argv[2], allow_pickle=False))
    encoders.project(tokens)
    with marker.time("projector"):
        embeddings = encoders.project(tokens)
    written = count_answer(bundle, Heard(embeddings, names_heard(tokens)), marker) if with_language else None
    sys.stdout.write(json.dumps({"regions": marker.names, "written": written}) + "\n")


def count_answer(bundle: Path, heard: Heard, marker: Marker) -> dict[str, Any]:
    """Mark one question about new audio.

    Three regions begin with the question: `prompt` ends with the first token written, `first_token` with the first one
    of the answer (the reasoning comes before it), `answer` with the last.

    Returns
    -------
    dict
        What was written, and the lengths in tokens.
    """
    from earshot.runtime.language.answerer import Answerer

    open_regions = ["prompt", "first_token", "answer"]
    before = ""

    def hear(text: str) -> None:
        nonlocal before
        if open_regions[0] == "prompt" or (open_regions[0] == "first_token" and before == THINK_END):
            marker.end(open_regions.pop(0))
        before = text

    answerer = Answerer(bundle)
    answerer.load()
    for name in open_regions:
        marker.begin(name)
    answer = answerer.answer(QUESTIONS[0], heard, on_text=hear)
    for name in reversed(open_regions):
        marker.end(name)
    lengths = {
        "prompt_tokens": answer.prompt_tokens,
        "reasoning_tokens": len(answerer.llm.tokenize(answer.reasoning)),
        "answer_tokens": len(answerer.llm.tokenize(answer.text)),
    }
    answerer.close()
    return {"reasoning": answer.reasoning, "answer": answer.text, **lengths}


if __name__ == "__main__":
    main()
