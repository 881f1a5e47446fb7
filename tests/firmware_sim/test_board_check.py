"""Predictions against the real listener: the comparison is right, and the listener really hears and answers meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.firmware_sim.board_check import compared, listen_for_real, table_of
from earshot.firmware_sim.command import simulate
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.commands.profile import make_noise
from earshot.runtime.interfaces.loading import open_encoders


def test_a_prediction_is_judged_by_the_95th_percentile() -> None:
    found = compared([0.001] * 100, [0.001] * 90 + [0.002] * 10)
    assert found is not None
    assert found["p95_difference"] == -0.5
    assert not found["agrees"]
    same = compared([0.0011] * 9, [0.001] * 9)
    assert same is not None
    assert same["agrees"]
    assert compared([], [0.1]) is None


def test_the_real_listener_hears_every_hop_and_answers_every_question(tiny_bundle: Path) -> None:
    directory, encoders = open_encoders(tiny_bundle)
    heard = listen_for_real(directory, encoders, make_noise(1.0), [0.5, 0.6], n_threads=1)
    assert len(heard.latencies_s) == 25
    assert min(heard.latencies_s) > 0
    assert len(heard.answer_s) == 2
    assert all(first <= answer for first, answer in zip(heard.first_token_s, heard.answer_s, strict=True))
    figures = {"hop": compared(heard.latencies_s, heard.latencies_s), "answer": None}
    assert table_of({"minutes": 1.0, "figures": figures}).row_count == 1


def test_only_this_machine_can_be_listened_to(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--board host --profile FILE"):
        simulate(board="pi4", profile=tmp_path / "p.json", check=True)
    with pytest.raises(UsageError, match="--board host --profile FILE"):
        simulate(board="host", check=True)
