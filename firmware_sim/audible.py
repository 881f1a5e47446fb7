"""Whether there is anything to hear in a scenario at a time: sounds have pauses, and in a pause no track can come back."""

from __future__ import annotations

import numpy as np

from earshot.firmware_sim.renderer import Voice
from earshot.firmware_sim.scenario import Scenario
from earshot.runtime.demo.head import SAMPLE_RATE_HZ

PIECE_S = 0.05
OVER_AMBIENCE_DB = 6.0
"""A sound must be so much louder at the head than the ambience, or the microphones' own noise, in a piece of this length."""


class Audible:
    """The sounds of a scenario as they reach the head, without the head.

    Parameters
    ----------
    scenario : Scenario
    """

    def __init__(self, scenario: Scenario) -> None:
        self._voices = [Voice(source, scenario, scenario.seed + k) for k, source in enumerate(scenario.sources)]
        noise_db = scenario.device.self_noise_db
        background_db = noise_db if scenario.ambience_db is None else max(noise_db, scenario.ambience_db)
        self._least_db = background_db + OVER_AMBIENCE_DB

    def sounding_s(self, from_s: float, to_s: float) -> float:
        """How long any of them is to be heard within a time, in whole pieces, seconds."""
        pieces = np.arange(round((to_s - from_s) / PIECE_S)) * PIECE_S + from_s
        return PIECE_S * sum(any(self._level_db(v, at_s) >= self._least_db for v in self._voices) for at_s in pieces)

    @staticmethod
    def _level_db(voice: Voice, from_s: float) -> float:
        """Level of a piece at the place of the head, dB re full scale; spheres grow with the distance."""
        samples = voice.samples(round(from_s * SAMPLE_RATE_HZ), round(PIECE_S * SAMPLE_RATE_HZ))
        distance_m = voice.source.place(from_s)[2]
        return float(10 * np.log10(np.mean(samples**2) + 1e-20) - 20 * np.log10(distance_m))
