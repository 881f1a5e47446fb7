"""Output that cannot be written: a full disk is said once and listening goes on, a reader that leaves ends it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from earshot.runtime.interfaces.line_output import Lines

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
# With PYTHONUNBUFFERED nothing is left in Python's buffer at the end: people have not set it, some test machines have.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {
    "OMP_NUM_THREADS": "1"
}


def arguments(command: list[str], recording: Path, bundle: Path) -> list[str]:
    return [*PROGRAM, *command, "--source", str(recording), "--bundle", str(bundle), "--speed", "20", "--json"]


def test_lines_come_through_again_once_there_is_room(tmp_path: Path) -> None:
    said: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "log").open("w") as file:
        lines = Lines(file, said.append)
        lines.write("before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (7, hard))
        try:
            for number in range(3):
                lines.write(f"meanwhile {number}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        lines.write("after")
    written = (tmp_path / "log").read_text().splitlines()
    assert written[0] == "before"
    assert written[-1] == "after"
    assert len(said) == 2
    assert "listening goes on" in said[0]
    assert "up to 3 lines were lost" in said[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", [["listen"], ["watch", "when any sound appears"]])
def test_a_log_on_a_full_disk_neither_ends_nor_hangs_the_listener(
    command: list[str], whole_bundle: Path, recording: Path
) -> None:
    """It once hung for ever after a traceback."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            arguments(command, recording, whole_bundle),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env=ENVIRONMENT,
        )
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_reader_that_leaves_ends_listening_quietly(whole_bundle: Path, recording: Path) -> None:
    """`earshot listen --json | head -1` once listened on for ever, with a traceback."""
    command = arguments(["listen"], recording, whole_bundle)
    command[command.index("--speed") + 1] = "2"
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert json.loads(program.stdout.readline())["event"] == "new"
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait(120) == 0


def closed(redirection: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program with an output closed by the shell."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command]
    return subprocess.run(
        shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT
    )


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-", "<&- >&-"])
def test_a_closed_output_is_no_end_of_listening(redirection: str, whole_bundle: Path, recording: Path) -> None:
    """It once hung for ever after a traceback."""
    done = closed(redirection, arguments(["listen"], recording, whole_bundle))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_other_commands_take_a_closed_output_too(whole_bundle: Path, recording: Path) -> None:
    bundle = ["--bundle", str(whole_bundle)]
    for command in (["bundle", "show"], ["track", str(recording)], ["ask", str(recording), "Where is it?"]):
        done = closed(">&-", [*PROGRAM, *command, *bundle])
        assert (done.returncode, done.stderr) == (0, ""), command


def test_with_a_closed_error_output_the_exit_code_stays(whole_bundle: Path) -> None:
    done = closed("2>&-", [*PROGRAM, "ask", "nope.wav", "Where is it?", "--bundle", str(whole_bundle)])
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize("command", [["--help"], ["listen", "--help"], ["simulate", "worst_day", "--show"]])
def test_a_reader_that_has_left_is_no_error_of_tables_and_help(command: list[str]) -> None:
    """`earshot --help | head -1` ended with 1 under pipefail: rich raises SystemExit(1)."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [*PROGRAM, *command], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_any_other_command_says_that_there_is_no_room(whole_bundle: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [*PROGRAM, "bundle", "show", "--bundle", str(whole_bundle)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "make room on the disk" in done.stderr
