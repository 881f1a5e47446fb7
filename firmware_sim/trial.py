"""A scenario heard as the listener hears it, at simulated times: what it said, and where it placed the sounds.

The way of the sound is that of `earshot listen`: device, radio, receiver, channel health, encoders, tracks. Only the
clock is simulated. What is kept is in arrays of a fixed size, so that an hour's memory is that of the listener.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.firmware_sim.scenario import Scenario
from earshot.firmware_sim.source import SimulatedSource
from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.audio.health import ChannelHealth, Finding
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.kin import MOST_KIN
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.slots import SLOTS
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot

Floats = NDArray[np.float64]

OnProgress = Callable[["Trial"], None]

MOST_TRACKS = SLOTS * MOST_KIN
"""At one moment: several sources of one class share a slot."""


@dataclass
class Told:
    """Something that the listener reported.

    Attributes
    ----------
    id : str
        Of the finding, as in docs/simulated-hearable.md.
    since_s, until_s : float
        True time of the simulation; the same for what is said once.
    """

    id: str
    since_s: float
    until_s: float


class Sights:
    """Where sounds were placed, ten times a second; unheard moments stay NaN.

    Parameters
    ----------
    duration_s : float

    Attributes
    ----------
    azimuth_deg, confidence : ndarray [n, MOST_TRACKS]
        Of the active tracks; row k tells the moment 0.1 (k + 1) s of the stream.
    told_s : ndarray [n]
        True time at which the listener knew.
    """

    def __init__(self, duration_s: float) -> None:
        count = int(duration_s / SNAPSHOT_S) + 2
        self.azimuth_deg: Floats = np.full((count, MOST_TRACKS), np.nan)
        self.confidence: Floats = np.full((count, MOST_TRACKS), np.nan)
        self.told_s: Floats = np.full(count, np.nan)

    def keep(self, snapshot: SceneSnapshot, now_s: float) -> None:
        """Note a snapshot; one beyond the end is not kept."""
        row = round(snapshot.time_s / SNAPSHOT_S) - 1
        if not 0 <= row < len(self.told_s):
            return
        self.told_s[row] = now_s
        for place, track in enumerate(track for track in snapshot.tracks if track.active):
            self.azimuth_deg[row, place] = track.azimuth_deg
            self.confidence[row, place] = track.confidence

    def rows(self, from_s: float, to_s: float) -> range:
        """Moments within a time."""
        return range(max(0, round(from_s / SNAPSHOT_S)), min(len(self.told_s), round(to_s / SNAPSHOT_S)))

    def surest_deg(self, row: int) -> float:
        """Azimuth of the surest track of a moment; NaN when nothing is heard."""
        if np.isnan(self.confidence[row]).all():
            return float("nan")
        return float(self.azimuth_deg[row, int(np.nanargmax(self.confidence[row]))])


class Trial:
    """One run of a scenario through the listener.

    Parameters
    ----------
    scenario : Scenario
    encoders : Encoders
        Loaded.

    Attributes
    ----------
    sights : Sights
    told : list of Told
    states : list of (float, str)
        True time and state of the source at each change.
    most_waiting : int
        Deepest queue of packets in the receiver.
    """

    def __init__(self, scenario: Scenario, encoders: Encoders) -> None:
        self.scenario = scenario
        self.sights = Sights(scenario.duration_s)
        self.told: list[Told] = []
        self.states: list[tuple[float, str]] = []
        self.most_waiting = 0
        self._hearing, self._health = Hearing(encoders), ChannelHealth()
        self._source = SimulatedSource(scenario, pace="fast", on_event=self._on_event)
        self._source.on_finding = self._on_finding
        self._active: dict[str, Told] = {}

    @property
    def source(self) -> SimulatedSource:
        """The device and its receiver."""
        return self._source

    def run(self, on_progress: OnProgress | None = None) -> None:
        """Hear it all; `on_progress` is called after every chunk."""
        with self._source:
            self._hearing.yaw_at = self._source.yaw_at
            for chunk in self._source:
                self._hear(chunk)
                if on_progress is not None:
                    on_progress(self)

    def told_within(self, from_s: float, to_s: float) -> set[str]:
        """Ids of what was said, or held, within a true time."""
        return {told.id for told in self.told if told.since_s <= to_s and told.until_s >= from_s}

    def states_within(self, from_s: float, to_s: float) -> list[str]:
        """States that the source came into within a true time, in order."""
        return [state for time_s, state in self.states if from_s <= time_s <= to_s]

    def _hear(self, chunk: AudioChunk) -> None:
        self._health.process(chunk)
        snapshots = self._hearing.process(chunk)
        self._note_active()
        for snapshot in snapshots:
            self.sights.keep(snapshot, self._source.now_s)
        self.most_waiting = max(self.most_waiting, self._source.receiver.waiting)

    def _note_active(self) -> None:
        """What channel health and hearing say of the ears holds as long as they say so."""
        now_s, before = self._source.now_s, self._active
        active = (*self._health.active, *self._hearing.findings)
        self._active = {f.id: before.get(f.id) or self._new(f.id, now_s) for f in active}
        for told in self._active.values():
            told.until_s = now_s

    def _new(self, id_: str, now_s: float) -> Told:
        self.told.append(Told(id_, now_s, now_s))
        return self.told[-1]

    def _on_finding(self, finding: Finding) -> None:
        self._new(finding.id, self._source.now_s)

    def _on_event(self, event: CaptureEvent) -> None:
        if not self.states or self.states[-1][1] != event.state.value:
            self.states.append((self._source.now_s, event.state.value))


def error_deg(scenario: Scenario, time_s: float, azimuth_deg: float) -> float:
    """How far an azimuth is from the nearest sound of a moment, degrees; NaN for NaN, or when nothing sounds."""
    truth = scenario.truth(time_s)
    return min((abs(wrap_deg(azimuth_deg - true_deg)) for _, true_deg, _, _ in truth), default=float("nan"))
