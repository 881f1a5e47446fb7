"""Varied heads are still heads: delays scale with size, ears stay mirror images, nothing turns round."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.training.synthesis import head_variation
from earshot.training.synthesis.head_variation import varied_head
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, Head, parametric_head
from earshot.training.synthesis.orientation import itd_azimuth_correlation


@pytest.fixture(scope="module")
def head() -> Head:
    return parametric_head(np.random.default_rng(3), "sphere")


def longest_delay_s(head: Head) -> float:
    """Interaural delay of the direction nearest to the left ear, by cross-correlation at 16 times the rate."""
    left, right = head.hrirs[head.nearest(np.array([[0.0, 1.0, 0.0]], np.float32))[0]]
    size = 4096
    cross = np.fft.rfft(right, size) * np.conj(np.fft.rfft(left, size))
    cross[round(1500 / SAMPLE_RATE_HZ * size) :] = 0.0
    correlation = np.fft.irfft(cross, 16 * size)
    peak = int(correlation.argmax())
    return (peak - 16 * size if peak > 8 * size else peak) / (16 * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("size", [0.93, 1.08])
def test_delays_scale_with_size(head: Head, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_variation, "SIZE_RANGE", (size, size))
    monkeypatch.setattr(head_variation, "PINNA_DB", 0.0)
    varied = varied_head(head, np.random.default_rng(0))
    assert longest_delay_s(varied) / longest_delay_s(head) == pytest.approx(size, abs=0.02)


def test_a_varied_head_differs_in_colour_and_keeps_its_sides(head: Head) -> None:
    varied = varied_head(head, np.random.default_rng(1))
    assert varied.head_id == head.head_id
    assert varied.hrirs.shape == head.hrirs.shape
    assert np.isfinite(varied.hrirs).all()
    assert itd_azimuth_correlation(varied.hrirs.astype(np.float64), varied.directions) > 0.9
    ratio = np.abs(np.fft.rfft(varied.hrirs, 256)) / (np.abs(np.fft.rfft(head.hrirs, 256)) + 1e-6)
    assert np.std(20 * np.log10(ratio[..., 60:100] + 1e-6)) > 0.5


def test_ears_stay_mirror_images(head: Head) -> None:
    varied = varied_head(head, np.random.default_rng(2))
    mirrored = head.nearest(head.directions * np.array([1.0, -1.0, 1.0], np.float32))
    exact = np.flatnonzero((head.directions[mirrored] * [1, -1, 1] * head.directions).sum(axis=1) > 1 - 1e-6)
    assert len(exact) > 100
    np.testing.assert_allclose(varied.hrirs[exact, 0], varied.hrirs[mirrored[exact], 1], atol=2e-3)


def test_the_same_seed_makes_the_same_head(head: Head) -> None:
    first, second = (varied_head(head, np.random.default_rng(5)).hrirs for _ in range(2))
    np.testing.assert_array_equal(first, second)
