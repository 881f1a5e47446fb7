"""The Bluetooth codec of the simulated hearable: what goes in comes out a moment later, nearly."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.firmware_sim.codec import SbcCodec, Uncoded, codec_of
from earshot.firmware_sim.hearable import Hearable
from earshot.firmware_sim.scenario import Device, Scenario, Source
from earshot.runtime.audio.packets import Kind
from earshot.runtime.errors import UsageError

Samples = NDArray[np.float32]
RATE_HZ = 16_000


@pytest.fixture(autouse=True)
def av() -> None:
    pytest.importorskip("av", reason="the extra 'codec' is not installed")


def voice(seconds: float = 1.0) -> Samples:
    """A harmonic sound from the left: the right ear hears it half a millisecond later and 6 dB softer, and some noise."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    mono = sum(np.sin(2 * np.pi * 130 * n * time_s) / n for n in range(1, 30))
    noise = 0.003 * np.random.default_rng(0).standard_normal((2, len(time_s)))
    return np.asarray(0.1 * np.stack([mono, 0.5 * np.roll(mono, 8)]) + noise, np.float32)


def error_db(codec: SbcCodec, samples: Samples) -> float:
    """Energy of what the codec changes re the sound, the delay taken out."""
    late = codec.process(samples)[:, codec.latency_samples :]
    heard = samples[:, : late.shape[1]]
    return float(10 * np.log10(((late - heard) ** 2).mean() / (heard**2).mean()))


def test_the_sound_comes_back_later_and_the_more_bits_the_truer() -> None:
    errors_db = [error_db(SbcCodec(RATE_HZ, bitpool), voice()) for bitpool in (16, 35, 53)]
    assert errors_db[0] < -15
    assert errors_db[1] < errors_db[0] - 6
    assert errors_db[2] < errors_db[1] - 2


def test_the_difference_of_the_ears_survives() -> None:
    """Level difference within 0.2 dB and delay to the sample, at the middle quality."""
    codec = SbcCodec(RATE_HZ, 35)
    heard = codec.process(voice())[:, codec.latency_samples :]
    level_db = 10 * np.log10((heard**2).mean(axis=1))
    assert level_db[0] - level_db[1] == pytest.approx(6.0, abs=0.2)
    lags = range(-16, 17)
    shifted = [float(heard[0, 100:-100] @ np.roll(heard[1], -lag)[100:-100]) for lag in lags]
    assert lags[int(np.argmax(shifted))] == 8


def test_kbps_is_what_the_specification_says() -> None:
    """A2DP's own example: 44.1 kHz, joint stereo, bitpool 53: 328 kb/s."""
    assert SbcCodec(44_100, 53).kbps == pytest.approx(328, abs=0.1)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12))
def test_the_cut_of_the_stream_does_not_matter(lengths: list[int]) -> None:
    samples = voice(0.5)[:, : sum(lengths)]
    codec = SbcCodec(RATE_HZ, 35)
    ends = np.cumsum(lengths)
    pieces = [codec.process(samples[:, end - length : end]) for end, length in zip(ends, lengths, strict=True)]
    assert np.array_equal(np.concatenate(pieces, axis=1), SbcCodec(RATE_HZ, 35).process(samples))


def test_a_reset_codec_is_a_fresh_one() -> None:
    codec = SbcCodec(RATE_HZ, 35)
    first = codec.process(voice(0.1))
    codec.reset()
    assert np.array_equal(codec.process(voice(0.1)), first)


def test_a_device_with_the_codec_sends_coded_sound_and_one_without_does_not() -> None:
    assert isinstance(codec_of(Device()), Uncoded)
    sounds = (Source(label="speech", level_db=-20.0),)
    plain, coded = (
        np.concatenate(
            [
                sent.packet.audio()
                for sent in Hearable(Scenario(duration_s=1.0, sources=sounds, device=device)).packets()
                if sent.packet.header.kind == Kind.AUDIO
            ],
            axis=1,
        )
        for device in (Device(), Device(codec="sbc"))
    )
    late = coded[:, SbcCodec.latency_samples :]
    difference = late - plain[:, : late.shape[1]]
    assert 0 < (difference**2).mean() < 0.01 * (plain**2).mean()


def test_rates_that_the_codec_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="has no 22050 Hz; sample_rate_hz may be 16000, 32000, 44100, 48000"):
        Device(codec="sbc", sample_rate_hz=22_050)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install \"earshot\[codec\]\""):
        codec_of(Device(codec="sbc"))
