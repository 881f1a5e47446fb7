"""First-order ambisonics to two ears: virtual loudspeakers on the corners of a cube, heard through a head.

Below 700 Hz, where four channels can rebuild the sound field around a head, the decoder keeps pressure and velocity
(so interaural delays are right); above it, it maximises the energy vector (Gerzon 1992; Daniel 2000, "max-rE") and keeps
the energy. Level differences above 2 kHz come out smaller than those of the source itself: that is a limit of first
order, not of the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earshot.runtime.errors import InputError
from earshot.runtime.geometry import unit_vector
from earshot.training.synthesis.heads import Head

FloatArray = NDArray[np.float32]
Convention = Literal["ambix", "n3d", "fuma"]
CONVENTIONS: tuple[Convention, ...] = ("ambix", "n3d", "fuma")

ELEVATION_DEG = float(np.rad2deg(np.arcsin(1 / np.sqrt(3))))
CUBE = unit_vector([45, 135, -135, -45] * 2, [ELEVATION_DEG] * 4 + [-ELEVATION_DEG] * 4)
# First order rebuilds the field within c / (2 pi f) of the centre: 8 cm at 680 Hz, the radius of a head.
CROSSOVER_HZ = (500.0, 900.0)
MAX_RE = 1 / np.sqrt(3)  # weight of the first order for regular layouts in three dimensions
FFT_SIZE = 512
DELAY = 64  # room for the ringing of the crossover before the onset, cut off again after convolution
TAPS = 320
LARGEST_GAP_DEG = 25.0


@dataclass(frozen=True)
class EarFilters:
    """Filters from ambisonic channels to ears.

    Attributes
    ----------
    taps : float32 [2, 4, TAPS]
        Ear, channel (W, X, Y, Z; W with gain 1), time; delayed by `DELAY` samples.
    """

    taps: FloatArray

    def render(self, channels: NDArray[np.floating[Any]], convention: Convention = "ambix") -> FloatArray:
        """Two ears [2, samples] of first-order ambisonics [4, samples] at 16 kHz."""
        wxyz = to_wxyz(channels, convention)
        ears = oaconvolve(wxyz[None], self.taps, axes=-1).sum(axis=1)
        return np.asarray(ears[:, DELAY : DELAY + wxyz.shape[1]], np.float32)


def to_wxyz(channels: NDArray[np.floating[Any]], convention: Convention) -> NDArray[np.float64]:
    """Channels W, X, Y, Z in which a plane wave has the gains 1, x, y, z of its direction.

    Parameters
    ----------
    channels : float [4, samples]
    convention : {"ambix", "n3d", "fuma"}
        ``ambix``: order W Y Z X, SN3D (Nachbar et al. 2011). ``n3d``: the same order, first order times sqrt(3).
        ``fuma``: order W X Y Z, W divided by sqrt(2).

    Raises
    ------
    InputError
        Not four channels, or an unknown convention.
    """
    if channels.ndim != 2 or channels.shape[0] != 4:
        raise InputError(f"first-order ambisonics have 4 channels, these have shape {channels.shape}")
    if convention == "fuma":
        w, x, y, z = np.asarray(channels, np.float64)
        return np.stack([w * np.sqrt(2), x, y, z])
    if convention not in CONVENTIONS:
        raise InputError(f"ambisonics convention {convention!r}: choose {', '.join(CONVENTIONS)}")
    w, y, z, x = np.asarray(channels, np.float64)
    scale = 1 / np.sqrt(3) if convention == "n3d" else 1.0
    return np.stack([w, scale * x, scale * y, scale * z])


def encode(mono: NDArray[np.floating[Any]], azimuth_deg: float, elevation_deg: float = 0.0) -> NDArray[np.float64]:
    """A plane wave as first-order ambisonics [4, samples], AmbiX."""
    x, y, z = unit_vector(azimuth_deg, elevation_deg)
    return np.asarray(np.stack([mono, y * mono, z * mono, x * mono]), np.float64)


def ear_filters(head: Head) -> EarFilters:
    """Filters of a head.

    Raises
    ------
    InputError
        The head was not measured near the corners of the cube (35 degrees above and below the horizon).
    """
    index = head.nearest(CUBE.astype(np.float32))
    gap = np.rad2deg(np.arccos(np.clip((CUBE * head.directions[index]).sum(axis=1), -1, 1))).max()
    if gap > LARGEST_GAP_DEG:
        raise InputError(
            f"head {head.head_id}: {gap:.0f} degrees from a virtual loudspeaker to the nearest measured direction; "
            "take a head measured all around, at 35 degrees up and down"
        )
    speakers = np.fft.rfft(head.hrirs[index].astype(np.float64), FFT_SIZE)  # [speakers, ears, bins]
    frequency = np.arange(FFT_SIZE // 2 + 1) / FFT_SIZE
    spectrum = np.einsum("icf,ief->ecf", _decoder(), speakers) * np.exp(-2j * np.pi * frequency * DELAY)
    return EarFilters(np.fft.irfft(spectrum, FFT_SIZE)[..., :TAPS].astype(np.float32))


def _decoder() -> NDArray[np.float64]:
    """Gains [8 loudspeakers, 4 channels W X Y Z, bins] of the two-band decoder."""
    frequency = np.fft.rfftfreq(FFT_SIZE, 1 / 16_000)
    low, high = CROSSOVER_HZ
    turn = np.clip((frequency - low) / (high - low), 0, 1)
    below = 0.5 * (1 + np.cos(np.pi * turn))
    count = len(CUBE)
    # Both for a plane wave: gains add up to 1 (pressure) below, squared gains add up to 1 (energy) above.
    pressure = np.concatenate([np.ones((count, 1)), 3 * CUBE], axis=1) / count
    energy = np.concatenate([np.ones((count, 1)), 3 * MAX_RE * CUBE], axis=1) / count
    energy *= 1 / np.sqrt((energy**2 * np.array([1, 1 / 3, 1 / 3, 1 / 3])).sum())
    return np.asarray(pressure[..., None] * below + energy[..., None] * (1 - below))
