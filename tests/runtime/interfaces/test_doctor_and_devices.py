"""Doctor survives broken libraries and says the remedy; devices explains a missing PortAudio."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from earshot.runtime.audio import portaudio
from earshot.runtime.errors import DeviceError
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.commands import devices as devices_module
from earshot.runtime.interfaces.commands import doctor as doctor_module
from earshot.runtime.interfaces.commands.doctor import Library, check_library, cpu_flags
from tests.runtime.audio.fake_portaudio import Card, FakePortAudio


def broken_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Library:
    """A module whose import runs `code`."""
    (tmp_path / "patient.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Library("patient", "patient")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "another processor"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashes at import"),
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1"),
    ],
)
def test_a_library_that_dies_is_diagnosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    check = check_library(broken_library(tmp_path, monkeypatch, code))
    assert (check.verdict, check.exit_code) == ("problem", 1)
    assert words in check.text
    assert "\n" not in check.text


def test_a_library_that_is_not_there_says_what_to_install() -> None:
    check = check_library(Library("no_such_module", "no-such-dist"))
    assert check.text == "not installed; pip install no-such-dist"
    assert check_library(Library("no_such_module", "x", needed=False)).verdict == "warning"


def test_a_library_that_works_shows_its_version() -> None:
    import numpy

    assert check_library(Library("numpy", "numpy")).text == numpy.__version__


def test_cpu_flags_are_read_from_cpuinfo() -> None:
    assert cpu_flags("processor: 0\nflags\t\t: fpu avx2 fma\n\nprocessor: 1\nflags: x\n") == {
        "fpu",
        "avx2",
        "fma",
    }
    assert cpu_flags("Features: neon") == frozenset()


def test_doctor_ends_with_one_json_document_and_the_code_of_the_first_problem(
    whole_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_module, "LIBRARIES", doctor_module.LIBRARIES[:2])  # each one takes a process
    bundle = shutil.copytree(whole_bundle, tmp_path / "bundle")
    assert cli.run(["doctor", "--bundle", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    assert document["ok"] is True
    assert len(lines) == len(document["checks"]) + 1
    (bundle / "llm.gguf").unlink()
    assert cli.run(["doctor", "--bundle", str(bundle), "--json"]) == 4
    (line,) = capsys.readouterr().out.splitlines()
    assert "llm.gguf is missing" in line


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """A configuration at the usual place, and a doctor that looks at nothing slow."""
    monkeypatch.setattr(doctor_module, "LIBRARIES", ())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    path = folder / "earshot" / "config.toml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def diagnosed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict]]:
    code = cli.run(["doctor", "--json", *arguments])
    return code, {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threads = 100", "threads"),
        ("thinck = true", "did you mean"),
        ('yaw = "bogus"', "bogus"),
        ("=", "no valid TOML"),
    ],
)
def test_a_configuration_that_listen_refuses_is_a_problem(
    text: str,
    words: str,
    whole_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Doctor said ok, and `earshot listen` ended with 2."""
    path = configure(tmp_path, monkeypatch, f"[listen]\n{text}\n")
    code, checks = diagnosed(["--bundle", str(whole_bundle)], capsys)
    assert (code, checks["configuration"]["verdict"], checks["bundle"]["verdict"]) == (2, "problem", "ok")
    assert words in checks["configuration"]["text"]
    if not text.startswith("yaw"):
        assert str(path) in checks["configuration"]["text"]


def test_the_bundle_of_the_configuration_is_the_one_verified(
    whole_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = configure(tmp_path, monkeypatch, f'[listen]\nbundle = "{whole_bundle}"\n')
    code, checks = diagnosed([], capsys)
    assert code == 0
    assert str(path) in checks["configuration"]["text"]
    assert str(whole_bundle) in checks["bundle"]["text"]
    path.write_text('[listen]\nbundle = "/nonexistent"\n')
    assert diagnosed([], capsys)[1]["bundle"]["verdict"] == "problem"
    path.unlink()
    assert "none" in diagnosed(["--bundle", str(whole_bundle)], capsys)[1]["configuration"]["text"]


@pytest.mark.parametrize(("system", "remedy"), [("Linux", "libportaudio2"), ("Darwin", "brew"), ("Windows", "pip")])
def test_a_missing_portaudio_has_a_remedy_per_system(
    system: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(portaudio.platform, "system", lambda: system)
    with pytest.raises(DeviceError, match=remedy) as caught:
        portaudio.load_sounddevice()
    assert caught.value.exit_code == 5


def test_devices_lists_inputs_and_marks_those_with_two_ears(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ears = Card("ears", rates_hz=(48_000, 16_000))
    found = FakePortAudio(ears, Card("headset", channels=1), Card("busy", rates_hz=()))
    monkeypatch.setattr(devices_module, "load_sounddevice", lambda: found)
    assert cli.run(["devices"]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "* ears  (fake, 48000 Hz, two ears at 48, 16 kHz)"
    assert "no directions" in second
    assert "busy" in third
    assert cli.run(["devices", "--json"]) == 0
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert [item["channels"] for item in inputs] == [2, 1, 2]
    assert [item["default"] for item in inputs] == [True, False, False]
    assert [item["two_ear_rates_hz"] for item in inputs] == [[48_000, 16_000], [], []]
    monkeypatch.setattr(devices_module, "load_sounddevice", FakePortAudio)
    assert cli.run(["devices"]) == 5


@pytest.mark.parametrize("arguments", [["devices"], ["doctor", "--audio"]])
def test_without_portaudio_live_sound_is_a_device_problem(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(portaudio.platform, "system", lambda: "Linux")
    assert cli.run(arguments) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert "libportaudio2" in line
