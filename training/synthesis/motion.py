"""Motion: where sources and the listener are, and where the head points, as functions of time.

Positions are in the coordinates of the room (metres, z up); a thing that stands still is a track of one point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.02
"""Spacing of the points of a track; between them it is a straight line."""
WALKING_M_S = (0.5, 2.0)
VEHICLE_M_S = (5.0, 15.0)
ROUNDING_S = 0.5
"""How long a walker takes round a corner."""
TURN_DEG = (20.0, 120.0)
# A head turns by 90 degrees in about half a second when it is in a hurry (peak near 300 degrees a second).
TURN_DEG_S = (40.0, 160.0)
PAUSE_S = (0.3, 3.0)

FloatArray = NDArray[np.float64]
PointSampler = Callable[[], FloatArray]


@dataclass(frozen=True)
class Track:
    """Something over time.

    Attributes
    ----------
    time_s : float64 [T]
        Rising.
    values : float64 [T, K]
        Positions (K = 3, metres) or yaw (K = 1, degrees, positive = left).
    """

    time_s: FloatArray
    values: FloatArray

    def at(self, time_s: FloatArray) -> FloatArray:
        """Values [N, K] at times [N]: straight between the points, held before the first and after the last."""
        return np.stack([np.interp(time_s, self.time_s, column) for column in self.values.T], axis=-1)

    @property
    def still(self) -> bool:
        """Whether it never changes."""
        return bool(np.all(self.values == self.values[0]))


def still(value: NDArray[np.floating]) -> Track:
    """A track that stays at one value [K]."""
    return Track(np.zeros(1), np.asarray(value, np.float64)[None])


def walk(start_m: FloatArray, draw: PointSampler, speed_m_s: float, duration_s: float) -> Track:
    """A walk along straight lines between random points, with rounded corners.

    Parameters
    ----------
    start_m : float [3]
        Where it begins; the height is kept.
    draw : callable
        Gives points [3] to walk to. If they and the start lie in a convex region, so does the walk.
    speed_m_s : float
        Speed on the straight lines; slower where corners are rounded.
    duration_s : float
    """
    corners, lengths = [start_m], [0.0]
    while lengths[-1] < speed_m_s * (duration_s + 2 * ROUNDING_S):
        corner = draw()
        corner[2] = start_m[2]
        leg = float(np.linalg.norm(corner - corners[-1]))
        if leg > 0.05:
            corners.append(corner)
            lengths.append(lengths[-1] + leg)
    time = np.arange(0.0, duration_s + STEP_S, STEP_S)
    half = round(ROUNDING_S / STEP_S / 2)
    # The walk is cut out of a longer one, so that rounding does not slow its ends.
    longer: FloatArray = np.arange(0.0, len(time) + 2 * half) * (STEP_S * speed_m_s)
    line = Track(np.array(lengths), np.array(corners)).at(longer)
    window = np.hanning(2 * half + 3)[1:-1]
    smooth = np.stack([np.convolve(column, window / window.sum(), "valid") for column in line.T], axis=-1)
    return Track(time, smooth)


def pass_by(
    listener_m: FloatArray,
    closest_m: float,
    height_m: float,
    speed_m_s: float,
    duration_s: float,
    rng: np.random.Generator,
) -> Track:
    """A vehicle on a straight road: nearest to the listener at a random time, in a random direction.

    Parameters
    ----------
    listener_m : float [3]
        Place that the road passes.
    closest_m : float
        Distance of the road, in the plane.
    height_m : float
        Height of the vehicle's sound above the ground.
    """
    angle = rng.uniform(-np.pi, np.pi)
    outward = np.array([np.cos(angle), np.sin(angle), 0.0])
    along = np.array([-np.sin(angle), np.cos(angle), 0.0]) * rng.choice((-1.0, 1.0))
    time = np.arange(0.0, duration_s + STEP_S, STEP_S)
    travelled = speed_m_s * (time - rng.uniform(0.1, 0.9) * duration_s)
    points = np.array([listener_m[0], listener_m[1], 0.0]) + closest_m * outward + travelled[:, None] * along
    points[:, 2] = height_m
    # A vehicle also moves before the scene begins, when the sound is emitted that is heard first.
    before = points[0] - 0.5 * speed_m_s * along
    return Track(np.concatenate([[-0.5], time]), np.concatenate([before[None], points]))


def head_turns(duration_s: float, rng: np.random.Generator) -> Track:
    """Yaw of a head that looks around: turns of minimum jerk (Flash & Hogan 1985) with pauses; starts at 0."""
    time = np.arange(0.0, duration_s + STEP_S, STEP_S)
    yaw = np.zeros(len(time))
    begin = float(rng.uniform(0.0, 1.5))
    while begin < duration_s:
        turn = float(rng.uniform(*TURN_DEG) * rng.choice((-1.0, 1.0)))
        lasts = abs(turn) / float(rng.uniform(*TURN_DEG_S))
        x = np.clip((time - begin) / lasts, 0.0, 1.0)
        yaw += turn * (10 * x**3 - 15 * x**4 + 6 * x**5)
        begin += lasts + float(rng.uniform(*PAUSE_S))
    return Track(time, yaw[:, None])


def keyframes(duration_s: float, moved_m: float, turned_deg: float) -> FloatArray:
    """Times at which the late part of a room's response is taken anew: every 0.7 m or 45 degrees, 12 at most."""
    count = int(np.clip(np.ceil(max(moved_m / 0.7, turned_deg / 45.0)) + 1, 2, 12))
    return np.linspace(0.0, duration_s, count)


def travelled_m(points: FloatArray) -> float:
    """Length of a path [T, 3]."""
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
