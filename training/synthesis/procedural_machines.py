"""Procedural sounds of machines and of things that are struck: engines, clocks, doors, steps."""

from collections.abc import Sequence

import numpy as np

from earshot.training.synthesis.procedural_parts import (
    SAMPLE_RATE_HZ,
    Array,
    convolve,
    damped_modes,
    harmonic_tone,
    intervals,
    log_uniform,
    mix_at,
    reverberate,
    seconds,
    shaped_noise,
    slow_curve,
)

__all__ = ["clock_tick", "door_knock", "engine", "footsteps", "helicopter", "mouse_click", "vacuum_cleaner"]

_SWITCH = (0.6, 1.0, 0.8, 0.6)  # weights of a micro switch's modes
_SNAP = ((500.0, -8.0), (4000.0, 0.0), (8000.0, -4.0))  # spectrum of its contact


def door_knock(rng: np.random.Generator, duration_s: float) -> Array:
    """Knuckles on a wooden panel in groups of two to five."""
    track = np.zeros(len(seconds(duration_s)))
    panel = rng.uniform(80, 190) * np.array([1.0, 1.8, 2.9, 4.6, 7.3])
    period = rng.uniform(0.14, 0.3)
    onset = rng.uniform(0, 0.05)
    while onset < duration_s:
        for _ in range(int(rng.integers(2, 6))):
            gains = rng.uniform(0.5, 1.5, 5) * np.array([1.0, 0.6, 0.35, 0.2, 0.1])
            knock = damped_modes(rng, panel * rng.uniform(0.98, 1.02), rng.uniform(0.06, 0.16, 5), gains)
            knuckle = _burst(rng, 0.02, 0.003, [(200, 0), (1200, -4), (4000, -18), (8000, -30)])
            mix_at(track, onset, rng.uniform(0.6, 1.0) * knock)
            mix_at(track, onset, 0.3 * knuckle)
            onset += period * rng.uniform(0.85, 1.15)
        onset += rng.uniform(0.4, 0.9)
    return reverberate(rng, track, rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.4))


def footsteps(rng: np.random.Generator, duration_s: float) -> Array:
    """Walking: heel, then toe, left and right foot slightly different; the ground sets the brightness."""
    track = np.zeros(len(seconds(duration_s)))
    top = log_uniform(rng, 700, 4000)
    ground = [(60, 0), (200, 0), (top, -8), (min(2.5 * top, 7900), -26), (8000, -40)]
    thump_hz = rng.uniform(60, 140)
    toe_after_s = rng.uniform(0.05, 0.12)
    feet = rng.uniform(0.75, 1.0, 2)
    grit = rng.uniform(0.0, 0.5)
    period = rng.uniform(0.42, 0.68)
    for number, onset in enumerate(intervals(rng, duration_s, period, 0.06, rng.uniform(0, 0.05))):
        strength = feet[number % 2] * rng.uniform(0.8, 1.1)
        heel = _burst(rng, 0.12, rng.uniform(0.008, 0.02), ground)
        toe = _burst(rng, 0.1, rng.uniform(0.01, 0.03), ground)
        scrape = _burst(rng, 0.15, 0.05, [(500, -10), (3000, 0), (8000, -6)])
        thump = damped_modes(rng, [thump_hz, 1.7 * thump_hz], [0.12, 0.08], [1.0, 0.5])
        mix_at(track, onset, strength * (0.8 * heel + 1.2 * thump))
        mix_at(track, onset + toe_after_s, 0.4 * strength * toe)
        mix_at(track, onset + 0.02, 0.25 * grit * strength * scrape)
    return reverberate(rng, track, rng.uniform(0.2, 0.6), rng.uniform(0.03, 0.3))


def clock_tick(rng: np.random.Generator, duration_s: float) -> Array:
    """Escapement: tick and tock differ, and the case rings on."""
    track = np.zeros(len(seconds(duration_s)))
    pitches = log_uniform(rng, 900, 2600) * np.array([1.0, 1.6, 2.3, 3.1])
    case = rng.uniform(180, 500)
    sides = (1.0, rng.uniform(0.8, 1.15))
    period = float(rng.choice([1.0, 0.5, 0.4, 0.25, 0.2]))
    for number, onset in enumerate(intervals(rng, duration_s, period, 0.01, rng.uniform(0, 0.05))):
        side = sides[number % 2]
        gains = np.array([1.0, 0.8, 0.5, 0.3]) * rng.uniform(0.8, 1.2, 4)
        mix_at(track, onset, side * damped_modes(rng, side * pitches, [0.05, 0.035, 0.025, 0.015], gains))
        mix_at(track, onset, 0.5 * damped_modes(rng, [case, 2.1 * case], [0.08, 0.05], [0.6, 0.4]))
        mix_at(track, onset, 0.35 * _burst(rng, 0.02, 0.0015, [(300, -8), (2500, 0), (8000, -10)]))
        mix_at(track, onset + 0.018, 0.3 * damped_modes(rng, 1.2 * pitches, [0.03] * 4, gains))
    return reverberate(rng, track, rng.uniform(0.1, 0.4), rng.uniform(0.02, 0.2))


