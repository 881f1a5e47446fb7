"""Codings of hearables: a clip comes back in time and nearly, ears coded apart know nothing of each other."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from earshot.firmware_sim.codings import CODINGS, RATE_HZ, Coding, coded
from earshot.runtime.errors import UsageError

Samples = NDArray[np.float32]
BY_NAME = {coding.name: coding for coding in CODINGS}


def voice(seconds: float = 1.0) -> Samples:
    """A harmonic sound from the left, in pulses, so that a delay shows: the right ear half a millisecond later, 6 dB softer."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    mono = sum(np.sin(2 * np.pi * 130 * n * time_s) / n for n in range(1, 30)) * (time_s % 0.3 < 0.2)
    noise = 0.001 * np.random.default_rng(0).standard_normal((2, len(time_s)))
    return np.asarray(0.1 * np.stack([mono, 0.5 * np.roll(mono, 8)]) + noise, np.float32)


@pytest.fixture
def av() -> None:
    pytest.importorskip("av", reason="the extra 'codec' is not installed")


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.name)
def test_a_clip_comes_back_in_time_and_nearly(coding: Coding, av: None) -> None:
    sound = voice()
    heard, kbps = coded(sound, coding)
    assert heard.shape == sound.shape and heard.dtype == np.float32
    assert 20 < kbps < 140
    for ear, truth in zip(heard, sound, strict=True):
        assert np.corrcoef(ear, truth)[0, 1] > 0.9, "a delay of a few samples would spoil this"


def test_more_bits_are_truer(av: None) -> None:
    sound = voice()
    errors = [
        float(((coded(sound, BY_NAME[f"SBC bitpool {pool}, joint stereo"])[0] - sound) ** 2).mean())
        for pool in (18, 35, 53)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_equal_bits_are_sent_together_and_apart(av: None) -> None:
    rates = [
        coded(voice(), BY_NAME[name])[1]
        for name in ("SBC bitpool 53, joint stereo", "SBC bitpool 26, each ear by itself")
    ]
    assert rates[0] == pytest.approx(rates[1], rel=0.02)


@pytest.mark.parametrize("name", ["SBC bitpool 17, each ear by itself", "Opus 48 kbit/s, each ear by itself"])
def test_an_ear_coded_by_itself_does_not_hear_the_other(name: str, av: None) -> None:
    """Loud noise in the right ear changes nothing in the left one; joint stereo shares its bits."""
    sound = voice()
    loud = sound.copy()
    loud[1] += 0.1 * np.random.default_rng(1).standard_normal(sound.shape[1]).astype(np.float32)
    alone, shared = (
        [coded(ears, BY_NAME[coding])[0][0] for ears in (sound, loud)]
        for coding in (name, "SBC bitpool 35, joint stereo")
    )
    np.testing.assert_array_equal(*alone)
    assert np.abs(shared[0] - shared[1]).max() > 1e-3


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install \"earshot\[codec\]\""):
        coded(voice(0.1), CODINGS[0])
