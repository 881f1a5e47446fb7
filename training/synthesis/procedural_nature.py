"""Procedural sounds of animals, water and weather."""

import numpy as np

from earshot.training.synthesis.procedural_parts import (
    SAMPLE_RATE_HZ,
    Array,
    damped_modes,
    harmonic_tone,
    intervals,
    log_uniform,
    mix_at,
    pulse_envelope,
    reverberate,
    seconds,
    shaped_noise,
    slow_curve,
)

__all__ = ["chirping_birds", "crickets", "pouring_water", "rain", "water_drops", "wind"]


def chirping_birds(rng: np.random.Generator, duration_s: float) -> Array:
    """One to three birds; each sings phrases of its own frequency-swept syllable."""
    track = np.zeros(len(seconds(duration_s)))
    for bird in range(int(rng.integers(1, 4))):
        loudness = rng.uniform(0.3, 1.0)
        syllables = [_syllable(rng) for _ in range(int(rng.integers(1, 4)))]
        gap_s = rng.uniform(0.03, 0.12)
        first_s = rng.uniform(0, 0.4 if bird else 0.05)
        for phrase in intervals(rng, duration_s, rng.uniform(0.5, 1.5), 0.4, first_s):
            onset = phrase
            for _ in range(int(rng.integers(2, 8))):
                syllable = syllables[int(rng.integers(len(syllables)))]
                mix_at(track, onset, loudness * rng.uniform(0.6, 1.0) * syllable)
                onset += len(syllable) / SAMPLE_RATE_HZ + gap_s
    track = reverberate(rng, track, rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.3))
    bed = shaped_noise(rng, len(track), [(100, 0), (500, -6), (2000, -8), (8000, -16)])
    return track + bed * 10 ** (rng.uniform(-40, -24) / 20)


def _syllable(rng: np.random.Generator) -> Array:
    """One whistled note that glides, and at times trills."""
    count = round(rng.uniform(0.03, 0.16) * SAMPLE_RATE_HZ)
    position = np.linspace(0, 1, count)
    start = log_uniform(rng, 2500, 5500)
    bend = rng.uniform(-0.35, 0.35, 2)
    pitch = start * (1 + bend[0] * position + bend[1] * np.sin(np.pi * position))
    if rng.random() < 0.3:
        trill_hz = rng.uniform(25, 60)
        pitch = pitch * (1 + 0.06 * np.sin(2 * np.pi * trill_hz * np.arange(count) / SAMPLE_RATE_HZ))
    return harmonic_tone(pitch, [1.0, rng.uniform(0.02, 0.15)]) * np.hanning(count)


def crickets(rng: np.random.Generator, duration_s: float) -> Array:
    """Two to five crickets: chirps of 3 to 5 pulses of a pure carrier, over a quiet night."""
    track = np.zeros(len(seconds(duration_s)))
    carrier = rng.uniform(3800, 5200)
    for cricket in range(int(rng.integers(2, 6))):
        own = carrier * rng.uniform(0.94, 1.06)
        pulse_s = rng.uniform(0.012, 0.022)
        pulse = harmonic_tone(np.full(round(pulse_s * SAMPLE_RATE_HZ), own), [1.0, 0.05])
        pulse *= np.hanning(len(pulse)) * rng.uniform(0.2, 1.0)
        pulses = int(rng.integers(3, 6))
        first_s = rng.uniform(0, 0.4 if cricket else 0.05)
        for onset in intervals(rng, duration_s, rng.uniform(0.28, 0.6), 0.05, first_s):
            for number in range(pulses):
                mix_at(track, onset + 1.6 * pulse_s * number, pulse)
    track = reverberate(rng, track, 0.4, rng.uniform(0.05, 0.3))
    bed = shaped_noise(rng, len(track), [(60, 6), (300, -4), (2000, -12), (5000, -8), (8000, -14)])
    return track + bed * 10 ** (rng.uniform(-36, -22) / 20)


def water_drops(rng: np.random.Generator, duration_s: float) -> Array:
    """Drops into standing water: the bubble's pitch rises as it nears the surface (van den Doel 2005)."""
    track = np.zeros(len(seconds(duration_s)))
    period = rng.uniform(0.25, 0.9)
    pitch = log_uniform(rng, 500, 1800)
    for onset in intervals(rng, duration_s, period, rng.uniform(0.05, 0.6), rng.uniform(0.0, 0.05)):
        drop = _bubble(rng, pitch * rng.uniform(0.8, 1.25), rng.uniform(0.03, 0.09), rng.uniform(1.5, 5.0))
        splash = shaped_noise(rng, 160, [(500, -6), (3000, 0), (8000, -6)]) * np.exp(-np.arange(160) / 25)
        mix_at(track, onset, 0.12 * splash)
        mix_at(track, onset + rng.uniform(0.004, 0.02), rng.uniform(0.5, 1.0) * drop)
    return reverberate(rng, track, rng.uniform(0.2, 0.7), rng.uniform(0.05, 0.4))


