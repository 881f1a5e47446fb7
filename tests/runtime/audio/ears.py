"""Three seconds at two healthy ears, for tests that then break them: room noise, a voice-like sound, a finger snap."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from earshot.runtime.demo.head import Room, binaural

RATE_HZ = 16_000
COUNT = 3 * RATE_HZ
ROOM = Room(order=1)


def snap() -> np.ndarray:
    """A finger snap: 15 ms of noise that dies away."""
    time_s = np.arange(round(0.015 * RATE_HZ)) / RATE_HZ
    return np.random.default_rng(3).standard_normal(len(time_s)) * np.exp(-time_s / 0.003)


@lru_cache
def snap_at(azimuth_deg: float) -> np.ndarray:
    """Both ears of a snap close to the head."""
    return binaural(snap(), azimuth_deg, 0.0, 0.25, ROOM)


@lru_cache
def murmur(azimuth_deg: float) -> np.ndarray:
    """Both ears of noise with the spectrum of speech, in a room."""
    noise = np.random.default_rng(1).standard_normal(COUNT)
    spectrum = np.fft.rfft(noise)
    spectrum /= 1.0 + np.fft.rfftfreq(COUNT, 1 / RATE_HZ) / 300.0
    return binaural(np.fft.irfft(spectrum, COUNT), azimuth_deg, 0.0, 1.5, ROOM)[:, :COUNT]


def healthy_ears(azimuth_deg: float = 30.0, snap_azimuth_deg: float | None = 90.0, seed: int = 0) -> np.ndarray:
    """float32 [2, 48000]: a sound at one place, faint noise of each microphone, a snap at 1.5 s close to one ear."""
    ears = 0.02 * murmur(azimuth_deg)
    ears += 10 ** (-70 / 20) * np.random.default_rng(seed).standard_normal(ears.shape)
    if snap_azimuth_deg is not None:
        click = 0.05 * snap_at(snap_azimuth_deg)
        start = round(1.5 * RATE_HZ)
        ears[:, start : start + click.shape[1]] += click
    return np.asarray(ears, np.float32)
