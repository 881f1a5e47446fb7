"""The scene of the demo: what sounds where and when, rendered to both ears, and the truth about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.demo.head import SAMPLE_RATE_HZ, Room, binaural
from earshot.runtime.demo.sounds import alarm_beeps, bird_song, knocks
from earshot.runtime.labels import Label, by_key
from earshot.runtime.scene.sources import SourceEstimate

DEMO_S = 8.0
_PEAK = 0.25
_NOISE_DB = -62.0


@dataclass(frozen=True)
class DemoSource:
    """One sound of the demo.

    Attributes
    ----------
    key : str
        Class key of the label table.
    sound : callable
        Duration in seconds -> mono samples at 16 kHz.
    azimuth_deg, elevation_deg, distance_m : float
    onset_s, offset_s : float
    gain : float
        Amplitude at 1 m.
    """

    key: str
    sound: Callable[[float], NDArray[np.float64]]
    azimuth_deg: float
    distance_m: float
    onset_s: float
    offset_s: float
    gain: float = 1.0
    elevation_deg: float = 0.0

    @property
    def label(self) -> Label:
        """Entry of the label table."""
        return by_key(self.key)

    def truth(self) -> SourceEstimate:
        """The source as a perfect listener would report it."""
        return SourceEstimate(
            label=self.label.name,
            confidence=1.0,
            azimuth_deg=self.azimuth_deg,
            elevation_deg=self.elevation_deg,
            distance_m=self.distance_m,
            onset_s=self.onset_s,
            offset_s=self.offset_s,
        )


DEMO_SOURCES: tuple[DemoSource, ...] = (
    DemoSource("chirping_birds", bird_song, -30.0, 2.0, 0.4, 3.0, 0.7),
    DemoSource("door_knock", knocks, -70.0, 1.5, 2.6, 5.2, 2.0),
    DemoSource("clock_alarm", alarm_beeps, 60.0, 1.2, 5.2, 7.8, 0.5),
)


def render_demo(sources: tuple[DemoSource, ...] = DEMO_SOURCES, seed: int = 0) -> NDArray[np.float32]:
    """Both ear signals of the demo scene.

    Parameters
    ----------
    sources : tuple of DemoSource
    seed : int
        Of the faint background noise; the same seed gives the same samples.

    Returns
    -------
    ndarray, float32 [2, 128000]
        8 s at 16 kHz, left ear first, peak 0.25.
    """
    scene = np.zeros((2, round(DEMO_S * SAMPLE_RATE_HZ)))
    for source in sources:
        sound = source.gain * source.sound(source.offset_s - source.onset_s)
        ears = binaural(sound, source.azimuth_deg, source.elevation_deg, source.distance_m, Room())
        start = round(source.onset_s * SAMPLE_RATE_HZ)
        ears = ears[:, : scene.shape[1] - start]
        scene[:, start : start + ears.shape[1]] += ears
    scene *= _PEAK / max(1e-9, float(np.abs(scene).max()))
    noise = np.random.default_rng(seed).standard_normal(scene.shape) * 10.0 ** (_NOISE_DB / 20.0)
    return np.asarray(scene + noise, np.float32)
