"""The one loop that hears live: chunks of a source in, everything that happens out.

`earshot listen`, `earshot watch`, `earshot serve` and the Python interface all hear through it.
"""

from __future__ import annotations

import time

import psutil

from earshot.runtime.audio.capture import Patient
from earshot.runtime.audio.device_source import DeviceSource
from earshot.runtime.audio.head_yaw import HeadYaw
from earshot.runtime.audio.health import ChannelHealth
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk, AudioSource
from earshot.runtime.happenings import EffortChange, Note, OnHappening
from earshot.runtime.hearing.effort import Effort, EffortKeeper, EffortSettings
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.holding import Clock, Holding, time_hops, what_holds
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.load import LoadMeter
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.scene.changes import ChangeDetector
from earshot.runtime.scene.uncertainty import Ellipse, UncertaintyView
from earshot.runtime.scene.watching import Watcher


class HearingLoop:
    """Hears one source from its beginning to its end.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    tell : callable
        Called with everything that happens but `End`, in the thread of `run`.
    watcher : Watcher, optional
        What is looked out for.
    effort_settings : EffortSettings, optional
        When less is done on a machine that is too slow.
    yaw : HeadYaw, optional
        What tells where the head looks, open; goes before what the source itself tells.
    threads : int, optional
        For the encoders; a live source finds out by itself how many it needs.
    clock : callable, optional
        Of the self-test, seconds.

    Attributes
    ----------
    holding : Holding or None
        What the self-test found; None before it, and for a recording, which waits.
    """

    def __init__(
        self,
        encoders: Encoders,
        tell: OnHappening,
        watcher: Watcher | None = None,
        effort_settings: EffortSettings | None = None,
        *,
        yaw: HeadYaw | None = None,
        threads: int | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._encoders = encoders
        self._yaw, self._threads, self._clock = yaw, threads, clock
        self.holding: Holding | None = None
        self._tell = tell
        self._watcher = watcher or Watcher(())
        self._changes, self._health = ChangeDetector(), ChannelHealth()
        self._uncertainty = UncertaintyView()
        self._effort_settings = effort_settings
        self._keeper = EffortKeeper(settings=effort_settings)
        self._live = False
        self.hearing = Hearing(encoders)
        self.meter = LoadMeter()
        self.latest = SceneSnapshot(0.0, ())
        self.ellipses: dict[int, Ellipse] = {}
        self.findings: tuple[str, ...] = ()
        self.heard_samples = 0

    @property
    def effort(self) -> Effort:
        """What this machine can do at the moment."""
        return self._keeper.effort

    @property
    def heard_s(self) -> float:
        """Seconds of sound heard so far."""
        return self.heard_samples / SAMPLE_RATE_HZ

    def run(self, source: AudioSource) -> None:
        """Hear until the source ends.

        Parameters
        ----------
        source : AudioSource
            Open. One of no known length is live: it does not wait, so that less is done when the machine is too slow.

        Raises
        ------
        EarshotError
            When the source fails on the way. What sounded until then has been told to have ended.
        """
        self._live = source.duration_s is None
        self._know_yaw_from(source)
        try:
            if self._threads is not None:
                self._encoders.use_threads(self._threads)
            if self._live:
                self._begin_with(self._test())
            patient = source if isinstance(source, Patient) else None
            for chunk in source:
                self._take(chunk)
                if patient is not None:
                    patient.rest(self.hearing.resting)
            for finding in self._health.flush():
                self._tell(Note(finding.text, self.heard_s))
        finally:
            for change in self._changes.flush():
                self._tell(change)

    def _know_yaw_from(self, source: AudioSource) -> None:
        if self._yaw is not None:
            self._yaw.begin(self._live)
            self.hearing.yaw_at = self._yaw.yaw_at
        else:
            self.hearing.yaw_at = source.yaw_at if isinstance(source, DeviceSource) else None

    def _test(self) -> Holding:
        def load_with(threads: int) -> float:
            self._encoders.use_threads(threads)
            return time_hops(self._encoders, self._clock)

        holding = what_holds(load_with, _usable_cores(), self._threads)
        self._encoders.use_threads(holding.threads)
        return holding

    def _begin_with(self, holding: Holding) -> None:
        self.holding = holding
        self._keeper = EffortKeeper(holding.effort, self._effort_settings)
        if holding.effort is not Effort.FULL:
            self._enter(holding.effort, 0.0)
        self._tell(Note(holding.text, 0.0))

    def _enter(self, effort: Effort, time_s: float) -> None:
        self.hearing.stride = effort.stride
        self._tell(EffortChange(effort, time_s))

    def _take(self, chunk: AudioChunk) -> None:
        began_s = time.perf_counter()
        if self._yaw is not None:
            self._yaw.heard(chunk.end_s)
        findings = self._health.process(chunk)
        snapshots = self.hearing.process(chunk)
        self._measure(time.perf_counter() - began_s, chunk)
        yaw_active, yaw_findings = ((), ()) if self._yaw is None else (self._yaw.active, self._yaw.take_findings())
        active = (*self._health.active, *self.hearing.findings, *yaw_active)
        self.findings = tuple(finding.text for finding in active)
        for finding in (*findings, *self.hearing.take_findings(), *yaw_findings):
            self._tell(Note(finding.text, chunk.end_s))
        for snapshot in snapshots:
            self._tell_scene(snapshot)
        self.heard_samples += chunk.samples.shape[1]

    def _measure(self, took_s: float, chunk: AudioChunk) -> None:
        audio_s = chunk.samples.shape[1] / SAMPLE_RATE_HZ
        self.meter.add(took_s, audio_s)
        if not self._live or self.hearing.resting:  # silence is no proof that the machine has become faster
            return
        effort = self._keeper.process(took_s, audio_s)
        if effort is not None:
            self._enter(effort, chunk.end_s)

    def _tell_scene(self, snapshot: SceneSnapshot) -> None:
        self.latest, self.ellipses = snapshot, self._uncertainty.process(snapshot)
        self._tell(snapshot)
        for change in self._changes.process(snapshot):
            self._tell(change)
        for alert in self._watcher.process(snapshot):
            self._tell(alert)


def _usable_cores() -> int:
    """Cores that this process may use."""
    process = psutil.Process()
    return len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1
