"""The hearable's packet format: encoder, decoder, resynchronisation.

The byte layout is fixed in ``docs/packet-format.md`` and, for firmware, in ``firmware_sim/reference/earshot_packet.h``.
This module knows bytes and integers; sockets, clocks and faults live elsewhere. Everything is little-endian.
"""

import struct
import zlib
from dataclasses import astuple, dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.packet_types import (
    UNKNOWN_BATTERY,
    UNKNOWN_TEMPERATURE,
    Flags,
    Header,
    Hello,
    Kind,
    Status,
)
from earshot.runtime.geometry import wrap_deg

__all__ = [
    "HEADER_SIZE",
    "MAGIC",
    "MAX_PAYLOAD",
    "UNKNOWN_BATTERY",
    "UNKNOWN_TEMPERATURE",
    "VERSION",
    "DecoderCounts",
    "Flags",
    "Header",
    "Hello",
    "Kind",
    "Packet",
    "PacketDecoder",
    "Status",
    "audio_packet",
    "centidegrees",
    "encode",
    "hello_packet",
    "packets_missing",
    "status_packet",
]

MAGIC = b"EARS"
VERSION = 1
HEADER_SIZE = 64
MAX_HEADER = 256  # what a later version may grow to
MAX_PAYLOAD = 65_536
SAMPLE_FORMAT_S16LE = 1

_HEADER = struct.Struct("<4sBBHIIQQIHBBhhhBBhHII")  # all but the header's own CRC
_PREFIX = struct.Struct("<4sBBH")
_U32 = struct.Struct("<I")
_HELLO = struct.Struct("<24sQBBHHHII")
_STATUS = struct.Struct("<IIIIbBHHHiI")
_FIXED_SIZES: dict[int, int] = {Kind.HELLO: _HELLO.size, Kind.STATUS: _STATUS.size}
_PAYLOAD_SIZE_AT = 52


@dataclass(frozen=True)
class Packet:
    """One packet: header and payload."""

    header: Header
    payload: bytes = b""

    def audio(self) -> NDArray[np.float32]:
        """Samples of an audio packet, float32 ``[channels, frames]``, -1 to just below 1."""
        self._require(Kind.AUDIO)
        samples = np.frombuffer(self.payload, dtype="<i2").reshape(-1, self.header.channels)
        return np.ascontiguousarray(samples.T, dtype=np.float32) / np.float32(32_768)

    def hello(self) -> Hello:
        """Content of a hello packet."""
        self._require(Kind.HELLO)
        name, serial, major, minor, patch, frames, rate, capabilities, _ = _HELLO.unpack(self.payload)
        text = name.split(b"\0")[0].decode("utf-8", errors="replace")
        return Hello(text, serial, (major, minor, patch), frames, rate, capabilities)

    def status(self) -> Status:
        """Content of a status packet."""
        self._require(Kind.STATUS)
        *fields, _, drift, _ = _STATUS.unpack(self.payload)
        return replace(Status(*fields), clock_drift_ppb=drift)

    def _require(self, kind: Kind) -> None:
        if self.header.kind != kind:
            raise ValueError(f"packet {self.header.sequence} is of kind {self.header.kind}, not {kind.name}")


def centidegrees(angle_deg: float) -> int:
    """Angle as it is sent: hundredths of a degree in (-18000, 18000]."""
    return round(wrap_deg(round(100 * angle_deg) / 100) * 100)


def audio_packet(header: Header, audio: NDArray[np.float32]) -> Packet:
    """Pack samples; kind, frame count and channels of the header are set to fit, as is the CLIPPED flag.

    Parameters
    ----------
    audio : array, float32, shape [channels, frames]
        Full scale is 1; what lies outside is clipped.
    """
    scaled = np.rint(np.asarray(audio, dtype=np.float64) * 32_768)
    samples = np.clip(scaled, -32_768, 32_767)
    flags = header.flags | (Flags.CLIPPED if np.any(samples != scaled) else 0)
    channels, frames = audio.shape
    filled = replace(header, kind=Kind.AUDIO, channels=channels, frame_count=frames, flags=int(flags))
    return Packet(filled, samples.T.astype("<i2").tobytes())


def hello_packet(header: Header, hello: Hello) -> Packet:
    """Pack a hello; a name over 24 bytes of UTF-8 is cut between characters."""
    name = hello.name.encode("utf-8")[:24].decode("utf-8", errors="ignore").encode("utf-8")
    numbers = (*hello.firmware, hello.frames_per_packet, hello.pose_rate_hz, hello.capabilities)
    return Packet(replace(header, kind=Kind.HELLO, frame_count=0), _pack(_HELLO, name, hello.serial, *numbers, 0))


def status_packet(header: Header, status: Status) -> Packet:
    """Pack a status report."""
    *fields, drift = astuple(status)
    return Packet(replace(header, kind=Kind.STATUS, frame_count=0), _pack(_STATUS, *fields, 0, drift, 0))


def encode(packet: Packet) -> bytes:
    """Bytes of a packet.

    Raises
    ------
    ValueError
        If a field does not fit its place, or the payload does not fit the header.
    """
    header = packet.header
    if not _is_sane(header, len(packet.payload)):
        raise ValueError(f"a payload of {len(packet.payload)} bytes does not fit {header}")
    h = header
    front = _pack(
        _HEADER,
        *(MAGIC, VERSION, h.kind, HEADER_SIZE, h.sequence, h.stream_id, h.device_time_us, h.sample_index),
        *(h.sample_rate_hz, h.frame_count, h.channels, SAMPLE_FORMAT_S16LE),
        *(h.yaw_cdeg, h.pitch_cdeg, h.roll_cdeg, h.battery_percent, h.flags, h.temperature_cdeg, 0),
        *(len(packet.payload), zlib.crc32(packet.payload)),
    )
    return front + _U32.pack(zlib.crc32(front)) + packet.payload


