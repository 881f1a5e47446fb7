"""Seeded test signals: noise on one side, in bursts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def noise(duration_s: float, left: float = 0.1, right: float = 0.1, seed: int = 0) -> Samples:
    """White noise [2, n] at 16 kHz with one RMS for each ear."""
    samples = np.random.default_rng(seed).standard_normal((2, round(duration_s * 16_000)))
    return (samples * [[left], [right]]).astype(np.float32)


def bursts(seed: int = 0) -> Samples:
    """Seven seconds: noise on the left, a pause of 3 s, noise on the right."""
    quiet = noise(3.0, 1e-4, 1e-4, seed + 1)
    return np.concatenate([noise(2.0, 0.2, 0.05, seed), quiet, noise(2.0, 0.05, 0.2, seed + 2)], axis=1)