def pouring_water(rng: np.random.Generator, duration_s: float) -> Array:
    """A stream into a vessel: small bubbles, splashing, and a pitch that climbs as it fills."""
    track = np.zeros(len(seconds(duration_s)))
    rate = rng.uniform(50, 120)
    lowest, climb = log_uniform(rng, 300, 600), rng.uniform(1.0, 1.8)
    for _ in range(int(rate * duration_s)):
        onset = rng.uniform(0, duration_s)
        pitch = lowest * climb ** (onset / duration_s) * np.exp(rng.uniform(0, 2.6))
        if pitch < 6500:
            grain = _bubble(rng, pitch, rng.uniform(0.01, 0.06), rng.uniform(0, 3))
            mix_at(track, onset, rng.exponential(1.0) ** 1.5 * (lowest / pitch) ** 0.15 * grain)
    splash = shaped_noise(rng, len(track), [(200, -14), (700, 0), (8000, -14)])
    splash *= np.exp(1.2 * slow_curve(rng, len(track), rng.uniform(50, 90)))  # grainy: many tiny impacts
    glug = np.exp(rng.uniform(0.1, 0.5) * slow_curve(rng, len(track), rng.uniform(1.5, 4.0)))
    return np.asarray(glug * (track + splash * rng.uniform(0.2, 0.6) * np.sqrt(np.mean(track**2))))


def _bubble(rng: np.random.Generator, pitch_hz: float, decay_s: float, rise_per_s: float) -> Array:
    """Damped sine with rising pitch, 40 dB down after ``decay_s``."""
    time = seconds(1.5 * decay_s)
    swell = 1 - np.exp(-time / 0.001)
    phase = 2 * np.pi * pitch_hz * (time + 0.5 * rise_per_s * time**2) + rng.uniform(0, 2 * np.pi)
    return np.asarray(swell * np.exp(-4.6 * time / decay_s) * np.sin(phase))


def wind(rng: np.random.Generator, duration_s: float) -> Array:
    """Gusts of low noise with a wandering whistle."""
    count = len(seconds(duration_s))
    gust = np.exp(0.35 * slow_curve(rng, count, 0.8))
    rumble = shaped_noise(rng, count, [(40, 0), (120, -3), (400, -14), (1500, -28), (8000, -48)])
    whistle = np.zeros(count)
    for _ in range(int(rng.integers(1, 4))):
        pitch = log_uniform(rng, 350, 1100) * np.exp(0.12 * slow_curve(rng, count, 1.0))
        # a sine whose phase stumbles is narrow-band noise around a moving pitch
        stumble = np.cumsum(rng.standard_normal(count)) * 0.12
        tone = np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ + stumble)
        whistle += tone * np.exp(0.8 * slow_curve(rng, count, 1.0))
    return gust * rumble + gust**2 * whistle * 10 ** (rng.uniform(-30, -16) / 20)


def rain(rng: np.random.Generator, duration_s: float) -> Array:
    """Steady hiss of distant drops and the patter of near ones."""
    count = len(seconds(duration_s))
    tilt = rng.uniform(0, 10)
    hiss = shaped_noise(rng, count, [(100, tilt), (1000, 2), (4000, 0), (8000, -3)])
    patter = np.zeros(count)
    grain_count = round(0.004 * SAMPLE_RATE_HZ)
    for onset in intervals(rng, duration_s, 1 / rng.uniform(40, 150), 0.95):
        pitch = log_uniform(rng, 600, 6000)
        drop = damped_modes(rng, [pitch, 1.7 * pitch], [0.02, 0.01], [1.0, 0.6])
        drop[:grain_count] += 0.5 * rng.standard_normal(grain_count) * np.linspace(1, 0, grain_count) ** 2
        mix_at(patter, onset, rng.exponential(1.0) * drop)
    patter /= np.sqrt(np.mean(patter**2)) + 1e-12
    return hiss * pulse_envelope(count, 0.01, 0.01) + patter * rng.uniform(0.1, 0.6)
