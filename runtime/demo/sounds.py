"""Three procedural sounds, mono, 16 kHz: written from their physics, to be recognised as what they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000

Floats = NDArray[np.float64]


def alarm_beeps(duration_s: float, pitch_hz: float = 2_730.0) -> Floats:
    """Digital alarm clock: groups of four 60 ms beeps of a piezo disc, one group every 0.8 s.

    Parameters
    ----------
    duration_s : float
    pitch_hz : float
        Resonance of the disc; its third harmonic falls outside the band.

    Returns
    -------
    ndarray, float64 [duration_s * 16000]
        Peak about 1.
    """
    time_s = _time(duration_s)
    in_group = time_s % 0.8
    gate = ((in_group < 0.48) & (in_group % 0.12 < 0.06)).astype(np.float64)
    tone = np.sin(2 * np.pi * pitch_hz * time_s) + 0.15 * np.sin(4 * np.pi * pitch_hz * time_s)
    return np.asarray(tone * _smooth(gate, 0.003))


def knocks(duration_s: float, seed: int = 1) -> Floats:
    """A knuckle on a wooden door: bursts of four knocks, each a few damped modes of the panel and a click.

    Parameters
    ----------
    duration_s : float
    seed : int
        Of the small irregularities.
    """
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    for burst_s in np.arange(0.05, duration_s, 1.5):
        for number in range(4):
            start = round((burst_s + 0.19 * number + rng.uniform(-0.01, 0.01)) * SAMPLE_RATE_HZ)
            grain = _knock(rng)[: max(0, len(sound) - start)]
            sound[start : start + len(grain)] += grain
    return sound / max(1e-9, float(np.abs(sound).max()))


def bird_song(duration_s: float, seed: int = 2) -> Floats:
    """A small song bird: phrases of quick falling and rising whistles between 3 and 6.5 kHz.

    Parameters
    ----------
    duration_s : float
    seed : int
        Of the melody.
    """
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    onset_s = 0.05
    while onset_s < duration_s - 0.2:
        syllable = _syllable(rng)
        for _ in range(int(rng.integers(3, 6))):
            start = round(onset_s * SAMPLE_RATE_HZ)
            piece = syllable[: max(0, len(sound) - start)]
            sound[start : start + len(piece)] += piece
            onset_s += len(syllable) / SAMPLE_RATE_HZ + 0.05
        onset_s += rng.uniform(0.15, 0.35)
    return sound


def _time(duration_s: float) -> Floats:
    return np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _smooth(gate: Floats, rise_s: float) -> Floats:
    """Round the edges of an on/off gate over `rise_s`, so that switching does not click."""
    kernel = np.hanning(2 * round(rise_s * SAMPLE_RATE_HZ) + 1)
    return np.convolve(gate, kernel / kernel.sum(), mode="same")


def _knock(rng: np.random.Generator) -> Floats:
    """One knock of 120 ms: damped modes of a door panel (some 100 to 900 Hz) and a short noise click."""
    time_s = _time(0.12)
    modes_hz = np.array([118.0, 214.0, 347.0, 520.0, 860.0]) * rng.uniform(0.97, 1.03)
    decays_s = np.array([0.028, 0.022, 0.016, 0.012, 0.007])
    gains = np.array([0.8, 1.0, 0.8, 0.5, 0.35])
    body = gains @ (np.sin(2 * np.pi * modes_hz[:, None] * time_s) * np.exp(-time_s / decays_s[:, None]))
    click = rng.standard_normal(len(time_s)) * np.exp(-time_s / 0.002)
    return np.asarray((body + 0.5 * click) * rng.uniform(0.8, 1.0))


def _syllable(rng: np.random.Generator) -> Floats:
    """One whistle of 60 to 140 ms whose pitch glides."""
    time_s = _time(rng.uniform(0.06, 0.14))
    place = np.linspace(0.0, 1.0, len(time_s))
    start_hz, end_hz = rng.uniform(3_000, 6_500, 2)
    pitch_hz = start_hz + (end_hz - start_hz) * place + 300 * np.sin(2 * np.pi * 2 * place)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    return np.asarray(np.sin(phase) * np.sin(np.pi * place) ** 0.7)
