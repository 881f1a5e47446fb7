"""The commands track, listen, profile and demo as a user runs them, on a whole bundle of tiny networks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earshot.runtime.audio.file import FileSource
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.interfaces.commands.demo import demo
from earshot.runtime.interfaces.commands.listen import listen
from earshot.runtime.interfaces.commands.profile import profile
from earshot.runtime.interfaces.commands.track import TrackFormat, track
from earshot.runtime.interfaces.conversation import Conversation
from earshot.runtime.interfaces.telling import JsonTeller
from earshot.runtime.labels import load_labels
from earshot.runtime.listener import Listener
from tests.runtime.tiny_bundle import HIGH_CLASS, LOW_CLASS, MIDDLE_CLASS

CLASSES = {LOW_CLASS, MIDDLE_CLASS, HIGH_CLASS}


def test_track_prints_one_json_line_per_100_ms(
    whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track(recording, bundle=whole_bundle)
    snapshots = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [s["time_s"] for s in snapshots] == [round(0.1 * k, 1) for k in range(1, 71)]
    assert {t["label"] for t in snapshots[9]["tracks"]} == {load_labels()[k].name for k in CLASSES}
    assert all(t["azimuth_deg"] > 20 for t in snapshots[9]["tracks"])


def test_track_csv_has_the_dcase_layout_and_its_classes_file(
    whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    track(recording, TrackFormat.CSV, whole_bundle, tmp_path / "tracks.csv")
    text = (tmp_path / "tracks.csv").read_text(encoding="utf-8")
    rows = [[int(value) for value in row] for row in csv.reader(io.StringIO(text))]
    assert rows, "every value is a whole number and there is no heading"
    for frame, label, source, azimuth, elevation, distance in rows:
        assert 0 <= frame < 70
        assert label in CLASSES
        assert source >= 1
        assert -180 < azimuth <= 180
        assert -90 <= elevation <= 90
        assert 10 <= distance <= 5000
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    early, late = [r for r in rows if r[0] < 20], [r for r in rows if r[0] >= 50]
    assert all(r[3] > 0 for r in early)
    assert all(r[3] < 0 for r in late)
    classes = list(csv.DictReader((tmp_path / "classes.csv").open(encoding="utf-8")))
    assert len(classes) == 61
    assert classes[LOW_CLASS] == {
        "class": str(LOW_CLASS),
        "key": load_labels()[LOW_CLASS].key,
        "name": load_labels()[LOW_CLASS].name,
    }


def test_track_refuses_a_place_it_cannot_write(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        track(recording, bundle=whole_bundle, out=tmp_path / "missing" / "tracks.ndjson")


def test_track_never_writes_over_the_recording(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    copy, link = tmp_path / "street.wav", tmp_path / "tracks.ndjson"
    copy.write_bytes(recording.read_bytes())
    link.symlink_to(copy)
    for out in (copy, link):
        with pytest.raises(UsageError, match="name another file"):
            track(copy, bundle=whole_bundle, out=out)
    assert copy.read_bytes() == recording.read_bytes()


def test_what_was_tracked_before_stays_until_it_is_replaced_as_a_whole(
    whole_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = np.random.default_rng(0).normal(0.0, 0.1, (48_000, 2)).astype(np.float32)
    audio[40_000:] = np.nan
    soundfile.write(tmp_path / "bad.wav", audio, 16_000, subtype="FLOAT")
    out = tmp_path / "tracks.ndjson"
    out.write_text("of yesterday\n")
    with pytest.raises(InputError):
        track(tmp_path / "bad.wav", bundle=whole_bundle, out=out)
    assert out.read_text() == "of yesterday\n"
    kept = tmp_path / "tracks.ndjson.partial"
    assert json.loads(kept.read_text().splitlines()[-1])["time_s"] >= 2.0
    assert str(kept) in capsys.readouterr().err


def test_a_link_given_as_out_stays_a_link(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    link, goal = tmp_path / "link.ndjson", tmp_path / "goal.ndjson"
    goal.write_text("before")
    link.symlink_to(goal)
    track(recording, bundle=whole_bundle, out=link)
    assert link.is_symlink() and goal.read_text().startswith("{")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["goal.ndjson", "link.ndjson"]


def test_track_csv_writes_over_no_classes_file_but_its_own(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("mine\n")
    with pytest.raises(UsageError, match="another folder"):
        track(recording, TrackFormat.CSV, whole_bundle, tmp_path / "tracks.csv")
    assert (tmp_path / "classes.csv").read_text() == "mine\n"
    (tmp_path / "classes.csv").unlink()
    for _ in range(2):
        track(recording, TrackFormat.CSV, whole_bundle, tmp_path / "tracks.csv")


def test_track_csv_is_not_replaced_by_its_own_classes_file(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="classes"):
        track(recording, TrackFormat.CSV, whole_bundle, tmp_path / "classes.csv")
    track(recording, TrackFormat.NDJSON, whole_bundle, tmp_path / "classes.csv")
    assert (tmp_path / "classes.csv").read_text(encoding="utf-8").startswith("{")


def converse(bundle: Path, recording: Path, questions: list[str]) -> list[dict]:
    target = io.StringIO()
    listener = Listener(FileSource(recording, pace="real", speed=20.0), bundle=bundle)
    Conversation(listener, JsonTeller(target)).run(questions)
    return [json.loads(line) for line in target.getvalue().splitlines()]


def test_listen_tells_changes_and_answers_meanwhile(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["Where is the dog?\n", "\n", "What can you hear?\n"])
    changes = [e["event"] for e in events if e["event"] in ("new", "moved", "ended")]
    assert changes.count("new") == changes.count("ended") == 6
    answers = [e for e in events if e["event"] == "answer"]
    assert [a["question"] for a in answers] == ["Where is the dog?", "What can you hear?"]
    assert all(0 < a["timing"]["first_token_s"] <= a["timing"]["answer_s"] for a in answers)


def test_a_question_that_cannot_be_asked_does_not_end_listening(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["x" * 2000])
    assert any(e["event"] == "note" for e in events)
    assert sum(e["event"] == "ended" for e in events) == 6


def test_too_many_questions_are_refused_and_not_kept(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["What can you hear?"] * 40)
    answered = sum(e["event"] == "answer" for e in events)
    refused = sum("too many questions" in e.get("text", "") for e in events)
    assert answered + refused == 40
    assert refused > 0


def test_listen_reads_questions_from_standard_input(
    whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"What can you hear?\n"), encoding="utf-8"))
    listen(str(recording), speed=20.0, bundle=whole_bundle)
    out = capsys.readouterr().out
    assert "asked  What can you hear?" in out
    assert f"new    {load_labels()[LOW_CLASS].spoken}: " in out


def test_profile_ends_with_one_json_document(
    whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile(recording, whole_bundle, repeat=1)
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"features", "semantic", "spatial", "tracks", "token", "projector"} <= document["stages"].keys()
    for spread in document["stages"].values():
        assert 0 < spread["p50_ms"] <= spread["p95_ms"]
    assert document["audio_s"] == 7.0
    assert 0 < document["realtime_factor"] < 1
    assert 0 < document["first_token_s"] <= document["answer_s"]
    assert document["peak_memory_mb"] > 50


def test_demo_shows_radar_truth_and_at_least_six_answers(
    whole_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo(whole_bundle, fast=True)
    out = capsys.readouterr().out
    assert "(o o)" in out
    lines = [line[:12] for line in out.splitlines()]
    assert lines.count("     answer ") == lines.count("     truth  ") >= 6
    for level in ("[L1]", "[L2]", "[L3]"):
        assert level in out