def packets_missing(previous: int, current: int) -> int:
    """Packets lost between two sequence numbers, modulo 2**32; -1 for a repeated or late packet."""
    step = (current - previous) % 2**32
    return step - 1 if 0 < step < 2**31 else -1


@dataclass(frozen=True)
class DecoderCounts:
    """What a decoder has seen: packets given out, bytes skipped in search, and the reasons for it."""

    packets: int = 0
    skipped_bytes: int = 0
    bad_headers: int = 0
    bad_payloads: int = 0
    unsupported: int = 0


class PacketDecoder:
    """Turns a byte stream into packets and finds its way back after damage.

    After a bad header or payload the search goes on one byte further, so no intact packet is ever swallowed
    by a damaged one before it. The result does not depend on how the stream is cut into pieces.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget buffered bytes and counts."""
        self._buffer = bytearray()
        self.counts = DecoderCounts()

    def feed(self, data: bytes) -> list[Packet]:
        """Take bytes as they arrive; return the packets that are complete now."""
        self._buffer += data
        return self._drain(final=False)

    def flush(self) -> list[Packet]:
        """End of the stream: what is incomplete is damage; return packets found behind it."""
        return self._drain(final=True)

    def _drain(self, final: bool) -> list[Packet]:
        packets: list[Packet] = []
        data, at = bytes(self._buffer), 0
        while at < len(data):
            found, size, packet = _examine(data, at)
            if found is _Found.INCOMPLETE and not final:
                break
            if packet is not None:
                packets.append(packet)
            self._count(found, size)
            at += size
        del self._buffer[:at]
        return packets

    def _count(self, found: "_Found", size: int) -> None:
        c = self.counts
        self.counts = DecoderCounts(
            c.packets + (found is _Found.PACKET),
            c.skipped_bytes + (0 if found in (_Found.PACKET, _Found.UNSUPPORTED) else size),
            c.bad_headers + (found is _Found.BAD_HEADER),
            c.bad_payloads + (found is _Found.BAD_PAYLOAD),
            c.unsupported + (found is _Found.UNSUPPORTED),
        )


class _Found(Enum):
    """What stands at a place of the stream."""

    PACKET = 0
    INCOMPLETE = 1
    NOISE = 2
    BAD_HEADER = 3
    BAD_PAYLOAD = 4
    UNSUPPORTED = 5


def _examine(data: bytes, at: int) -> tuple[_Found, int, Packet | None]:
    """(what stands at a place, bytes to go on by, the packet)."""
    left = len(data) - at
    if data[at : at + 4] != MAGIC[:left]:
        follow = data.find(MAGIC[:1], at + 1)
        return _Found.NOISE, (follow - at if follow > 0 else left), None
    if left < _PREFIX.size:
        return _Found.INCOMPLETE, 1, None
    _, version, _, header_size = _PREFIX.unpack_from(data, at)
    if not HEADER_SIZE <= header_size <= MAX_HEADER or (version == VERSION and header_size != HEADER_SIZE):
        return _Found.BAD_HEADER, 1, None
    if left < header_size:
        return _Found.INCOMPLETE, 1, None
    return _examine_whole_header(data, at, header_size)


def _examine_whole_header(data: bytes, at: int, header_size: int) -> tuple[_Found, int, Packet | None]:
    crc_at = at + header_size - 4
    payload_size, payload_crc = struct.unpack_from("<II", data, at + _PAYLOAD_SIZE_AT)
    if _U32.unpack_from(data, crc_at)[0] != zlib.crc32(data[at:crc_at]) or payload_size > MAX_PAYLOAD:
        return _Found.BAD_HEADER, 1, None
    end = at + header_size + payload_size
    if len(data) < end:
        return _Found.INCOMPLETE, 1, None
    payload = data[at + header_size : end]
    if zlib.crc32(payload) != payload_crc:
        return _Found.BAD_PAYLOAD, 1, None
    _, version, kind, *_ = _PREFIX.unpack_from(data, at)
    if version != VERSION or kind not in Kind.__members__.values():
        return _Found.UNSUPPORTED, end - at, None
    header, sample_format = _read_header(data, at)
    if sample_format != SAMPLE_FORMAT_S16LE or not _is_sane(header, payload_size):
        return _Found.BAD_HEADER, 1, None
    return _Found.PACKET, end - at, Packet(header, payload)


def _read_header(data: bytes, at: int) -> tuple[Header, int]:
    """Header fields and sample format."""
    fields = _HEADER.unpack_from(data, at)
    kind, numbers, sample_format, rest = fields[2], fields[4:11], fields[11], fields[12:18]
    return Header(kind, *numbers, *rest), sample_format


def _is_sane(header: Header, payload_size: int) -> bool:
    """Whether the payload has the size that the header asks for and the audio fields make sense."""
    if header.kind == Kind.AUDIO:
        audio = header.frame_count > 0 and 1 <= header.channels <= 8 and header.sample_rate_hz > 0
        return audio and payload_size == 2 * header.frame_count * header.channels <= MAX_PAYLOAD
    return payload_size == _FIXED_SIZES.get(header.kind)


def _pack(layout: struct.Struct, *fields: object) -> bytes:
    try:
        return layout.pack(*fields)
    except struct.error as error:
        raise ValueError(f"a field does not fit the packet: {error}") from error
