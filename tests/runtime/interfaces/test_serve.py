"""`earshot serve` and `earshot listen --ui web`: the same server, and one line when it cannot be had."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from earshot.runtime.interfaces import cli, web_extra
from tests.runtime.hearing.sounds import bursts

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_serves_until_it_is_interrupted(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    command = [*PROGRAM, "serve", "--source", str(recording), "--bundle", str(whole_bundle), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    environment.pop("EARSHOT_TOKEN", None)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as program:
        assert program.stdout is not None
        said = program.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert url, said
        health = httpx.get(f"{url[0]}api/health", timeout=60).json()
        assert health["source"] == str(recording)
        program.send_signal(signal.SIGINT)
        _, error = program.communicate(timeout=60)
        assert (program.returncode, error) == (130, "earshot: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_on_the_way_ends_the_server_with_its_code(
    whole_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = bursts()
    samples[0, 50_000] = np.nan
    broken = tmp_path / "broken.wav"
    soundfile.write(broken, samples.T, 16_000, subtype="FLOAT")
    arguments = ["--source", str(broken), "--bundle", str(whole_bundle), "--port", "0", "--speed", "20"]
    assert cli.run(["serve", *arguments]) == 3
    assert "NaN samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["serve"], ["listen", "--ui", "web", "--source", "a.wav"], ["service", "install"]]
)
def test_without_the_extra_one_line_names_it(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web_extra, "find_spec", lambda name: None)
    assert cli.run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert 'pip install "earshot[web]"' in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--host", "0.0.0.0"], "EARSHOT_TOKEN"),
        (["serve", "--token", "short"], "at least 16"),
        (["serve", "--host", "256.1.1.1", "--token", "x" * 16], "cannot listen there"),
    ],
)
def test_what_is_unsafe_or_impossible_is_refused_before_anything_is_loaded(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EARSHOT_TOKEN", raising=False)
    assert cli.run([*arguments, "--source", "missing.wav"]) == 2
    assert words in capsys.readouterr().err
