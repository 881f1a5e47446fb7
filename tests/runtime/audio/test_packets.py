"""Packets survive the wire, and damage is found and left behind."""

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import earshot.runtime.audio.packets as codec
from earshot.runtime.audio.packets import (
    Flags,
    Header,
    Hello,
    Kind,
    Packet,
    PacketDecoder,
    Status,
    audio_packet,
    centidegrees,
    encode,
    hello_packet,
    packets_missing,
    status_packet,
)
from tests.runtime.audio.packet_cases import (
    decode,
    headers,
    hellos,
    packets,
    random_packet,
    statuses,
    unsigned,
)


class TestRoundTrip:
    @given(packets)
    def test_every_packet_comes_back_as_it_was(self, packet: Packet) -> None:
        assert decode(encode(packet)) == [packet]

    @given(headers, hellos)
    def test_hello(self, header: Header, hello: Hello) -> None:
        assert decode(encode(hello_packet(header, hello)))[0].hello() == hello

    @given(headers, statuses)
    def test_status(self, header: Header, status: Status) -> None:
        assert decode(encode(status_packet(header, status)))[0].status() == status

    def test_audio_is_within_half_a_step_and_left_stays_left(self) -> None:
        audio = np.random.default_rng(1).uniform(-0.99, 0.99, (2, 320)).astype(np.float32)
        audio[0] *= 0.1
        packet = decode(encode(audio_packet(Header(Kind.AUDIO), audio)))[0]
        assert np.max(np.abs(packet.audio() - audio)) <= 0.5 / 32_768 + 1e-7
        assert packet.audio().shape == (2, 320)
        assert not packet.header.flags & Flags.CLIPPED

    def test_audio_beyond_full_scale_is_clipped_and_flagged(self) -> None:
        packet = audio_packet(Header(Kind.AUDIO), np.array([[2.0, -2.0]], np.float32))
        assert packet.audio().tolist() == [[32_767 / 32_768, -1.0]]
        assert packet.header.flags & Flags.CLIPPED

    def test_long_names_are_cut_between_characters(self) -> None:
        name = hello_packet(Header(Kind.HELLO), Hello("x" * 23 + "é")).hello().name
        assert name == "x" * 23


class TestLayout:
    """The bytes that docs/packet-format.md promises."""

    packet = encode(
        Packet(
            Header(Kind.AUDIO, 7, 9, 1_000_000, 16_000, 48_000, 3, 2, -9000, 100, -1, 80, 4, 2150),
            bytes(range(12)),
        )
    )

    @pytest.mark.parametrize(
        ("at", "layout", "value"),
        [
            (0, "4s", b"EARS"),
            (4, "B", 1),
            (5, "B", 1),
            (6, "<H", 64),
            (8, "<I", 7),
            (12, "<I", 9),
            (16, "<Q", 1_000_000),
            (24, "<Q", 16_000),
            (32, "<I", 48_000),
            (36, "<H", 3),
            (38, "B", 2),
            (39, "B", 1),
            (40, "<h", -9000),
            (42, "<h", 100),
            (44, "<h", -1),
            (46, "B", 80),
            (47, "B", 4),
            (48, "<h", 2150),
            (50, "<H", 0),
            (52, "<I", 12),
            (56, "<I", zlib.crc32(bytes(range(12)))),
        ],
    )
    def test_fields_stand_where_the_document_says(self, at: int, layout: str, value: object) -> None:
        assert struct.unpack_from(layout, self.packet, at) == (value,)

    def test_the_header_ends_with_its_own_crc(self) -> None:
        assert struct.unpack_from("<I", self.packet, 60) == (zlib.crc32(self.packet[:60]),)
        assert self.packet[64:] == bytes(range(12))


class TestRefusals:
    @pytest.mark.parametrize(
        ("header", "payload"),
        [
            (Header(Kind.AUDIO, frame_count=2), b"123"),
            (Header(Kind.AUDIO, frame_count=0), b""),
            (Header(Kind.AUDIO, frame_count=1, channels=9), bytes(18)),
            (Header(Kind.HELLO), b"hi"),
            (Header(77), b""),
            (Header(Kind.AUDIO, frame_count=1, sequence=2**32), bytes(4)),
            (Header(Kind.AUDIO, frame_count=1, yaw_cdeg=40_000), bytes(4)),
        ],
    )
    def test_what_does_not_fit_is_not_sent(self, header: Header, payload: bytes) -> None:
        with pytest.raises(ValueError, match="fit"):
            encode(Packet(header, payload))

    def test_content_of_another_kind_is_not_read(self) -> None:
        with pytest.raises(ValueError, match="not AUDIO"):
            status_packet(Header(Kind.STATUS), Status()).audio()


