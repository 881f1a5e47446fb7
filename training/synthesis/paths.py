"""Ways of sound: from a source that may move, by way of walls or the ground, to a listener who may move and turn.

Every way is a mirror image of the source (Allen & Berkley, "Image method for efficiently simulating small-room
acoustics", JASA 65, 1979). The image of a moving source moves with it, mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.training.synthesis.heads import SPEED_OF_SOUND_M_S
from earshot.training.synthesis.motion import Track
from earshot.training.synthesis.render import shoebox_of
from earshot.training.synthesis.rooms import IMAGE_ORDER, Shoebox

CONTROL_S = 0.004
"""Spacing of the emission times at which a way is computed; between them its length is a straight line."""
SHORTEST_M = 0.1

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """What sound travels in.

    Attributes
    ----------
    signs, shifts_m : float64 [N, 3]
        Image n of a point p is at ``signs[n] * p + shifts_m[n]``; image 0 is the point itself.
    bounces : int [N]
        How many reflections a way has.
    damping : float64 [3, N]
        Amplitude factor of each way in the three bands of `Head.banded`.
    facing_deg : float
        Direction that yaw 0 faces in the coordinates of positions.
    box : Shoebox, optional
        The room; None outdoors.
    """

    signs: FloatArray
    shifts_m: FloatArray
    bounces: NDArray[np.intp]
    damping: FloatArray
    facing_deg: float
    box: Shoebox | None

    def images(self, points_m: FloatArray) -> FloatArray:
        """All images [N, T, 3] of points [T, 3]."""
        return np.asarray(self.signs[:, None] * points_m + self.shifts_m[:, None])

    def only(self, ways: NDArray[np.bool_]) -> Space:
        """The space with some of its ways."""
        return Space(
            self.signs[ways], self.shifts_m[ways], self.bounces[ways], self.damping[:, ways], self.facing_deg, self.box
        )


def space_of(room: dict[str, Any]) -> Space:
    """The space of a room description: a shoebox, or outdoors with or without a reflecting ground at height 0."""
    if room["kind"] == "shoebox":
        return _indoors(shoebox_of(room))
    ground = room.get("ground_reflection")
    ways = 1 if ground is None else 2
    signs = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])[:ways]
    damping = np.array([[1.0] * 3, ground or [0.0] * 3]).T[:, :ways]
    return Space(signs, np.zeros((ways, 3)), np.arange(ways), damping, 0.0, None)


def _indoors(box: Shoebox) -> Space:
    mirrored, period = np.array(list(product(product((0, 1), repeat=3), product(range(-2, 3), repeat=3)))).swapaxes(
        0, 1
    )
    bounces = (np.abs(period - mirrored) + np.abs(period)).sum(axis=1)
    order = np.argsort(bounces, kind="stable")[: int((bounces <= IMAGE_ORDER).sum())]
    mirrored, period, bounces = mirrored[order], period[order], bounces[order]
    amplitude = np.sqrt(1.0 - box.absorption())[:, None]
    shifts = 2.0 * period * np.asarray(box.size_m)
    return Space(1.0 - 2.0 * mirrored, shifts, bounces, amplitude**bounces, box.facing_deg, box)


@dataclass(frozen=True)
class Scenery:
    """A space with a listener in it.

    Attributes
    ----------
    listener : Track
        Position of the head's centre, [T, 3].
    yaw : Track
        Degrees, positive = left, [T, 1].
    """

    space: Space
    listener: Track
    yaw: Track

    @property
    def still(self) -> bool:
        """Whether the listener neither moves nor turns."""
        return self.listener.still and self.yaw.still

    def in_head(self, offsets_m: FloatArray, time_s: FloatArray) -> FloatArray:
        """Vectors [..., T, 3] from the head in the head's own coordinates at times [T]."""
        angle = np.deg2rad(self.space.facing_deg + self.yaw.at(time_s)[:, 0])
        c, s = np.cos(angle), np.sin(angle)
        x, y, z = np.moveaxis(offsets_m, -1, 0)
        return np.stack([c * x + s * y, c * y - s * x, z], axis=-1)


@dataclass(frozen=True)
class Flight:
    """When sound that leaves a source is heard, by every way.

    Attributes
    ----------
    emission_s : float64 [J]
    arrival_s, distance_m : float64 [N, J]
        For each way; arrival rises with emission.
    offsets_m : float64 [N, J, 3]
        From the head (at arrival) to the image (at emission), in the coordinates of the room.
    """

    emission_s: FloatArray
    arrival_s: FloatArray
    distance_m: FloatArray
    offsets_m: FloatArray

    def emitted(self, way: int, heard_s: FloatArray) -> FloatArray:
        """When that was emitted which is heard at times [T]."""
        return np.asarray(np.interp(heard_s, self.arrival_s[way], self.emission_s))

    def offset(self, way: int, heard_s: FloatArray) -> FloatArray:
        """Vectors [T, 3] from the head to the place that a sound heard at times [T] comes from."""
        columns = self.offsets_m[way].T
        return np.stack([np.interp(heard_s, self.arrival_s[way], column) for column in columns], axis=-1)


def fly(scenery: Scenery, source: Track, start_s: float, end_s: float) -> Flight:
    """Follow the sound that a source emits from ``start_s`` to ``end_s``."""
    count = max(2, int(np.ceil((end_s - start_s) / CONTROL_S)) + 1)
    emission = np.linspace(start_s, end_s, count)
    images = scenery.space.images(source.at(emission))
    arrival = np.broadcast_to(emission, images.shape[:2])
    # The listener walks on while the sound is under way; each step is a few hundred times nearer to the truth.
    for _ in range(3):
        offsets = images - _positions(scenery.listener, arrival)
        distance = np.maximum(np.linalg.norm(offsets, axis=-1), SHORTEST_M)
        arrival = emission + distance / SPEED_OF_SOUND_M_S
    return Flight(emission, arrival, distance, offsets)


def _positions(listener: Track, time_s: FloatArray) -> FloatArray:
    return listener.at(time_s.ravel()).reshape(*time_s.shape, 3)
