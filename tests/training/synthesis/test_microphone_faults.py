"""Faulty microphones do what their description says, and stems still add up to the mixture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from earshot.training.synthesis.microphone_faults import (
    EQ_KNOTS_HZ,
    OFFSET_US,
    MicrophoneFaults,
    apply_faults,
    sample_faults,
)

FLAT = (0.0,) * len(EQ_KNOTS_HZ)
NONE = MicrophoneFaults((0.0, 0.0), (FLAT, FLAT), 0.0, -200.0, 0.0)
RATE_HZ = 16_000


@pytest.fixture
def stems() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 2, RATE_HZ)).astype(np.float32) * 0.1


def recorded(stems: np.ndarray, faults: MicrophoneFaults) -> tuple[np.ndarray, np.ndarray]:
    return apply_faults(stems, np.zeros((2, RATE_HZ), np.float32), faults, np.random.default_rng(1))


def test_no_fault_changes_nothing(stems: np.ndarray) -> None:
    out, background = recorded(stems, NONE)
    assert out == pytest.approx(stems, abs=1e-5)
    assert np.abs(background).max() < 1e-8


def test_gains_are_the_stated_ones(stems: np.ndarray) -> None:
    out, _ = recorded(stems, replace(NONE, gain_db=(1.0, -2.0)))
    ratio = 20 * np.log10(out.std(axis=(0, 2)) / stems.std(axis=(0, 2)))
    assert ratio == pytest.approx([1.0, -2.0], abs=0.01)


def test_colour_is_the_stated_one(stems: np.ndarray) -> None:
    curve = (0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0)  # at 1 kHz
    out, _ = recorded(stems, replace(NONE, eq_db=(curve, FLAT)))
    change = 20 * np.log10(np.abs(np.fft.rfft(out[0, 0]) / np.fft.rfft(stems[0, 0])))
    assert np.median(change[990:1010]) == pytest.approx(6.0, abs=0.3)
    assert np.median(change[150:400]) == pytest.approx(0.0, abs=0.3)


def test_the_right_ear_is_late(stems: np.ndarray) -> None:
    out, _ = recorded(stems, replace(NONE, offset_us=25.0))
    spectra = [np.fft.rfft(signal[0, 1]) for signal in (out, stems)]
    phase = np.angle((spectra[0] * np.conj(spectra[1]))[1000:3000])
    assert np.median(-phase / (2 * np.pi * np.arange(1000, 3000))) == pytest.approx(25e-6, abs=1e-6)
    assert out[:, 0] == pytest.approx(stems[:, 0], abs=1e-5)


def test_clipping_cuts_the_mixture_and_leaves_the_stems(stems: np.ndarray) -> None:
    out, background = recorded(stems, replace(NONE, clipped=0.01))
    mixture = out.sum(axis=0) + background
    assert out == pytest.approx(stems, abs=1e-5)
    assert np.abs(mixture).max() < 0.8 * np.abs(stems.sum(axis=0)).max()
    cut = (np.abs(mixture) > np.abs(mixture).max() * 0.9999).mean(axis=1)
    assert cut.max() == pytest.approx(0.01, abs=0.003)


def test_noise_is_of_each_ear_alone(stems: np.ndarray) -> None:
    _, background = recorded(stems, replace(NONE, noise_db=-50.0))
    peak = np.abs(stems.sum(axis=0)).max()
    assert 20 * np.log10(background.std() / peak) == pytest.approx(-50.0, abs=0.2)
    assert abs(np.corrcoef(*background)[0, 1]) < 0.05


def test_drawn_faults_are_mild() -> None:
    for seed in range(50):
        faults = sample_faults(np.random.default_rng(seed))
        assert max(map(abs, faults.gain_db)) <= 2.0
        assert abs(faults.offset_us) <= OFFSET_US
        assert -80 <= faults.noise_db <= -50
        assert 0 <= faults.clipped <= 0.006
