"""The product itself on an emulated ARM core: it starts, hears and answers as it does here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
from typer.testing import CliRunner

from earshot.firmware_sim.emulated_cli import main, run_command
from earshot.firmware_sim.emulator import CORES, find_environment
from earshot.firmware_sim.estimate import CALIBRATIONS
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.errors import UsageError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.interfaces.cli import app

QUESTION = "Where is the alarm clock?"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emulated") / "scene.wav"
    soundfile.write(path, render_demo()[:, : 4 * 16000].T, 16000)
    return path


@pytest.fixture(params=["pi4", "pi5"])
def board(request: pytest.FixtureRequest) -> str:
    """A board whose core is emulated here, with llama.cpp for it."""
    name: str = request.param
    try:
        environment = find_environment()
    except UsageError as error:
        pytest.skip(f"emulation is not set up: {error}")
    if not (environment / CORES[CALIBRATIONS[name].core].llama).is_dir():
        pytest.skip("llama.cpp is not built for the board: setup_aarch64.sh --language")
    return name


def documents(text: str) -> list[dict[str, Any]]:
    """One for each line."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_an_answer_on_the_board_is_the_answer_here(board: str, tmp_path: Path) -> None:
    """Where no two words are nearly as likely: 8-bit weights are multiplied in another order there."""
    scene = tmp_path / "bird.wav"
    soundfile.write(scene, render_demo()[:, : 3 * 16000].T, 16000)
    arguments = ["ask", str(scene), QUESTION, "--json"]
    there = documents(run_command(board, arguments).output)[-1]
    here = documents(CliRunner().invoke(app, arguments).stdout)[-1]
    for key in ("answer", "choice", "reasoning"):
        assert there[key] == here[key], key
    assert here["reasoning"].count("\n") >= 1, "a line of evidence and a step, token by token the same"
    assert [source["label"] for source in there["sources"]] == [source["label"] for source in here["sources"]]
    for ours, theirs in zip(here["sources"], there["sources"], strict=True):
        assert angle_between_azimuths(ours["azimuth_deg"], theirs["azimuth_deg"]) < 1


@pytest.mark.slow
def test_the_listener_on_the_board_tells_what_it_tells_here(board: str, scene: Path) -> None:
    """Sound by sound with its place and time; a recording waits for a slow machine, so nothing is left out there."""
    arguments = ["listen", "--source", str(scene), "--speed", "100", "--json"]
    there = documents(run_command(board, arguments).output)
    here = documents(CliRunner().invoke(app, arguments).stdout)
    ours, theirs = ([e for e in told if e["event"] in ("new", "moved", "ended")] for told in (here, there))
    assert len(ours) >= 2, "the bird comes and goes"
    assert [(e["event"], e["label"], e["time_s"]) for e in theirs] == [
        (e["event"], e["label"], e["time_s"]) for e in ours
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert angle_between_azimuths(one["azimuth_deg"], other["azimuth_deg"]) < 1


def test_unknown_boards_and_missing_environments_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_AARCH64", str(tmp_path))
    with pytest.raises(UsageError, match="toaster: not known; one of"):
        run_command("toaster", ["ask"])
    with pytest.raises(UsageError, match="set it up with"):
        run_command("pi4", ["ask"])


def test_the_program_tells_how_it_is_used_and_what_went_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["emulated_cli"])
    assert main() == 2
    assert "usage: " in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["emulated_cli", "toaster", "ask"])
    assert main() == 2
    assert "toaster" in capsys.readouterr().err
