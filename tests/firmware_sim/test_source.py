"""The simulated hearable heard by the runtime's receiver: each fault is hidden, corrected or told, and all is repeatable."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from earshot.firmware_sim.source import SimulatedSource
from earshot.runtime.audio.capture import CaptureEvent, CaptureState, Reporting
from earshot.runtime.audio.health import ChannelHealth
from earshot.runtime.audio.source import AudioChunk, AudioSource
from earshot.runtime.errors import UsageError
from tests.firmware_sim.scenes import hear, scene


def fault(kind: str, start_s: float, duration_s: float = 0.0, value: float | None = None) -> dict:
    return {"kind": kind, "start_s": start_s, "duration_s": duration_s, "value": value}


def test_it_is_an_audio_source_that_reports() -> None:
    source = SimulatedSource("kitchen")
    assert isinstance(source, AudioSource)
    assert isinstance(source, Reporting)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_healthy_device_is_heard_whole_and_without_a_word(rate_hz: int) -> None:
    stream, findings, source = hear(scene(3.0, device={"sample_rate_hz": rate_hz, "frames_per_packet": rate_hz // 50}))
    assert findings == []
    assert stream.shape[1] == pytest.approx(3 * 16_000, abs=640)
    assert source.receiver.counts.missing_s == 0


def test_the_same_scenario_is_the_same_sound() -> None:
    bad = scene(3.0, faults=[fault("loss", 1.0, 1.0, 0.5), fault("reorder", 0.0, 3.0, 0.3)])
    first, findings, _ = hear(bad)
    second, again, _ = hear(bad)
    assert np.array_equal(first, second)
    assert findings == again != []


@pytest.mark.parametrize(
    ("fault_", "expected"),
    [
        (fault("loss", 1.0, 1.5, 0.5), {"packet-loss"}),
        (fault("jitter", 1.0, 4.0, 150.0), {"jitter"}),
        (fault("reorder", 1.0, 2.0, 0.3), {"reordered-packets"}),
        (fault("duplicate", 1.0, 2.0, 0.3), {"duplicate-packets"}),
        (fault("bit_errors", 1.0, 2.0, 0.3), {"damaged-packets", "packet-loss"}),
        (fault("reboot", 2.0, 0.0, 1.5), {"reboot", "stall", "resumed"}),
        (fault("stall", 2.0, 1.5), {"stall", "resumed"}),
        (fault("low_battery", 1.0, 2.0, 9.0), {"low-battery"}),
        (fault("hot", 1.0, 4.0, 66.0), {"hot", "missing-sound"}),
        (fault("dead_left", 1.0, 4.0), {"device-fault"}),
    ],
)
def test_each_fault_is_told_by_its_name(fault_: dict, expected: set[str]) -> None:
    stream, findings, _ = hear(scene(6.0, faults=[fault_]))
    told = {finding.id for finding in findings}
    assert expected <= told
    assert told <= expected | {"weak-radio", "late-packets", "jitter"}, "and nothing is made up"
    assert stream.shape[1] == pytest.approx(6 * 16_000, abs=1600), "the stream keeps to true time"


@pytest.mark.parametrize(
    ("kind", "expected"), [("dead_left", "dead-left"), ("dead_right", "dead-right"), ("same_ear", "identical-ears")]
)
def test_broken_ears_are_found_in_the_sound_itself(kind: str, expected: str) -> None:
    stream, _, _ = hear(scene(7.0, faults=[fault(kind, 1.0, 5.0)]))
    health = ChannelHealth()
    found = health.process(AudioChunk(stream, 0)) + health.flush()
    assert [finding.id for finding in found] == [expected]


def test_a_mistaken_rate_is_told_and_corrected() -> None:
    long = scene(12.0, faults=[fault("rate_mismatch", 0.0, 99.0, 0.97)])
    _, findings, source = hear(long)
    assert [finding.id for finding in findings] == ["rate-mismatch"]
    assert "15520 Hz" in findings[0].text
    assert abs(source.receiver.clock.late_s) < 0.05


def test_drift_is_told_and_corrected_so_that_nothing_piles_up() -> None:
    drifting = scene(120.0, sources=[], device={"clock_ppm": 200.0, "frames_per_packet": 1600})
    _, findings, source = hear(drifting)
    assert {finding.id for finding in findings} == {"clock-drift"}
    assert source.receiver.clock.drift_ppm == pytest.approx(200, abs=40)
    assert abs(source.receiver.clock.late_s) < 0.005, "0.024 s without correction"


def test_lost_sound_is_silence_and_the_rest_is_as_if_nothing_had_been_lost() -> None:
    whole, _, _ = hear(scene(4.0))
    holed, _, _ = hear(scene(4.0, faults=[fault("loss", 1.0, 2.0, 0.5)]))
    silent = ~holed.any(axis=0)
    assert 3000 < silent.sum() < 32_000
    assert np.array_equal(holed[:, ~silent], whole[:, : holed.shape[1]][:, ~silent])


def test_a_stall_makes_the_listener_deaf_until_it_is_over() -> None:
    events: list[CaptureEvent] = []
    source = SimulatedSource(scene(5.0, faults=[fault("stall", 2.0, 1.5)]), pace="fast", on_event=events.append)
    with source:
        list(source)
    states = [event.state for event in events]
    assert states == [CaptureState.LISTENING, CaptureState.DEAF, CaptureState.LISTENING]


def test_the_pose_follows_the_head() -> None:
    _, _, source = hear(scene(2.0, head=[{"time_s": 0.0, "yaw_deg": 0.0}, {"time_s": 2.0, "yaw_deg": 40.0}]))
    assert source.poses[50].yaw_deg == pytest.approx(20.0, abs=0.5)


def test_close_from_another_thread_ends_a_slow_scenario() -> None:
    source = SimulatedSource(scene(500.0), pace="real")
    source.open()
    ended = threading.Event()

    def listen() -> None:
        for _ in source:
            pass
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    source.close()
    assert ended.wait(10)


def test_a_missing_scenario_is_told_when_it_is_opened() -> None:
    with pytest.raises(UsageError, match="no such scenario"):
        SimulatedSource("nowhere").open()
