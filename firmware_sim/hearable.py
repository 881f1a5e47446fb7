"""The simulated hearable: samples, clocks and power of a small device, cut into packets as its firmware would.

Three clocks: true time (the scenario's), the device's clock (off by its drift) and the converter's rate (off when
the device is mistaken about it). Sound is rendered in true time; drift shows in when packets leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earshot.firmware_sim.codec import codec_of
from earshot.firmware_sim.faults import Fault, Schedule
from earshot.firmware_sim.microphone import Microphones
from earshot.firmware_sim.renderer import SceneRenderer
from earshot.firmware_sim.scenario import Scenario
from earshot.runtime.audio.packets import (
    Flags,
    Header,
    Hello,
    Kind,
    Packet,
    Status,
    audio_packet,
    centidegrees,
    encode,
    hello_packet,
    status_packet,
)
from earshot.runtime.audio.resample import StreamResampler
from earshot.runtime.audio.source import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]

THROTTLE_C = 60.0
"""From here on the processor slows down and frames are left out."""
_THROTTLED_SHARE = 0.1
_STATUS_S = 1.0
_WARMING_S = 120.0


@dataclass(frozen=True)
class Sent:
    """A packet as it leaves the device.

    Attributes
    ----------
    time_s : float
        True time.
    packet : Packet
    """

    time_s: float
    packet: Packet

    @property
    def data(self) -> bytes:
        """The bytes."""
        return encode(self.packet)


class Hearable:
    """A device that hears a scenario.

    Parameters
    ----------
    scenario : Scenario
    schedule : Schedule, optional
        The scenario's own by default.
    """

    def __init__(self, scenario: Scenario, schedule: Schedule | None = None) -> None:
        self._scenario = scenario
        self._schedule = schedule if schedule is not None else scenario.schedule()

    def packets(self) -> Iterator[Sent]:
        """All packets of the scenario in the order of sending; the same each time."""
        run = _Run(self._scenario, self._schedule)
        while run.time_s < self._scenario.duration_s:
            yield from run.step()


class _Run:
    """One run through the scenario."""

    def __init__(self, scenario: Scenario, schedule: Schedule) -> None:
        self._scenario, self._device, self._schedule = scenario, scenario.device, schedule
        self._sound = _TrueSound(scenario, schedule)
        self._microphones = Microphones(self._device, schedule, scenario.seed)
        self._codec = codec_of(self._device)
        self._rng = np.random.default_rng([scenario.seed, 0xDE51])
        self.time_s = 0.0
        self._boot()

    def _boot(self) -> None:
        """As after switching on: a new stream id, all counts at zero."""
        self._codec.reset()
        self._stream_id = int(self._rng.integers(2**32))
        self._sequence, self._index, self._clock_us = 0, 0, 0.0
        self._booted_s, self._status_due_s = self.time_s, self.time_s + _STATUS_S
        self._greeted = False
        self._left_out, self._clipped_before = 0, self._microphones.clipped
        self._gap = False

    def step(self) -> list[Sent]:
        """One packet of sound, and what goes with it."""
        sent: list[Sent] = []
        if not self._greeted:
            self._greeted = True
            sent.append(self._send(hello_packet(self._header(Kind.HELLO), self._hello())))
        began_s = self.time_s
        samples, lasted_s = self._sound.take(self._device.frames_per_packet, self.time_s)
        digital = self._codec.process(self._microphones.process(samples, self.time_s))
        header = self._header(Kind.AUDIO)
        self._advance(samples.shape[1], lasted_s)
        if self._throttled(began_s):
            self._left_out += samples.shape[1]
            self._gap = True
        else:
            sent.append(self._send(audio_packet(header, digital)))
            self._gap = False
        if self.time_s >= self._status_due_s:
            self._status_due_s += _STATUS_S
            sent.append(self._send(status_packet(self._header(Kind.STATUS), self._status())))
        reboot = self._schedule.starting("reboot", began_s, self.time_s)
        if reboot is not None:
            self._reboot(reboot)
        return sent

    def _reboot(self, fault: Fault) -> None:
        """Be away for a while; the world goes on."""
        self._sound.skip(fault.value, self.time_s)
        self.time_s += fault.value
        self._boot()

    def _advance(self, frames: int, lasted_s: float) -> None:
        ppm = self._device.clock_ppm + (self._schedule.value("drift", self.time_s) or 0.0)
        self.time_s += lasted_s / (1 + ppm * 1e-6)
        self._clock_us += lasted_s * 1e6
        self._index += frames

    def _throttled(self, time_s: float) -> bool:
        heat_c = self._schedule.value("hot", time_s)
        return heat_c is not None and heat_c >= THROTTLE_C and self._rng.random() < _THROTTLED_SHARE

    def _send(self, packet: Packet) -> Sent:
        numbered = replace(packet, header=replace(packet.header, sequence=self._sequence))
        self._sequence = (self._sequence + 1) % 2**32
        return Sent(self.time_s, numbered)

    def _header(self, kind: Kind) -> Header:
        flags = Flags.POSE_VALID | (Flags.DISCONTINUITY if self._gap else Flags(0))
        return Header(
            kind,
            stream_id=self._stream_id,
            device_time_us=round(self._clock_us),
            sample_index=self._index,
            sample_rate_hz=self._device.sample_rate_hz,
            yaw_cdeg=centidegrees(self._scenario.yaw_deg(self.time_s)),
            battery_percent=self._battery_percent(),
            flags=int(flags),
            temperature_cdeg=round(100 * self._temperature_c()),
        )

    def _battery_percent(self) -> int:
        low = self._schedule.value("low_battery", self.time_s)
        used = 100 * self.time_s / 3600 / self._device.battery_hours
        return round(max(0.0, self._device.battery_percent - used) if low is None else low)

    def _temperature_c(self) -> float:
        """The device warms by 3 degrees in use; a hot spell is at once."""
        hot = self._schedule.value("hot", self.time_s)
        warm = self._device.temperature_c + 3.0 * (1 - np.exp(-self.time_s / _WARMING_S))
        return float(warm if hot is None else hot)

    def _hello(self) -> Hello:
        pose_rate_hz = round(self._device.sample_rate_hz / self._device.frames_per_packet)
        return Hello(self._device.name, self._scenario.seed, (1, 0, 0), self._device.frames_per_packet, pose_rate_hz, 7)

    def _status(self) -> Status:
        dead = self._schedule.holds("dead_left", self.time_s) + 2 * self._schedule.holds("dead_right", self.time_s)
        return Status(
            uptime_s=int(self.time_s - self._booted_s),
            packets_sent=self._sequence,
            frames_dropped=self._left_out,
            samples_clipped=self._microphones.clipped - self._clipped_before,
            rssi_dbm=-92 if self._schedule.holds("loss", self.time_s) else -55,
            cpu_percent=40,
            faults=dead,
            battery_mv=3300 + 9 * self._battery_percent(),
        )


class _TrueSound:
    """Samples of the scene at the converter's true rate."""

    def __init__(self, scenario: Scenario, schedule: Schedule) -> None:
        self._nominal_hz, self._schedule = scenario.device.sample_rate_hz, schedule
        self._blocks = SceneRenderer(scenario).blocks()
        self._rate_hz = self._nominal_hz
        self._resampler = StreamResampler(SAMPLE_RATE_HZ, self._nominal_hz)
        self._ready = np.zeros((2, 0), np.float32)

    def take(self, frames: int, time_s: float) -> tuple[Samples, float]:
        """The next frames, and how long they lasted in true time, seconds."""
        self._set_rate(round(self._nominal_hz * (self._schedule.value("rate_mismatch", time_s) or 1.0)))
        parts, count = [self._ready], self._ready.shape[1]
        while count < frames:
            parts.append(self._resampler.process(next(self._blocks)))
            count += parts[-1].shape[1]
        joined = np.concatenate(parts, axis=1)
        self._ready = joined[:, frames:]
        return joined[:, :frames], frames / self._rate_hz

    def skip(self, seconds: float, time_s: float) -> None:
        """Let time pass unheard."""
        left = round(seconds * self._rate_hz)
        while left > 0:
            count = min(left, self._rate_hz)
            self.take(count, time_s)
            left -= count

    def _set_rate(self, rate_hz: int) -> None:
        if rate_hz != self._rate_hz:
            self._ready = np.concatenate([self._ready, self._resampler.flush()], axis=1)
            self._rate_hz = rate_hz
            self._resampler = StreamResampler(SAMPLE_RATE_HZ, rate_hz)
