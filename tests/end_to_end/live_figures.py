"""How fast and how frugal the listener is, on a real PortAudio stream from a virtual microphone; for a machine that does nothing else.

    python -m tests.end_to_end.live_figures [--trials 20] [--idle-s 60]

Three figures: from a sound at the microphone to its "new" event (median, 95 %), processor time of a listener in a quiet room
(and of which threads), and from the start of the program to its first track. Prints a table, and as its last line one JSON document.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated, Any

import numpy as np
import psutil
import soundfile
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.demo.sounds import alarm_beeps
from tests.end_to_end.conftest import SCRIPT

RATE_HZ = 16_000
PIECE = 320
PLAYER_LATENCY_S = 0.03
PAUSE_S = 5.0
"""Between two sounds: the track has ended, and the encoders rest again."""
LIMIT_S = 10.0
_PROGRAM = [sys.executable, "-m", "earshot.runtime.interfaces.cli"]
_NOISE = 10 ** (-70 / 20)


class QuietRoom:
    """A quiet room in front of the virtual microphone, into which sounds can be put at a known time."""

    def __init__(self, world: dict[str, str]) -> None:
        command = ["pacat", "-d", "earsink", "--raw", "--format=float32le", f"--rate={RATE_HZ}", "--channels=2"]
        self._player = subprocess.Popen(
            [*command, f"--latency-msec={1000 * PLAYER_LATENCY_S:.0f}"], env=world, stdin=subprocess.PIPE
        )
        self._due: NDArray[np.float32] = np.zeros((2, 0), np.float32)
        self._began = threading.Event()
        self._began_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def put(self, sound: NDArray[np.float32]) -> float:
        """Let a sound begin; returns when it was handed to the player, by `time.monotonic`."""
        self._began.clear()
        self._due = sound
        self._began.wait(LIMIT_S)
        return self._began_s

    def close(self) -> None:
        """End the player."""
        self._stop.set()
        self._thread.join()
        assert self._player.stdin is not None
        self._player.stdin.close()
        self._player.wait(LIMIT_S)

    def _play(self) -> None:
        rng = np.random.default_rng(0)
        assert self._player.stdin is not None
        start_s, number = time.monotonic(), 0
        while not self._stop.is_set():
            piece = (_NOISE * rng.standard_normal((2, PIECE))).astype(np.float32)
            if self._due.shape[1]:
                head, self._due = self._due[:, :PIECE], self._due[:, PIECE:]
                piece[:, : head.shape[1]] += head
                if not self._began.is_set():
                    self._began_s = time.monotonic()
                    self._began.set()
            self._player.stdin.write(piece.T.tobytes())
            self._player.stdin.flush()
            number += 1
            time.sleep(max(0.0, start_s + number * PIECE / RATE_HZ - time.monotonic()))


class Listening:
    """`earshot listen --json` and the times at which its events arrive."""

    def __init__(self, world: dict[str, str], *arguments: str) -> None:
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(
            [*_PROGRAM, "listen", *arguments, "--json"],
            env=world, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._events: SimpleQueue[tuple[float, dict[str, Any]]] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put((time.monotonic(), json.loads(line)))

    def next(self, name: str, limit_s: float = LIMIT_S) -> float | None:
        """When the next event of a name arrived; None when it does not."""
        end_s = time.monotonic() + limit_s
        while True:
            try:
                at_s, event = self._events.get(timeout=max(0.0, end_s - time.monotonic()))
            except Empty:
                return None
            if event["event"] == name or event.get("state") == name:
                return at_s

    def forget(self) -> None:
        """Events so far do not count."""
        while not self._events.empty():
            self._events.get()

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(LIMIT_S)


@contextmanager
def sound_world() -> Iterator[dict[str, str]]:
    """Environment in which a virtual microphone exists; as the fixture of the live tests."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [str(SCRIPT), "sh", "-c", "env -0; echo; cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    ) as world:  # fmt: skip
        assert world.stdin is not None
        assert world.stdout is not None
        settings = world.stdout.readline().decode().rstrip("\n").split("\0")
        try:
            yield dict(setting.split("=", 1) for setting in settings if "=" in setting)
        finally:
            world.stdin.close()


