"""Sounds made from formulas: for demonstrations, tests and training material free of recording rights.

Each generator belongs to one class of the label table and draws its own parameters (pitch, tempo, brightness,
material), so that two seeds sound like two recordings of the same kind of thing. Ranges were set against the
level, spectrum and modulation statistics of real recordings of the same classes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earshot.training.synthesis import procedural_machines as machines
from earshot.training.synthesis import procedural_nature as nature
from earshot.training.synthesis import procedural_signals as signals
from earshot.training.synthesis.procedural_parts import (
    SAMPLE_RATE_HZ,
    Array,
    shaped_noise,
)

__all__ = ["PROCEDURAL", "SAMPLE_RATE_HZ", "synthesize"]

MINIMUM_S = 0.1

_RAW: dict[str, Callable[[np.random.Generator, float], Array]] = {
    "car_horn": signals.car_horn,
    "chirping_birds": nature.chirping_birds,
    "church_bells": signals.church_bells,
    "clock_alarm": signals.clock_alarm,
    "clock_tick": machines.clock_tick,
    "crickets": nature.crickets,
    "door_knock": machines.door_knock,
    "engine": machines.engine,
    "footsteps": machines.footsteps,
    "helicopter": machines.helicopter,
    "mouse_click": machines.mouse_click,
    "pouring_water": nature.pouring_water,
    "rain": nature.rain,
    "siren": signals.siren,
    "vacuum_cleaner": machines.vacuum_cleaner,
    "water_drops": nature.water_drops,
    "wind": nature.wind,
}


def synthesize(key: str, rng: np.random.Generator, duration_s: float) -> NDArray[np.float32]:
    """Make one sound.

    Parameters
    ----------
    key : str
        Class key, one of `PROCEDURAL`.
    rng : numpy.random.Generator
        Source of all chance; the same state gives the same samples.
    duration_s : float
        Length, at least 0.1 s.

    Returns
    -------
    array, float32, shape [round(16000 * duration_s)]
        Mono, 16 kHz, peak between 0.5 and 0.9.

    Raises
    ------
    KeyError
        If there is no generator for the class.
    ValueError
        If the duration is too short.
    """
    if key not in _RAW:
        raise KeyError(f"no procedural sound for class {key!r}; there are {', '.join(sorted(_RAW))}")
    if not duration_s >= MINIMUM_S:
        raise ValueError(f"duration_s is {duration_s}; it must be at least {MINIMUM_S}")
    sound = _as_recorded(rng, _RAW[key](rng, duration_s))
    return np.asarray(sound * (rng.uniform(0.5, 0.9) / np.max(np.abs(sound))), dtype=np.float32)


def _generator(key: str) -> Callable[[np.random.Generator, float], NDArray[np.float32]]:
    def generate(rng: np.random.Generator, duration_s: float) -> NDArray[np.float32]:
        return synthesize(key, rng, duration_s)

    return generate


PROCEDURAL: dict[str, Callable[[np.random.Generator, float], NDArray[np.float32]]] = {
    key: _generator(key) for key in _RAW
}
"""Class key -> generator(rng, duration_s) -> float32 [samples], peak <= 1."""


def _as_recorded(rng: np.random.Generator, sound: Array) -> Array:
    """Add the low-pitched bed that every field recording has, 40 to 62 dB below the peak."""
    tilt = rng.uniform(0.4, 1.2)
    bed = shaped_noise(rng, len(sound), [(40, 0), (150, -6 * tilt), (1000, -20 * tilt), (8000, -30 * tilt)])
    return np.asarray(sound + bed * np.max(np.abs(sound)) * 10 ** (rng.uniform(-62, -40) / 20))
