"""Channels that change places while the device runs: told by the offset of each converter, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.firmware_sim.scenario import Device
from earshot.runtime.audio.ear_marks import LEAST_KNOWN, PATIENCE, REMEMBERED, TAKEN_BACK_ID, TOLD_ID, EarMarks
from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.source import AudioChunk
from tests.firmware_sim.scenes import hear, scene

Samples = NDArray[np.float32]
RATE_HZ = 16_000
OFFSETS = (0.002, -0.001)


def sound(seconds: int, offsets: tuple[float, float] = OFFSETS, seed: int = 0) -> Samples:
    """Noise of another level in each ear on top of the offsets."""
    noise = np.random.default_rng(seed).standard_normal((2, seconds * RATE_HZ)) * [[0.02], [0.01]]
    return np.asarray(noise + np.array(offsets)[:, None], np.float32)


def exchanged(samples: Samples, from_s: int, to_s: int) -> Samples:
    """The same with the channels exchanged for a time."""
    out = samples.copy()
    out[:, from_s * RATE_HZ : to_s * RATE_HZ] = samples[::-1, from_s * RATE_HZ : to_s * RATE_HZ]
    return out


def told(samples: Samples, chunk: int = 1600) -> list[Finding]:
    """What a fresh stage finds."""
    marks, found = EarMarks(), []
    for start in range(0, samples.shape[1], chunk):
        found += marks.process(AudioChunk(samples[:, start : start + chunk], start))
    return found + marks.flush()


def test_an_exchange_is_told_and_its_end_too() -> None:
    found = told(exchanged(sound(40), 20, 30))
    assert [finding.id for finding in found] == [TOLD_ID, TAKEN_BACK_ID]
    assert [finding.since_s for finding in found] == [20.0, 30.0]
    assert EarMarks.latency_s == PATIENCE


@pytest.mark.parametrize("offsets", [(0.0, 0.0), (0.001, 0.001), (2e-5, -2e-5)])
def test_without_offsets_of_their_own_nothing_is_said(offsets: tuple[float, float]) -> None:
    assert told(exchanged(sound(40, offsets), 20, 30)) == []


def test_what_is_exchanged_from_the_start_or_for_a_moment_is_not_told() -> None:
    assert told(exchanged(sound(30), 0, 30)) == []
    assert told(exchanged(sound(30), 0, LEAST_KNOWN // 2 - 1)) == [], "the first seconds are outvoted"
    assert told(exchanged(sound(30), 20, 20 + PATIENCE - 1)) == []


def test_a_dead_ear_or_one_ear_twice_is_no_exchange() -> None:
    dead, twice = sound(40), sound(40)
    dead[1, 20 * RATE_HZ : 30 * RATE_HZ] = 0.0
    twice[1, 20 * RATE_HZ : 30 * RATE_HZ] = twice[0, 20 * RATE_HZ : 30 * RATE_HZ]
    assert told(dead) == told(twice) == []


def test_other_microphones_are_learnt_anew() -> None:
    other = sound(REMEMBERED + 20, (-0.004, 0.003), seed=1)
    found = told(np.concatenate([sound(15), exchanged(other, REMEMBERED + 12, REMEMBERED + 17)], axis=1))
    assert [(f.id, f.since_s) for f in found] == [
        (TOLD_ID, 15.0 + REMEMBERED + 12),
        (TAKEN_BACK_ID, 15.0 + REMEMBERED + 17),
    ]


def test_offsets_that_creep_with_the_heat_are_followed() -> None:
    creep = np.linspace(0.0, 0.001, 120 * RATE_HZ, dtype=np.float32)
    found = told(exchanged(sound(120) + creep, 100, 110))
    assert [(f.id, f.since_s) for f in found] == [(TOLD_ID, 100.0), (TAKEN_BACK_ID, 110.0)]


@settings(max_examples=10, deadline=None)
@given(st.integers(100, 40_000))
def test_the_cut_of_the_stream_does_not_matter(chunk: int) -> None:
    samples = exchanged(sound(24), 14, 20)
    assert told(samples, chunk) == told(samples, samples.shape[1])


def test_a_reset_stage_is_a_fresh_one() -> None:
    marks = EarMarks()
    marks.process(AudioChunk(exchanged(sound(20), 12, 20), 0))
    assert marks.exchanged
    marks.reset()
    samples = exchanged(sound(30), 15, 25)
    assert marks.process(AudioChunk(samples, 0)) == told(samples)


def test_a_device_whose_channels_change_places_is_told_on_the_way() -> None:
    """Through packets, radio and receiver."""
    faults = [{"kind": "swapped", "start_s": 10.0, "duration_s": 5.0}]
    found = hear(scene(20.0, faults=faults, device=Device(dc=OFFSETS).model_dump()))[1]
    assert [f.id for f in found if f.id in (TOLD_ID, TAKEN_BACK_ID)] == [TOLD_ID, TAKEN_BACK_ID]
    right = hear(scene(12.0, device=Device(dc=OFFSETS).model_dump()))[1]
    assert not [f for f in right if f.id in (TOLD_ID, TAKEN_BACK_ID)]