def sound_to_event(listening: Listening, room: QuietRoom, trials: int) -> list[float]:
    """Seconds from each sound to its event; infinite for one that was not told."""
    found = []
    for trial in range(trials):
        azimuth_deg = float(np.random.default_rng(trial).uniform(-150, 150))
        ears = binaural(0.5 * alarm_beeps(1.5), azimuth_deg, 0.0, 1.5, Room(order=1))
        time.sleep(PAUSE_S)
        listening.forget()
        at_s = room.put(np.asarray(0.2 * ears / np.abs(ears).max(), np.float32))
        told_s = listening.next("new")
        found.append(float("inf") if told_s is None else told_s - at_s - PLAYER_LATENCY_S)
    return found


def idle_shares(listening: Listening, seconds: float) -> tuple[float, dict[str, float]]:
    """Processor time of the listener over time, in a quiet room, and that of its threads; 0.01 = 1 % of one core."""
    process = psutil.Process(listening.process.pid)
    time.sleep(PAUSE_S)
    before, threads_before, began_s = process.cpu_times(), thread_times(process), time.monotonic()
    time.sleep(seconds)
    after, threads, lasted_s = process.cpu_times(), thread_times(process), time.monotonic() - began_s
    shares = {name: (spent_s - threads_before.get(name, 0.0)) / lasted_s for name, spent_s in threads.items()}
    busy = {name: round(share, 4) for name, share in sorted(shares.items(), key=lambda item: -item[1]) if share > 1e-4}
    return float(after.user + after.system - before.user - before.system) / lasted_s, busy


def thread_times(process: psutil.Process) -> dict[str, float]:
    """Processor time of each thread so far, seconds, by its place in the order of their making and what the system calls it."""
    folder = Path(f"/proc/{process.pid}/task")
    times = sorted(process.threads())
    return {
        f"{thread.id - process.pid}-{(folder / str(thread.id) / 'comm').read_text().strip()}": thread.user_time
        + thread.system_time
        for thread in times
    }


def cold_starts(count: int) -> list[float]:
    """Seconds from the start of the program to its first track, of a sound that begins 0.4 s into a recording."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.wav"
        soundfile.write(path, render_demo().T, RATE_HZ)
        for _ in range(count):
            listening = Listening({**os.environ, "OMP_NUM_THREADS": "1"}, "--source", str(path), "--speed", "100")
            told_s = listening.next("new", 60.0)
            found.append(float("inf") if told_s is None else told_s - listening.began_s)
            listening.close()
    return found


def main(
    trials: Annotated[int, typer.Option(min=1, help="Sounds.")] = 20,
    idle_s: Annotated[float, typer.Option(help="How long it is quiet, seconds.")] = 60.0,
) -> None:
    """Measure."""
    cold_s = cold_starts(5)
    with sound_world() as world:
        room = QuietRoom(world)
        listening = Listening(world, "--device", "earmic")
        try:
            assert listening.next("listening", 60.0) is not None, "the virtual microphone gives no sound"
            idle, by_thread = idle_shares(listening, idle_s)
            latency_s = sound_to_event(listening, room, trials)
        finally:
            listening.close()
            room.close()
    heard = [value for value in latency_s if np.isfinite(value)]
    middle, high = (float(np.percentile(heard, share)) for share in (50, 95)) if heard else (0.0, 0.0)
    document = {
        "kind": "live-figures",
        "sound_to_event_s": {"median": round(middle, 3), "p95": round(high, 3), "told": len(heard), "of": trials},
        "idle_share": round(idle, 4),
        "idle_by_thread": by_thread,
        "cold_start_s": round(float(np.median(cold_s)), 3),
        "load_average": round(psutil.getloadavg()[0], 2),
    }
    table = Table("figure", "value", "wanted")
    table.add_row("sound to event, median / 95 %", f"{middle:.2f} / {high:.2f} s, {len(heard)} of {trials} told", "")
    table.add_row("processor in a quiet room", f"{idle:.2%} of one core", "1.5 %")
    table.add_row("start of the program to the first track", f"{document['cold_start_s']} s", "2 s")
    for name, share in by_thread.items():
        table.add_row(f"  of it {name}", f"{share:.2%}", "")
    Console().print(table)
    typer.echo(json.dumps(document))


if __name__ == "__main__":
    typer.run(main)
