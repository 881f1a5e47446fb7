"""What the documents tell people to type works, and what they list is so."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import soundfile

from earshot.runtime.audio.capture import CaptureSettings, CaptureState
from earshot.runtime.audio.head_yaw import SILENT_S
from earshot.runtime.audio.osc_yaw import FORMS
from earshot.runtime.audio.yaw_endpoint import LASTS_S
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.hearing.effort import Effort
from earshot.runtime.interfaces.api.settings import DEFAULT_PORT, MIN_TOKEN, Limits
from earshot.runtime.interfaces.systemd import WATCHDOG_S
from earshot.runtime.language.prompt import MAX_CHOICE_CHARS, MAX_QUESTION_CHARS
from earshot.runtime.language.questions import MAX_WAITING
from earshot.runtime.listener import MAX_WATCHES
from earshot.runtime.scene.changes import ChangeSettings
from earshot.runtime.scene.memory import MemoryLimits
from tests.conftest import ROOT

LIVING = ROOT / "docs" / "living-with-it.md"
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EAR_FINDINGS = 5
"""`doctor --audio` may find fault with a recording that nobody made for it; that is its work."""


def snippets(language: str) -> Iterator[Any]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, match in enumerate(FENCED.finditer(page.read_text())):
            if match[1] == language:
                yield pytest.param(match[2], id=f"{page.name}-{number}")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A folder with a `street.wav` of three seconds: a bird."""
    soundfile.write(tmp_path / "street.wav", render_demo().T[: 3 * 16_000], 16_000)
    return tmp_path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    homes = {name: str(folder / "home") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **homes, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("snippet", list(snippets("python")))
def test_python_runs_as_it_stands(snippet: str, street: Path) -> None:
    done = run([sys.executable, "-c", snippet], street)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("snippet", list(snippets("sh")))
def test_commands_run_one_after_the_other(snippet: str, street: Path) -> None:
    for line in snippet.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "earshot"
        done = run([sys.executable, "-m", "earshot.runtime.interfaces.cli", *arguments], street)
        assert done.returncode in (0, EAR_FINDINGS if "doctor" in arguments else 0), (line, done.stderr)
        assert done.stdout or "forget" in arguments, line


def rows(heading: str) -> dict[str, list[str]]:
    """Cells of the first table below a heading, by the first cell."""
    section = LIVING.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in row] for row in table]
    return {first: rest for first, *rest in cells}


def test_every_state_and_its_times_are_listed() -> None:
    states = rows("States")
    assert list(states) == [f"`{state.value}`" for state in CaptureState]
    s = CaptureSettings()
    assert f"after {s.start_limit_s:g} s" in states["`starting`"][1]
    assert f"more than {s.lag_on_s:g} s" in states["`lagging`"][0]
    assert f"up to {s.ring_s:g} s" in states["`lagging`"][0]
    assert f"below {s.lag_off_s:g} s" in states["`lagging`"][1]
    assert f"after {s.lost_after_s:g} s was lost" in states["`lagging`"][1]
    assert f"opened again from {s.lag_limit_s:g} s" in states["`lagging`"][1]
    assert f"every {s.resting_fetch_s:g} s instead of every {s.fetch_s:g} s" in LIVING.read_text()
    assert f"no sound for {s.deaf_after_s:g} s, or digital zeros for {s.muted_after_s:g} s" in states["`deaf`"][0]
    assert f"{s.first_wait_s:g} to {s.longest_wait_s:g} s" in states["`reconnecting`"][0]


def test_every_event_is_listed_with_its_fields(street: Path) -> None:
    listed: dict[str, set[str]] = {}
    for names, (_, fields) in rows("Events").items():
        parts = [set(re.findall(r"`(\w+)`", part)) for part in fields.split("; ")]
        for number, name in enumerate(re.findall(r"`(\w+)`", names)):
            listed[name] = parts[number if len(parts) > 1 else 0]
    listed["alert"] = listed["alert"] - {"new"} | listed["new"]
    program = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
    more = ["--source", "street.wav", "--speed", "20", "--json"]
    homes = {**os.environ, "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [*program, "listen", *more], cwd=street, input="Where is the bird?\n", capture_output=True, text=True, check=True,
        env=homes,
    ).stdout  # fmt: skip
    told += run([*program, "watch", "when any sound appears", *more], street).stdout
    seen = set()
    for line in told.splitlines():
        event = json.loads(line)
        seen.add(event["event"])
        assert set(event) == listed[event["event"]] | {"event", "time_s"}, event
    assert seen == {"new", "ended", "writing", "answer", "note", "alert"}
    assert set(listed) == seen | {"moved", "capture", "effort"}
    assert all(f"`{effort.value}`" in rows("Events")["`effort`"][0] for effort in Effort)
    change = ChangeSettings()
    assert f"{change.moved_deg:g} degrees" in rows("Events")["`new`, `moved`, `ended`"][0]
    assert f"silent for {change.ended_after_s:g} s" in rows("Events")["`new`, `moved`, `ended`"][0]


def test_every_address_of_a_head_tracker_is_listed() -> None:
    listed = {address.lower() for cell in rows("A head tracker") for address in re.findall(r"`(/\S+)`", cell)}
    assert listed == set(FORMS)
    text = LIVING.read_text()
    assert f"A yaw holds for {LASTS_S:g} s" in text
    assert f"none has come for {SILENT_S:g} s" in text


def test_every_limit_is_what_the_code_says() -> None:
    limits, kept, table = Limits(), MemoryLimits(), rows("The server")
    wanted = {
        "connections, of them WebSockets": f"{limits.connections}, {limits.clients}",
        "requests or commands, per address or client": (
            f"{limits.requests_per_s:g} a second, {limits.requests_burst:g} at once"
        ),
        "WebSocket message, JSON body, recording": (
            f"{limits.message_bytes >> 10} KiB, {limits.body_bytes >> 10} KiB, "
            f"{limits.upload_bytes >> 20} MiB and {limits.upload_audio_s:g} s"
        ),
        "question, each of 2 to 8 options": f"{MAX_QUESTION_CHARS} characters, {MAX_CHOICE_CHARS} characters",
        "questions waiting in all, of one client": f"{MAX_WAITING}, {limits.client_questions}",
        "events waiting for a slow client, before it is cut off": str(limits.client_events),
        "watches": str(MAX_WATCHES),
    }
    assert {name: cells[0] for name, cells in table.items()} == wanted, asdict(limits)
    text = LIVING.read_text()
    assert f"127.0.0.1:{DEFAULT_PORT}" in text
    assert f"{MIN_TOKEN} characters or more" in text
    assert f"has come for {WATCHDOG_S} s" in text
    assert f"{kept.max_age_s / 86_400:g} days, {kept.max_bytes / 1e6:g} MB" in text
