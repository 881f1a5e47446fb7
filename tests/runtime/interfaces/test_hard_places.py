"""Where machines are unkind: no network at all, a disk that is read-only or full, and death in the middle of writing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from earshot.runtime.labels import load_labels
from earshot.runtime.scene.memory import SceneMemory
from tests.runtime.isolation import assert_no_audio_written, assert_offline_and_traceless, watch

PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
READ_ONLY = "mount -o remount,bind,ro / && "
KINDS = {"new": "appeared", "moved": "moved", "ended": "ended"}


def apart(script: str, *, network: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a shell script where mounts are its own and, unless asked for, no network exists."""
    spaces = ["--user", "--map-root-user", "--mount", *([] if network else ["--net"])]
    return subprocess.run(
        ["unshare", *spaces, "sh", "-c", script],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    if shutil.which("unshare") is None or apart(f"{READ_ONLY} true").returncode != 0:
        pytest.skip("needs Linux namespaces that a user may make (unshare --user --mount --net)")


def command(*arguments: object) -> str:
    return shlex.join([*PROGRAM, *map(str, arguments)])


def listen(recording: Path, bundle: Path, *more: object) -> str:
    return command("listen", "--source", recording, "--bundle", bundle, "--speed", 20, "--json", *more)


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def notes(found: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in found if event["event"] == "note" and "memory" in event["text"]]


def changes(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["event"], event["track"]) for event in found if event["event"] in KINDS]


def test_without_any_network_all_is_as_with_it(whole_bundle: Path, recording: Path) -> None:
    ask = command("ask", recording, "Where is it?", "--bundle", whole_bundle, "--json")
    with_it, without = (json.loads(apart(ask, network=network).stdout.splitlines()[-1]) for network in (True, False))
    assert {**without, "timing": None} == {**with_it, "timing": None}
    assert len(changes(events(apart(listen(recording, whole_bundle))))) >= 6


def test_a_device_behind_a_network_that_is_not_there_is_one_line() -> None:
    done = apart(command("listen", "--source", "tcp://192.0.2.1:9000"))
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert "Network is unreachable" in done.stderr


@pytest.mark.parametrize("what", ["ask", "listen"])
def test_hearing_and_answering_call_nobody_and_leave_nothing(
    what: str, whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    """ONNX Runtime keeps an identifier and a database of what it is about to report in the cache folder, if it may."""
    more = [str(recording), "Where?"] if what == "ask" else ["--source", str(recording), "--speed", "20"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        patch.delenv("CI", raising=False)
        seen = watch([what, *more, "--bundle", str(whole_bundle)], tmp_path)
    assert seen.code == 0, seen.stderr
    assert "onnxruntime" in seen.modules
    assert_offline_and_traceless(seen)
    assert_no_audio_written(seen)


def test_on_a_read_only_disk_it_hears_and_answers_and_says_that_nothing_is_remembered(
    whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    done = apart(READ_ONLY + command("ask", recording, "Where is it?", "--bundle", whole_bundle))
    assert (done.returncode, done.stderr) == (0, "")
    found = events(apart(READ_ONLY + listen(recording, whole_bundle, "--memory", tmp_path / "m.sqlite")))
    assert len(changes(found)) >= 6
    first, last = notes(found)
    assert "Read-only file system" in first
    assert "listening goes on, nothing is remembered meanwhile" in first
    assert last == f"memory: {len(changes(found))} events could not be kept"


def test_a_memory_on_a_read_only_disk_can_still_be_read(whole_bundle: Path, recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    told = changes(events(apart(listen(recording, whole_bundle, "--memory", path))))
    done = apart(READ_ONLY + command("memory", "show", "--memory", path, "--json"))
    assert len(events_of_show(done)) == sum(kind == "new" for kind, _ in told)
    done = apart(READ_ONLY + command("memory", "forget", "--memory", path))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr


def events_of_show(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("size_kb", "kept_some"), [(16, False), (144, True)])
def test_on_a_full_disk_what_was_kept_stays_and_the_rest_is_counted(
    size_kb: int, kept_some: bool, whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    """The small disk is full before the memory can be made, the larger one in the middle of the scene."""
    disk, path = tmp_path / "disk", tmp_path / "disk" / "m.sqlite"
    disk.mkdir()
    show = command("memory", "show", "--memory", path, "--json")
    script = (
        f"mount -t tmpfs -o size={size_kb}k tmpfs {shlex.quote(str(disk))} && "
        f"{listen(recording, whole_bundle, '--memory', path)}; echo code $?; {show} | wc -l; df {disk} >&2"
    )
    done = apart(script)
    *lines, code, shown = done.stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert code == "code 0"
    told = notes(found)
    assert "make room on the disk" in told[0], done.stderr
    lost = int(told[-1].removeprefix("memory: ").split()[0])
    assert len(changes(found)) >= 6
    assert 0 < lost <= len(changes(found))
    assert (int(shown) > 0) is kept_some


def test_whoever_is_killed_while_remembering_keeps_a_beginning_of_what_was_told(
    whole_bundle: Path, recording: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.sqlite"
    told: list[tuple[str, str]] = []
    keys = {label.name: label.key for label in load_labels()}
    program = subprocess.Popen(
        shlex.split(listen(recording, whole_bundle, "--memory", path)),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert program.stdout is not None
    with program.stdout as lines:
        for line in lines:
            event = json.loads(line)
            told += [(KINDS[event["event"]], keys[event["label"]])] if event["event"] in KINDS else []
            if sum(kind == "ended" for kind, _ in told) == 2:
                program.send_signal(signal.SIGKILL)
    assert program.wait(60) == -signal.SIGKILL
    with SceneMemory(path) as memory:
        rows = memory._file.read("SELECT kind, label FROM events ORDER BY id")
        assert memory._file.read("PRAGMA integrity_check")[0][0] == "ok"
    kept = [(row["kind"], row["label"]) for row in rows]
    assert kept == told[: len(kept)]
    again = events(apart(listen(recording, whole_bundle, "--memory", path)))
    with SceneMemory(path) as memory:
        assert memory.count() == len(kept) + len(changes(again))
        assert len(memory.sessions()) == 2
