"""From the listener's threads to the clients in the event loop, without ever making the listener wait.

The listener drops what happens into a bounded box and goes on. The event loop empties it and hands each event to
every client's own bounded line; a client whose line is full is cut off. Nothing grows with a client's slowness.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from earshot.runtime.audio.capture import CaptureEvent, CaptureState
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.api import documents
from earshot.runtime.interfaces.api.settings import Limits
from earshot.runtime.listener import EffortChange, End, Happening, Listener, Note
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.now import name_of
from earshot.runtime.scene.watching import Alert

_BOX = 2048
_HISTORY_S = 300.0
_HISTORY_STEP_S = 1.0
_HISTORY_POINTS = 1200
"""Four tracks for five minutes, a point a second."""
_RECENT = 50
_SCENE_STEP_S = 0.05


class Client:
    """The line of one client.

    Parameters
    ----------
    limit : int
        Events that may wait.
    cut_off : callable
        Ends the connection at once.
    """

    def __init__(self, limit: int, cut_off: Callable[[], None]) -> None:
        self._limit, self._cut_off = limit, cut_off
        self._line: deque[str] = deque()
        self._news = asyncio.Event()
        self.dropped = False

    def offer(self, message: str) -> None:
        """Put a message into the line; a full line ends the connection. In the event loop only."""
        if self.dropped:
            return
        if len(self._line) >= self._limit:
            self.dropped = True
            self._line.clear()
            self._cut_off()
        else:
            self._line.append(message)
        self._news.set()

    async def next(self) -> str:
        """The next message; waits for one."""
        while not self._line:
            self._news.clear()
            await self._news.wait()
        return self._line.popleft()


class Hub:
    """Knows the clients and tells them what happens.

    Parameters
    ----------
    listener : Listener
    limits : Limits
    """

    def __init__(self, listener: Listener, limits: Limits) -> None:
        self._listener, self._limits = listener, limits
        self._lock = threading.Lock()
        self._box: deque[Happening] = deque(maxlen=_BOX)
        self._waking = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[Client] = set()
        self._since_s = time.monotonic()
        self._scene: SceneSnapshot | None = None
        self._scene_sent_s = 0.0
        self._shown: list[dict[str, Any]] = []
        self._history: deque[tuple[float, int, float]] = deque(maxlen=_HISTORY_POINTS)
        self._names: dict[int, str] = {}
        self._recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)
        self._history_at_s = -_HISTORY_STEP_S
        self.events_lost = 0
        self.clients_dropped = 0

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self._clients)

    @property
    def full(self) -> bool:
        """Whether no further client is taken."""
        return len(self._clients) >= self._limits.clients

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to tell in this event loop."""
        self._loop = loop
        self._listener.follow(self.tell)

    def stop(self) -> None:
        """Tell nothing more."""
        self._listener.unfollow(self.tell)
        with self._lock:
            self._loop = None

    def tell(self, happening: Happening) -> None:
        """Take what happens; from any thread, returns at once."""
        with self._lock:
            if self._loop is None:
                return
            self.events_lost += len(self._box) == _BOX
            self._box.append(happening)
            if not self._waking:
                self._waking = True
                self._loop.call_soon_threadsafe(self._empty_box)

    def join(self, client: Client) -> None:
        """Add a client; its first event is the snapshot."""
        client.offer(documents.event("snapshot", self.snapshot()))
        self._clients.add(client)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self.clients_dropped += client.dropped

    def health(self) -> dict[str, Any]:
        """As `HealthBody`."""
        own = {
            "clients": self.clients,
            "clients_dropped": self.clients_dropped,
            "events_lost": self.events_lost,
        }
        return {**documents.health_document(self._listener, self._since_s), **own}

    def snapshot(self) -> dict[str, Any]:
        """All that a client needs that comes now: scene, health, the last minutes."""
        kept = {track for _, track, _ in self._history}
        return {
            "scene": documents.scene_document(self._listener.scene),
            "health": self.health(),
            "history": [list(point) for point in self._history],
            "names": {str(track): name for track, name in self._names.items() if track in kept},
            "recent": list(self._recent),
        }

    def send(self, name: str, data: dict[str, Any]) -> None:
        """Give an event to every client."""
        if not self._clients:
            return
        message = documents.event(name, data)
        for client in tuple(self._clients):
            client.offer(message)

    async def send_health(self) -> None:
        """Tell the health once a second, for ever."""
        while True:
            await asyncio.sleep(1.0)
            if self._clients:
                self.send("health", self.health())

    def _empty_box(self) -> None:
        with self._lock:
            happenings, self._waking = list(self._box), False
            self._box.clear()
        for happening in happenings:
            self._take(happening)
        ended = any(isinstance(happening, End) for happening in happenings)
        self._send_scene(at_once=ended)
        if ended:
            self.send("end", {"error": self._listener.state_text or None})
            self.send("health", self.health())

    def _take(self, happening: Happening) -> None:
        if isinstance(happening, SceneSnapshot):
            self._scene = happening
            self._remember(happening)
        elif isinstance(happening, TrackChange):
            self._names[happening.track.track_id] = name_of(happening.track)
            self.send(happening.kind, documents.change_document(happening))
        elif isinstance(happening, CaptureEvent):
            self._log("capture", documents.capture_document(happening))
            self._hide_if_deaf(happening)
        elif isinstance(happening, Note):
            self._log("note", documents.note_document(happening))
        elif isinstance(happening, EffortChange):
            self._log("effort", documents.effort_document(happening))
        elif isinstance(happening, Alert):
            self._log("watch", documents.alert_document(happening))

    def _hide_if_deaf(self, captured: CaptureEvent) -> None:
        """No source is claimed while no sound arrives."""
        if captured.state in (CaptureState.DEAF, CaptureState.RECONNECTING) and self._shown:
            self._scene, self._shown = None, []
            self.send("scene", {"time_s": round(captured.time_s, 1), "yaw_deg": None, "tracks": []})

    def _log(self, name: str, data: dict[str, Any]) -> None:
        self._recent.append({"event": name, "data": data})
        self.send(name, data)

    def _remember(self, snapshot: SceneSnapshot) -> None:
        """A point per source and second; sources that no point tells of are forgotten with their names."""
        if snapshot.time_s - self._history_at_s < _HISTORY_STEP_S - 1e-6:
            return
        self._history_at_s = snapshot.time_s
        for track in snapshot.tracks:
            if track.active:
                point = (round(snapshot.time_s, 1), track.track_id, round(track.azimuth_deg, 1))
                self._history.append(point)
                self._names[track.track_id] = name_of(track)
        while self._history and self._history[0][0] < snapshot.time_s - _HISTORY_S:
            self._history.popleft()
        if len(self._names) > _HISTORY_POINTS:
            kept = {track for _, track, _ in self._history}
            self._names = {track: name for track, name in self._names.items() if track in kept}

    def _send_scene(self, *, at_once: bool) -> None:
        """Tell where everything is, unless nothing sounds and nothing did; at most 20 times a second."""
        now_s = time.monotonic()
        scene = self._scene
        if scene is None or (now_s - self._scene_sent_s < _SCENE_STEP_S and not at_once):
            return
        tracks = documents.tracks_document(scene.tracks, self._listener.scene)
        self._scene = None
        if not tracks and not self._shown:
            return
        self._shown, self._scene_sent_s = tracks, now_s
        yaw_deg = None if scene.yaw_deg is None else round(scene.yaw_deg, 1)
        self.send("scene", {"time_s": round(scene.time_s, 1), "yaw_deg": yaw_deg, "tracks": tracks})
