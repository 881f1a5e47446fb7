"""What `--source` names becomes the right source, or one line with what would work."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.microphone import MicrophoneSource
from earshot.runtime.audio.network import NetworkSource
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces import sources
from earshot.runtime.interfaces.sources import open_source


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("recording.wav", FileSource),
        ("C:\\sounds\\a.wav", FileSource),
        ("tcp://localhost:9000", NetworkSource),
        ("udp://:9000", NetworkSource),
        ("ws://localhost:9000/x", NetworkSource),
        ("pty:/dev/pts/9", NetworkSource),
        ("serial:/dev/ttyACM0", NetworkSource),
        ("mic", MicrophoneSource),
        ("mic:In-ear", MicrophoneSource),
        ("microphone.wav", FileSource),
    ],
)
def test_each_kind_of_source_is_found_and_not_opened(spec: str, kind: type) -> None:
    source = open_source(spec, 1.0)
    assert isinstance(source, kind)
    assert isinstance(source, AudioSource)


def test_an_added_source_comes_from_an_entry_point_and_knows_the_speed() -> None:
    source = open_source("sim:kitchen", 3.0)
    assert type(source).__name__ == "SimulatedSource"
    assert source.name == "sim:kitchen"


def test_without_the_simulator_the_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ENTRY_POINT_GROUP", "earshot.nothing")
    with pytest.raises(UsageError, match="the simulator is not installed"):
        open_source("sim:kitchen", 1.0)


def test_a_wrong_address_is_no_file() -> None:
    with pytest.raises(UsageError, match="a port are needed"):
        open_source("tcp://localhost", 1.0)


@pytest.mark.parametrize("spec", ["tpc://127.0.0.1:9000", "http://localhost/a.wav", "osc://:9000", "bogus://x"])
def test_an_unknown_kind_of_source_is_wrong_use_and_no_missing_file(spec: str) -> None:
    with pytest.raises(UsageError, match=f"unknown kind of source '{spec.partition(':')[0]}'.*tcp://.* work"):
        open_source(spec, 1.0)


def test_a_file_may_be_named_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tpc:").mkdir()
    Path("tpc:/a.wav").touch()
    assert isinstance(open_source("tpc://a.wav", 1.0), FileSource)


def test_without_the_microphone_module_the_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "earshot.runtime.audio.microphone", None)
    with pytest.raises(UsageError, match="give a WAV, FLAC or OGG file"):
        open_source("mic", 1.0)
