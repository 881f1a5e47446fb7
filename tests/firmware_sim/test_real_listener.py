"""The real listener, its times noted: every turn asks the same about the same sound, alone and beside hearing."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from earshot.firmware_sim.board_beside import QUESTIONS, measure_beside, stalls
from earshot.firmware_sim.board_check import listen_by_turns
from earshot.firmware_sim.real_listener import RealListener, Times
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answer, Answerer
from earshot.runtime.language.heard import Heard

EVERY_S = 0.6


class Noting(Answerer):
    """Answers, `longer_s` later than it could, and keeps what it was asked about."""

    def __init__(self, bundle_dir: Path, longer_s: float = 0.0) -> None:
        super().__init__(bundle_dir)
        self.longer_s = longer_s
        self.asked: list[tuple[str, bytes]] = []

    def answer(self, question: str, heard: Heard, *rest: Any, **options: Any) -> Answer:
        self.asked.append((question, heard.embeddings.tobytes()))
        time.sleep(self.longer_s)
        return super().answer(question, heard, *rest, **options)


@pytest.fixture(scope="module")
def listened(tiny_bundle: Path) -> tuple[list[Any], list[tuple[str, bytes]]]:
    directory, encoders = open_encoders(tiny_bundle)
    answerer = Noting(directory, longer_s=1.5 * FRAME_S)  # an answer of this tiny model takes less than a hop
    answerer.load()
    done = listen_by_turns(RealListener(encoders, answerer, turn_s=1.2), EVERY_S, rounds=2)
    answerer.close()
    return done, answerer.asked


def test_by_turns_every_hop_is_heard_and_every_question_answered(listened: tuple[list[Any], Any]) -> None:
    done, _ = listened
    assert len(done) == 2
    for times, answers in ((done[1].parts, 2), (done[1].hearing, 0), (done[1].together, 2)):
        assert len(times.latencies_s) == len(times.cpu_s) == 30
        assert len(times.answer_s) == answers
        assert all(first <= answer for first, answer in zip(times.first_token_s, times.answer_s, strict=True))
        assert all(late >= took for late, took in zip(times.latencies_s, times.services_s, strict=True))
    assert done[0].parts.stalled_s == [], "in the first turn nothing happens at once"
    for round_ in done:
        assert 1 <= len(round_.together.stalled_s) < 30
        assert set(round_.together.stalled_s) <= set(round_.together.latencies_s)


def test_each_turn_asks_the_same_and_each_question_is_about_new_sound(listened: tuple[Any, list[Any]]) -> None:
    """An answer about sound that the language model has read already would be cheaper than those that are predicted."""
    _, asked = listened
    questions = [question for question, _ in asked if question not in QUESTIONS]
    assert questions == 4 * questions[:2]
    assert questions[0] != questions[1]
    assert all(before != after for (_, before), (_, after) in itertools.pairwise(asked))


def test_what_hearing_and_answering_cost_each_other_is_measured_on_questions_of_its_own(tiny_bundle: Path) -> None:
    directory, encoders = open_encoders(tiny_bundle)
    answerer = Noting(directory)
    answerer.load()
    listener = RealListener(encoders, answerer, turn_s=1.2)
    listener.hear(Times())
    beside = measure_beside(listener, hops=10)
    answerer.close()
    assert {question for question, _ in answerer.asked} == set(QUESTIONS)
    assert all(before != after for before, after in itertools.pairwise(answerer.asked))
    assert len(beside.hearing_s) == 10
    assert len(beside.wake_s) <= 10
    assert min(beside.hearing_s) > 0.0
    assert len(beside.stall_s) <= 10
    assert threading.active_count() == 1, "the thread that answers has ended"


def test_what_an_answer_takes_longer_is_shared_by_the_hops_that_came_meanwhile() -> None:
    answers, alone_s = [(0.0, 0.1), (0.1, 0.16), (0.16, 0.2), (0.2, 0.28)], [0.05, 0.05, 0.03, 0.1]
    assert stalls([0.02, 0.06, 0.11, 0.25], answers, alone_s) == pytest.approx([0.025, 0.025, 0.01, 0.0])
