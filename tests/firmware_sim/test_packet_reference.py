"""The C reference for firmware agrees with the Python codec bit for bit."""

import ctypes
import random
import shutil
import struct
import subprocess
import zlib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import earshot.firmware_sim
from earshot.runtime.audio.packets import Header, Kind, Packet, PacketDecoder, Status, encode
from tests.runtime.audio.packet_cases import decode, random_packet, unsigned

REFERENCE = Path(earshot.firmware_sim.__file__).parent / "reference"


class CHeader(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint8),
        ("sequence", ctypes.c_uint32),
        ("stream_id", ctypes.c_uint32),
        ("device_time_us", ctypes.c_uint64),
        ("sample_index", ctypes.c_uint64),
        ("sample_rate_hz", ctypes.c_uint32),
        ("frame_count", ctypes.c_uint16),
        ("channels", ctypes.c_uint8),
        ("yaw_cdeg", ctypes.c_int16),
        ("pitch_cdeg", ctypes.c_int16),
        ("roll_cdeg", ctypes.c_int16),
        ("battery_percent", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("temperature_cdeg", ctypes.c_int16),
    ]


class CHello(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char * 24),
        ("serial", ctypes.c_uint64),
        ("firmware_major", ctypes.c_uint8),
        ("firmware_minor", ctypes.c_uint8),
        ("firmware_patch", ctypes.c_uint16),
        ("frames_per_packet", ctypes.c_uint16),
        ("pose_rate_hz", ctypes.c_uint16),
        ("capabilities", ctypes.c_uint32),
    ]


class CStatus(ctypes.Structure):
    _fields_ = [
        ("uptime_s", ctypes.c_uint32),
        ("packets_sent", ctypes.c_uint32),
        ("frames_dropped", ctypes.c_uint32),
        ("samples_clipped", ctypes.c_uint32),
        ("rssi_dbm", ctypes.c_int8),
        ("cpu_percent", ctypes.c_uint8),
        ("faults", ctypes.c_uint16),
        ("battery_mv", ctypes.c_uint16),
        ("clock_drift_ppb", ctypes.c_int32),
    ]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C reference, compiled with every warning an error."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler (cc)")
    library = tmp_path_factory.mktemp("reference") / "packet.so"
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1"]
    source = str(REFERENCE / "earshot_packet.c")
    subprocess.run(["cc", *strict, "-shared", "-fPIC", source, "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.earshot_encode.restype = ctypes.c_size_t
    loaded.earshot_encode.argtypes = [
        ctypes.POINTER(CHeader),
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    return loaded


def c_encode(reference: ctypes.CDLL, packet: Packet, capacity: int = 70_000) -> bytes:
    header = CHeader(*(getattr(packet.header, field.name) for field in fields(Header)))
    out = ctypes.create_string_buffer(capacity)
    size = reference.earshot_encode(ctypes.byref(header), packet.payload, len(packet.payload), out, capacity)
    return out.raw[:size]


def c_decode(reference: ctypes.CDLL, stream: bytes) -> tuple[list[Packet], list[int]]:
    """Packets and result codes of the C decoder walking a whole stream; an incomplete rest is skipped."""
    data = ctypes.create_string_buffer(stream, len(stream))
    found, results, at = [], [], 0
    while at < len(stream):
        header, payload = CHeader(), ctypes.c_void_p()
        size, advance = ctypes.c_size_t(), ctypes.c_size_t()
        result = reference.earshot_decode(
            ctypes.byref(data, at),
            ctypes.c_size_t(len(stream) - at),
            ctypes.byref(header),
            ctypes.byref(payload),
            ctypes.byref(size),
            ctypes.byref(advance),
        )
        results.append(result)
        if result == 0:
            values = (getattr(header, field.name) for field in fields(Header))
            found.append(Packet(Header(*values), ctypes.string_at(payload.value or 0, size.value)))
        at += advance.value or 1
    return found, results


class TestReference:
    def test_thousands_of_random_packets_are_the_same_bytes(self, reference: ctypes.CDLL) -> None:
        rng = random.Random(20)
        for _ in range(4000):
            packet = random_packet(rng)
            assert c_encode(reference, packet) == encode(packet)

    def test_random_streams_with_damage_are_decoded_alike(self, reference: ctypes.CDLL) -> None:
        rng = random.Random(21)
        for _ in range(200):
            stream = bytearray()
            for _ in range(rng.randint(1, 8)):
                stream += rng.randbytes(rng.choice([0, 0, 3, 90])) + encode(random_packet(rng))
            for _ in range(rng.choice([0, 1, 5])):
                stream[rng.randrange(len(stream))] = rng.getrandbits(8)
            decoder = PacketDecoder()
            packets = decoder.feed(bytes(stream)) + decoder.flush()
            found, results = c_decode(reference, bytes(stream))
            assert found == packets
            counts = decoder.counts
            assert [results.count(code) for code in (0, 3, 4, 5)] == [
                counts.packets,
                counts.bad_headers,
                counts.bad_payloads,
                counts.unsupported,
            ]

    @given(st.binary(min_size=1, max_size=300), st.booleans())
    def test_noise_is_read_alike(self, reference: ctypes.CDLL, noise: bytes, magic: bool) -> None:
        stream = b"EARS\x01\x01\x40\x00" + noise if magic else noise
        assert c_decode(reference, stream)[0] == decode(stream) == []

    @given(st.integers(1, 2000), unsigned(16), unsigned(8), unsigned(16))
    def test_headers_with_a_right_crc_but_wrong_content_are_read_alike(
        self, reference: ctypes.CDLL, at: int, frames: int, kind: int, header_size: int
    ) -> None:
        stream = bytearray(encode(random_packet(random.Random(at))))
        stream[5] = kind % 6
        stream[6:8] = struct.pack("<H", header_size if at % 3 == 0 else 64)
        stream[36:38] = struct.pack("<H", frames)
        stream[39] = at % 3
        stream[60:64] = struct.pack("<I", zlib.crc32(stream[:60]))
        assert c_decode(reference, bytes(stream))[0] == decode(bytes(stream))

    def test_hello_and_status_payloads_are_the_same_bytes(self, reference: ctypes.CDLL) -> None:
        rng = random.Random(22)
        for _ in range(1000):
            packet = random_packet(rng)
            if packet.header.kind == Kind.HELLO:
                hello = packet.hello()
                c_hello = CHello(
                    packet.payload[:24],
                    hello.serial,
                    *hello.firmware,
                    hello.frames_per_packet,
                    hello.pose_rate_hz,
                    hello.capabilities,
                )
                out = ctypes.create_string_buffer(48)
                reference.earshot_put_hello(ctypes.byref(c_hello), out)
                assert out.raw == packet.payload
            elif packet.header.kind == Kind.STATUS:
                status = packet.status()
                c_status = CStatus(*(getattr(status, field.name) for field in fields(Status)))
                out = ctypes.create_string_buffer(32)
                reference.earshot_put_status(ctypes.byref(c_status), out)
                assert out.raw == packet.payload

    def test_a_buffer_too_small_is_left_alone(self, reference: ctypes.CDLL) -> None:
        packet = random_packet(random.Random(23))
        assert c_encode(reference, packet, capacity=len(encode(packet)) - 1) == b""

    def test_payload_and_header_must_agree(self, reference: ctypes.CDLL) -> None:
        packet = random_packet(random.Random(24))
        assert c_encode(reference, replace(packet, payload=packet.payload + b"x")) == b""
