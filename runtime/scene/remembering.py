"""Takes what happens in the scene to the memory, on a thread of its own: a slow disk never delays hearing.

A disk that is full or read-only is said once; hearing goes on, what could not be kept is counted, and the memory is
tried again from time to time. The end of a sound whose beginning was kept is kept later, when it cannot be at once: else
it would be remembered as still sounding. While no sound arrives nobody listens, so the session ends and another begins.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from earshot.runtime.labels import load_labels
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.episodes import EventKind, Place
from earshot.runtime.scene.memory import MemoryUnusable, SceneMemory

_KINDS: dict[str, EventKind] = {"new": "appeared", "moved": "moved", "ended": "ended"}
_RETRY_S = 30.0
_HEARTBEAT_S = 60.0
_MAX_WAITING = 1024
_SHORT_GAP_S = 10.0
"""After a gap up to this long the same session goes on, so that a plug with a loose contact does not make thousands."""


@dataclass(frozen=True)
class _Timed:
    """A change and when it was, by the wall clock."""

    change: TrackChange
    time_s: float


class _Wake(Enum):
    """What wakes the writing thread without being a change."""

    LOOK = "look"
    END = "end"


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
        self._waiting: queue.Queue[_Timed | _Wake] = queue.Queue(_MAX_WAITING)
        self._episodes: dict[int, int] = {}
        self._owed: dict[int, _Timed] = {}  # ends that could not be kept yet, by track
        self._session = 0
        self._hears = self._in_session = True
        self._deaf_since_s = 0.0
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

    def listening(self, hears: bool) -> None:
        """Say whether sound arrives; never waits."""
        self._hears = hears
        with suppress(queue.Full):  # then the writing thread is awake already
            self._waiting.put_nowait(_Wake.LOOK)

    def settle(self) -> None:
        """Wait until all that was taken is on disk, or is given up."""
        if self._thread is not None:
            self._waiting.join()

    def close(self) -> None:
        """Keep what waits, then close the memory."""
        if self._thread is None:
            return
        self._waiting.put(_Wake.END)
        self._thread.join()
        self._thread = None
        self.memory.close()
        lost = self._lost + len(self._owed)
        if lost:
            self._tell(f"memory: {lost} event{'' if lost == 1 else 's'} could not be kept")

    def _work(self) -> None:
        while True:
            try:
                item = self._waiting.get(timeout=self._heartbeat_s)
            except queue.Empty:
                self._beat()
                continue
            try:
                self._follow_hearing()
                if isinstance(item, _Timed):
                    self._keep(item)
                elif item is _Wake.END:
                    self._beat()
                    return
            finally:
                self._waiting.task_done()

    def _beat(self) -> None:
        """Note that listening goes on, if it does, and write what is owed."""
        self._follow_hearing()
        if self._in_session:
            self._attempt(lambda: self.memory.heard(self._session))
        elif self._owed:
            self._attempt(lambda: None)

    def _follow_hearing(self) -> None:
        """End the session when no sound arrives any more, begin one when it does again."""
        if self._hears == self._in_session:
            return
        now_s = self._clock()
        if not self._hears:
            self._attempt(lambda: self.memory.heard(self._session))
            self._deaf_since_s = now_s
        elif now_s - self._deaf_since_s > _SHORT_GAP_S:
            self._session = 0
            self._attempt(lambda: None)
        self._in_session = self._hears

    def _keep(self, item: _Timed) -> None:
        track_id = item.change.track.track_id
        if self._begun_elsewhere(item):
            self._lost += 1
        elif not self._attempt(lambda: self._write(item)):
            if item.change.kind == "ended":
                self._owed[track_id] = item
            else:
                self._lost += 1

    def _begun_elsewhere(self, item: _Timed) -> bool:
        """Whether the beginning of the sound was not kept, or not in this file."""
        return item.change.kind != "new" and item.change.track.track_id not in self._episodes

    def _write(self, item: _Timed) -> None:
        if self._begun_elsewhere(item):  # the file has been exchanged a moment ago
            self._lost += 1
            return
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
            if self.memory.close_if_gone():
                self._tell(f"memory: {self.memory.path} was deleted or replaced; what was in it is gone")
                self._session, self._episodes, self._owed = 0, {}, {}  # their numbers mean nothing in another file
            self.memory.open()
            if not self._session:
                self._session = self.memory.begin()
            while self._owed:
                track_id, item = next(iter(self._owed.items()))
                self._write(item)
                del self._owed[track_id]
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
