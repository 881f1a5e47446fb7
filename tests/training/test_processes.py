"""Worker processes end with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earshot.training.processes import worker_processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]


def note_and_wait(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(600)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def somebody_is_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_error_does_not_wait_for_the_tasks_of_others(tmp_path: Path) -> None:
    def fail() -> None:
        with worker_processes(2) as pool:
            for _ in range(8):
                pool.submit(note_and_wait, tmp_path)
            while len(list(tmp_path.iterdir())) < 2:
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not any(alive(int(file.name)) for file in tmp_path.iterdir())


def test_synthesis_that_is_told_to_end_leaves_no_worker(tmp_path: Path) -> None:
    """`kill` left the workers, which went on for hours."""
    command = [*PROGRAM, "synth", "scenes", str(tmp_path), "--count", "500", "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as program:
        while not list(tmp_path.rglob("*.flac")) and not list(tmp_path.rglob("*.wav")):
            assert program.poll() is None
            time.sleep(0.1)
        program.send_signal(signal.SIGTERM)
        _, error = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGTERM
    assert error.decode().endswith("earshot: interrupted\n")
    until_s = time.monotonic() + 20
    while somebody_is_left(program.pid):
        assert time.monotonic() < until_s
        time.sleep(0.1)
