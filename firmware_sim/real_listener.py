"""The listener of the product at work, its times noted: one thing at a time, hearing alone, hearing and answering at once.

What the board check compares its predictions with. Times are those of this machine; nothing is predicted here.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing, HearingWindow
from earshot.runtime.interfaces.commands.profile import make_noise
from earshot.runtime.interfaces.measure import QUESTIONS, hops
from earshot.runtime.language.answerer import Answer, Answerer
from earshot.runtime.language.heard import embed


@dataclass
class Times:
    """What turns of one kind measured, seconds.

    Attributes
    ----------
    wakes_s : list of float
        From the coming of a hop to the thread's running, where it waited for the hop.
    services_s, cpu_s : list of float
        Each hop by the wall, from when the thread was free for it, and by the processor time of the thread.
    latencies_s : list of float
        From its coming to done.
    stalled_s, stalled_cpu_s : list of float
        Latency and processor time of those hops during which an answer was made.
    first_token_s, answer_s, answer_cpu_s : list of float
        From the question on; the last by processor time of the answering thread.
    """

    wakes_s: list[float] = field(default_factory=list)
    services_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    stalled_s: list[float] = field(default_factory=list)
    stalled_cpu_s: list[float] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    answer_cpu_s: list[float] = field(default_factory=list)


class RealListener:
    """The listener of the product, its times noted.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    answerer : Answerer
        Loaded.
    turn_s : float
        Length of a turn.
    """

    def __init__(self, encoders: Encoders, answerer: Answerer, turn_s: float) -> None:
        self._encoders, self._answerer = encoders, answerer
        self._hearing = Hearing(encoders)
        self._noise = [chunk.samples for chunk in hops(make_noise(turn_s))]
        self._heard = 0
        Hearing(encoders).process(AudioChunk(self._noise[0], 0))  # the first run of a network is slow

    @property
    def turn_hops(self) -> int:
        """Hops of a turn."""
        return len(self._noise)

    def hear(self, times: Times, count: int | None = None) -> list[tuple[float, float]]:
        """The next hops, all of a turn if not said otherwise, in true time; gives when each came and was done."""
        spans = []
        start_s = done_s = time.perf_counter()
        for number in range(self.turn_hops if count is None else count):
            came_s, free_s = start_s + (number + 1) * FRAME_S, done_s
            if free_s < came_s:
                time.sleep(came_s - free_s)
                times.wakes_s.append(time.perf_counter() - came_s)
                free_s = time.perf_counter()
            cpu_s = time.thread_time()
            self._hear_next()
            done_s = time.perf_counter()
            times.cpu_s.append(time.thread_time() - cpu_s)
            times.services_s.append(done_s - free_s)
            times.latencies_s.append(done_s - came_s)
            spans.append((came_s, done_s))
        return spans

    def answer(self, times: Times, question: str, asked_s: float) -> tuple[float, float]:
        """One question about the last 10 s, asked at a time of the clock; gives when it was under way."""
        cpu_s = time.thread_time()
        _, began_s, answer = self._ask(question)
        times.first_token_s.append(began_s - asked_s + answer.first_token_s)
        times.answer_s.append(began_s - asked_s + answer.answer_s)
        times.answer_cpu_s.append(time.thread_time() - cpu_s)
        return asked_s, time.perf_counter()

    def answer_about(self, window: HearingWindow, question: str) -> tuple[float, float]:
        """The same about a window of another time, from when the ears are free; gives when it was under way."""
        free_s, _, _ = self._ask(question, window)
        return free_s, time.perf_counter()

    def window(self) -> HearingWindow:
        """The last 10 s; waits for the hop under way."""
        return self._hearing.window()

    def _ask(self, question: str, about: HearingWindow | None = None) -> tuple[float, float, Answer]:
        """When the ears were free for the question, when the language model began, and what it said."""
        now = self.window()
        free_s = time.perf_counter()
        heard = embed(self._encoders, about or now, question)
        began_s = time.perf_counter()
        return free_s, began_s, self._answerer.answer(question, heard)

    def one_at_a_time(self, times: Times, questions_s: Sequence[float]) -> None:
        """One turn of sound that stands still while a question is answered, at the times from its start as in the others.

        So each question is about the same sound, and finds the caches as cold, as when both happen at once.
        """
        asked_at = [min(self.turn_hops, int(at_s / FRAME_S)) for at_s in questions_s]
        edges = [0, *asked_at, self.turn_hops]
        for question, (begin, end) in itertools.zip_longest(_turn_of(questions_s), itertools.pairwise(edges)):
            self.hear(times, end - begin)
            if question is not None:
                self.answer(times, question, time.perf_counter())

    def hear_and_answer(self, times: Times, questions_s: Sequence[float]) -> None:
        """One turn of sound, and answers in another thread at times from its start."""
        answering: list[tuple[float, float]] = []
        start_s, before = time.perf_counter(), len(times.cpu_s)

        def ask() -> None:
            for at_s, question in zip(questions_s, _turn_of(questions_s), strict=True):
                time.sleep(max(0.0, start_s + at_s - time.perf_counter()))
                answering.append(self.answer(times, question, start_s + at_s))

        asking = threading.Thread(target=ask, name="questions")
        asking.start()
        try:
            spans = self.hear(times)
        finally:
            asking.join()
        for (came_s, done_s), cpu_s in zip(spans, times.cpu_s[before:], strict=True):
            if any(began_s < done_s and came_s < ended_s for began_s, ended_s in answering):
                times.stalled_s.append(done_s - came_s)
                times.stalled_cpu_s.append(cpu_s)

    def _hear_next(self) -> None:
        samples = self._noise[self._heard % self.turn_hops]
        self._hearing.process(AudioChunk(samples, self._heard * FRAME_SAMPLES))
        self._heard += 1


def _turn_of(questions_s: Sequence[float]) -> list[str]:
    """What is asked in every turn: the same, for one question has three times as much to tell as another."""
    return [QUESTIONS[number % len(QUESTIONS)] for number in range(len(questions_s))]
