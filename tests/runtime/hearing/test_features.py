"""The canonical features: shapes, the formula of docs/architecture.md, and independence of the chunking."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.runtime.hearing.features import FeatureExtractor, features_of, mel_filterbank


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal((2, samples)) * 0.1).astype(np.float32)


def test_every_mel_band_holds_a_bin_and_none_is_heard_outside_50_to_8000_hz() -> None:
    bank = mel_filterbank()
    assert bank.shape == (64, 257)
    assert bank.dtype == np.float32
    assert (bank.sum(axis=1) > 0).all()
    assert bank.min() >= 0.0
    assert (bank[:, :2] == 0.0).all(), "31 Hz lies below the lowest band"
    centres = bank.argmax(axis=1)
    assert (np.diff(centres) >= 0).all()


def test_the_filterbank_is_shared_and_cannot_be_spoilt() -> None:
    assert mel_filterbank() is mel_filterbank()
    with pytest.raises(ValueError, match="read-only"):
        mel_filterbank()[0, 0] = 1.0


def test_features_follow_the_formula_of_the_architecture_page() -> None:
    samples = noise(640 * 4)
    padded = np.concatenate([np.zeros((2, 192)), samples.astype(np.float64)], axis=1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    stft = 5  # frame 5 ends at sample 6 * 320 and is the second half of encoder frame 2
    left, right = (np.fft.rfft(ear[stft * 320 : stft * 320 + 512] * window) for ear in padded)
    weights = mel_filterbank().astype(np.float64)
    power_left, power_right = weights @ abs(left) ** 2, weights @ abs(right) ** 2
    cross = (weights @ (left * right.conj())) / (np.sqrt(power_left * power_right) + 1e-6)
    expected = [
        np.log10((power_left + power_right) / 2 + 1e-6),
        np.clip(np.log10((power_left + 1e-6) / (power_right + 1e-6)), -2, 2),
        cross.real,
        cross.imag,
    ]
    np.testing.assert_allclose(features_of(samples)[2, 4:], expected, atol=1e-4)


def test_a_frame_depends_on_nothing_after_it() -> None:
    samples = noise(6400)
    changed = samples.copy()
    changed[:, 3200:] = 0.0
    np.testing.assert_array_equal(features_of(samples)[:5], features_of(changed)[:5])


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 4000), max_size=12), seed=st.integers(0, 99))
def test_any_chunking_gives_the_same_bits(cuts: list[int], seed: int) -> None:
    samples = noise(4000, seed)
    extractor = FeatureExtractor()
    edges = [0, *sorted(cuts), 4000]
    parts = [extractor.process(samples[:, a:b]) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), features_of(samples))


def test_reset_equals_a_fresh_extractor() -> None:
    extractor = FeatureExtractor()
    extractor.process(noise(1000, seed=1))
    extractor.reset()
    np.testing.assert_array_equal(extractor.process(noise(2000)), features_of(noise(2000)))


def test_swapping_the_ears_negates_level_difference_and_phase_only() -> None:
    samples = noise(3200)
    mirror = np.tile(np.array([1, -1, 1, -1], np.float32), 2)[:, None]
    np.testing.assert_allclose(features_of(samples[::-1]), features_of(samples) * mirror, atol=1e-5)


def test_silence_is_finite_and_neutral() -> None:
    silent = features_of(np.zeros((2, 640), np.float32))
    np.testing.assert_allclose(silent[0, 0], -6.0, atol=1e-5)
    np.testing.assert_array_equal(silent[0, 1:4], 0.0)


def test_a_mono_array_is_refused_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"\(640,\) given, \[2, samples\] needed"):
        features_of(np.zeros(640, np.float32))