class TestResynchronisation:
    @settings(max_examples=60)
    @given(st.lists(packets, max_size=5), st.lists(st.binary(max_size=60), min_size=6, max_size=6), st.data())
    def test_how_the_stream_is_cut_changes_nothing(
        self, sent: list[Packet], garbage: list[bytes], data: st.DataObject
    ) -> None:
        stream = b"".join(noise + encode(packet) for noise, packet in zip(garbage, sent, strict=False)) + garbage[5]
        whole, pieces = PacketDecoder(), PacketDecoder()
        expected = whole.feed(stream) + whole.flush()
        received: list[Packet] = []
        at = 0
        while at < len(stream):
            step = data.draw(st.integers(1, 200))
            received += pieces.feed(stream[at : at + step])
            at += step
        received += pieces.flush()
        assert received == expected
        assert pieces.counts == whole.counts

    @given(st.lists(packets, max_size=4), st.binary(max_size=300))
    def test_garbage_between_packets_costs_no_packet(self, sent: list[Packet], garbage: bytes) -> None:
        stream = garbage + garbage.join(encode(packet) for packet in sent) + garbage
        assert [packet for packet in decode(stream) if packet in sent] == sent

    @given(packets, packets, st.data())
    def test_one_flipped_bit_is_always_noticed(self, hurt: Packet, sound: Packet, data: st.DataObject) -> None:
        stream = bytearray(encode(hurt))
        bit = data.draw(st.integers(0, 8 * len(stream) - 1))
        stream[bit // 8] ^= 1 << bit % 8
        assert decode(bytes(stream) + encode(sound)) == [sound]

    @given(packets, packets, st.data())
    def test_a_packet_cut_short_does_not_swallow_the_next(
        self, cut: Packet, sound: Packet, data: st.DataObject
    ) -> None:
        whole = encode(cut)
        stream = whole[: data.draw(st.integers(0, len(whole) - 1))] + encode(sound)
        assert sound in decode(stream)

    @settings(max_examples=300)
    @given(st.binary(max_size=400))
    def test_no_input_breaks_the_decoder_and_every_byte_is_accounted_for(self, noise: bytes) -> None:
        decoder = PacketDecoder()
        assert decoder.feed(b"EARS" + noise) + decoder.flush() == []
        assert decoder.counts.skipped_bytes == len(noise) + 4

    @settings(max_examples=300)
    @given(packets, st.lists(st.tuples(st.integers(0, 700), unsigned(8)), max_size=6))
    def test_damaged_packets_are_either_intact_or_dropped(self, packet: Packet, damage: list[tuple[int, int]]) -> None:
        stream = bytearray(encode(packet))
        for at, value in damage:
            stream[at % len(stream)] = value
        received = decode(bytes(stream))
        assert received == ([packet] if bytes(stream) == encode(packet) else [])

    def test_waiting_bytes_are_bounded(self) -> None:
        decoder = PacketDecoder()
        for _ in range(50):
            decoder.feed(b"EARS" + bytes(10_000))
        assert len(decoder._buffer) <= codec.HEADER_SIZE + codec.MAX_PAYLOAD

    def test_counts_tell_what_happened(self) -> None:
        good = encode(random_packet(random.Random(1)))
        bad_payload = good[:-1] + bytes([good[-1] ^ 1])
        bad_header = good[:20] + bytes([good[20] ^ 1]) + good[21:]
        decoder = PacketDecoder()
        decoder.feed(good + bad_payload + b"noise" + bad_header + good)
        counts = decoder.counts
        assert (counts.packets, counts.bad_payloads, counts.bad_headers) == (2, 1, 1)
        assert counts.skipped_bytes == 2 * len(good) + 5

    def test_reset_equals_a_fresh_decoder(self) -> None:
        decoder = PacketDecoder()
        decoder.feed(encode(random_packet(random.Random(2)))[:-3])
        decoder.reset()
        packet = random_packet(random.Random(3))
        assert decoder.feed(encode(packet)) == [packet]
        assert decoder.counts.skipped_bytes == 0


class TestLaterVersions:
    def test_a_later_version_with_a_longer_header_is_stepped_over(self) -> None:
        front = bytearray(encode(random_packet(random.Random(4)))[:60]) + bytes(32)
        front[4:8] = struct.pack("<BBH", 2, 9, 96)
        front[52:60] = struct.pack("<II", 5, zlib.crc32(b"12345"))
        later = bytes(front) + struct.pack("<I", zlib.crc32(front)) + b"12345"
        packet = random_packet(random.Random(5))
        decoder = PacketDecoder()
        assert decoder.feed(later + encode(packet)) == [packet]
        assert (decoder.counts.unsupported, decoder.counts.skipped_bytes) == (1, 0)


@pytest.mark.parametrize(
    ("previous", "current", "missing"),
    [(1, 2, 0), (1, 5, 3), (2**32 - 1, 0, 0), (2**32 - 2, 1, 2), (5, 5, -1), (5, 4, -1)],
)
def test_missing_packets_are_counted_across_the_wrap(previous: int, current: int, missing: int) -> None:
    assert packets_missing(previous, current) == missing


@given(st.floats(-1e4, 1e4))
def test_angles_are_sent_within_a_two_hundredth_of_a_degree(angle: float) -> None:
    sent = centidegrees(angle)
    assert -18_000 < sent <= 18_000
    assert abs((sent / 100 - angle + 180) % 360 - 180) <= 0.005 + 1e-6
