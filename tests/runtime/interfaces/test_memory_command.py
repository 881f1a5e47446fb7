"""`earshot listen --remember` and `earshot memory` as a user runs them."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest

from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.past import NOT_REMEMBERED
from earshot.runtime.scene.episodes import Place
from earshot.runtime.scene.memory import SceneMemory
from tests.runtime.isolation import AUDIO_SUFFIXES

PAST = b"What happened in the last ten minutes?\n"


def listen(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: bytes = b""
) -> list[dict]:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
    code = cli.run(["listen", "--json", "--speed", "20", *arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return [json.loads(line) for line in captured.out.splitlines()]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_nothing_is_kept_unless_asked_for(
    whole_bundle: Path,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    events = listen(["--source", str(recording), "--bundle", str(whole_bundle)], capsys, monkeypatch, PAST)
    assert list(tmp_path.iterdir()) == []
    assert NOT_REMEMBERED in [event.get("text") for event in events]
    assert any(event["event"] == "answer" for event in events), "the model still answers what it can"


def test_what_is_kept_can_be_shown_asked_for_and_forgotten(
    whole_bundle: Path,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    arguments = ["--source", str(recording), "--bundle", str(whole_bundle), "--remember"]
    told = listen(arguments, capsys, monkeypatch)
    assert sum(event["event"] == "new" for event in told) == 6

    code, out, _ = run(["memory", "show", "--json", "--last", "10 minutes"], capsys)
    kept = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(kept) == 6
    assert all(entry["ended_s"] > entry["started_s"] - 1 for entry in kept)

    told = listen(arguments, capsys, monkeypatch, PAST)  # a second run knows of the first
    (answer,) = [event for event in told if event["event"] == "answer"]
    assert answer["answer"].startswith("From memory (not the language model): ")
    assert "in the last ten minutes" in answer["answer"]

    assert run(["memory", "forget"], capsys)[0] == 0
    code, out, err = run(["memory", "show"], capsys)
    assert (code, out) == (0, "")
    assert err.startswith("0 sounds shown; 0 stored events")


def test_sounds_and_stored_events_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ "1 shown; 2 events" read as if half were hidden."""
    with SceneMemory(tmp_path / "m.sqlite") as kept:
        session, now_s = kept.begin(), time.time()
        episode = kept.add(session, "appeared", now_s, "dog", Place(90.0, 0.0, 2.0), 0.7)
        kept.add(session, "ended", now_s + 1, "dog", Place(90.0, 0.0, 2.0), 0.7, episode)
    said = run(["memory", "show", "--memory", str(tmp_path / "m.sqlite")], capsys)[2]
    assert said.startswith("1 sound shown; 2 stored events (beginnings, moves and ends), ")


def test_a_place_that_may_be_in_front_or_behind_is_shown_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = SceneMemory(tmp_path / "m.sqlite")
    kept.open()
    kept.add(kept.begin(), "appeared", time.time(), "door_knock", Place(164.0, 0.0, 1.0, True), 0.7)
    kept.close()
    out = run(["memory", "show", "--memory", str(tmp_path / "m.sqlite")], capsys)[1]
    assert "in front or behind" in out


def test_a_memory_that_cannot_be_written_does_not_stop_listening(
    whole_bundle: Path,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").write_text("in the way")
    arguments = ["--source", str(recording), "--bundle", str(whole_bundle), "--memory", str(tmp_path / "file" / "m")]
    told = listen(arguments, capsys, monkeypatch)
    notes = [event["text"] for event in told if event["event"] == "note" and "memory" in event["text"]]
    assert "cannot be made" in notes[0]
    assert "listening goes on" in notes[0]
    assert sum(event["event"] == "ended" for event in told) == 6


def test_no_sound_is_ever_written(
    whole_bundle: Path,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "memory" / "m.sqlite"
    listen(["--source", str(recording), "--bundle", str(whole_bundle), "--memory", str(path)], capsys, monkeypatch)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert path in written
    assert all(file.parent == path.parent and file.suffix not in AUDIO_SUFFIXES for file in written)
    assert sum(file.stat().st_size for file in written) < recording.stat().st_size / 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "--last", "soon"], "no duration"),
        (["show", "--sound", "xyzzy"], "not in the table"),
        (["forget", "--older-than", "10"], "no duration"),
    ],
)
def test_wrong_use_is_said_in_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["memory", *arguments], capsys)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_nothing_remembered_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["memory", "show", "--memory", str(tmp_path / "none")], capsys)
    assert code == 3
    assert "nothing is remembered there" in err
