"""Typed questions: whole lines from anything, and keys that become lines."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.interfaces.config import Ui
from earshot.runtime.interfaces.front import open_front
from earshot.runtime.interfaces.line_entry import MAX_LINE, KeyLines, LineEditor, read_lines


def piped(data: bytes) -> io.TextIOWrapper:
    read, write = os.pipe()
    threading.Thread(target=lambda: (os.write(write, data), os.close(write))).start()
    return os.fdopen(read, encoding="utf-8")


@pytest.mark.parametrize("data", [b"one\ntwo", b"one\r\ntwo\r\n", b"one\ntwo\n"])
def test_lines_come_from_a_file_descriptor_or_from_any_stream(data: bytes) -> None:
    with piped(data) as stream:
        assert list(read_lines(stream)) == ["one", "two"]
    assert list(read_lines(io.TextIOWrapper(io.BytesIO(data), newline=""))) == ["one", "two"]


def test_no_standard_input_has_no_lines() -> None:
    assert list(read_lines(None)) == []


def test_bytes_that_are_no_text_do_not_end_the_questions() -> None:
    with piped(b"\xff\xfe?\nfine\n") as stream:
        assert list(read_lines(stream))[-1] == "fine"


def test_of_a_line_that_does_not_end_only_the_beginning_is_kept() -> None:
    """Sound without a header, given on standard input by mistake, has no line breaks while it is silent."""
    with piped(b"x" * 200_000 + b"\nfine\n") as stream:
        endless, fine = read_lines(stream)
    assert fine == "fine"
    assert MAX_LINE <= len(endless) < 10_000


def test_a_program_ends_while_a_thread_waits_for_a_line() -> None:
    """Regression: with buffered standard input the interpreter aborted (SIGABRT) at its end."""
    code = (
        "import sys, threading\n"
        "from earshot.runtime.interfaces.line_entry import read_lines\n"
        "threading.Thread(target=lambda: list(read_lines(sys.stdin)), daemon=True).start()\n"
        "import time; time.sleep(0.3)\n"
    )
    waiting = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert waiting.wait(30) == 0


@pytest.mark.parametrize(
    ("keys", "lines", "rest"),
    [
        ("where?\r", ["where?"], ""),
        ("wherr\x7fe?\n", ["where?"], ""),
        ("where is\x17it", [], "where it"),
        ("nonsense\x15what", [], "what"),
        ("a\x1b[A\x1b[1;5Cb\x1bOPc", [], "abc"),
        ("tab\tbell\x07", [], "tabbell"),
        ("\x7f\x7f\x17", [], ""),
        ("é日本\n", ["é日本"], ""),
    ],
)
def test_keys_edit_the_line(keys: str, lines: list[str], rest: str) -> None:
    editor = LineEditor()
    assert editor.feed(keys) == lines
    assert editor.text == rest


@given(
    st.lists(st.sampled_from(["a", " ", "é", "\n", "\x7f", "\x15", "\x17", "\x1b[A", "\x1b[1;5C", "\x1bOP"])), st.data()
)
def test_no_line_depends_on_how_the_keys_arrive(keys: list[str], data: st.DataObject) -> None:
    text = "".join(keys)
    whole, pieces = LineEditor(), LineEditor()
    expected = whole.feed(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    lines = [
        line for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) for line in pieces.feed(text[start:end])
    ]
    assert (lines, pieces.text) == (expected, whole.text)


def test_a_line_has_a_limit() -> None:
    editor = LineEditor()
    editor.feed("x" * 10_000)
    assert len(editor.text) == MAX_LINE


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_terminal_is_put_back_as_it_was() -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    changes: list[str] = []
    with os.fdopen(terminal) as stream:
        keys = KeyLines(stream, lambda: changes.append(keys.text))
        with keys:
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            os.write(controller, b"hi\n")
            assert next(iter(keys)) == "hi"
        assert termios.tcgetattr(terminal) == before
    os.close(controller)
    assert changes


@pytest.mark.parametrize("json", [False, True])
def test_a_closed_standard_input_asks_nothing(json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with open_front(Ui.TERMINAL, json, "a file") as (_, questions):
        assert list(questions) == []


def test_arrow_keys_and_colours_are_no_part_of_a_line() -> None:
    r"""Up and Enter asked "\x1b[A", which was answered."""
    data = b"\x1b[A\nwhere\x1b[31m is\tthe \x1b[0mdog?\x07\r\n\x1b[A"
    assert list(read_lines(piped(data))) == ["", "where is the dog?", ""]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_a_program_in_the_background_is_not_stopped_and_is_asked_again_in_the_foreground(tmp_path: Path) -> None:
    """Reading the terminal from the background stopped the whole listener."""
    import pty

    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys, threading, time\n"
        "from earshot.runtime.interfaces.config import Ui\n"
        "from earshot.runtime.interfaces.front import open_front\n"
        "from earshot.runtime.interfaces.telling import PlainTeller\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "with open_front(Ui.TERMINAL, False, 'ears') as (teller, lines):\n"
        "    print('ready', isinstance(teller, PlainTeller), flush=True)\n"
        "    threading.Timer(1.5, lambda: os.tcsetpgrp(0, os.getpgrp())).start()\n"
        "    print('asked', next(iter(lines)), flush=True)\n"
    )
    shell = (
        "import os, signal, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, {str(program)!r}], preexec_fn=os.setpgrp)\n"
        "_, status = os.waitpid(child.pid, os.WUNTRACED)\n"
        "print('stopped' if os.WIFSTOPPED(status) else 'ended', os.waitstatus_to_exitcode(status), flush=True)\n"
        "os.WIFSTOPPED(status) and child.kill()\n"
    )
    pid, controller = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", shell], {**os.environ, "TERM": "xterm"})
    shown = ""
    while True:
        try:
            shown += os.read(controller, 4096).decode(errors="replace")
        except OSError:
            break
        if "ready" in shown and "asked" not in shown:
            os.write(controller, b"where is the dog?\n")
            shown = shown.replace("ready", "begun")
    os.waitpid(pid, 0)
    assert "begun True" in shown, "no picture over somebody else's lines"
    assert "asked where is the dog?" in shown
    assert "ended 0" in shown
