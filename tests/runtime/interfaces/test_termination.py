"""A program that is told to end leaves nothing half done, and dies of the signal it was sent."""

from __future__ import annotations

import os
import pty
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from earshot.runtime.scene.memory import SceneMemory

fcntl = pytest.importorskip("fcntl", reason="signals and pseudo-terminals")
termios = pytest.importorskip("termios")

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
ENVIRONMENT = {**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def listen(bundle: Path, recording: Path, *more: object) -> list[str]:
    return [*PROGRAM, "listen", "--source", str(recording), "--bundle", str(bundle), *map(str, more)]


@pytest.fixture
def hang_ups() -> Iterator[None]:
    """Programs started here end when the terminal closes, although the tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_ups")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_memory_is_closed_and_knows_until_when_was_listened(
    number: signal.Signals, whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    """It knew only what the last minute's note said."""
    path = tmp_path / "m.sqlite"
    command = listen(whole_bundle, recording, "--speed", 0.5, "--json", "--memory", path)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        time.sleep(1.0)
        before_s = time.time()
        program.send_signal(number)
        _, error = program.communicate(timeout=60)
    assert (program.returncode, error) == (-number, "earshot: interrupted\n")
    with SceneMemory(path) as memory:
        (session,) = memory.sessions()
    assert session.heard_until_s >= before_s
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.sqlite"], "no log is left"


def test_the_terminal_is_put_back(whole_bundle: Path, recording: Path) -> None:
    controller, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(side)
    with subprocess.Popen(
        listen(whole_bundle, recording, "--speed", 0.5), stdin=side, stdout=side, stderr=side, env=ENVIRONMENT
    ) as program:
        shown = b""
        while b"(o o)" not in shown:
            shown += os.read(controller, 65536)
        assert termios.tcgetattr(side) != before
        program.send_signal(signal.SIGTERM)
        while b"interrupted" not in shown:
            shown += os.read(controller, 65536)
        assert program.wait(60) == -signal.SIGTERM
    assert termios.tcgetattr(side) == before
    assert shown.rindex(b"\x1b[?1049l") > shown.rindex(b"\x1b[?1049h"), "the other screen is left"
    os.close(side)
    os.close(controller)


def test_what_ignores_a_hang_up_goes_on_ignoring_it() -> None:
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from earshot.runtime.interfaces.termination import Termination\n"
        "Termination().watch(); signal.raise_signal(signal.SIGHUP); print('here')\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "here\n"
