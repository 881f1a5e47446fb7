"""The simulated device speaks the packet format with the counts and clocks that a real one would."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from earshot.firmware_sim.faults import Fault, Schedule
from earshot.firmware_sim.faults import Kind as Kind_
from earshot.firmware_sim.hearable import Hearable, Sent
from earshot.firmware_sim.radio import Arrival, Radio
from earshot.firmware_sim.scenario import Link, Scenario
from earshot.runtime.audio.packets import Flags, Kind, PacketDecoder
from tests.firmware_sim.scenes import scene
from tests.runtime.audio.device import packets_of, with_time


def sent(scenario: Scenario) -> list[Sent]:
    return list(Hearable(scenario).packets())


def audio(packets: list[Sent]) -> list[Sent]:
    return [item for item in packets if item.packet.header.kind == Kind.AUDIO]


def fault(kind: str, start_s: float, duration_s: float, value: float | None = None) -> dict:
    return {"kind": kind, "start_s": start_s, "duration_s": duration_s, "value": value}


def test_every_packet_can_be_decoded_and_the_counts_have_no_holes() -> None:
    packets = sent(scene(3.0))
    decoder = PacketDecoder()
    found = decoder.feed(b"".join(item.data for item in packets))
    assert found == [item.packet for item in packets]
    assert [p.header.sequence for p in found] == list(range(len(found)))
    assert [p.header.kind for p in found].count(Kind.HELLO) == 1
    assert [p.header.kind for p in found].count(Kind.STATUS) == pytest.approx(3, abs=1)
    heads = [item.packet.header for item in audio(packets)]
    assert [h.sample_index for h in heads] == [320 * k for k in range(150)]
    assert [h.device_time_us for h in heads] == [20_000 * k for k in range(150)]


def test_the_same_seed_sends_the_same_bytes() -> None:
    first, second = (b"".join(item.data for item in sent(scene(1.0, seed=5))) for _ in range(2))
    assert first == second
    assert first != b"".join(item.data for item in sent(scene(1.0, seed=6)))


def test_the_pose_is_that_of_the_head() -> None:
    packets = sent(scene(2.0, head=[{"time_s": 0.0, "yaw_deg": -170.0}, {"time_s": 2.0, "yaw_deg": -190.0}]))
    assert packets[0].packet.header.yaw_deg == -170.0
    assert packets[-1].packet.header.yaw_deg == pytest.approx(170.0, abs=0.3)


def test_a_fast_clock_shows_in_when_packets_leave() -> None:
    items = audio(sent(scene(4.0, device={"clock_ppm": 500.0})))
    assert items[-1].packet.header.device_time_us - items[-1].time_s * 1e6 + 20_000 == pytest.approx(2000, abs=30)


def test_a_mistaken_rate_shows_in_the_devices_own_clock() -> None:
    items = audio(sent(scene(4.0, faults=[fault("rate_mismatch", 0.0, 9.0, 0.9)])))
    header = items[-1].packet.header
    assert header.sample_rate_hz == 16_000
    assert header.sample_index / header.device_time_us * 1e6 == pytest.approx(14_400, rel=1e-4)


def test_a_reboot_begins_a_new_stream_after_a_pause() -> None:
    items = sent(scene(6.0, faults=[fault("reboot", 2.0, 0.0, 1.5)]))
    (at,) = [k for k, (a, b) in enumerate(pairwise(items)) if a.packet.header.stream_id != b.packet.header.stream_id]
    before, after = items[at], items[at + 1]
    assert after.time_s - before.time_s == pytest.approx(1.5, abs=0.03)
    assert (after.packet.header.kind, after.packet.header.sequence, after.packet.header.sample_index) == (2, 0, 0)


def test_clipped_samples_are_counted_from_the_last_start_on() -> None:
    loud = scene(5.0, faults=[fault("reboot", 3.0, 0.0, 0.5)], device={"dc": [0.9, 0.0], "clip_level": 0.5})
    first: dict[int, int] = {}
    for item in sent(loud):
        if item.packet.header.kind == Kind.STATUS:
            first.setdefault(item.packet.header.stream_id, item.packet.status().samples_clipped)
    assert list(first.values()) == pytest.approx([16000, 16000], rel=0.05), "the left ear of a second, twice"


def test_a_hot_device_leaves_frames_out_and_says_so() -> None:
    items = audio(sent(scene(6.0, faults=[fault("hot", 1.0, 4.0, 66.0)])))
    holes = [b.packet.header for a, b in pairwise(items) if _frames_between(a, b)]
    assert 5 < len(holes) < 40
    assert all(header.flags & Flags.DISCONTINUITY for header in holes)
    assert max(item.packet.header.temperature_c or 0.0 for item in items) == 66.0


def _frames_between(first: Sent, second: Sent) -> int:
    return second.packet.header.sample_index - first.packet.header.sample_index - 320


def steady(seconds: float) -> list[Sent]:
    """Small packets every 20 ms, without the cost of rendering."""
    packets = packets_of(np.zeros((2, 16), np.float32), frames=16)
    return [
        Sent(0.02 * k, with_time(packets[0], sequence=k, sample_index=16 * k)) for k in range(round(seconds / 0.02))
    ]


def carried(seconds: float, *faults: Fault) -> tuple[Counter[str], list[Arrival]]:
    radio = Radio(Link(), Schedule(faults), 1)
    arrivals = list(radio.carry(steady(seconds)))
    return radio.done, arrivals


def test_a_good_radio_carries_everything_in_order() -> None:
    _, arrivals = carried(3.0)
    assert [a.data for a in arrivals] == [item.data for item in steady(3.0)]
    assert [a.time_s for a in arrivals] == sorted(a.time_s for a in arrivals)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("loss", 0.0),
        ("loss", 0.3),
        ("loss", 0.85),
        ("loss", 1.0),
        ("duplicate", 0.2),
        ("reorder", 0.2),
        ("bit_errors", 0.2),
    ],
)
def test_as_many_packets_are_hit_as_the_scenario_says(kind: Kind_, value: float) -> None:
    done, arrivals = carried(80.0, Fault(kind, 0.0, 99.0, value))
    assert done["lost" if kind == "loss" else kind] / done["sent"] == pytest.approx(value, abs=0.05)
    assert len(arrivals) == done["sent"] - done["lost"] + done["duplicate"]


def test_loss_comes_in_bursts() -> None:
    _, arrivals = carried(200.0, Fault("loss", 0.0, 999.0, 0.2))
    numbers = sorted(PacketDecoder().feed(a.data)[0].header.sequence for a in arrivals)
    bursts = [b - a - 1 for a, b in pairwise(numbers) if b - a > 1]
    assert 2.0 < np.mean(bursts) < 6.0, "alone, the mean would be 1.25"


def test_a_stall_holds_everything_back_and_lets_go_at_once() -> None:
    _, arrivals = carried(4.0, Fault("stall", 1.0, 3.0))
    times = np.array([a.time_s for a in arrivals])
    assert not np.any((times > 1.1) & (times < 2.99))
    assert np.sum((times >= 3.0) & (times < 3.01)) > 95


def test_damage_is_one_bit() -> None:
    done, arrivals = carried(20.0, Fault("bit_errors", 0.0, 99.0, 0.3))
    pairs = zip(arrivals, steady(20.0), strict=True)
    flipped = [sum(bin(x ^ y).count("1") for x, y in zip(a.data, s.data, strict=True)) for a, s in pairs]
    assert sorted(set(flipped)) == [0, 1]
    assert sum(flipped) == done["bit_errors"]
