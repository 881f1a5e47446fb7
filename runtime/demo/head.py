"""A simple listener in a simple room: spherical head, pinna shadow, image sources; in the frequency domain.

Head: delay after Woodworth (Experimental Psychology, 1938) and first-order shadow filter after Brown & Duda
("A structural model for binaural sound synthesis", 1998). A sphere hears front and back alike, so sounds from
behind lose their highest part, as a pinna shadows them (Blauert, Spatial Hearing, 1997). Room: image sources
to second order (Allen & Berkley, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import unit_vector

SAMPLE_RATE_HZ = 16_000
SPEED_OF_SOUND_M_S = 343.0
HEAD_RADIUS_M = 0.0875
_SHADOW_MINIMUM = 0.1
_SHADOW_ANGLE_RAD = np.deg2rad(150.0)
_PINNA_CORNER_HZ = 3_500.0
_PINNA_SHADOW_DB = 9.0

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class Room:
    """A box with the listener in it.

    Attributes
    ----------
    size_m : tuple of float
        Length (along the front direction), width, height.
    listener_m : tuple of float
        Place of the head, from the corner behind, right, below.
    reflection : float
        Amplitude that a wall sends back, 0 to 1.
    order : int
        Highest number of reflections of one path.
    """

    size_m: tuple[float, float, float] = (5.2, 4.4, 2.6)
    listener_m: tuple[float, float, float] = (2.3, 2.1, 1.3)
    reflection: float = 0.55
    order: int = 2


def binaural(sound: Floats, azimuth_deg: float, elevation_deg: float, distance_m: float, room: Room) -> Floats:
    """Both ear signals of a mono sound at one place in a room.

    Parameters
    ----------
    sound : ndarray [n]
        At 16 kHz; as loud as at 1 m.
    azimuth_deg, elevation_deg, distance_m : float
        Place relative to the head, azimuth positive to the left.
    room : Room
        The source may stand outside; then it is heard as if the wall were further away.

    Returns
    -------
    ndarray, float64 [2, n + 3200]
        Left ear first, with 0.2 s for the last reflections.
    """
    length = len(sound) + round(0.2 * SAMPLE_RATE_HZ)
    frequency_hz = np.asarray(np.fft.rfftfreq(2 * length, 1 / SAMPLE_RATE_HZ), np.float64)
    spectrum = np.fft.rfft(sound, 2 * length)
    place = np.asarray(unit_vector(azimuth_deg, elevation_deg) * distance_m, np.float64)
    transfer = np.zeros((2, len(frequency_hz)), np.complex128)
    for image, gain in _images(place, room):
        transfer += gain * _head_transfer(image, frequency_hz)
    ears: Floats = np.fft.irfft(spectrum * transfer, 2 * length, axis=-1)
    return ears[:, :length]


def ear_delays_s(azimuth_deg: float, elevation_deg: float = 0.0) -> tuple[float, float]:
    """Delay of the left and right ear against the centre of the head, seconds; negative = earlier."""
    incidence = _incidence_rad(unit_vector(azimuth_deg, elevation_deg))
    left, right = (_delay_s(angle) for angle in incidence)
    return left, right


def _images(place: Floats, room: Room) -> list[tuple[Floats, float]]:
    """Places (relative to the head) and amplitudes of the source and its mirror images."""
    listener, size = np.array(room.listener_m), np.array(room.size_m)
    source = place + listener
    images: list[tuple[Floats, float]] = []
    for number in product(range(-room.order, room.order + 1), repeat=3):
        bounces = sum(abs(n) for n in number)
        if bounces <= room.order:
            index = np.array(number)
            mirrored = index * size + np.where(index % 2 == 0, source, size - source)
            images.append((np.asarray(mirrored - listener, np.float64), room.reflection**bounces))
    return images


def _head_transfer(place: Floats, frequency_hz: Floats) -> Complexes:
    """Transfer of one path to both ears: distance, delay, head shadow, pinna shadow: [2, bins]."""
    distance_m = max(float(np.linalg.norm(place)), 0.2)
    direction = place / distance_m
    pinna = _pinna(float(direction[0]), frequency_hz)
    ears = []
    for angle in _incidence_rad(direction):
        delay_s = distance_m / SPEED_OF_SOUND_M_S + _delay_s(angle)
        turn = np.exp(-2j * np.pi * frequency_hz * delay_s)
        ears.append(_shadow(angle, frequency_hz) * pinna * turn / distance_m)
    return np.stack(ears)


def _incidence_rad(direction: Floats) -> tuple[float, float]:
    """Angle between the direction and the left and right ear axis, 0 to pi."""
    to_left = float(np.arccos(np.clip(direction[1], -1.0, 1.0)))
    return to_left, float(np.pi) - to_left


def _delay_s(angle_rad: float) -> float:
    """Woodworth's delay of an ear: straight to the near side, around the sphere to the far side."""
    radius_s = HEAD_RADIUS_M / SPEED_OF_SOUND_M_S
    if angle_rad < np.pi / 2:
        return float(-radius_s * np.cos(angle_rad))
    return float(radius_s * (angle_rad - np.pi / 2))


def _shadow(angle_rad: float, frequency_hz: Floats) -> Complexes:
    """Brown & Duda's one-pole one-zero filter: +6 dB at high frequencies facing the ear, a shadow behind."""
    corner = 2.0 * SPEED_OF_SOUND_M_S / HEAD_RADIUS_M
    turn = np.cos(np.pi * angle_rad / _SHADOW_ANGLE_RAD)
    alpha = (1 + _SHADOW_MINIMUM / 2) + (1 - _SHADOW_MINIMUM / 2) * turn
    s = 2j * np.pi * frequency_hz
    return np.asarray((alpha * s + corner) / (s + corner))


def _pinna(front: float, frequency_hz: Floats) -> Floats:
    """Gain of a shelf that takes up to 9 dB from the highs of sounds from behind; `front` is -1 to 1."""
    shadow_db = _PINNA_SHADOW_DB * max(0.0, -front)
    high = 1.0 / (1.0 + (_PINNA_CORNER_HZ / np.maximum(frequency_hz, 1.0)) ** 4)
    return np.asarray(10.0 ** (-shadow_db * high / 20.0))