def mouse_click(rng: np.random.Generator, duration_s: float) -> Array:
    """Micro switch: press and release, single and double clicks at leisure."""
    track = np.zeros(len(seconds(duration_s)))
    pitches = rng.uniform(1200, 2400) * np.array([1.0, 1.9, 2.8, 3.7]) * rng.uniform(0.95, 1.05, 4)
    body = rng.uniform(250, 600)
    doubled = rng.uniform(0.0, 0.6)
    for onset in intervals(rng, duration_s, rng.uniform(0.5, 1.3), 0.6, rng.uniform(0, 0.05)):
        hold_s = rng.uniform(0.06, 0.13)
        for repeat in range(1 + int(rng.random() < doubled)):
            for late, gain, shift in ((0.0, 1.0, 1.0), (hold_s, 0.5, 1.12)):
                start = onset + late + repeat * (hold_s + 0.09)
                mix_at(track, start, gain * damped_modes(rng, shift * pitches, [0.012] * 4, _SWITCH))
                mix_at(track, start, 0.2 * gain * damped_modes(rng, [body], [0.03], [1.0]))
                mix_at(track, start, 0.4 * gain * _burst(rng, 0.015, 0.0015, _SNAP))
    hum = shaped_noise(rng, len(track), [(50, 0), (200, -8), (1000, -20), (8000, -34)])  # the computer itself
    room = reverberate(rng, track, rng.uniform(0.08, 0.2), rng.uniform(0.01, 0.08))
    return np.asarray(room + hum * rng.uniform(0.002, 0.008) * np.max(np.abs(track)))


def engine(rng: np.random.Generator, duration_s: float) -> Array:
    """Idling combustion engine: unequal firings of four cylinders, exhaust rumble, valve clatter."""
    count = len(seconds(duration_s))
    cycle_hz = rng.uniform(5, 12) * np.exp(0.03 * slow_curve(rng, count, 1.0))  # one cycle = four firings
    cycle = np.cumsum(cycle_hz) / SAMPLE_RATE_HZ
    firing = 4 * cycle
    strength = rng.uniform(0.7, 1.3, 4)[np.floor(firing).astype(int) % 4]
    shot = np.exp(-7 * (firing % 1)) * strength
    muffler = log_uniform(rng, 90, 220)
    rumble = _through(shot - np.mean(shot), [(muffler, 0.03), (2.3 * muffler, 0.02), (5 * muffler, 0.008)])
    clatter = shaped_noise(rng, count, [(150, -8), (600, 0), (2500, -6), (8000, -20)]) * (0.25 + shot)
    hum = harmonic_tone(4 * cycle_hz, [1.0, 0.6, 0.3, 0.2])
    mixture = _unit(rumble) + _unit(hum) * rng.uniform(0.1, 0.5) + _unit(clatter) * rng.uniform(0.12, 0.4)
    return np.asarray(mixture)


def helicopter(rng: np.random.Generator, duration_s: float) -> Array:
    """Blades slap 10 to 18 times a second; rotor wash and a turbine lie beneath."""
    count = len(seconds(duration_s))
    blade = np.cumsum(rng.uniform(10, 18) * np.exp(0.01 * slow_curve(rng, count, 0.5))) / SAMPLE_RATE_HZ
    slap = 0.5 + 0.5 * np.cos(2 * np.pi * blade + 0.8 * np.sin(2 * np.pi * blade))  # a skewed, rounded pulse
    thump = shaped_noise(rng, count, [(40, 0), (200, 0), (500, -8), (1200, -20), (8000, -40)]) * (0.4 + slap)
    body = _through(slap - np.mean(slap), [(rng.uniform(60, 100), 0.05), (rng.uniform(130, 240), 0.03)])
    wash = shaped_noise(rng, count, [(80, -2), (500, 0), (2000, -10), (8000, -28)]) * (0.7 + 0.3 * slap)
    turbine = harmonic_tone(np.full(count, rng.uniform(500, 1200)), [1.0, 0.3])
    mixture = _unit(thump) + 0.4 * _unit(body) + rng.uniform(0.2, 0.8) * _unit(wash) + 0.03 * _unit(turbine)
    return np.asarray(mixture * np.exp(0.15 * slow_curve(rng, count, 0.5)))


def vacuum_cleaner(rng: np.random.Generator, duration_s: float) -> Array:
    """Universal motor: harmonics of the shaft, fan whine, and a steady rush of air."""
    count = len(seconds(duration_s))
    shaft_hz = rng.uniform(180, 420) * (1 + 0.004 * slow_curve(rng, count, 1.5))
    gains = rng.uniform(0.2, 1.0, 14) * np.arange(1, 15) ** -0.6
    whine = harmonic_tone(shaft_hz, gains, rng.uniform(0, 2 * np.pi, 14))
    middle = rng.uniform(500, 1500)
    air = shaped_noise(rng, count, [(80, -16), (200, -4), (middle, 0), (3000, -5), (8000, -14)])
    mixture = _unit(air) + rng.uniform(0.25, 0.8) * _unit(whine)
    return np.asarray(mixture * (1 + 0.04 * slow_curve(rng, count, 2.0)))


def _burst(rng: np.random.Generator, length_s: float, decay_s: float, curve: Sequence[tuple[float, float]]) -> Array:
    """Noise burst with an exponential decay (time constant ``decay_s``), peak about 1."""
    time = seconds(length_s)
    burst = shaped_noise(rng, len(time), curve) * np.exp(-time / decay_s) * np.minimum(1, time / 0.0006)
    return np.asarray(burst / (np.max(np.abs(burst)) + 1e-12))


def _through(drive: Array, resonances: list[tuple[float, float]]) -> Array:
    """Send a signal through parallel resonators given as (frequency_hz, decay time constant in s)."""
    time = seconds(0.25)
    response = np.zeros_like(time)
    for frequency, decay in resonances:
        response += np.exp(-time / decay) * np.sin(2 * np.pi * frequency * time)
    return convolve(drive, response)


def _unit(signal: Array) -> Array:
    """Scale to RMS 1."""
    return np.asarray(signal / (np.sqrt(np.mean(signal**2)) + 1e-12))
