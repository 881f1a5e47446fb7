"""Procedural sounds of the scenarios, mono, 16 kHz: enough to have a direction and a character, in no licence.

They are written from their physics, not recorded; how well a model names them is no measure of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.demo.sounds import alarm_beeps, bird_song, knocks

SAMPLE_RATE_HZ = 16_000
LOOP_S = 8.0
"""Length after which a sound begins again."""

Floats = NDArray[np.float64]


def loop(name: str, seed: int = 0) -> Floats:
    """One turn of a sound.

    Parameters
    ----------
    name : str
        Key of `SOUNDS`.
    seed : int
        Of its irregularities.

    Returns
    -------
    ndarray, float64 [128000]
        8 s with root mean square 1.
    """
    sound = SOUNDS[name](np.random.default_rng([seed, 0x50D]))
    return sound / max(1e-9, float(np.sqrt(np.mean(sound**2))))


def _time() -> Floats:
    return np.arange(round(LOOP_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _tone(pitch_hz: Floats | float) -> Floats:
    pitch = np.broadcast_to(np.asarray(pitch_hz, np.float64), _time().shape)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ))


def _noise(rng: np.random.Generator, low_hz: float, high_hz: float, slope: float = 0.0) -> Floats:
    """Noise between two frequencies that loops without a seam; `slope` 1 is pink."""
    count = len(_time())
    frequency_hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    gain = np.where((frequency_hz >= low_hz) & (frequency_hz <= high_hz), 1.0, 0.0)
    gain /= np.maximum(frequency_hz, 20.0) ** (slope / 2)
    spectrum = gain * np.exp(2j * np.pi * rng.random(len(gain)))
    sound: Floats = np.fft.irfft(spectrum, count)
    return sound / float(sound.std())


def _strikes(times_s: Floats, strike: Callable[[], Floats]) -> Floats:
    """A short sound at many times."""
    out = np.zeros(len(_time()))
    for time_s in times_s:
        grain, start = strike(), round(float(time_s) * SAMPLE_RATE_HZ)
        grain = grain[: max(0, len(out) - start)]
        out[start : start + len(grain)] += grain
    return out


def _burst(rng: np.random.Generator, decay_s: float, low_hz: float, high_hz: float) -> Floats:
    """A decaying burst of noise."""
    count = round(6 * decay_s * SAMPLE_RATE_HZ)
    frequency_hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(count)) * ((frequency_hz >= low_hz) & (frequency_hz <= high_hz))
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    return np.asarray(np.fft.irfft(spectrum, count) * np.exp(-time_s / decay_s))


def _siren(rng: np.random.Generator) -> Floats:
    """Wailing between 600 and 1400 Hz, twice per 8 s, with harmonics."""
    pitch_hz = 1000 + 400 * np.sin(2 * np.pi * _time() / (LOOP_S / 2))
    return _tone(pitch_hz) + 0.5 * _tone(2 * pitch_hz) + 0.25 * _tone(3 * pitch_hz)


def _car_horn(rng: np.random.Generator) -> Floats:
    """Two reeds of 400 and 500 Hz, three blasts."""
    reeds = sum((_tone(pitch * n) / n for pitch in (400.0, 500.0) for n in range(1, 8)), np.zeros(len(_time())))
    gate = ((_time() % 2.5) < 0.7).astype(np.float64)
    return np.asarray(reeds * np.convolve(gate, np.hanning(321) / 160, mode="same"))


def _engine(rng: np.random.Generator) -> Floats:
    """Firing pulses of 55 Hz, and noise of tyres and air."""
    pulses = sum((_tone(27.5 * n) / np.sqrt(n) for n in range(2, 30)), np.zeros(len(_time())))
    return pulses / float(pulses.std()) + 0.7 * _noise(rng, 80, 4000, 1.0)


def _footsteps(rng: np.random.Generator) -> Floats:
    return _strikes(np.arange(0.1, LOOP_S, 0.55), lambda: _burst(rng, 0.03, 80, 3000))


def _speech(rng: np.random.Generator) -> Floats:
    """Babble of one voice: a gliding pitch through three wandering formants, cut into syllables. No words."""
    time_s = _time()
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * time_s / 2) + 8 * np.sin(2 * np.pi * 3 * time_s / 4)
    out = np.zeros(len(time_s))
    formants = [500 + 250 * _walk(rng), 1500 + 600 * _walk(rng), 2600 + 300 * _walk(rng)]
    for harmonic in range(1, 30):
        at_hz = harmonic * pitch_hz
        gain = sum((np.exp(-(((at_hz - f) / 160) ** 2)) for f in formants), np.full(len(time_s), 0.02 / harmonic))
        out += gain * _tone(at_hz)
    syllables = np.maximum(0.0, np.sin(2 * np.pi * 4 * time_s + 2 * _walk(rng))) ** 0.5
    pauses = np.convolve((time_s % 2.7 < 2.1).astype(np.float64), np.hanning(801) / 400, mode="same")
    return np.asarray(out * syllables * pauses + 0.02 * _noise(rng, 3000, 7000) * syllables)


def _walk(rng: np.random.Generator) -> Floats:
    """A smooth random curve in about [-1, 1] that loops, changing a few times a second."""
    phase = rng.uniform(0, 2 * np.pi, 4)
    curves = [np.sin(2 * np.pi * n * _time() / LOOP_S + phase[i]) for i, n in enumerate((5, 11, 17, 26))]
    return np.asarray(sum(curves, np.zeros(len(_time()))) / 2)


def _vacuum_cleaner(rng: np.random.Generator) -> Floats:
    return _noise(rng, 100, 7000, 0.6) + 0.4 * _tone(240.0) + 0.2 * _tone(480.0)


def _pouring_water(rng: np.random.Generator) -> Floats:
    return _noise(rng, 500, 6000, 0.3) * (1 + 0.5 * _walk(rng))


def _water_drops(rng: np.random.Generator) -> Floats:
    """Bubbles that ring upwards after each drop (Minnaert resonance of a few millimetres)."""

    def drop() -> Floats:
        time_s = np.arange(1600) / SAMPLE_RATE_HZ
        pitch_hz = rng.uniform(900, 1600) * (1 + 3 * time_s)
        return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ) * np.exp(-time_s / 0.015))

    return _strikes(np.cumsum(rng.uniform(0.5, 1.1, 9)), drop)


def _keyboard(rng: np.random.Generator) -> Floats:
    return _strikes(np.cumsum(rng.uniform(0.08, 0.3, 40)), lambda: _burst(rng, 0.004, 1000, 7000))


def _clock_tick(rng: np.random.Generator) -> Floats:
    return _strikes(np.arange(0.2, LOOP_S, 0.5), lambda: _burst(rng, 0.002, 2000, 7000))


def _crickets(rng: np.random.Generator) -> Floats:
    chirps = (_time() % 0.8 < 0.35) * np.maximum(0.0, np.sin(2 * np.pi * 30 * _time())) ** 2
    return np.asarray(chirps * _tone(4600.0))


def _snoring(rng: np.random.Generator) -> Floats:
    """Breath in with a flutter of 45 Hz, breath out as air."""
    time_s = _time() % 4.0
    inhale = np.exp(-(((time_s - 0.9) / 0.4) ** 2)) * np.maximum(0, _tone(45.0)) ** 2
    exhale = 0.2 * np.exp(-(((time_s - 2.6) / 0.6) ** 2))
    return np.asarray(_noise(rng, 80, 1500, 1.0) * inhale + _noise(rng, 300, 3000) * exhale)


def _dog(rng: np.random.Generator) -> Floats:
    """Barks in pairs: a voiced burst whose pitch falls."""

    def bark() -> Floats:
        time_s = np.arange(2880) / SAMPLE_RATE_HZ
        pitch_hz = 650 * np.exp(-2.5 * time_s)
        phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
        voice = sum((np.sin(n * phase) / n**0.7 for n in range(1, 9)), np.zeros(len(time_s)))
        return np.asarray((voice + 0.4 * rng.standard_normal(len(time_s))) * np.sin(np.pi * time_s / 0.18) ** 0.6)

    return _strikes(np.array([0.1, 0.45, 2.0, 2.4, 4.9, 5.2, 7.0]), bark)


SOUNDS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "car_horn": _car_horn,
    "chirping_birds": lambda rng: bird_song(LOOP_S, int(rng.integers(1000))),
    "clock_alarm": lambda rng: alarm_beeps(LOOP_S),
    "clock_tick": _clock_tick,
    "crickets": _crickets,
    "dog": _dog,
    "door_knock": lambda rng: knocks(LOOP_S, int(rng.integers(1000))),
    "engine": _engine,
    "footsteps": _footsteps,
    "keyboard_typing": _keyboard,
    "pouring_water": _pouring_water,
    "rain": lambda rng: _noise(rng, 300, 7500, 0.2),
    "siren": _siren,
    "snoring": _snoring,
    "speech": _speech,
    "vacuum_cleaner": _vacuum_cleaner,
    "water_drops": _water_drops,
    "wind": lambda rng: _noise(rng, 30, 900, 1.5) * (1 + 0.6 * _walk(rng)),
}
