"""What `earshot listen` hears: options before the configuration, the configuration before the default."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from earshot.runtime.audio import microphone
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.commands.live_options import source_spec
from tests.runtime.audio.fake_portaudio import Card, FakePortAudio


@pytest.fixture(autouse=True)
def nobody_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b""), encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "device", "spec"),
    [
        (None, None, "mic"),
        (None, "ears", "mic:ears"),
        ("mic", "ears", "mic:ears"),
        ("street.wav", None, "street.wav"),
        ("tcp://host:1", None, "tcp://host:1"),
    ],
)
def test_the_microphone_is_what_is_heard_unless_told_otherwise(
    source: str | None, device: str | None, spec: str
) -> None:
    assert source_spec(source, device) == spec


def test_json_and_the_browser_exclude_each_other(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The browser was dropped without a word."""
    assert cli.run(["listen", "--source", str(recording), "--ui", "web", "--json"]) == 2
    assert "--json and --ui web" in capsys.readouterr().err


def test_a_device_for_a_file_is_refused() -> None:
    with pytest.raises(UsageError, match="leave one out"):
        source_spec("street.wav", "ears")


@pytest.mark.parametrize(("source", "device"), [("", None), (None, ""), ("mic", "")])
def test_a_name_that_came_out_empty_does_not_open_the_microphone(source: str | None, device: str | None) -> None:
    with pytest.raises(UsageError, match="empty"):
        source_spec(source, device)


def events(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict], str]:
    code = cli.run(["listen", "--json", *arguments])
    captured = capsys.readouterr()
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_a_configuration_names_bundle_and_source(
    whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[listen]\nsource = "{recording}"\nbundle = "{whole_bundle}"\nthink = false\n')
    code, heard, _ = events(["--config", str(config), "--speed", "20"], capsys)
    assert code == 0
    assert {"new", "ended"} <= {event["event"] for event in heard}


def test_an_option_goes_before_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[listen]\nsource = "one.wav"\n')
    code, _, error = events(["--config", str(config), "--source", "two.wav"], capsys)
    assert code == 3
    assert "two.wav" in error


def test_a_misspelt_key_is_refused_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[listen]\nsorce = "one.wav"\n')
    code, _, error = events(["--config", str(tmp_path / "config.toml")], capsys)
    assert code == 2
    assert "did you mean 'source'?" in error


def test_a_microphone_that_is_not_there_is_a_device_problem(
    whole_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(microphone, "load_sounddevice", lambda: FakePortAudio(Card("desk")))
    code, _, error = events(["--device", "ears", "--bundle", str(whole_bundle)], capsys)
    assert code == 5
    assert "no audio input is called 'ears'; there are: 'desk'" in error
