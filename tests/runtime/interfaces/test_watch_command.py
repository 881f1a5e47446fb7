"""`earshot watch` as a user runs it: shown before it is armed, alerts on the terminal and through a command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from earshot.runtime.hearing.tracks import TrackSnapshot
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.alerting import NotificationCommand, filled
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.watches import WatchRule, read_rules
from earshot.runtime.scene.watching import Alert
from tests.runtime.hearing.frames import Heard
from tests.runtime.hearing.test_tracks import track
from tests.runtime.tiny_bundle import LOW_CLASS

NOUN = load_labels()[LOW_CLASS].spoken


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["watch", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def alert() -> Alert:
    (snapshot,) = track([[Heard(3)]] * 25)[-1].tracks
    assert isinstance(snapshot, TrackSnapshot)
    return Alert(WatchRule(text="a; b $(c)"), 1.0, snapshot)


def test_alerts_come_from_a_file_and_the_rule_is_told_first(
    whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"when {NOUN} is heard on my left", "--source", str(recording), "--bundle", str(whole_bundle)]
    code, out, err = run([*arguments, "--speed", "20", "--json"], capsys)
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "note"
    assert events[0]["text"].startswith("watching when ")
    assert "on your left" in events[0]["text"]
    (told,) = [event for event in events if event["event"] == "alert"]
    assert told["label"] == load_labels()[LOW_CLASS].name
    assert told["azimuth_deg"] > 20
    assert told["time_s"] < 2


def test_a_rule_is_shown_edited_and_read_again(
    whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run([f"when {NOUN} is heard on my left", "--show"], capsys)
    assert code == 0
    rules = tmp_path / "rules.toml"
    rules.write_text(out.replace("azimuth_deg = 90.0", "azimuth_deg = -90.0"))
    assert read_rules(rules)[0].sector is not None
    rules.write_text(rules.read_text(), encoding="utf-8-sig")  # as some editors save it
    assert read_rules(rules)[0].sector is not None
    source = ["--source", str(recording), "--bundle", str(whole_bundle), "--speed", "20"]
    code, out, _ = run(["--rules", str(rules), *source], capsys)
    assert code == 0
    (line,) = [line for line in out.splitlines() if "ALERT" in line]
    assert "right" in line, "the sound on the left is not told any more"


def test_a_command_is_run_for_each_alert_with_what_was_heard(
    whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "notify me.py"
    script.write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('|'.join(sys.argv[2:]))")
    out = tmp_path / "out.txt"
    command = f"{sys.executable} '{script}' {out} '{{label}}' '{{text}}; rm -rf $HOME'"
    source = ["--source", str(recording), "--bundle", str(whole_bundle), "--speed", "20"]
    code, _, err = run([f"when {NOUN} is heard", *source, "--run", command], capsys)
    assert code == 0, err
    label, text = out.read_text().split("|")
    assert label == load_labels()[LOW_CLASS].name
    assert text.endswith("; rm -rf $HOME"), "one argument, and no shell saw it"


def test_the_text_is_the_last_argument_where_none_is_asked_for() -> None:
    heard = alert()
    assert filled(["notify-send", "Earshot"], heard) == ["notify-send", "Earshot", heard.text]
    assert filled(["x", "--about={watch}"], heard) == ["x", "--about=a; b $(c)"]


def test_a_command_that_fails_is_told_once_and_one_that_hangs_is_ended() -> None:
    told: list[str] = []
    for program, words in (("import sys; sys.exit(3)", "exit code 3"), ("import time; time.sleep(60)", "took longer")):
        told.clear()
        command = NotificationCommand([sys.executable, "-c", program], told.append, timeout_s=1.0)
        command(alert())
        command(alert())
        command.close()
        assert len(told) == 1
        assert words in told[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["when pigs fly by"], 2, "cannot watch for"),
        ([], 2, "nothing to watch for"),
        (["when a dog barks", "--quiet", "always"], 2, "22:00-07:00"),
        (["when a dog barks", "--run", "no-such-program x", "--source", "a.wav"], 2, "no such program"),
        (["when a dog barks", "--run", "'open", "--source", "a.wav"], 2, "quot"),
        (["--rules", "/no/such/rules.toml"], 2, "cannot be read"),
    ],
)
def test_wrong_use_is_refused_in_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, _, err = run(arguments, capsys)
    assert got == code
    assert words in err
    assert err.count("\n") == 1
