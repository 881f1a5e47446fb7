"""`earshot doctor --audio` and `earshot init` as a user runs them: each fault one line, advice and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from earshot.runtime.audio import microphone
from earshot.runtime.audio.source import ArraySource, AudioChunk
from earshot.runtime.errors import DeviceError
from earshot.runtime.interfaces import cli, ear_session
from earshot.runtime.interfaces.commands import init as init_module
from earshot.runtime.interfaces.commands.doctor import check_speed, judge_speed
from earshot.runtime.interfaces.config import read_config
from tests.runtime.audio.ears import RATE_HZ, healthy_ears
from tests.runtime.audio.fake_portaudio import Card, FakePortAudio


def write(path: Path, ears: np.ndarray) -> str:
    soundfile.write(path, ears.T, RATE_HZ, subtype="FLOAT")
    return str(path)


def examine(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], dict]:
    code = cli.run(["doctor", "--audio", *arguments])
    *lines, last = capsys.readouterr().out.splitlines()
    return code, lines, json.loads(last)


def test_healthy_ears_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, report = examine(["--source", write(tmp_path / "ears.wav", healthy_ears())], capsys)
    assert (code, report["ok"]) == (0, True)
    (line,) = lines
    assert line.startswith("ok       ears            two working ears (3.0 s")


@pytest.mark.parametrize(
    ("gains", "finding", "advice"),
    [
        ([[0.0], [1.0]], "dead-left", "check its plug"),
        ([[1.0], [-1.0]], "polarity", "swap the two wires"),
        ([[1.0], [0.2]], "gain-mismatch", "make the gains"),
    ],
)
def test_a_fault_is_one_line_with_advice_and_exit_code_5(
    gains: list[list[float]], finding: str, advice: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "ears.wav", healthy_ears() * np.array(gains, np.float32))
    code, lines, report = examine(["--source", path], capsys)
    assert (code, report["ok"]) == (5, False)
    (line,) = lines
    assert line.startswith(f"problem  {finding}")
    assert advice in line
    assert report["checks"][0]["exit_code"] == 5


def test_swapped_ears_are_found_by_the_snap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = examine(["--source", write(tmp_path / "ears.wav", healthy_ears()[::-1])], capsys)
    assert code == 5
    assert "exchange the two earpieces" in lines[0]


def test_no_snap_is_a_warning_and_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ears = healthy_ears(snap_azimuth_deg=None)
    code, lines, report = examine(["--source", write(tmp_path / "ears.wav", ears)], capsys)
    assert (code, report["ok"]) == (0, True)
    assert [line.split()[:2] for line in lines] == [["warning", "side-unknown"], ["ok", "ears"]]


def test_a_recording_too_short_to_judge_is_no_device_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "ears.wav", healthy_ears()[:, :800])
    assert cli.run(["doctor", "--audio", "--source", path]) == 3
    assert "0.05 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["doctor", "--source", "x.wav"], 2),
        (["doctor", "--audio", "--source", "x.wav", "--device", "y"], 2),
        (["doctor", "--audio", "--source", "missing.wav"], 3),
    ],
)
def test_wrong_use_is_refused_in_one_line(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Card:
    """A microphone for both commands, a short check, and a configuration folder of its own."""
    card = Card("In-Ear USB (hw:1,0)", level=0.01)
    fake = FakePortAudio(card)
    monkeypatch.setattr(microphone, "load_sounddevice", lambda: fake)
    monkeypatch.setattr(microphone, "attached_source", lambda process_id: None)
    monkeypatch.setattr(init_module, "load_sounddevice", lambda: fake)
    monkeypatch.setattr(ear_session.record, "__defaults__", (0.5,))
    monkeypatch.setattr(ear_session, "_PATIENCE_S", 0.5)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return card


def test_init_checks_the_microphone_and_writes_it_by_name(
    card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["init"]) == 0
    out = capsys.readouterr().out
    assert "snap your fingers once" in out
    assert "side-unknown" in out
    path = tmp_path / "earshot" / "config.toml"
    assert f"Written: {path}" in out
    assert read_config(path).listen.device == "In-Ear USB (hw:1,0)"
    assert cli.run(["init"]) == 2
    assert "use --force" in capsys.readouterr().err
    assert cli.run(["init", "--force", "--no-check"]) == 0
    assert read_config(path).listen.device is None


def test_init_with_a_fault_writes_and_says_so(card: Card, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card.level = 0.0
    assert cli.run(["init", "--path", str(tmp_path / "c.toml")]) == 5
    assert "problem  silent" in capsys.readouterr().out
    assert (tmp_path / "c.toml").exists()


def test_a_microphone_that_gives_nothing_does_not_hang_the_check(
    card: Card, capsys: pytest.CaptureFixture[str]
) -> None:
    card.flowing = False
    assert cli.run(["doctor", "--audio"]) == DeviceError.exit_code
    assert "no sound arrives" in capsys.readouterr().err


def test_speed_is_measured_in_a_process_of_its_own(whole_bundle: Path, tmp_path: Path) -> None:
    check = check_speed(whole_bundle)
    assert check.verdict == "ok"
    assert "of one core" in check.text
    broken = check_speed(tmp_path)
    assert (broken.verdict, broken.exit_code) == ("problem", 4)


def test_speed_is_judged_with_advice() -> None:
    assert judge_speed(0.03).verdict == "ok"
    assert judge_speed(0.7).verdict == "warning"
    slow = judge_speed(1.2)
    assert (slow.verdict, slow.exit_code) == ("problem", 5)
    assert "smaller bundle" in slow.text


class Lumps(ArraySource):
    """Live sound of which three pieces of 40 ms come at a time, by a clock of its own."""

    now_s = 0.0

    @property
    def duration_s(self) -> None:
        return None

    def __iter__(self) -> Iterator[AudioChunk]:
        for number, chunk in enumerate(super().__iter__()):
            self.now_s = 0.12 * (1 + number // 3)
            yield chunk


@pytest.mark.parametrize("duration_s", [1.5, 1.8, 2.1])
def test_the_measured_rate_does_not_depend_on_when_pieces_come(
    duration_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Lumps(healthy_ears())
    monkeypatch.setattr(ear_session, "time", SimpleNamespace(monotonic=lambda: source.now_s))
    measured_hz = ear_session.record(source, duration_s).measured_rate_hz
    assert measured_hz == pytest.approx(16_000, rel=0.02)
