"""Short scenarios for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from earshot.firmware_sim.scenario import Scenario
from earshot.firmware_sim.source import SimulatedSource
from earshot.runtime.audio.health import Finding

RAIN = {"label": "rain", "level_db": -25.0, "path": [{"azimuth_deg": 60.0, "distance_m": 1.5}]}


def scene(duration_s: float = 4.0, **parts: Any) -> Scenario:
    """One steady source on the left unless said otherwise."""
    whole = {"duration_s": duration_s, "sources": [RAIN], "folder": Path(), **parts}
    return Scenario.model_validate(whole)


def hear(scenario: Scenario) -> tuple[np.ndarray, list[Finding], SimulatedSource]:
    """The stream (silence in gaps), the findings and the source, after all is heard."""
    source = SimulatedSource(scenario, pace="fast")
    parts, end = [], 0
    with source:
        for chunk in source:
            assert chunk.start_sample >= end
            parts += [np.zeros((2, chunk.start_sample - end), np.float32), chunk.samples]
            end = chunk.start_sample + chunk.samples.shape[1]
    return np.concatenate(parts, axis=1), list(source.findings), source
