"""Exchanged ears in real sounds, round a measured head that turns, through the shipped networks."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.exchange import weighed
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.loading import open_encoders

pytest.importorskip("sofar", reason="measured heads are read by the extra train")
from earshot.training.benchmark.turning import TURN_S, render_pair
from earshot.training.synthesis.dataset import DataFolders, build_world

pytestmark = [pytest.mark.slow, pytest.mark.shared_data]

SOUNDS, TURN_DEG, PART_S = 12, 60.0, 4.0


@pytest.fixture(scope="module")
def sounds(shared_data: Path) -> np.ndarray:
    """One sound after another, float32 [2, n], of unseen recordings round an unseen head that looks to and fro."""
    world = build_world(DataFolders(shared_data), "validation")
    world = replace(world, heads=world.heads[3:4])
    length = int(PART_S * SAMPLE_RATE_HZ)
    turns = (TURN_DEG if number % 2 == 0 else -TURN_DEG for number in count())
    parts = [render_pair(world, [31, number], next(turns))[1][:, :length] for number in range(SOUNDS)]
    return np.concatenate(parts, axis=1)


def yaw_at(time_s: float) -> float:
    number, part_s = divmod(time_s, PART_S)
    turned = float(np.interp(part_s, TURN_S, (0.0, TURN_DEG)))
    return turned if number % 2 == 0 else TURN_DEG - turned


def votes(encoders: Encoders, audio: np.ndarray) -> tuple[float, float]:
    """For and against exchanged ears, of all sounds."""
    hearing = Hearing(encoders)
    hearing.yaw_at = yaw_at
    for start in range(0, audio.shape[1], 1600):
        hearing.process(AudioChunk(audio[:, start : start + 1600], start))
    assert not hearing.take_findings(), "so few sounds are no proof"
    (front_for, front_against), (back_for, back_against) = weighed(hearing.exchange.looks).values()
    return front_for + back_for, front_against + back_against


def test_turns_towards_real_sounds_tell_exchanged_ears_from_right_ones(sounds: np.ndarray) -> None:
    encoders = open_encoders(None)[1]
    votes_for, against = votes(encoders, sounds)
    assert against > 1.5 and against > 3 * votes_for
    votes_for, against = votes(encoders, np.ascontiguousarray(sounds[::-1]))
    assert votes_for > 1.5 and votes_for > 3 * against
