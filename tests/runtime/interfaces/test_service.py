"""The systemd service: a unit that systemd takes, fed by sound, and nothing written without the command."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces import cli, systemd
from earshot.runtime.interfaces.systemd import Service, command_of, unit_path, unit_text, write_unit
from earshot.runtime.interfaces.watchdog import Watchdog
from earshot.runtime.scene.memory import default_memory_path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.run(["service", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_install_writes_the_unit_once_and_says_how_to_start_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run("install", "--device", "In-Ear USB", "--port", "9000", capsys=capsys)
    assert code == 0
    assert unit_path() == home / "config" / "systemd" / "user" / "earshot.service"
    assert f"Written: {unit_path()}" in said
    assert "systemctl --user enable --now" in said
    assert command_of(unit_path().read_text())[-5:] == ["serve", "--device", "In-Ear USB", "--port", "9000"]
    assert "There already" in run("install", "--device", "In-Ear USB", "--port", "9000", capsys=capsys)[1]
    assert [path for path in home.rglob("*") if path.is_file()] == [unit_path()]
    code, said, _ = run("status", capsys=capsys)
    assert code == 0
    assert str(unit_path()) in said
    assert "state " in said


def test_the_service_may_remember_where_its_sandbox_lets_it_write(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "100% state"))
    _, unit, _ = run("install", "--remember", "--print", capsys=capsys)
    folder = default_memory_path().parent
    assert list(command_of(unit))[-2:] == ["serve", "--remember"]
    assert f'ReadWritePaths="-{folder}"'.replace("%", "%%") in unit.splitlines()
    assert not folder.exists(), "printed only"
    assert run("install", "--remember", capsys=capsys)[0] == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "ReadWritePaths" not in run("install", "--print", capsys=capsys)[1]


def test_nothing_is_written_unless_asked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "[Service]" in run("install", "--print", capsys=capsys)[1]
    code, _, error = run("status", capsys=capsys)
    assert code == 2
    assert "earshot service install" in error
    assert run("install", "--source", "a.wav", "--device", "x", capsys=capsys)[0] == 2
    assert list(home.rglob("*")) == []


def test_a_recording_is_found_wherever_the_service_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its unit has no WorkingDirectory."""
    monkeypatch.chdir(home)
    assert list(command_of(run("install", "--source", "a.wav", "--print", capsys=capsys)[1]))[-1] == str(home / "a.wav")
    for spec in ("mic", "tcp://localhost:9000", "pty:/dev/pts/9"):
        assert list(command_of(run("install", "--source", spec, "--print", capsys=capsys)[1]))[-1] == spec


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("--config", "nope.toml", 2), ("--bundle", "/nonexistent", 4), ("--source", "tpc://localhost:9000", 2)],
)
def test_what_could_never_start_is_not_installed(
    option: str, value: str, code: int, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, said, error = run("install", option, value, capsys=capsys)
    assert (found, said, error.count("\n")) == (code, "", 1)
    assert value in error
    assert list(home.rglob("*")) == []


def test_an_address_that_others_reach_needs_a_token_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run("install", "--host", "0.0.0.0", capsys=capsys)[1]
    assert "EARSHOT_TOKEN" in said
    assert str(home / "config" / "earshot" / "service.env") in said
    assert said.index("EARSHOT_TOKEN") < said.index("systemctl")
    assert "EARSHOT_TOKEN" not in run("install", "--host", "127.0.0.1", capsys=capsys)[1]


def test_a_service_whose_python_is_gone_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_unit(unit_path(), unit_text(Service("/gone/python")))
    assert "/gone/python is gone" in run("status", capsys=capsys)[1]


def test_a_place_that_cannot_be_written_is_one_line(home: Path) -> None:
    (home / "config").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        write_unit(unit_path(), "x")


@settings(max_examples=40, deadline=None)
@given(arguments=st.lists(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), max_size=20)))
def test_every_argument_arrives_as_it_was(arguments: list[str]) -> None:
    assert list(command_of(unit_text(Service("/usr/bin/python3", tuple(arguments)))))[4:] == arguments


def test_an_argument_cannot_add_a_line() -> None:
    with pytest.raises(UsageError, match="cannot take"):
        unit_text(Service(arguments=("--device", "x\nExecStartPre=/bin/evil")))


def test_the_sandbox_and_the_watchdog_are_in_the_unit() -> None:
    lines = unit_text(Service()).splitlines()
    for wanted in ("Type=notify", "WatchdogSec=60", "NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=always"):
        assert wanted in lines
    assert not any("EARSHOT_TOKEN" in line for line in lines if line.startswith(("Exec", "Environment=")))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_unit_and_finds_it_well_contained(tmp_path: Path) -> None:
    unit = tmp_path / systemd.UNIT_NAME
    unit.write_text(
        unit_text(
            Service(arguments=("--device", 'a "strange" 100% $name'), writable=(tmp_path / 'a "state" 100% $name',))
        )
    )
    verify = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    session = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # there may be no login session here
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False, env=session)
    assert systemd.UNIT_NAME not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    security = ["systemd-analyze", "security", "--offline=yes", "--threshold=50", "--no-pager", str(unit)]
    done = subprocess.run(security, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def received(link: socket.socket) -> list[str]:
    link.setblocking(False)
    messages = []
    while True:
        try:
            messages.append(link.recv(4096).decode())
        except BlockingIOError:
            return messages


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
@pytest.mark.parametrize("abstract", [False, True])
def test_the_watchdog_is_fed_by_frames_and_by_nothing_else(tmp_path: Path, abstract: bool) -> None:
    name = f"@earshot-{tmp_path.name}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"\0{name[1:]}" if abstract else name)
        watchdog = Watchdog.from_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000000"})
        assert watchdog.step_s == 15.0
        watchdog.frames(0)
        assert received(link) == [], "not ready before the first frame"
        watchdog.frames(3)
        assert received(link) == ["READY=1\nSTATUS=listening", "WATCHDOG=1"]
        watchdog.frames(3)
        assert received(link) == [], "a deaf listener starves it"
        watchdog.frames(4)
        watchdog.stopping()
        assert received(link) == ["WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nobody_is_told() -> None:
    Watchdog.from_environment({}).frames(1)
    Watchdog("/nowhere/at/all").frames(1)
    assert Watchdog.from_environment({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).step_s == 5.0
