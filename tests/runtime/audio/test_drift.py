"""Clocks: the stretcher moves both ears alike without colouring, the loop finds drift and is not fooled by jitter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.drift import DriftControl, Stretcher
from tests.runtime.audio.device import noise, tone


def stretched(x: np.ndarray, ppm: float, block: int = 320) -> np.ndarray:
    stage = Stretcher()
    parts = [stage.process(x[:, at : at + block], ppm) for at in range(0, x.shape[1], block)]
    return np.concatenate([*parts, stage.process(np.zeros((2, stage.latency_samples), np.float32), ppm)], axis=1)


def test_at_equal_clocks_every_sample_passes_unchanged() -> None:
    x = noise(0.5)
    assert np.array_equal(stretched(x, 0.0), x)


@pytest.mark.parametrize("ppm", [-200.0, 37.0, 1000.0])
@pytest.mark.parametrize("pitch_hz", [200.0, 3000.0, 6500.0])
def test_a_tone_comes_out_at_the_places_asked_for(ppm: float, pitch_hz: float) -> None:
    y = stretched(tone(2.0, pitch_hz=pitch_hz), ppm)
    place = np.arange(y.shape[1]) * (1 + ppm * 1e-6)
    expected = 0.5 * np.sin(2 * np.pi * pitch_hz * place / 16_000)
    assert y.shape[1] == pytest.approx(32_000 / (1 + ppm * 1e-6), abs=2)
    assert np.abs(y[0] - expected)[40:-40].max() < 1e-3
    assert np.array_equal(y[0], y[1])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=40), st.floats(-300, 300))
def test_stretching_does_not_depend_on_the_cut(cuts: list[int], ppm: float) -> None:
    x = noise(0.25)
    stage, parts, at = Stretcher(), [], 0
    for cut in [*cuts, x.shape[1]]:
        parts.append(stage.process(x[:, at : at + cut], ppm))
        at = min(at + cut, x.shape[1])
    y = np.concatenate(parts, axis=1)
    whole = Stretcher().process(x, ppm)
    assert y.shape == whole.shape
    assert np.allclose(y, whole, atol=1e-5)


def run(ppm: float, seconds: float, jitter_s: float, seed: int = 0) -> tuple[DriftControl, float, float]:
    """A device whose clock runs `ppm` fast, heard through jitter: control, worst lateness, error at the end."""
    control, rng = DriftControl(), np.random.default_rng(seed)
    stream_s, worst_s = 0.0, 0.0
    for number in range(round(seconds / 0.02)):
        true_s = 0.02 * (number + 1) / (1 + ppm * 1e-6)
        stream_s += 0.02 / (1 + control.state.ppm * 1e-6)
        control.observe(true_s + 0.004 + rng.exponential(jitter_s), stream_s)
        worst_s = max(worst_s, abs(control.state.late_s))
    return control, worst_s, true_s - stream_s


@pytest.mark.parametrize("ppm", [200.0, -200.0])
def test_drift_is_found_and_the_stream_keeps_to_true_time_for_an_hour(ppm: float) -> None:
    control, worst_s, error_s = run(ppm, 3600, jitter_s=0.008)
    assert control.state.drift_ppm == pytest.approx(ppm, abs=10)
    assert worst_s < 0.010
    assert abs(error_s) < 0.010, "uncorrected it would be 0.72 s"


def test_a_perfect_clock_is_left_alone_however_packets_jitter() -> None:
    control, _, _ = run(0.0, 600, jitter_s=0.010)
    assert control.state.ppm == 0.0


def test_sound_faster_than_true_time_is_not_live_and_not_corrected() -> None:
    control = DriftControl()
    for number in range(4000):
        control.observe(0.002 * number, 0.02 * number)
    assert not control.state.live
    assert control.state.speed == pytest.approx(10, rel=0.1)
    assert control.state.ppm == 0.0


def test_a_way_that_becomes_longer_is_no_drift() -> None:
    control = DriftControl()
    for number in range(6000):
        control.observe(0.02 * number + (0.1 if number > 3000 else 0.0), 0.02 * number)
    assert control.state.ppm == 0.0
    assert control.state.live


def test_reset_equals_a_fresh_control() -> None:
    control, _, _ = run(200.0, 120, 0.001)
    control.reset()
    assert control == DriftControl()
