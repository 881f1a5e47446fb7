"""Takes what happens in the scene to the memory, on a thread of its own: a slow disk never delays hearing.

A disk that is full or read-only is said once; hearing goes on, what could not be kept is counted, and the memory is
tried again from time to time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from earshot.runtime.labels import load_labels
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.episodes import EventKind, Place
from earshot.runtime.scene.memory import MemoryUnusable, SceneMemory

_KINDS: dict[str, EventKind] = {"new": "appeared", "moved": "moved", "ended": "ended"}
_RETRY_S = 30.0
_HEARTBEAT_S = 60.0
_MAX_WAITING = 1024


@dataclass(frozen=True)
class _Timed:
    """A change and when it was, by the wall clock."""

    change: TrackChange
    time_s: float


class Rememberer:
    """Writes changes of one stream into a memory.

    Parameters
    ----------
    memory : SceneMemory
        Not open; closed by `close`.
    tell : callable
        Called with a line about the memory itself, from any thread.
    clock : callable, optional
        Wall clock, seconds since 1970.
    retry_s, heartbeat_s : float
        How often a failed memory is tried again; how often it is noted that listening goes on, seconds.
    """

    def __init__(
        self,
        memory: SceneMemory,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        retry_s: float = _RETRY_S,
        heartbeat_s: float = _HEARTBEAT_S,
    ) -> None:
        self.memory = memory
        self._tell = tell
        self._clock = clock
        self._retry_s, self._heartbeat_s = retry_s, heartbeat_s
        self._waiting: queue.Queue[_Timed | None] = queue.Queue(_MAX_WAITING)
        self._episodes: dict[int, int] = {}
        self._session = 0
        self._failing = False
        self._try_at_s = 0.0
        self._lost = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the memory and begin; one that cannot be opened is told, and tried again later."""
        self._attempt(lambda: None)
        self._thread = threading.Thread(target=self._work, name="remembering", daemon=True)
        self._thread.start()

    def take(self, change: TrackChange) -> None:
        """Take one change; never waits."""
        track = change.track
        heard_at_s = track.onset_s if change.kind == "new" else track.last_heard_s
        time_s = self._clock() - max(0.0, change.time_s - heard_at_s)
        try:
            self._waiting.put_nowait(_Timed(change, time_s))
        except queue.Full:
            self._lost += 1

    def settle(self) -> None:
        """Wait until all that was taken is on disk, or is given up."""
        if self._thread is not None:
            self._waiting.join()

    def close(self) -> None:
        """Keep what waits, then close the memory."""
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join()
        self._thread = None
        self.memory.close()
        if self._lost:
            self._tell(f"memory: {self._lost} events could not be kept")

    def _work(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=self._heartbeat_s)
            except queue.Empty:
                self._attempt(lambda: self.memory.heard(self._session))
                continue
            try:
                if item is None:
                    self._attempt(lambda: self.memory.heard(self._session))
                    return
                self._keep(item)
            finally:
                self._waiting.task_done()

    def _keep(self, item: _Timed) -> None:
        without_beginning = item.change.kind != "new" and item.change.track.track_id not in self._episodes
        if without_beginning or not self._attempt(lambda: self._write(item)):
            self._lost += 1

    def _write(self, item: _Timed) -> None:
        track, kind = item.change.track, _KINDS[item.change.kind]
        episode = self._episodes.get(track.track_id, 0)
        place = Place(track.azimuth_deg, track.elevation_deg, track.distance_m, track.front_back_ambiguous)
        label = load_labels()[track.class_id].key
        added = self.memory.add(self._session, kind, item.time_s, label, place, track.confidence, episode)
        if kind == "ended":
            del self._episodes[track.track_id]
        else:
            self._episodes[track.track_id] = added

    def _attempt(self, write: Callable[[], None]) -> bool:
        """Do it, unless the memory failed a moment ago; the first failure and the recovery are told."""
        if self._failing and time.monotonic() < self._try_at_s:
            return False
        try:
            self.memory.open()
            if not self._session:
                self._session = self.memory.begin()
            write()
        except MemoryUnusable as error:
            self._try_at_s = time.monotonic() + self._retry_s
            if not self._failing:
                self._tell(f"memory: {error}; listening goes on, nothing is remembered meanwhile")
            self._failing = True
            return False
        if self._failing:
            self._tell("memory: it can be written again")
        self._failing = False
        return True
