"""Ten hours of listening in minutes: the whole listener, and whether anything grew or went missing.

    python -m tests.end_to_end.long_night [--hours 10] [--speed 150] [--bundle DIR]

Hearing, memory on disk, watches, questions and a client of the API all run; time is that of the source, `speed` hours an
hour. Prints a table, and as its last line one JSON document. Exit code 1 when something was missed. Ctrl-C ends it early with
a report of what was heard so far.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from earshot.runtime import Listener
from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.errors import EarshotError
from earshot.runtime.happenings import EffortChange, Happening, Note
from earshot.runtime.hearing.effort import REFUSAL
from earshot.runtime.interfaces.api.settings import ApiSettings
from earshot.runtime.interfaces.profile_runs import line_fit
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watching import Alert
from tests.end_to_end.night import Night, NightPlan
from tests.runtime.interfaces.api.conftest import running

LOOK_S = 60.0
"""Memory and threads are looked at so often, simulated seconds."""
ASK_S = 600.0
MOST_MB_PER_HOUR = 1.0
WATCHES = ("when any sound appears on my left", "when any sound appears on my right, at most 1000 times an hour")
QUESTIONS = ("What can you hear?", "What happened in the last ten minutes?", "Where is the bird?")


@dataclass
class Figures:
    """What the process held at each look, by simulated time; of memory its own, without libraries, which come and go."""

    times_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def look(self, now_s: float, process: psutil.Process) -> None:
        """Take a sample."""
        self.times_s.append(now_s)
        memory = process.memory_info()
        self.memory_mb.append((memory.rss - getattr(memory, "shared", 0)) / 1e6)
        self.threads.append(process.num_threads())
        self.files.append(process.num_fds())

    def settled(self, values: list[Any]) -> list[Any]:
        """Without the first third, in which buffers fill."""
        return values[len(values) // 3 :]

    def document(self) -> dict[str, Any]:
        """Slope of the memory with its standard error, and whether threads and files grew."""
        slope, error = line_fit(self.settled(self.times_s), self.settled(self.memory_mb))
        threads, files = self.settled(self.threads), self.settled(self.files)
        return {
            "memory_first_mb": round(self.memory_mb[0], 1),
            "memory_last_mb": round(self.memory_mb[-1], 1),
            "memory_peak_mb": round(max(self.memory_mb), 1),
            "slope_mb_per_hour": round(3600 * slope, 3),
            "slope_error_mb_per_hour": round(3600 * error, 3),
            "threads": [min(threads), max(threads)],
            "open_files": [min(files), max(files)],
        }


class Counts:
    """How often each thing was told, and which tracks began and ended."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self.open_tracks: set[int] = set()
        self.out_of_turn = 0
        self.notes: Counter[str] = Counter()

    def take(self, happening: Happening) -> None:
        """Count; a follower of the listener."""
        if isinstance(happening, TrackChange):
            self._take_change(happening)
        elif isinstance(happening, Alert):
            self.told["watch"] += 1
        elif isinstance(happening, CaptureEvent):
            self.told["capture"] += 1
        elif isinstance(happening, EffortChange):
            self.told["effort"] += 1
        elif isinstance(happening, Note):
            self.told["note"] += 1
            self.notes[happening.text] += 1

    def _take_change(self, change: TrackChange) -> None:
        self.told[change.kind] += 1
        id_ = change.track.track_id
        self.out_of_turn += (id_ in self.open_tracks) == (change.kind == "new")
        (self.open_tracks.discard if change.kind == "ended" else self.open_tracks.add)(id_)


