"""The moving radar: a whole screen drawn by a pure function, kept up to date, and plain lines where none can be."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from earshot.runtime.audio.capture import CaptureEvent, CaptureState
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.live_radar import LiveRadar, can_show, clock
from earshot.runtime.interfaces.radar import LEAST_HEIGHT, LEAST_WIDTH, RADAR_LINES, RadarScreen, render_screen
from earshot.runtime.labels import class_id
from earshot.runtime.language.answerer import Answer
from tests.runtime.interfaces.test_radar import source

texts = st.text(st.characters(codec="utf-8"), max_size=100)


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(0, 9),
    said=st.lists(texts, max_size=8),
    typed=texts,
    health=texts,
    width=st.integers(LEAST_WIDTH, 200),
    height=st.integers(LEAST_HEIGHT, 80),
)
def test_a_screen_has_exactly_its_size(
    count: int, said: list[str], typed: str, health: str, width: int, height: int
) -> None:
    sources = tuple(source(40.0 * k - 160.0, 1.0 + k, "Vehicle horn, car horn, honking") for k in range(count))
    lines = render_screen(RadarScreen(sources, "123456789", health, tuple(said), typed), width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert any("(o o)" in line for line in lines)
    assert all(line.isprintable() for line in lines), "a model's words must not command the terminal"


def test_eighty_by_twenty_four_shows_everything_that_matters() -> None:
    answers = ("0:01 Where is the dog?", "      On the left.", "0:09 Who speaks?", "      Nobody.")
    lines = render_screen(RadarScreen((source(-35.0),), "7", "0:12 listening", answers, "and how f"), 80, 24)
    assert lines[0] == "0:12 listening"
    assert "7 Dog" in "\n".join(lines)
    assert "35 deg right, 2.0 m" in "\n".join(lines)
    assert lines[RADAR_LINES + 1 : -1] == list(answers)
    assert lines[-1] == "> and how f"


def test_the_end_of_a_long_question_is_what_is_shown() -> None:
    assert render_screen(RadarScreen(typed="x" * 300 + "end"), 60, 24)[-1].endswith("xend")


def terminal(width: int = 80, height: int = 24, kind: str = "xterm") -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, height=height, _environ={"TERM": kind}, highlight=False
    )


def track(track_id: int, azimuth_deg: float, active: bool = True) -> TrackSnapshot:
    return TrackSnapshot(track_id, 3, active, 0.8, azimuth_deg, 0.0, 2.0, 10.0, False, 0.0, 1.0, np.zeros(36))


@pytest.fixture
def radar() -> Iterator[LiveRadar]:
    with LiveRadar(terminal(), "street.wav") as radar:
        yield radar


def written(radar: LiveRadar) -> str:
    return radar._console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_marks_keep_their_source_while_others_end(radar: LiveRadar) -> None:
    radar.scene(SceneSnapshot(1.0, (track(1, 40.0), track(2, -40.0), track(12, 0.0))))
    assert radar.screen().marks == "123"
    radar.scene(SceneSnapshot(1.1, (track(1, 40.0, active=False), track(2, -40.0), track(12, 0.0))))
    assert radar.screen().marks == "23"
    assert len(radar.screen().sources) == 2


def test_what_is_doubtful_is_shown_as_doubtful(radar: LiveRadar) -> None:
    probability = np.zeros(61)
    probability[[class_id("dog"), class_id("cat")]] = 0.4, 0.35
    doubtful = replace(
        track(1, 150.0), class_id=class_id("dog"), front_back_ambiguous=True, class_probability=probability
    )
    radar.scene(SceneSnapshot(1.0, (doubtful,)))
    shown = "\n".join(render_screen(radar.screen(), 80, 24))
    assert "1 Dog, or Cat" in shown
    assert "30 deg left, front or back, 2.0 m" in shown


def test_nothing_is_drawn_while_nothing_changes(radar: LiveRadar) -> None:
    radar.scene(SceneSnapshot(5.1, ()))
    before = len(written(radar))
    for tenths in range(2, 9):
        radar.scene(SceneSnapshot(5.0 + tenths / 10, ()))
    assert len(written(radar)) == before
    radar.scene(SceneSnapshot(6.0, ()))
    assert len(written(radar)) > before


def test_a_lost_microphone_is_on_top_and_no_source_is_claimed_meanwhile(radar: LiveRadar) -> None:
    radar.capture(CaptureEvent(CaptureState.LISTENING, "hearing ears", 0.0))
    radar.scene(SceneSnapshot(3.0, (track(1, 40.0),)))
    radar.capture(CaptureEvent(CaptureState.DEAF, "no sound has arrived", 3.2))
    radar.scene(SceneSnapshot(3.2, (track(1, 40.0),)))  # what was on its way
    screen = radar.screen()
    assert "no sound arrives" in render_screen(screen, 80, 24)[2]
    assert screen.health == " 0:03 deaf: no sound has arrived"
    assert screen.sources == ()
    radar.capture(CaptureEvent(CaptureState.LISTENING, "hearing ears", 4.0))
    assert [line.split(":")[1] for line in radar.screen().said] == ["03 deaf", "04 listening"]


def test_questions_and_answers_stay_readable_after_the_end() -> None:
    with LiveRadar(terminal(), "street.wav") as radar:
        radar.type("Where")
        assert radar.screen().typed == "Where"
        radar.answer("Where is it?", Answer("On the left.", None, "", 0.01, 0.02, 30), 3.0)
    after = written(radar).rpartition("\x1b[?1049l")[2]
    assert "Where is it?" in after
    assert "On the left." in after
    radar.type("too late")


@pytest.mark.parametrize(
    ("console", "shows"),
    [
        (terminal(), True),
        (terminal(width=49), False),
        (terminal(height=20), False),
        (terminal(kind="dumb"), False),
        (Console(file=io.StringIO()), False),
    ],
)
def test_a_radar_needs_a_terminal_with_room(console: Console, shows: bool) -> None:
    assert can_show(console) is shows


def test_the_clock_has_hours_when_there_are_any() -> None:
    assert [clock(s) for s in (0.99, 75.0, 3661.0)] == [" 0:00", " 1:15", "1:01:01"]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_listen_on_a_terminal_moves_the_radar_and_answers_what_is_typed(whole_bundle: Path, recording: Path) -> None:
    import fcntl
    import pty
    import termios

    controller, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "earshot.runtime.interfaces.cli", "listen", "--source", str(recording)]
    process = subprocess.Popen(
        [*command, "--bundle", str(whole_bundle), "--speed", "3"],
        stdin=side,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1", "COLUMNS": "80", "LINES": "24"},
    )
    os.close(side)
    shown, keys = "", {"(o o)": b"What can you heat\x7f", "> What can you hea": b"r?\r"}
    while True:
        try:
            shown += os.read(controller, 65536).decode(errors="replace")
        except OSError:  # the other side is closed
            break
        for sight in [sight for sight in keys if sight in shown]:
            os.write(controller, keys.pop(sight))
    os.close(controller)
    assert process.wait(60) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert not keys
    assert "deg left" in plain
    assert "deg right" in plain
    assert "What can you hear?" in shown.rpartition("\x1b[?1049l")[2], "printed again after the screen is put back"
