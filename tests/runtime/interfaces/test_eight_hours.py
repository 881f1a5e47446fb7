"""A file of eight hours: tracks come at once, memory stays flat, and Ctrl-C ends it in one line."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
from pathlib import Path

import psutil

EIGHT_HOURS_S = 8 * 3600
FRAME_BYTES = 4
MB = 1024 * 1024


def write_sparse_wav(path: Path, seconds: int, rate_hz: int = 16_000) -> None:
    """Stereo 16-bit PCM of any length that takes no room on the disk: half a second of clicks, then a hole."""
    size = seconds * rate_hz * FRAME_BYTES
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate_hz,
        rate_hz * FRAME_BYTES, FRAME_BYTES, 16, b"data", size,
    )  # fmt: skip
    with path.open("wb") as file:
        file.write(header)
        file.write(struct.pack("<hh", 8000, -4000) * (rate_hz // 2))
        file.truncate(len(header) + size)


def test_eight_hours_start_at_once_keep_memory_flat_and_can_be_stopped(whole_bundle: Path, tmp_path: Path) -> None:
    audio = tmp_path / "night.wav"
    write_sparse_wav(audio, EIGHT_HOURS_S)
    command = [
        sys.executable,
        "-m",
        "earshot.runtime.interfaces.cli",
        "track",
        str(audio),
        "--bundle",
        str(whole_bundle),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        memory = {}
        for line in program.stdout:
            time_s = json.loads(line)["time_s"]
            if time_s in (30.0, 150.0):
                memory[time_s] = psutil.Process(program.pid).memory_info().rss
            if time_s >= 150.0:
                break
        program.send_signal(signal.SIGINT)
        # Lines that were under way are read, or the program would wait for its reader.
        _, err = program.communicate(timeout=30)
    assert program.returncode == 130
    assert err.strip().splitlines()[-1] == "earshot: interrupted"
    assert memory[150.0] < 400 * MB
    assert memory[150.0] - memory[30.0] < 4 * MB


def test_a_promise_of_eight_hours_that_the_file_does_not_hold_is_refused(whole_bundle: Path, tmp_path: Path) -> None:
    audio = tmp_path / "cut.wav"
    write_sparse_wav(audio, EIGHT_HOURS_S)
    with audio.open("r+b") as file:
        file.truncate(1_000_000)
    command = [
        sys.executable,
        "-m",
        "earshot.runtime.interfaces.cli",
        "track",
        str(audio),
        "--bundle",
        str(whole_bundle),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "night" not in done.stderr
    assert "cut.wav" in done.stderr