class WebClient:
    """Somebody who leaves the web radar open all night: counts the events that arrive."""

    def __init__(self, port: int) -> None:
        self.told: Counter[str] = Counter()
        self.closed_early = False
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(
            connect(f"ws://127.0.0.1:{port}/api/live", subprotocols=["earshot"], max_size=None)  # type: ignore[list-item]
        )
        self._thread = threading.Thread(target=self._read, name="web client", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for text in self._socket:
                name = json.loads(text)["event"]
                self.told[name] += 1
                if name == "end":
                    return
        except ConnectionClosed:
            pass
        self.closed_early = True

    def wait(self) -> None:
        """Until the end was told."""
        self._thread.join(60)
        self._stack.close()


def live_through(
    plan: NightPlan, speed: float, bundle: Path | None, folder: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Listen to a night and account for it."""
    night, counts, figures = Night(plan, speed), Counts(), Figures()
    memory = folder / "memory.sqlite"
    rules = [compile_watch(text)[0] for text in WATCHES]
    listener = Listener(night, bundle=bundle, memory=memory, watches=rules)
    listener.follow(counts.take)
    outcomes: Counter[str] = Counter()
    with listener, running(listener, ApiSettings(port=0)) as served:
        web = WebClient(served.port)
        with suppress(KeyboardInterrupt):
            _pass_the_time(listener, figures, outcomes, lambda line: tell(f"{line}, {dict(counts.told)}"))
        night.close()  # broken off: what was heard so far is accounted for
        listener.wait(60)
        web.wait()
        lost, hub = served.server.hub.events_lost, served.server.hub.clients_dropped
        heard_s, answered = listener.heard_s, listener.answering.answered
    return {
        "kind": "long-night",
        "hours": plan.hours,
        "heard_s": round(heard_s, 1),
        "sounds": night.happened.sounds,
        "unplugged": night.happened.unplugged,
        "told_by_source": len(night.happened.told),
        **figures.document(),
        "told": dict(counts.told),
        "still_open": len(counts.open_tracks),
        "out_of_turn": counts.out_of_turn,
        "notes": dict(counts.notes),
        "web": dict(web.told),
        "web_events_lost": lost,
        "web_clients_dropped": hub,
        "questions": dict(outcomes),
        "answered": answered,
        "kept": _kept(memory),
    }


def _pass_the_time(listener: Listener, figures: Figures, outcomes: Counter[str], tell: Callable[[str], None]) -> None:
    """Until the night is over: look at the process every minute, ask every ten, tell every hour."""
    process, looked_s, asked_s, told_s = psutil.Process(), 0.0, 0.0, 0.0
    while not listener.wait(0.05):
        now_s = listener.heard_s
        if now_s >= looked_s:
            figures.look(now_s, process)
            looked_s += LOOK_S
        if now_s >= asked_s + ASK_S:
            asked_s += ASK_S
            outcomes[_ask(listener, QUESTIONS[sum(outcomes.values()) % len(QUESTIONS)])] += 1
        if now_s >= told_s + 3600.0:
            told_s += 3600.0
            tell(f"{now_s / 3600:.2f} h: {figures.memory_mb[-1]:.1f} MB, {figures.threads[-1]} threads")


def _ask(listener: Listener, question: str) -> str:
    try:
        return "answered" if listener.ask(question, timeout_s=60).text else "empty"
    except EarshotError as error:
        return str(error)


def _kept(path: Path) -> dict[str, int]:
    """What the memory holds."""
    with SceneMemory(path) as memory:
        found = memory.episodes()
        return {
            "events": memory.count(),
            "episodes": len(found),
            "without_end": sum(episode.ended_s is None for episode in found),
            "sessions": len(memory.sessions()),
            "bytes": path.stat().st_size,
        }


def missed(report: dict[str, Any]) -> list[str]:
    """What was promised and is not so; empty when all is well."""
    told, web, kept = report["told"], report["web"], report["kept"]
    changes = {kind: told.get(kind, 0) for kind in ("new", "moved", "ended")}
    wanted = {
        "memory grows by less than 1 MB an hour": report["slope_mb_per_hour"] < MOST_MB_PER_HOUR,
        "no thread more": report["threads"][0] == report["threads"][1],
        "sounds were heard": changes["new"] > 0,
        "every track that began has ended": changes["new"] == changes["ended"] and not report["still_open"],
        "nothing moves or ends that had not begun": report["out_of_turn"] == 0,
        "every change was kept": kept["events"] == sum(changes.values()) and kept["episodes"] == changes["new"],
        "every kept sound has its end": kept["without_end"] == 0,
        "every change of the source's state was told": told.get("capture", 0) == report["told_by_source"],
        "the web client was told all": all(
            web.get(kind, 0) == told.get(kind, 0) for kind in (*changes, "watch", "capture")
        ),
        "no web event was lost": not report["web_events_lost"] and not report["web_clients_dropped"],
        "every question was answered, or refused because the machine was too busy": (
            set(report["questions"]) <= {"answered", REFUSAL}
        ),
    }
    return [name for name, holds in wanted.items() if not holds]


def table_of(report: dict[str, Any], failures: list[str]) -> Table:
    """The figures for people."""
    table = Table("figure", "value", title=f"{report['hours']:g} hours", title_justify="left")
    slope = f"{report['slope_mb_per_hour']:+.3f} ± {report['slope_error_mb_per_hour']:.3f} MB/h"
    table.add_row("memory", f"{report['memory_first_mb']} to {report['memory_last_mb']} MB, {slope}")
    for name in ("threads", "open_files", "sounds", "unplugged", "told", "web", "kept", "questions"):
        table.add_row(name.replace("_", " "), str(report[name]))
    table.add_row("missed", "; ".join(failures) or "nothing")
    return table


def main(
    hours: Annotated[float, typer.Option(help="Simulated hours.")] = 10.0,
    speed: Annotated[float, typer.Option(help="Simulated hours an hour, at most.")] = 150.0,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    seed: int = 0,
) -> None:
    """Live through a night."""
    with tempfile.TemporaryDirectory() as folder:
        report = live_through(
            NightPlan(hours=hours, seed=seed), speed, bundle, Path(folder), lambda line: typer.echo(line, err=True)
        )
    failures = missed(report)
    Console().print(table_of(report, failures))
    typer.echo(json.dumps({**report, "missed": failures}))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
