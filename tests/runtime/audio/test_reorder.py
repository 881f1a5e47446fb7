"""ReorderBuffer: order is restored, doubles are dropped, the lost is counted, and memory stays bounded."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.packets import Header, Kind, Packet
from earshot.runtime.audio.reorder import LATE_SPAN, MAX_WAITING, PATIENCE_S, Ordered, ReorderBuffer

STEP_US = 20_000


def packet(number: int, stream_id: int = 1, start: int = 0) -> Packet:
    return Packet(Header(Kind.AUDIO, (start + number) % 2**32, stream_id, number * STEP_US))


def numbers(given_: list[Ordered]) -> list[int]:
    return [item.packet.header.device_time_us // STEP_US for item in given_]


def send(buffer: ReorderBuffer, order: list[int], start: int = 0, step_s: float = 0.02) -> list[int]:
    out: list[int] = []
    for place, number in enumerate(order):
        out += numbers(buffer.process(packet(number, start=start), place * step_s))
    return out + numbers(buffer.flush())


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(8)), st.sampled_from([0, 2**32 - 4, 2**31 - 3]))
def test_packets_out_of_order_come_out_in_order_across_every_wrap(order: list[int], start: int) -> None:
    assert send(ReorderBuffer(), [0, *(1 + n for n in order)], start, step_s=0.001) == list(range(9))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=120), st.integers(0, 2**32 - 1))
def test_whatever_comes_the_output_rises_and_every_packet_is_accounted_for(order: list[int], start: int) -> None:
    buffer = ReorderBuffer()
    out = send(buffer, [0, *order], start)
    assert out == sorted(set(out))
    counts = buffer.counts
    assert counts.given == len(out)
    assert counts.given + counts.duplicates + counts.late == 1 + len(order)
    assert counts.given + counts.lost == out[-1] + 1
    assert counts.restarts == 0


def test_a_lost_packet_holds_the_next_ones_up_for_80_ms_at_most() -> None:
    buffer = ReorderBuffer()
    buffer.process(packet(0), 0.0)
    assert buffer.process(packet(2), 0.04) == []
    assert buffer.poll(0.04 + PATIENCE_S - 0.001) == []
    assert numbers(buffer.poll(0.04 + PATIENCE_S + 0.001)) == [2]
    assert buffer.counts.lost == 1
    assert buffer.process(packet(1), 0.2) == []
    assert buffer.counts.late == 1


def test_no_more_than_sixteen_packets_wait() -> None:
    buffer = ReorderBuffer()
    buffer.process(packet(0), 0.0)
    for number in range(2, 500, 2):
        buffer.process(packet(number), 0.0)
        assert len(buffer) <= MAX_WAITING


def test_a_new_stream_id_is_a_restart_and_stragglers_of_the_old_one_are_dropped() -> None:
    buffer = ReorderBuffer()
    send(buffer, list(range(5)))
    (first,) = buffer.process(packet(0, stream_id=2), 1.0)
    assert first.restarted
    assert buffer.process(packet(5, stream_id=1), 1.0) == []
    (second,) = buffer.process(packet(1, stream_id=2), 1.02)
    assert not second.restarted
    assert (buffer.counts.restarts, buffer.counts.late) == (1, 1)


def test_counting_anew_without_a_new_stream_id_is_a_restart_after_two_packets() -> None:
    buffer = ReorderBuffer()
    send(buffer, list(range(200)))
    assert buffer.process(packet(0), 4.0) == []
    (item,) = buffer.process(packet(1), 4.02)
    assert item.restarted


def test_one_stray_packet_is_no_restart() -> None:
    buffer = ReorderBuffer()
    send(buffer, list(range(5)))
    stray = packet(5)
    far = replace(stray, header=replace(stray.header, sequence=5 * LATE_SPAN))
    assert buffer.process(far, 0.1) == []
    assert numbers(buffer.process(packet(5), 0.1)) == [5]
    assert buffer.counts.restarts == 0


def test_reset_equals_a_fresh_buffer() -> None:
    buffer = ReorderBuffer()
    send(buffer, [0, 5, 3])
    buffer.reset()
    assert send(buffer, [9, 11, 10]) == [9, 10, 11]
    assert buffer.counts == replace(buffer.counts, given=3, lost=0, late=0, restarts=0)
