"""What the sound server says about our microphone, asked through a `pactl` that is a real program."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from earshot.runtime.audio.pulse import PulseSource, PulseWatch, attached_source

STREAMS = [
    {"index": 0, "source": 0, "properties": {"media.name": "a loopback"}},
    {"index": 4, "source": 7, "properties": {"application.process.id": "123"}},
]
SOURCES = [
    {"index": 0, "name": "monitor", "description": "Monitor", "sample_specification": "s16le 2ch 48000Hz"},
    {"index": 7, "name": "usb.in", "description": "Headset", "sample_specification": "s16le 1ch 16000Hz"},
]


@pytest.fixture
def pactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server with one recording, and a `subscribe` that tells of two changes and waits."""
    (tmp_path / "source-outputs.json").write_text(json.dumps(STREAMS))
    (tmp_path / "sources.json").write_text(json.dumps(SOURCES))
    tool = tmp_path / "pactl"
    tool.write_text(
        '#!/bin/sh\nif [ "$1" = subscribe ]; then\n'
        "  echo \"Event 'new' on client #3\"; echo \"Event 'change' on source-output #4\"; exec sleep 60\nfi\n"
        f'exec cat "{tmp_path}/$3.json"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


def test_the_microphone_of_our_process_is_found(pactl: Path) -> None:
    assert attached_source(123) == PulseSource("usb.in", "Headset", 1)
    assert attached_source(999) is None


@pytest.mark.parametrize("text", ["", "not json", "{}", "[1, 2]"])
def test_an_answer_that_makes_no_sense_is_no_knowledge(pactl: Path, text: str) -> None:
    (pactl / "source-outputs.json").write_text(text)
    assert attached_source(123) is None


def test_changes_are_noticed_once_and_the_tool_is_ended(pactl: Path) -> None:
    watch = PulseWatch()
    watch.start()
    deadline_s = time.monotonic() + 10
    while not watch.changed():
        assert time.monotonic() < deadline_s
    assert watch.watching
    assert not watch.changed()
    watch.close()
    watch.close()
    assert not watch.watching


def test_without_a_sound_server_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    watch = PulseWatch()
    watch.start()
    assert (watch.watching, watch.changed(), attached_source(1)) == (False, False, None)
