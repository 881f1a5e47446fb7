"""The real listener, its times noted: every turn asks the same about the same sound, alone and beside hearing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot.firmware_sim.real_listener import LockProbe, RealListener, Times, listen_by_turns
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.language.answerer import Answer, Answerer

QUESTIONS_S = [0.42, 0.83]


class Noting(Answerer):
    """Answers, and keeps what it was asked about."""

    def __init__(self, bundle_dir: Path) -> None:
        super().__init__(bundle_dir)
        self.asked: list[tuple[str, bytes]] = []

    def answer(self, question: str, embeddings: Any, *rest: Any, **options: Any) -> Answer:
        self.asked.append((question, embeddings.tobytes()))
        return super().answer(question, embeddings, *rest, **options)


@pytest.fixture(scope="module")
def listened(tiny_bundle: Path) -> tuple[list[Any], list[tuple[str, bytes]]]:
    directory, encoders = open_encoders(tiny_bundle)
    answerer = Noting(directory)
    answerer.load()
    done = listen_by_turns(RealListener(encoders, answerer, turn_s=1.2), QUESTIONS_S, rounds=2)
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
    assert done[0].hearing.answering_wakes_s == [] == done[0].together.answering_wakes_s
    assert 1 <= len(done[0].together.stalled_s) <= 30


def test_each_turn_asks_the_same_and_each_question_is_about_new_sound(listened: tuple[Any, list[Any]]) -> None:
    """An answer about sound that the language model has read already would be cheaper than those that are predicted."""
    _, asked = listened
    questions = [question for question, _ in asked]
    assert questions == 4 * questions[:2]
    assert questions[0] != questions[1]
    assert all(before != after for (_, before), (_, after) in itertools.pairwise(asked))


def test_waiting_for_the_interpreter_is_what_waking_takes_longer_than_usual() -> None:
    times = Times(wakes_s=[0.001, 0.002, 0.009], answering_wakes_s=[0.001, 0.005])
    assert times.lock_waits_s() == pytest.approx([0.0, 0.003])
    assert Times().lock_waits_s() == []


def test_the_probe_notes_wakes_until_its_block_ends() -> None:
    lates_s: list[float] = []
    with LockProbe(lates_s):
        while len(lates_s) < 3:
            np.sort(np.random.default_rng(0).random(1000))
    noted = len(lates_s)
    assert noted >= 3
    assert min(lates_s) >= 0.0
    assert len(lates_s) == noted, "the thread has ended"
