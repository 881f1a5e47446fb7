"""Field types of the hearable's packets: plain data in units of the wire, no bytes.

The layout stands in ``docs/packet-format.md``; encoding and decoding live in `earshot.runtime.audio.packets`.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = ["UNKNOWN_BATTERY", "UNKNOWN_TEMPERATURE", "Flags", "Header", "Hello", "Kind", "Status"]

UNKNOWN_BATTERY = 255
UNKNOWN_TEMPERATURE = -32_768


class Kind(IntEnum):
    """What a packet carries."""

    AUDIO = 1
    HELLO = 2
    STATUS = 3


class Flags(IntFlag):
    """State bits of the header."""

    CLIPPED = 1
    CHARGING = 2
    POSE_VALID = 4
    DISCONTINUITY = 8  # frames were lost inside the device just before this packet


@dataclass(frozen=True)
class Header:
    """Header fields as they are sent, in units of the wire.

    Attributes
    ----------
    kind : int
        See `Kind`.
    sequence : int
        Counts the packets of a stream, modulo 2**32.
    stream_id : int
        Drawn anew at every start of the device; a change means that it restarted.
    device_time_us : int
        Device clock at the first frame, microseconds since its start.
    sample_index : int
        Index of the first frame since the start of the stream.
    sample_rate_hz, frame_count, channels : int
        Frames are sample times; a frame holds one sample per channel. Channel 0 = LEFT ear.
    yaw_cdeg, pitch_cdeg, roll_cdeg : int
        Head pose in hundredths of a degree; yaw positive = turned LEFT, pitch positive = up.
    battery_percent : int
        0 to 100, or 255 when unknown.
    flags : int
        See `Flags`.
    temperature_cdeg : int
        Hundredths of a degree Celsius, or -32768 when unknown.
    """

    kind: int
    sequence: int = 0
    stream_id: int = 0
    device_time_us: int = 0
    sample_index: int = 0
    sample_rate_hz: int = 16_000
    frame_count: int = 0
    channels: int = 2
    yaw_cdeg: int = 0
    pitch_cdeg: int = 0
    roll_cdeg: int = 0
    battery_percent: int = UNKNOWN_BATTERY
    flags: int = 0
    temperature_cdeg: int = UNKNOWN_TEMPERATURE

    @property
    def yaw_deg(self) -> float:
        """Head yaw in degrees, positive = turned left."""
        return self.yaw_cdeg / 100

    @property
    def temperature_c(self) -> float | None:
        """Temperature in degrees Celsius, None when unknown."""
        return None if self.temperature_cdeg == UNKNOWN_TEMPERATURE else self.temperature_cdeg / 100


@dataclass(frozen=True)
class Hello:
    """What a device says about itself once a connection stands."""

    name: str
    serial: int = 0
    firmware: tuple[int, int, int] = (0, 0, 0)
    frames_per_packet: int = 0
    pose_rate_hz: int = 0
    capabilities: int = 0


@dataclass(frozen=True)
class Status:
    """What a device reports about its health, about once a second."""

    uptime_s: int = 0
    packets_sent: int = 0
    frames_dropped: int = 0
    samples_clipped: int = 0
    rssi_dbm: int = 0
    cpu_percent: int = 0
    faults: int = 0
    battery_mv: int = 0
    clock_drift_ppb: int = 0
