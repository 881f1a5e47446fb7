"""Receiver: every way in which a link fails is hidden, corrected or at least said, and memory stays bounded."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.endpoint import Wire
from earshot.runtime.audio.packets import Header, Hello, Kind, Packet, Status, encode, hello_packet, status_packet
from earshot.runtime.audio.receiver import Receiver
from earshot.runtime.errors import InputError
from tests.runtime.audio.device import hear, ids, joined, noise, packets_of, tone, with_time


def test_an_undisturbed_stream_is_heard_bit_for_bit_and_without_a_word() -> None:
    x, receiver = noise(3.0), Receiver()
    chunks = hear(receiver, packets_of(x)) + receiver.flush()
    assert np.array_equal(joined(chunks), x)
    assert ids(receiver) == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_how_the_byte_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    x, receiver = noise(0.5), Receiver()
    stream = b"".join(encode(packet) for packet in packets_of(x))
    chunks, at = [], 0
    for cut in [*cuts, len(stream)]:
        chunks += receiver.process(stream[at : at + cut], at / len(stream) * 0.5)
        at = min(at + cut, len(stream))
    assert np.array_equal(joined(chunks + receiver.flush()), x)


def test_lost_packets_are_silence_in_their_place_and_are_counted() -> None:
    x, receiver = noise(2.0), Receiver()
    sent = [packet for number, packet in enumerate(packets_of(x)) if number not in (10, 11, 12, 50)]
    y = joined(hear(receiver, sent) + receiver.flush())
    expected = x.copy()
    expected[:, 3200:4160] = expected[:, 16_000:16_320] = 0
    assert np.array_equal(y, expected)
    found = receiver.take_findings()
    assert [f.id for f in found] == ["packet-loss", "packet-loss"]
    assert found[0].text.startswith("3 packets lost")
    assert found[1].text.startswith("1 packet lost")
    assert receiver.counts.missing_s == pytest.approx(0.08)


def test_reordered_and_doubled_packets_make_no_difference_but_are_told() -> None:
    x, receiver = noise(1.0), Receiver()
    sent = packets_of(x)
    sent[20], sent[22] = sent[22], sent[20]
    sent.insert(30, sent[28])
    y = joined(hear(receiver, sent) + receiver.flush())
    assert np.array_equal(y, x)
    assert set(ids(receiver)) == {"reordered-packets", "duplicate-packets"}


def test_damaged_packets_are_dropped_and_told() -> None:
    x, receiver, rng = noise(1.0), Receiver(), random.Random(3)
    chunks = []
    for number, packet in enumerate(packets_of(x)):
        data = bytearray(encode(packet))
        if number in (10, 20, 30):
            data[rng.randrange(70, len(data))] ^= 4
        chunks += receiver.process(bytes(data), number * 0.02)
    y = joined(chunks + receiver.flush())
    assert receiver.counts.damaged >= 3
    assert np.array_equal(y[:, 10_000:], x[:, 10_000:])
    assert set(ids(receiver)) == {"damaged-packets", "packet-loss"}


@pytest.mark.parametrize("stream_id", [8, 7])
def test_a_reboot_is_recognised_and_listening_goes_on_at_true_time(stream_id: int) -> None:
    """With a new stream id at once; with the old one by its counts, at the price of one packet."""
    x, receiver = noise(3.0), Receiver()
    chunks = hear(receiver, packets_of(x))
    chunks += hear(receiver, packets_of(x, stream_id=stream_id), start_s=5.0) + receiver.flush()
    end_s = chunks[-1].end_s
    assert end_s == pytest.approx(8.0, abs=0.05)
    found = ids(receiver)
    assert "reboot" in found
    assert "stall" in found
    assert np.array_equal(joined(chunks)[:, -16_000:], x[:, -16_000:])


def test_clock_drift_is_corrected_and_told() -> None:
    receiver, fast = Receiver(), 1 + 200e-6
    x = tone(0.1)
    for number in range(1800):
        (packet,) = packets_of(x, sequence=number, index=1600 * number, frames=1600)
        receiver.process(encode(packet), 0.1 * (number + 1) / fast)
    assert receiver.end_s == pytest.approx(180 / fast, abs=0.01), "uncorrected it would be off by 0.036 s"
    found = [f for f in receiver.take_findings() if f.id == "clock-drift"]
    assert 1 <= len(found) <= 2, "a first word, and a better figure if it is much better"
    assert all("fast" in f.text for f in found)


def test_a_stall_is_told_while_it_lasts_and_when_it_is_over() -> None:
    x, receiver = noise(2.0), Receiver()
    sent = packets_of(x)
    hear(receiver, sent[:50])
    receiver.poll(1.5)
    assert ids(receiver) == []
    receiver.poll(1.9)
    receiver.poll(2.5)
    assert ids(receiver) == ["stall"]
    hear(receiver, sent[50:], start_s=4.0, step_s=0.001)
    (finding,) = receiver.take_findings()
    assert finding.id == "resumed"
    assert "3.0 s" in finding.text


def test_packets_held_up_and_sent_in_a_burst_lose_nothing() -> None:
    x, receiver = noise(6.0), Receiver()
    sent = packets_of(x)
    chunks = hear(receiver, sent[:100]) + hear(receiver, sent[100:200], 4.0, 0.0001) + hear(receiver, sent[200:], 4.01)
    assert np.array_equal(joined(chunks + receiver.flush()), x)


def test_sound_that_the_device_left_out_is_told_apart_from_lost_packets() -> None:
    x, receiver = noise(2.0), Receiver()
    sent = packets_of(x[:, :16_000]) + packets_of(x[:, 16_000:], sequence=50, index=16_800)
    hear(receiver, sent)
    assert ids(receiver) == ["missing-sound"]


def test_a_rate_that_changes_on_the_way_is_heard_on() -> None:
    receiver = Receiver()
    sent = packets_of(tone(1.0)) + packets_of(tone(1.0, 48_000), 48_000, sequence=50, stream_id=8)
    chunks = hear(receiver, sent[:50]) + hear(receiver, sent[50:], 1.02, 320 / 48_000) + receiver.flush()
    assert chunks[-1].end_s == pytest.approx(2.0, abs=0.05)


def test_battery_and_heat_are_told_once_until_they_were_fine_again() -> None:
    receiver, x = Receiver(), noise(0.02)
    levels = [80, 14, 13, 14, 60, 12]
    heats = [3000, 3000, 5600, 5500, 3000, 3000]
    for number, (percent, heat) in enumerate(zip(levels, heats, strict=True)):
        (packet,) = packets_of(x, sequence=number, index=320 * number)
        packet = with_time(packet, battery_percent=percent, temperature_cdeg=heat)
        receiver.process(encode(packet), 20.0 * number)
    assert ids(receiver).count("low-battery") == 2
    assert receiver.device.battery_percent == 12
    assert receiver.device.temperature_c == 30.0


def test_hello_and_status_are_passed_on() -> None:
    receiver = Receiver()
    receiver.process(encode(hello_packet(Header(Kind.HELLO, 0), Hello("ear 1"))), 0.0)
    status = Status(uptime_s=9, faults=2, rssi_dbm=-95)
    receiver.process(encode(status_packet(Header(Kind.STATUS, 1), status)), 0.1)
    assert receiver.device.name == "ear 1"
    assert receiver.device.status == status
    assert set(ids(receiver)) == {"device-fault", "weak-radio"}


def test_the_pose_of_the_head_is_known_by_stream_time() -> None:
    receiver = Receiver()
    hear(receiver, packets_of(noise(0.1), yaw_cdeg=-4250))
    assert [round(pose.time_s, 3) for pose in receiver.poses] == [0.0, 0.02, 0.04, 0.06, 0.08]
    assert {pose.yaw_deg for pose in receiver.poses} == {-42.5}


def test_one_channel_is_refused_in_one_line() -> None:
    receiver = Receiver(name="udp://:9000")
    packet = Packet(Header(Kind.AUDIO, frame_count=4, channels=1), bytes(8))
    with pytest.raises(InputError, match="udp://:9000: mono"):
        receiver.process(encode(packet), 0.0)


def test_of_more_than_two_channels_the_first_two_are_the_ears() -> None:
    receiver = Receiver()
    frames = np.arange(4 * 640, dtype="<i2").reshape(640, 4)
    receiver_chunks = receiver.process(
        encode(Packet(Header(Kind.AUDIO, frame_count=640, channels=4), frames.tobytes())), 0.0
    )
    y = joined(receiver_chunks + receiver.flush())
    assert np.array_equal(y * 32_768, frames[:, :2].T)


def test_bare_samples_are_heard_bit_for_bit_wherever_they_are_cut() -> None:
    x, receiver = noise(1.0), Receiver(Wire("s16le", 16_000, 2))
    data = (x.T * 32_768).astype("<i2").tobytes()
    chunks, at, rng = [], 0, random.Random(1)
    while at < len(data):
        cut = rng.randint(1, 3001)
        chunks += receiver.process(data[at : at + cut], at / len(data))
        at += cut
    assert np.array_equal(joined(chunks + receiver.flush()), x)


def test_the_wrong_format_is_told_with_the_right_one() -> None:
    bare = Receiver(Wire("s16le"))
    bare.process(encode(packets_of(noise(0.02))[0]), 0.0)
    assert "packets-as-samples" in ids(bare)
    framed = Receiver()
    for number in range(40):
        framed.process(noise(0.02, seed=number).astype("<f4").tobytes(), number * 0.02)
    assert "no-packets" in ids(framed)


@pytest.mark.parametrize("rate_hz", [1, 3999, 4_000_000_000])
def test_an_impossible_rate_is_ignored_and_told(rate_hz: int) -> None:
    receiver = Receiver()
    assert hear(receiver, packets_of(noise(0.1), rate_hz)) == []
    assert ids(receiver) == ["unusable-packets"]


def hostile(rng: random.Random) -> bytes:
    """Well-formed packets whose every number is drawn over its whole range, with damage and rubbish between."""
    header = Header(
        Kind.AUDIO,
        rng.choice([rng.getrandbits(32), rng.randrange(50)]),
        rng.randrange(3),
        rng.getrandbits(64),
        rng.choice([rng.getrandbits(64), rng.randrange(20_000)]),
        rng.choice([16_000, 48_000, rng.randint(1, 2**32 - 1)]),
        frame_count=rng.randint(1, 400),
        channels=rng.randint(2, 8),
        flags=rng.getrandbits(8),
        temperature_cdeg=rng.randint(-32_768, 32_767),
        battery_percent=rng.getrandbits(8),
    )
    data = bytearray(encode(Packet(header, rng.randbytes(2 * header.frame_count * header.channels))))
    if rng.random() < 0.2:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return rng.choice([b"", b"", b"EARS", rng.randbytes(50)]) + bytes(data)


@pytest.mark.parametrize("datagrams", [False, True])
def test_a_hostile_device_cannot_break_the_order_of_chunks_or_fill_the_memory(datagrams: bool) -> None:
    rng, receiver = random.Random(5), Receiver(datagrams=datagrams)
    end, findings, now_s = 0, 0, 0.0
    for number in range(1500):
        if number == 500:
            tracemalloc.start()
        now_s += rng.choice([0.0, 0.02, 0.02, 5.0])
        for chunk in receiver.process(hostile(rng), now_s):
            assert chunk.start_sample >= end
            assert np.isfinite(chunk.samples).all()
            end = chunk.start_sample + chunk.samples.shape[1]
        findings += len(receiver.take_findings())
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 3_000_000
    assert end < (now_s + 3600) * 16_000
    assert 0 < findings < 1500


def test_a_packet_promised_byte_by_byte_holds_no_more_than_one_packet() -> None:
    receiver = Receiver()
    data = encode(Packet(Header(Kind.AUDIO, frame_count=16_384), bytes(65_536)))
    for byte in data[:3000]:
        receiver.process(bytes([byte]), 0.0)
    assert ids(receiver) == []


def test_reset_equals_a_fresh_receiver() -> None:
    x, receiver = noise(0.5), Receiver()
    hear(receiver, packets_of(noise(1.0, 48_000), 48_000, sequence=77))
    receiver.process(b"EARS", 1.0)
    receiver.reset()
    assert np.array_equal(joined(hear(receiver, packets_of(x)) + receiver.flush()), x)
    assert ids(receiver) == []
