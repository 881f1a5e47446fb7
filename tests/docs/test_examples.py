"""Every example runs as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.conftest import ROOT
from tests.runtime.hearing.sounds import bursts
from tests.runtime.interfaces.api.conftest import serving
from tests.runtime.whole_bundle import write_whole_bundle

EXAMPLES = ROOT / "docs" / "examples"
QUESTION = "What can you hear?"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_bundle(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "bursts.wav"
    soundfile.write(path, bursts().T, 16_000)
    return path


def run(name: str, *arguments: object) -> list[str]:
    """Output of an example, whatever folder it is started in."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_ask_now(bundle: Path, recording: Path) -> None:
    lines = run("ask_now.py", recording, QUESTION, bundle)
    assert any(" new " in line for line in lines)
    assert any(" ended " in line for line in lines)


def test_watch_scene(bundle: Path, recording: Path) -> None:
    lines = run("watch_scene.py", recording, bundle)
    assert any("to your left" in line for line in lines)
    assert any(line.endswith("playing: nothing") for line in lines)


def test_stream_answer(bundle: Path, recording: Path) -> None:
    assert run("stream_answer.py", recording, QUESTION, bundle)[-1].startswith("first token after 0.")


def test_websocket_client(bundle: Path) -> None:
    with serving(bundle) as served:
        lines = run("websocket_client.py", f"ws://127.0.0.1:{served.port}/api/live", QUESTION)
    assert lines[0].startswith("snapshot")
    assert any(line.startswith("answer ") for line in lines)


def test_every_example_has_a_test_and_a_line_in_the_list() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    tests = Path(__file__).read_text()
    for example in EXAMPLES.glob("*.py"):
        assert f"`{example.name}`" in listed
        assert f'run("{example.name}"' in tests
