"""Measuring the product on this machine: time per stage and hop, loading, answering, memory."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.asked import ask_by_name
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, FeatureExtractor
from earshot.runtime.hearing.interfaces import INTERFACES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.networks import Network, Tensors
from earshot.runtime.hearing.tokens import TokenPooler
from earshot.runtime.hearing.tracks import Tracker
from earshot.runtime.language.heard import Heard, names_heard

ASKINGS = 5
QUESTIONS = ("What can you hear?", "Where is the dog?", "Which sound is closest to me?")

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Spread:
    """Median, 95th and 99th percentile of a time, milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, times_s: list[float]) -> Spread:
        """Of at least one time in seconds."""
        return cls(*(round(float(value), 4) for value in np.percentile(times_s, [50, 95, 99]) * 1e3))


@dataclass(frozen=True)
class Profile:
    """What was measured; `as_dict` is the JSON document of `earshot profile`.

    Attributes
    ----------
    audio_s, hop_s : float
        Length of the audio; one hop is one encoder frame.
    stages : mapping of Spread
        Per hop, except `token` (one in ten hops), `names` (two in ten, one ear in each, where the bundle has that network) and
        `projector` (25 tokens, once per question).
    hearing : Spread
        All of hearing together, per hop.
    hops, deadline_misses : int
        Hops timed, and how many of them took longer than a hop lasts.
    realtime_factor : float
        Processing time of hearing over audio time; 0.03 = 3 %.
    load_s : float
        Verifying and loading the encoders up to the first heard frame.
    llm_load_s, first_token_s, answer_s : float
        Loading the language model; medians over the questions, each from the question on and about sound that the model
        has not seen, as it always is when listening live. The first token is that of the answer, after the reasoning.
    asked_s : float
        What a question takes longer that names a sound which may have been there but was not told of (`asked.ask_by_name`).
    peak_memory_mb : float
        Resident memory, high-water mark of the process.
    """

    audio_s: float
    hop_s: float
    stages: Mapping[str, Spread]
    hearing: Spread
    hops: int
    deadline_misses: int
    realtime_factor: float
    load_s: float
    llm_load_s: float
    first_token_s: float
    answer_s: float
    asked_s: float
    peak_memory_mb: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


class Stopwatch:
    """Times by name, in seconds."""

    def __init__(self) -> None:
        self.times_s: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the duration of the `with` block under `name`."""
        start = time.perf_counter()
        yield
        self.times_s[name].append(time.perf_counter() - start)

    def spread(self) -> dict[str, Spread]:
        """Percentiles of every name."""
        return {name: Spread.of(times) for name, times in self.times_s.items()}


class TimedEncoders(Encoders):
    """Encoders that note the time of every network run."""

    def __init__(self, encoders: Encoders, watch: Stopwatch) -> None:
        super().__init__(encoders.slot_settings)
        names = [name for name in INTERFACES if encoders.has(name)]
        self._networks = {name: _TimedNetwork(encoders.network(name), name, watch) for name in names}


class _TimedNetwork(Network):
    def __init__(self, network: Network, name: str, watch: Stopwatch) -> None:
        super().__init__(network.session)
        self._name, self._watch = name, watch

    def run(self, inputs: Mapping[str, NDArray[Any]], state: Tensors) -> tuple[Tensors, Tensors]:
        with self._watch.time(self._name):
            return super().run(inputs, state)


def measure(open_encoders: Callable[[], tuple[Path, Encoders]], samples: Samples, n_threads: int = 1) -> Profile:
    """Measure hearing and answering.

    Parameters
    ----------
    open_encoders : callable
        Verifies and loads.
    samples : ndarray, float32 [2, n]
        At 16 kHz, at least one encoder frame.
    n_threads : int
        Compute threads of the language model.
    """
    start_s = time.perf_counter()
    directory, encoders = open_encoders()
    Hearing(encoders).process(AudioChunk(samples[:, : 3 * FRAME_SAMPLES], 0))
    load_s = time.perf_counter() - start_s
    hop_times_s = _time_hearing(encoders, samples)
    watch = Stopwatch()
    time_stages(encoders, samples, watch)
    answering = _time_answers(directory, encoders, samples, watch, n_threads)
    return Profile(
        audio_s=round(samples.shape[1] / SAMPLE_RATE_HZ, 3),
        hop_s=FRAME_S,
        stages=watch.spread(),
        hearing=Spread.of(hop_times_s),
        hops=len(hop_times_s),
        deadline_misses=sum(time_s > FRAME_S for time_s in hop_times_s),
        realtime_factor=round(sum(hop_times_s) / (len(hop_times_s) * FRAME_S), 5),
        load_s=round(load_s, 4),
        **answering,
        peak_memory_mb=round(peak_memory_bytes() / 1e6, 1),
    )


def hops(samples: Samples) -> list[AudioChunk]:
    """Whole chunks of one encoder frame."""
    starts = range(0, samples.shape[1] - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    return [AudioChunk(samples[:, start : start + FRAME_SAMPLES], start) for start in starts]


def peak_memory_bytes() -> int:
    """High-water mark of resident memory of this process."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def _time_hearing(encoders: Encoders, samples: Samples) -> list[float]:
    """Time of every hop through the real path."""
    hearing = Hearing(encoders)
    watch = Stopwatch()
    for chunk in hops(samples):
        with watch.time("hop"):
            hearing.process(chunk)
    return watch.times_s["hop"]


def time_stages(encoders: Encoders, samples: Samples, watch: Stopwatch) -> None:
    """Time of the parts, hop by hop, noted in `watch`; `step` holds both encoders, the names and the slots."""
    extractor, tracker, pooler = FeatureExtractor(), Tracker(), TokenPooler()
    stream = TimedEncoders(encoders, watch).open_stream()
    for chunk in hops(samples):
        with watch.time("features"):
            frames = extractor.process(chunk.samples)
        for features in frames:
            with watch.time("step"):
                stream.add(chunk.samples)
                frame = stream.step(features)
            with watch.time("tracks"):
                tracker.process(frame)
            with watch.time("token"):
                pooler.process(frame)


def _time_answers(
    directory: Path, encoders: Encoders, samples: Samples, watch: Stopwatch, n_threads: int
) -> dict[str, float]:
    """Ask the questions about the last 10 s; the model's answers are not judged here."""
    from earshot.runtime.language.answerer import Answerer  # an emulated board may have no llama.cpp

    hearing = Hearing(encoders)
    for chunk in hops(samples):
        hearing.process(chunk)
    window = hearing.window()
    tokens = window.tokens
    asked = Stopwatch()
    for label in range(ASKINGS):
        with asked.time("asked"):
            ask_by_name(encoders, window.frames, [label])
    timed = TimedEncoders(encoders, watch)
    answerer = Answerer(directory, n_threads)
    start_s = time.perf_counter()
    answerer.load()
    llm_load_s = time.perf_counter() - start_s
    try:
        # Another window for every question, so that none finds its audio computed already.
        windows = [tokens.last(len(tokens) - number) for number in range(len(QUESTIONS))]
        heard = [Heard(timed.project(part), names_heard(part)) for part in windows]
        answers = [answerer.answer(question, told) for question, told in zip(QUESTIONS, heard, strict=True)]
    finally:
        answerer.close()
    return {
        "llm_load_s": round(llm_load_s, 4),
        "first_token_s": round(float(np.median([a.first_token_s for a in answers])), 4),
        "answer_s": round(float(np.median([a.answer_s for a in answers])), 4),
        "asked_s": round(float(np.median(asked.times_s["asked"])), 4),
    }
