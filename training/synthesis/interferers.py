"""Directional sounds that belong to no class of the label table: a listener must not name them.

They are made by rule, for any recording would be of something; their spectra and rhythms are those of machines, pipes,
and loudspeakers, without the features that make one of the labelled classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earshot.training.synthesis.procedural_parts import harmonic_tone, log_uniform, shaped_noise, slow_curve

SAMPLE_RATE_HZ = 16_000
Array = NDArray[np.float64]


def noise_band(rng: np.random.Generator, count: int) -> Array:
    """Noise of one to three octaves that swells and fades."""
    centre, octaves = log_uniform(rng, 200.0, 5000.0), rng.uniform(1.0, 3.0)
    low, high = centre * 2 ** (-octaves / 2), min(7900.0, centre * 2 ** (octaves / 2))
    curve = [(low / 2, -40.0), (low, 0.0), (high, 0.0), (min(high * 2, 8000.0), -40.0)]
    return np.asarray(shaped_noise(rng, count, curve) * 10 ** (slow_curve(rng, count, 1.0) * 0.2))


def hum(rng: np.random.Generator, count: int) -> Array:
    """Mains hum with its harmonics, and a little noise."""
    frequency = float(rng.choice((50.0, 60.0, 100.0, 120.0)))
    amplitudes = rng.uniform(0.2, 1.0, 24) / np.arange(1, 25) ** rng.uniform(0.3, 1.2)
    tone = harmonic_tone(np.full(count, frequency), amplitudes, rng.uniform(0, 2 * np.pi, 24))
    hiss = shaped_noise(rng, count, [(100.0, 0.0), (7000.0, -20.0)])
    return np.asarray(tone + 0.1 * hiss * np.sqrt(np.mean(tone**2)), np.float64)


def glide(rng: np.random.Generator, count: int) -> Array:
    """A wandering tone, as of a theremin."""
    frequency = log_uniform(rng, 200.0, 1500.0) * 2 ** (slow_curve(rng, count, 0.5) * 0.4)
    return harmonic_tone(frequency, rng.uniform(0.0, 0.5, 4) + np.array([1.0, 0.0, 0.0, 0.0]))


def pulses(rng: np.random.Generator, count: int) -> Array:
    """Noise switched on and off in an uneven rhythm."""
    gate = np.clip(3 * slow_curve(rng, count, rng.uniform(2.0, 6.0)), 0.0, 1.0)
    return shaped_noise(rng, count, [(100.0, rng.uniform(-20, 0)), (1000.0, 0.0), (7000.0, rng.uniform(-20, 0))]) * gate


KINDS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "noise": noise_band,
    "hum": hum,
    "glide": glide,
    "pulses": pulses,
}


def interferer(rng: np.random.Generator, duration_s: float) -> tuple[str, NDArray[np.float32]]:
    """A random kind of interferer and its sound, float32 [n] with RMS 1 and soft edges."""
    kind = str(rng.choice(sorted(KINDS)))
    count = round(duration_s * SAMPLE_RATE_HZ)
    sound = KINDS[kind](rng, count)
    edge = min(800, count // 4)
    sound[:edge] *= np.linspace(0.0, 1.0, edge)
    sound[count - edge :] *= np.linspace(1.0, 0.0, edge)
    return kind, np.asarray(sound / (np.sqrt(np.mean(sound**2)) + 1e-9), np.float32)
