"""Looks out for what watches wait for: scene snapshots in, alerts out.

A watch fires when its condition has held for a while (hysteresis in time), and not again before it has been untrue for
a while; once true it may drift over the edge of its sector or distance a little (hysteresis in space). Alerts beyond
the rate, and in quiet hours, are counted and not given.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.now import names_of, words_of
from earshot.runtime.scene.watches import WatchEvent, WatchRule

BRIDGED_S = 1.0
_MARGIN_DEG = 10.0
_MARGIN_DISTANCE = 1.25
_MARGIN_CONFIDENCE = 0.7
_TREND_S, _LEAST_TREND_S = 2.5, 1.2
_HOUR_S = 3600.0
_VERBS = {
    WatchEvent.APPEARS: "heard",
    WatchEvent.APPROACHES: "coming nearer",
    WatchEvent.RECEDES: "going away",
    WatchEvent.STOPS: "has stopped",
}


@dataclass(frozen=True, eq=False)
class Alert:
    """A watch has fired.

    Attributes
    ----------
    rule : WatchRule
    time_s : float
        Seconds since stream start.
    track : TrackSnapshot
        The source that made it true; for "stops" as it was last.
    """

    rule: WatchRule
    time_s: float
    track: TrackSnapshot

    @property
    def text(self) -> str:
        """The alert in words."""
        return f"{names_of(self.track)} {_VERBS[self.rule.event]}: {words_of(self.track)}"

    def as_dict(self) -> dict[str, Any]:
        """The alert as a JSON object."""
        head = {"event": "alert", "time_s": round(self.time_s, 1), "watch": self.rule.text, "text": self.text}
        return {**head, **{name: value for name, value in self.track.as_dict().items() if name not in head}}


class Watcher:
    """Stage: `SceneSnapshot`s in, `Alert`s out.

    Parameters
    ----------
    rules : sequence of WatchRule
    clock : callable, optional
        Wall clock for quiet hours, seconds since 1970.
    on_alert : callable, optional
        Called with every alert, in the thread that processes.
    """

    latency_s = 0.0

    def __init__(
        self,
        rules: Sequence[WatchRule],
        clock: Callable[[], float] = time.time,
        on_alert: Callable[[Alert], None] | None = None,
    ) -> None:
        self._rules = dict(enumerate(rules, 1))
        self._next = len(self._rules) + 1
        self._lock = threading.Lock()
        self._clock = clock
        self._on_alert = on_alert
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object with the same rules."""
        with self._lock:
            self._armed = {number: _Armed(rule) for number, rule in self._rules.items()}
        self._trends: dict[int, _Trend] = {}
        self.quieted = self.limited = 0

    @property
    def rules(self) -> dict[int, WatchRule]:
        """What is watched for, by number."""
        with self._lock:
            return dict(self._rules)

    def arm(self, rule: WatchRule) -> int:
        """Watch for something more, from any thread; returns its number, which is never given twice."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._rules[number] = rule
            self._armed = {**self._armed, number: _Armed(rule)}  # a new one: the other may be looked through now
            return number

    def disarm(self, number: int) -> bool:
        """Watch for something no more, from any thread; False when there is no such number."""
        with self._lock:
            self._armed = {key: armed for key, armed in self._armed.items() if key != number}
            return self._rules.pop(number, None) is not None

    def process(self, snapshot: SceneSnapshot) -> list[Alert]:
        """Look at the scene as it is now, ten times a second."""
        self._follow(snapshot)
        alerts = []
        for armed in self._armed.values():
            track = armed.look(snapshot, self._trends)
            if track is not None and self._allowed(armed, snapshot.time_s):
                alerts.append(Alert(armed.rule, snapshot.time_s, track))
        if self._on_alert is not None:
            for alert in alerts:
                self._on_alert(alert)
        return alerts

    def flush(self) -> list[Alert]:
        """The end of the stream is not the end of a sound."""
        return []

    def _follow(self, snapshot: SceneSnapshot) -> None:
        present = {track.track_id for track in snapshot.tracks}
        for gone in self._trends.keys() - present:
            del self._trends[gone]
        for track in snapshot.tracks:
            if track.active:
                self._trends.setdefault(track.track_id, _Trend()).add(snapshot.time_s, track.distance_m)

    def _allowed(self, armed: _Armed, time_s: float) -> bool:
        if armed.rule.is_quiet(self._clock()):
            self.quieted += 1
            return False
        if not armed.within_rate(time_s):
            self.limited += 1
            return False
        return True


class _Trend:
    """How fast a distance changes: slope of its logarithm over the last seconds, so as a share per second."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def add(self, time_s: float, distance_m: float) -> None:
        self._points.append((time_s, math.log(distance_m)))
        while time_s - self._points[0][0] > _TREND_S:
            self._points.popleft()

    @property
    def rate(self) -> float:
        """Negative = nearer; 0 while too little is known."""
        if len(self._points) < 3 or self._points[-1][0] - self._points[0][0] < _LEAST_TREND_S:
            return 0.0
        times, logs = np.array(self._points).T
        times = times - times.mean()
        return float(times @ (logs - logs.mean()) / (times @ times))


