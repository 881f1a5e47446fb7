"""A simulated hearable inside the listener's own process: ``earshot listen --source sim:SCENARIO``.

Packets go through the same receiver as those of a real device, at simulated times, so that a run is the same
every time, however fast it is played.
"""

from __future__ import annotations

from collections.abc import Iterator

from earshot.firmware_sim.hearable import Hearable
from earshot.firmware_sim.radio import Arrival, Radio
from earshot.firmware_sim.scenario import Scenario, load_scenario
from earshot.runtime.audio.capture import OnCaptureEvent
from earshot.runtime.audio.device_source import DeviceSource
from earshot.runtime.audio.receiver import Receiver
from earshot.runtime.audio.source import AudioChunk, PaceName, Pacer
from earshot.runtime.errors import UsageError

_POLL_S = 0.1
"""How often the receiver looks at its clock while nothing comes."""


class SimulatedSource(DeviceSource):
    """An `AudioSource` that is a scenario, its device, its radio and a receiver.

    Parameters
    ----------
    scenario : Scenario or str
        One loaded already, or a path or shipped name that `open()` loads.
    pace : {"fast", "real"}
    speed : float
        Factor on true time for pace "real".
    on_event : callable, optional
        See `LinkEvents`.
    """

    def __init__(
        self,
        scenario: Scenario | str,
        *,
        pace: PaceName = "real",
        speed: float = 1.0,
        on_event: OnCaptureEvent | None = None,
    ) -> None:
        super().__init__(Receiver(name="simulated device", datagrams=True), on_event)
        self._given = scenario
        self._scenario: Scenario | None = None
        self._pacer = Pacer(pace, speed)
        self._now_s = 0.0

    @property
    def name(self) -> str:
        """What a message calls this source."""
        return f"sim:{self._given if isinstance(self._given, str) else self._given.title or 'scenario'}"

    @property
    def duration_s(self) -> float | None:
        """Length of the scenario once open."""
        return None if self._scenario is None else self._scenario.duration_s

    @property
    def now_s(self) -> float:
        """True time of the simulation, seconds since its start."""
        return self._now_s

    def open(self) -> None:
        """Load the scenario.

        Raises
        ------
        UsageError
            When there is no such scenario or the speed is impossible.
        InputError
            When its content is wrong.
        """
        self.close()
        self._pacer.start()
        self._scenario = load_scenario(self._given) if isinstance(self._given, str) else self._given
        self.receiver.reset()
        self._start_telling()
        self._now_s = 0.0

    def close(self) -> None:
        """End the iteration; may be called twice and from another thread."""
        self._pacer.stop()
        self._scenario = None

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield chunks until the scenario ends or `close()`.

        Raises
        ------
        UsageError
            When the source is not open.
        """
        scenario = self._scenario
        if scenario is None:
            raise UsageError(f"{self.name}: not open; call open() first or use it in a 'with' block")
        for arrival in arrivals_of(scenario, Radio(scenario.link, scenario.schedule(), scenario.seed)):
            yield from self._wait(arrival.time_s)
            if not self._pacer.wait_for(arrival.time_s):
                return
            chunks = self.receiver.process(arrival.data, arrival.time_s)
            self._tell(self.receiver.take_findings())
            if chunks:
                self._tell_heard(self.name, chunks[0].start_s)
            yield from chunks
        yield from self.receiver.flush()
        self._tell(self.receiver.take_findings())

    def _wait(self, until_s: float) -> Iterator[AudioChunk]:
        """Let the receiver see that time passes without bytes."""
        while self._now_s + _POLL_S < until_s:
            self._now_s += _POLL_S
            if not self._pacer.wait_for(self._now_s):
                return
            chunks = self.receiver.poll(self._now_s)
            self._tell(self.receiver.take_findings())
            yield from chunks
        self._now_s = until_s


def arrivals_of(scenario: Scenario, radio: Radio) -> Iterator[Arrival]:
    """All that reaches the listener over a radio, in order."""
    return radio.carry(Hearable(scenario).packets())


def open_simulated(spec: str, speed: float) -> SimulatedSource:
    """What ``sim:SPEC`` means (entry point of the group ``earshot.sources``).

    Parameters
    ----------
    spec : str
        Name or path of a scenario; ``NAME?seconds=20`` plays only its beginning.
    speed : float
        Factor on true time.

    Raises
    ------
    UsageError
        For an unknown option, or a scenario that is not there.
    """
    name, _, query = spec.partition("?")
    if not query:
        return SimulatedSource(name, pace="real", speed=speed)
    key, _, value = query.partition("=")
    if key != "seconds":
        raise UsageError(f"sim:{spec}: unknown option {key!r}; write it as sim:{name}?seconds=20")
    return SimulatedSource(_beginning(spec, load_scenario(name), value), pace="real", speed=speed)


def _beginning(spec: str, scenario: Scenario, text: str) -> Scenario:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= scenario.duration_s:
        raise UsageError(f"sim:{spec}: seconds={text!r}; from above 0 to {scenario.duration_s:g} work")
    return scenario.beginning(seconds)
