"""Faults of cheap ear microphones, as augmentation: unequal gain and colour, a late ear, self-noise, mild clipping.

All but clipping are linear and stay on the stems of a scene, so that stems and background still add up to the mixture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

SAMPLE_RATE_HZ = 16_000
# A millimetre of sound, a third of the smallest delay between the ears that people notice at best, and a sample of
# a bad converter: more would be a fault to repair (`earshot doctor`), not one to bear.
OFFSET_US = 30.0
EQ_KNOTS_HZ = (60.0, 120.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
CLIPPING_SHARE = 0.2

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class MicrophoneFaults:
    """Faults of a pair of microphones.

    Attributes
    ----------
    gain_db : (float, float)
        Left and right.
    eq_db : (tuple of float, tuple of float)
        Gains of left and right at ``EQ_KNOTS_HZ``.
    offset_us : float
        How much later the right ear is recorded, microseconds.
    noise_db : float
        RMS of the self-noise re the peak of the mixture, each ear its own.
    clipped : float
        Share of samples of the louder ear that are cut; 0 = none.
    """

    gain_db: tuple[float, float]
    eq_db: tuple[tuple[float, ...], tuple[float, ...]]
    offset_us: float
    noise_db: float
    clipped: float

    def to_json(self) -> dict[str, Any]:
        """JSON object for the scene description."""
        return asdict(self)


def sample_faults(rng: np.random.Generator) -> MicrophoneFaults:
    """Draw faults as consumer microphones have them."""
    gain = np.clip(rng.normal(0.0, 0.8, 2), -2.0, 2.0)
    common = rng.normal(0.0, 2.0, len(EQ_KNOTS_HZ))
    eq = [tuple(np.round(common + rng.normal(0.0, 0.5, len(EQ_KNOTS_HZ)), 2).tolist()) for _ in range(2)]
    clipped = 10 ** rng.uniform(-4.0, -2.3) if rng.random() < CLIPPING_SHARE else 0.0
    return MicrophoneFaults(
        gain_db=(round(float(gain[0]), 2), round(float(gain[1]), 2)),
        eq_db=(eq[0], eq[1]),
        offset_us=round(float(rng.uniform(-OFFSET_US, OFFSET_US)), 1),
        noise_db=round(float(rng.uniform(-80.0, -50.0)), 1),
        clipped=round(float(clipped), 5),
    )


def apply_faults(
    stems: FloatArray, background: FloatArray, faults: MicrophoneFaults, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Record stems [S, 2, n] and background [2, n] with faulty microphones; what clipping takes is in the background."""
    signals = _recorded(np.concatenate([stems, background[None]]), faults)
    stems, background = signals[:-1], signals[-1]
    peak = float(np.abs(stems.sum(axis=0) + background).max()) + 1e-9
    hiss = rng.standard_normal(background.shape, dtype=np.float32)
    background = background + hiss * np.float32(peak * 10 ** (faults.noise_db / 20))
    if faults.clipped > 0:
        mixture = stems.sum(axis=0) + background
        limit = max(float(np.quantile(np.abs(ear), 1.0 - faults.clipped)) for ear in mixture)
        background = background + (np.clip(mixture, -limit, limit) - mixture)
    return stems, background


def _recorded(signals: FloatArray, faults: MicrophoneFaults) -> FloatArray:
    """Signals [..., 2, n] through the gains, colours and delays of the two ears."""
    length = signals.shape[-1]
    size = fft.next_fast_len(length + 1024, real=True)
    frequency = fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(frequency, 20.0))
    curves = [np.interp(octaves, np.log2(EQ_KNOTS_HZ), ear) for ear in faults.eq_db]
    transfer = 10 ** ((np.array(curves) + np.array(faults.gain_db)[:, None]) / 20) + 0j
    transfer[1] *= np.exp(-2j * np.pi * frequency * faults.offset_us * 1e-6)
    spectra = fft.rfft(signals, size) * transfer.astype(np.complex64)
    return np.asarray(fft.irfft(spectra, size)[..., :length], np.float32)