class _Armed:
    """One rule on one stream."""

    def __init__(self, rule: WatchRule) -> None:
        self.rule = rule
        self._since_s: float | None = None
        self._last_s = 0.0
        self._last_track: TrackSnapshot | None = None
        self._happening = False
        self._alerts: deque[float] = deque()

    def look(self, snapshot: SceneSnapshot, trends: dict[int, _Trend]) -> TrackSnapshot | None:
        """The track to alert about, if it is time."""
        now_s = snapshot.time_s
        fitting = [track for track in snapshot.tracks if self._fits(track, trends)]
        if fitting:
            if self._since_s is None:
                self._since_s = now_s
            self._last_s, self._last_track = now_s, min(fitting, key=lambda track: track.distance_m)
        elif self._since_s is not None and now_s - self._last_s > self._patience_s:
            was, self._happening, self._since_s = self._happening, False, None
            return self._last_track if was and self.rule.event is WatchEvent.STOPS else None
        # Compared in whole milliseconds: snapshots are tenths of a second that have no exact binary form.
        held_ms = 0 if self._since_s is None else round(1000 * (self._last_s - self._since_s))
        if fitting and not self._happening and held_ms >= round(1000 * self.rule.hold_s):
            self._happening = True
            return None if self.rule.event is WatchEvent.STOPS else self._last_track
        return None

    def within_rate(self, time_s: float) -> bool:
        """Whether one more alert is allowed now; it then counts."""
        while self._alerts and time_s - self._alerts[0] >= max(_HOUR_S, self.rule.min_interval_s):
            self._alerts.popleft()
        too_soon = bool(self._alerts) and time_s - self._alerts[-1] < self.rule.min_interval_s
        recent = sum(time_s - at < _HOUR_S for at in self._alerts)
        if too_soon or recent >= self.rule.max_per_hour:
            return False
        self._alerts.append(time_s)
        return True

    @property
    def _patience_s(self) -> float:
        return self.rule.release_s if self._happening else min(BRIDGED_S, self.rule.release_s)

    def _fits(self, track: TrackSnapshot, trends: dict[int, _Trend]) -> bool:
        rule, lenient = self.rule, self._since_s is not None
        if not track.active or (rule.labels and load_labels()[track.class_id].key not in rule.labels):
            return False
        if track.confidence < rule.min_confidence * (_MARGIN_CONFIDENCE if lenient else 1.0):
            return False
        if rule.sector and not rule.sector.contains(track.azimuth_deg, _MARGIN_DEG if lenient else 0.0):
            return False
        if rule.within_m and track.distance_m > rule.within_m * (_MARGIN_DISTANCE if lenient else 1.0):
            return False
        return self._moves(trends[track.track_id], lenient)

    def _moves(self, trend: _Trend, lenient: bool) -> bool:
        sign = {WatchEvent.APPROACHES: -1.0, WatchEvent.RECEDES: 1.0}.get(self.rule.event)
        return sign is None or sign * trend.rate >= self.rule.least_rate * (0.5 if lenient else 1.0)
