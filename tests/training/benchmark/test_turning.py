"""The benchmark of turning heads: two renderings of one sound, and its figures."""

from __future__ import annotations

import json

import numpy as np
from typer.testing import CliRunner

from earshot.training.benchmark.command import app
from earshot.training.benchmark.turning import TURN_S, render_pair
from earshot.training.synthesis.dataset import DataFolders, build_world


def test_both_heads_hear_the_same_until_one_of_them_turns() -> None:
    world = build_world(DataFolders(None), "validation")
    still, turning, truth = render_pair(world, [1, 2], 40.0)
    before, after = int(TURN_S[0] * 16_000) - 4000, int(TURN_S[1] * 16_000) + 8000
    assert still.shape == turning.shape == (2, 96_000)
    # The moving renderer's late reflections are drawn otherwise; what arrives first is the same.
    alike = np.corrcoef(still[:, 8000:before].ravel(), turning[:, 8000:before].ravel())[0, 1]
    unlike = np.corrcoef(still[:, after:].ravel(), turning[:, after:].ravel())[0, 1]
    assert alike > 0.8 and alike > unlike
    assert -180 < truth["azimuth_deg"] <= 180


def test_the_command_tells_still_from_turning() -> None:
    result = CliRunner().invoke(app, ["turning", "--count", "2"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.strip().splitlines()[-1])
    assert set(report["figures"]) == {
        "still", "turning, yaw unknown", "turning, yaw known", "as told to the language model",
    }  # fmt: skip
    assert all("front_back_confusions" in figures for figures in report["figures"].values())
