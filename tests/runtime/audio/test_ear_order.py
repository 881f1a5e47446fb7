"""Channels that change places behind the microphones are put back for listening: certainly, and quickly when it is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.firmware_sim.scenario import Device
from earshot.runtime.audio.ear_marks import TAKEN_BACK_ID, TOLD_ID
from earshot.runtime.audio.ear_order import AWAY_PIECES, BACK_PIECES, UNCONFIRMED_PIECES, EarOrder
from earshot.runtime.audio.source import AudioChunk
from tests.firmware_sim.scenes import hear, scene
from tests.runtime.audio.test_ear_marks import OFFSETS, RATE_HZ, exchanged
from tests.runtime.audio.test_ear_marks import sound as noise

Samples = NDArray[np.float32]
AWAY_S, BACK_S = (AWAY_PIECES + 1) / 10, (BACK_PIECES + 1) / 10


def sound(seconds: int, offsets: tuple[float, float] = (0.004, -0.002)) -> Samples:
    """White noise, which has more of the lowest frequencies than voices, so offsets are larger."""
    return noise(seconds, offsets)


def heard(samples: Samples, chunk: int = 320, order: EarOrder | None = None) -> Samples:
    """What a stage gives on."""
    order = order or EarOrder()
    parts = [order.process(AudioChunk(samples[:, i : i + chunk], i)).samples for i in range(0, samples.shape[1], chunk)]
    return np.concatenate(parts, axis=1)


def same(ours: Samples, other: Samples, from_s: float, to_s: float) -> bool:
    """Whether two streams are equal for a time."""
    part = slice(round(from_s * RATE_HZ), round(to_s * RATE_HZ))
    return bool(np.array_equal(ours[:, part], other[:, part]))


def test_an_exchange_is_undone_at_once_and_its_end_noticed_sooner_still() -> None:
    right = sound(40)
    ours = heard(exchanged(right, 20, 30))
    assert same(ours, right, 0, 20)
    assert same(ours, right[::-1], 20, 20 + AWAY_S - 0.15)
    assert same(ours, right, 20 + AWAY_S, 30)
    assert same(ours, right, 30 + BACK_S, 40)


def test_what_is_right_or_tells_nothing_is_left_alone() -> None:
    right = sound(30)
    assert np.array_equal(heard(right), right)
    silent = exchanged(sound(30, (0.0, 0.0)), 15, 25)
    assert np.array_equal(heard(silent), silent)


def test_where_tenths_of_a_second_are_unclear_it_is_only_told() -> None:
    """A hum of 5 Hz in one ear is as strong as the offsets, and gone in the mean of a second: its end would be noticed late."""
    right = sound(60)
    right[0] += np.float32(0.005) * np.sin(2 * np.pi * 5 * np.arange(right.shape[1]) / RATE_HZ).astype(np.float32)
    device, order = exchanged(right, 30, 40), EarOrder()
    assert np.array_equal(heard(device, order=order), device)
    told, taken_back = order.take_findings()
    assert (told.id, taken_back.id) == (TOLD_ID, TAKEN_BACK_ID)
    assert "mirrored" in told.text


def test_what_becomes_unclear_is_given_up_soon() -> None:
    right = sound(80)
    device = exchanged(right, 20, 50)
    device[0, 30 * RATE_HZ :] += np.float32(0.02) * np.sin(
        2 * np.pi * 5 * np.arange(50 * RATE_HZ, dtype=np.float32) / RATE_HZ
    )
    ours = heard(device)
    assert same(ours, device[::-1], 21, 30)
    assert same(ours, device, 50 + BACK_S, 80)


def with_moment(samples: Samples, other: Samples, from_s: float, lasts_s: float) -> Samples:
    """Samples that are others for a moment."""
    part = slice(round(from_s * RATE_HZ), round((from_s + lasts_s) * RATE_HZ))
    out = samples.copy()
    out[:, part] = other[:, part]
    return out


def test_a_moment_that_looks_otherwise_misleads_for_a_moment_at_most() -> None:
    right = sound(60)
    wrong = exchanged(right, 20, 50)
    ours = heard(with_moment(wrong, right, 30.0, 0.5))
    assert same(ours, right, 30.5 + AWAY_S, 50)
    ours = heard(with_moment(right, right[::-1], 30.0, 0.3))
    assert same(ours, right, 0.0, 30.0)
    assert same(ours, right, 30.3, 60.0)
    ours = heard(with_moment(right, right[::-1], 30.0, 0.8))
    assert same(ours, right, 30.8 + BACK_S, 60.0)


def test_what_whole_seconds_do_not_confirm_is_given_up() -> None:
    """A second of it, and then so loud a rumble that neither tenths nor seconds tell anything."""
    right = sound(60)
    device = with_moment(right, right[::-1], 30.0, 1.0)
    rumble = np.float32(0.05) * np.sin(2 * np.pi * 0.37 * np.arange(29 * RATE_HZ) / RATE_HZ).astype(np.float32)
    device[0, 31 * RATE_HZ :] += rumble
    ours = heard(device)
    assert same(ours, device[::-1], 30.6, 30.9)
    assert same(ours, device, 30.5 + UNCONFIRMED_PIECES / 10, 60.0)


def test_a_dead_ear_ends_no_exchange() -> None:
    device = exchanged(sound(40), 20, 40)
    device[1, 28 * RATE_HZ : 32 * RATE_HZ] = 0.0
    assert np.array_equal(heard(device)[:, 24 * RATE_HZ :], device[::-1, 24 * RATE_HZ :])


@settings(max_examples=10, deadline=None)
@given(st.integers(100, 3000))
def test_however_the_stream_is_cut_the_change_comes_within_a_chunk(chunk: int) -> None:
    right = sound(24)
    ours = heard(exchanged(right, 14, 20), chunk)
    late_s = chunk / RATE_HZ
    assert same(ours, right, 14 + AWAY_S + late_s, 20)
    assert same(ours, right, 20 + BACK_S + late_s, 24)


def test_a_reset_stage_is_a_fresh_one() -> None:
    order = EarOrder()
    heard(exchanged(sound(20), 12, 20), order=order)
    assert order.putting_back
    (told,) = order.take_findings()
    assert told.id == TOLD_ID
    assert "put back" in told.text
    order.reset()
    assert not order.putting_back
    samples = exchanged(sound(30), 15, 25)
    assert np.array_equal(heard(samples, order=order), heard(samples))
    assert [finding.id for finding in order.take_findings()] == [TOLD_ID, TAKEN_BACK_ID]
    assert order.flush() == [] == order.take_findings()


@pytest.mark.parametrize("lasts_s", [6.0, 9.0])
def test_the_receiver_puts_a_device_s_channels_back(lasts_s: float) -> None:
    """Through packets, radio and receiver; the stretcher's first millisecond differs."""
    faults = [{"kind": "swapped", "start_s": 12.0, "duration_s": lasts_s}]
    device = Device(dc=OFFSETS).model_dump()
    right, bad = (hear(scene(25.0, faults=part, device=device))[0] for part in ([], faults))
    for from_s, to_s in ((0.0, 11.9), (12.1 + AWAY_S, 11.9 + lasts_s), (12.1 + lasts_s + BACK_S, 24.9)):
        assert same(bad, right, from_s, to_s)
    assert not same(bad, right, 12.0, 12.3)
