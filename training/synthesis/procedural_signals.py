"""Procedural sounds that are meant to be heard: alarms, sirens, horns, bells."""

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
    slow_curve,
)

__all__ = [
    "car_horn",
    "church_bells",
    "clock_alarm",
    "digital_beeper",
    "hammer_bell",
    "siren",
    "telephone_ring",
]

# (ratio to the prime, 60 dB decay in s, weight): hum, prime, tierce, quint, nominal and above;
# ratios after Fletcher and Rossing, "The Physics of Musical Instruments", chapter 21
_BELL = (
    (0.5, 6.0, 0.4),
    (1.0, 4.0, 0.7),
    (1.2, 3.5, 1.0),
    (1.5, 2.0, 0.5),
    (2.0, 2.5, 1.2),
    (2.5, 2.0, 0.8),
    (2.67, 1.8, 0.7),
    (3.0, 1.7, 0.9),
    (4.0, 1.4, 0.8),
    (5.3, 1.0, 0.6),
    (6.6, 0.7, 0.4),
    (8.0, 0.5, 0.3),
    (9.8, 0.4, 0.25),
    (11.7, 0.3, 0.2),
)


def clock_alarm(rng: np.random.Generator, duration_s: float) -> Array:
    """Alarm clock: a digital beeper (half of the draws), a hammer bell or a telephone-like warble."""
    kind = rng.choice(3, p=[0.5, 0.3, 0.2])
    return (digital_beeper, hammer_bell, telephone_ring)[kind](rng, duration_s)


def digital_beeper(rng: np.random.Generator, duration_s: float) -> Array:
    """Piezo beeps of 2 to 4.5 kHz in groups of one to four."""
    track = np.zeros(len(seconds(duration_s)))
    pitch = log_uniform(rng, 2000, 4500)
    beep_s = rng.uniform(0.05, 0.12)
    per_group = int(rng.integers(1, 5))
    harmonics = [1.0, rng.uniform(0.02, 0.2), rng.uniform(0.05, 0.3)]
    count = round(beep_s * SAMPLE_RATE_HZ)
    beep = harmonic_tone(np.full(count, pitch), harmonics) * pulse_envelope(count, 0.003, 0.006)
    group_s = per_group * 2 * beep_s + rng.uniform(0.1, 0.5)
    for onset in intervals(rng, duration_s, group_s, 0.0):
        for number in range(per_group):
            mix_at(track, onset + number * 2 * beep_s, beep)
    return reverberate(rng, track, rng.uniform(0.1, 0.35), rng.uniform(0.02, 0.2))


def hammer_bell(rng: np.random.Generator, duration_s: float) -> Array:
    """Wind-up clock: a small hammer strikes a bell 12 to 22 times a second."""
    track = np.zeros(len(seconds(duration_s)))
    lowest = rng.uniform(1900, 3300)
    ratios = np.array([1.0, 1.52, 2.12, 2.74]) * rng.uniform(0.98, 1.02, 4)
    decays = rng.uniform(0.4, 1.2, 4)
    gains = np.array([1.0, 0.8, 0.5, 0.3]) * rng.uniform(0.5, 1.2, 4)
    for onset in intervals(rng, duration_s, 1 / rng.uniform(12, 22), 0.06):
        mix_at(track, onset, rng.uniform(0.6, 1.0) * damped_modes(rng, lowest * ratios, decays, gains))
    return track


def telephone_ring(rng: np.random.Generator, duration_s: float) -> Array:
    """Electronic telephone: two pitches alternate 12 to 20 times a second, in rings of about a second."""
    time = seconds(duration_s)
    low = rng.uniform(1500, 2200)
    high = low * rng.uniform(1.15, 1.3)
    warble = np.sin(2 * np.pi * rng.uniform(12, 20) * time) > 0
    tone = harmonic_tone(np.where(warble, low, high), [1.0, 0.15, 0.3])
    on_s, off_s = rng.uniform(0.7, 1.2), rng.uniform(0.3, 0.7)
    ringing = np.zeros_like(time)
    burst = pulse_envelope(round(on_s * SAMPLE_RATE_HZ), 0.01, 0.03)
    for onset in intervals(rng, duration_s, on_s + off_s, 0.0):
        mix_at(ringing, onset, burst)
    return tone * ringing


def siren(rng: np.random.Generator, duration_s: float) -> Array:
    """Emergency siren: slow wail, fast yelp or two-tone, heard from some way off."""
    time = seconds(duration_s)
    low = rng.uniform(450, 700)
    high = low * rng.uniform(1.8, 2.4)
    kind = rng.choice(3, p=[0.5, 0.25, 0.25])
    if kind == 2:  # two-tone, a fourth apart
        step = rng.uniform(0.4, 0.7)
        pitch = np.where(np.floor(time / step + rng.uniform(0, 2)) % 2 == 0, low, low * 4 / 3)
    else:
        rate = rng.uniform(0.15, 0.4) if kind == 0 else rng.uniform(2.5, 4.5)
        swing = 0.5 - 0.5 * np.cos(2 * np.pi * (rate * time + rng.uniform(0, 1)))
        pitch = low * (high / low) ** swing
    steepness = rng.uniform(1.3, 2.2)
    tone = harmonic_tone(pitch, [number**-steepness for number in range(1, 9)])
    tone *= 1 + 0.15 * slow_curve(rng, len(time), 2.0)
    return reverberate(rng, tone, rng.uniform(0.6, 1.2), rng.uniform(0.2, 0.6))


def car_horn(rng: np.random.Generator, duration_s: float) -> Array:
    """Two horns about a third apart, pressed one or more times."""
    track = np.zeros(len(seconds(duration_s)))
    low = rng.uniform(330, 450)
    pitches = (low, low * rng.uniform(1.18, 1.28))
    number = np.arange(1, 18)
    formant = rng.uniform(1500, 2800)
    for onset in intervals(rng, duration_s, rng.uniform(0.6, 1.4), 0.4, rng.uniform(0, 0.05)):
        count = round(rng.uniform(0.25, 0.9) * SAMPLE_RATE_HZ)
        honk = np.zeros(count)
        for pitch in pitches:
            # reed and trumpet: harmonics fall slowly, with a broad bump where the trumpet radiates best
            gains = number**-0.8 * (0.4 + np.exp(-(((number * pitch - formant) / 900) ** 2)))
            honk += harmonic_tone(np.full(count, pitch), gains, rng.uniform(0, 2 * np.pi, len(number)))
        mix_at(track, onset, honk * pulse_envelope(count, 0.02, 0.04))
    return reverberate(rng, track, rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.4))


def church_bells(rng: np.random.Generator, duration_s: float) -> Array:
    """One to three bells with the classic partials (hum, prime, minor tierce, quint, nominal, ...)."""
    track = np.zeros(len(seconds(duration_s)))
    prime = rng.uniform(200, 480)
    pitches = [prime * ratio for ratio in (1.0, 9 / 8, 4 / 3)[: int(rng.integers(1, 4))]]
    ratios, ring_s, weight = np.array(_BELL).T
    for number, onset in enumerate(intervals(rng, duration_s, rng.uniform(0.6, 1.6), 0.08)):
        decays = rng.uniform(0.8, 1.2) * ring_s
        gains = rng.uniform(0.5, 1.5, len(weight)) * weight
        strike = damped_modes(rng, pitches[number % len(pitches)] * ratios, decays, gains)
        mix_at(track, onset, rng.uniform(0.7, 1.0) * strike)
    return reverberate(rng, track, 1.5, rng.uniform(0.1, 0.4))
