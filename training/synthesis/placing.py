"""Where a dynamic scene takes place, and where its sources stand, walk or drive.

Whether and how a source moves is drawn without regard to its class, so that a label tells nothing about motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths, angles_of, unit_vector
from earshot.training.synthesis.heads import Head
from earshot.training.synthesis.motion import (
    VEHICLE_M_S,
    WALKING_M_S,
    PointSampler,
    Track,
    head_turns,
    pass_by,
    still,
    walk,
)
from earshot.training.synthesis.paths import Scenery, space_of
from earshot.training.synthesis.render import World
from earshot.training.synthesis.rooms import MeasuredResponse
from earshot.training.synthesis.scenes import DynamicSettings, SceneSettings, sample_room

ELEVATION_DEG = (-40.0, 90.0)
LISTENER_M_S = (0.5, 1.5)
ROAD_M = (4.0, 15.0)
OUTDOOR_RADIUS_M = 8.0
GROUND_SHARE = 0.8
# Amplitude that comes back from grass and from asphalt, in the three bands of the renderer.
GRASS, ASPHALT = np.array([0.9, 0.6, 0.35]), np.array([0.98, 0.96, 0.92])
# No direction of the track is farther from one in which the head was measured.
COVERAGE_DEG = 12.0
SAME_CLASS_APART_DEG = 40.0
_TRIES = 80

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """Where a source is.

    Attributes
    ----------
    track : Track
        Its position in the coordinates of the room.
    motion : {"still", "walk", "vehicle"}
    speed_m_s : float
        0 for what stands still.
    measured : MeasuredResponse, optional
        In measured rooms: the response that says where it is; the track is then of no use.
    """

    track: Track
    motion: str = "still"
    speed_m_s: float = 0.0
    measured: MeasuredResponse | None = None


@dataclass(frozen=True)
class Stage:
    """Head, room and listener of one scene.

    Attributes
    ----------
    head : Head
    room : dict
        As in the scene description.
    scenery : Scenery
    settings : DynamicSettings
    measured : tuple of MeasuredResponse
        Responses of the measured room; empty elsewhere.
    """

    head: Head
    room: dict[str, Any]
    scenery: Scenery
    settings: DynamicSettings
    measured: tuple[MeasuredResponse, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the scene."""
        return self.settings.duration_s

    def place(self, rng: np.random.Generator, apart_from_deg: Sequence[float] = ()) -> Placed:
        """Put a source somewhere, still or moving; if possible well apart from some azimuths where it begins."""
        if self.measured:
            free = [r for r in self.measured if _apart(r.azimuth_deg, apart_from_deg)] or list(self.measured)
            return Placed(self.scenery.listener, measured=free[rng.integers(len(free))])
        moves = rng.random() < self.settings.moving_share
        drives = moves and self.room["kind"] == "free" and rng.random() < self.settings.vehicle_share
        for _ in range(_TRIES):
            candidate = self._vehicle(rng) if drives else self._walk(rng) if moves else self._still(rng)
            if self._fits(candidate, apart_from_deg):
                return candidate
        return self._still(rng)

    def _still(self, rng: np.random.Generator) -> Placed:
        """A place inside the room, in a direction in which the head was measured."""
        low, high = np.log(self.settings.distance_m)
        for _ in range(_TRIES):
            elevation = rng.normal(0, 6) if rng.random() < 0.6 else rng.uniform(*ELEVATION_DEG)
            wanted = unit_vector(rng.uniform(-180, 180), np.clip(elevation, *ELEVATION_DEG)).astype(np.float32)
            direction = self.head.directions[self.head.nearest(wanted[None])[0]].astype(np.float64)
            point = self._seen(direction, float(np.exp(rng.uniform(low, high))))
            if self._inside(point):
                return Placed(still(point))
        return Placed(still(self._seen(np.array([1.0, 0.0, 0.0]), self.settings.distance_m[0])))

    def _seen(self, direction: FloatArray, distance_m: float) -> FloatArray:
        """The point that is seen from the head in a direction when the scene begins."""
        angle = np.deg2rad(self.scenery.space.facing_deg)
        x, y, z = direction
        turned = np.array([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y, z])
        return np.asarray(self.scenery.listener.values[0] + distance_m * turned)

    def _inside(self, point: FloatArray) -> bool:
        box = self.scenery.space.box
        return box.contains(point) if box is not None else bool(point[2] > 0.05)

    def _walk(self, rng: np.random.Generator) -> Placed:
        speed = round(float(rng.uniform(*WALKING_M_S)), 2)
        start = self._still(rng).track.values[0]
        box = self.scenery.space.box
        draw = _outdoor_points(rng) if box is None else _indoor_points(rng, box.size_m, 0.2)
        return Placed(walk(start, draw, speed, self.duration_s), "walk", speed)

    def _vehicle(self, rng: np.random.Generator) -> Placed:
        speed = round(float(np.exp(rng.uniform(*np.log(VEHICLE_M_S)))), 2)
        closest, height = float(np.exp(rng.uniform(*np.log(ROAD_M)))), float(rng.uniform(0.4, 1.5))
        track = pass_by(self.scenery.listener.values[0], closest, height, speed, self.duration_s, rng)
        return Placed(track, "vehicle", speed)

    def _fits(self, placed: Placed, apart_from_deg: Sequence[float]) -> bool:
        """Whether it never comes too near, is always where the head was measured, and begins apart from its like."""
        time = np.arange(0.0, self.duration_s + 0.1, 0.1)
        offsets = self.scenery.in_head(placed.track.at(time) - self.scenery.listener.at(time), time)
        distance = np.linalg.norm(offsets, axis=1)
        if distance.min() < self.settings.distance_m[0] - 1e-6:
            return False
        directions = (offsets / distance[:, None]).astype(np.float32)
        nearest = self.head.directions[self.head.nearest(directions)]
        if (nearest * directions).sum(axis=1).min() < np.cos(np.deg2rad(COVERAGE_DEG)):
            return False
        return _apart(float(angles_of(offsets[0])[0]), apart_from_deg)


def _apart(azimuth_deg: float, others_deg: Sequence[float]) -> bool:
    return all(angle_between_azimuths(azimuth_deg, other) >= SAME_CLASS_APART_DEG for other in others_deg)


def set_stage(world: World, settings: DynamicSettings, head: Head, rng: np.random.Generator) -> Stage:
    """Draw the room and what the listener does in it."""
    kind = rng.random()
    if world.measured and kind < settings.measured_share:
        name = str(rng.choice(sorted({response.room for response in world.measured})))
        room: dict[str, Any] = {"kind": "brir", "name": name, "size_m": None, "t60_s": None}
        scenery = Scenery(space_of({"kind": "free"}), still(np.zeros(3)), still(np.zeros(1)))
        return Stage(head, room, scenery, settings, tuple(r for r in world.measured if r.room == name))
    if kind > 1.0 - settings.outdoor_share:
        room = _outdoors(rng)
    else:
        room = sample_room(SceneSettings(t60_s=settings.t60_s, free_share=0.0), rng)
    start = np.array(room["listener_m"])
    listener, yaw = still(start), still(np.zeros(1))
    if rng.random() < settings.walking_share:
        indoors = room["kind"] == "shoebox"
        draw = _indoor_points(rng, room["size_m"], 0.5) if indoors else _outdoor_points(rng)
        listener = walk(start, draw, float(rng.uniform(*LISTENER_M_S)), settings.duration_s)
    if rng.random() < settings.turning_share:
        yaw = head_turns(settings.duration_s, rng)
    return Stage(head, room, Scenery(space_of(room), listener, yaw), settings)


def _outdoors(rng: np.random.Generator) -> dict[str, Any]:
    ground = None
    if rng.random() < GROUND_SHARE:
        ground = [round(float(v), 3) for v in GRASS + rng.random() * (ASPHALT - GRASS)]
    ears = [0.0, 0.0, round(float(rng.uniform(1.1, 1.8)), 3)]
    fixed = {"kind": "free", "name": "outdoors", "size_m": None, "t60_s": 0.0}
    return {**fixed, "ground_reflection": ground, "listener_m": ears}


def _indoor_points(rng: np.random.Generator, size_m: Sequence[float], margin_m: float) -> PointSampler:
    return lambda: rng.uniform(margin_m, np.asarray(size_m) - margin_m)


def _outdoor_points(rng: np.random.Generator) -> PointSampler:
    def draw() -> FloatArray:
        angle, radius = rng.uniform(-np.pi, np.pi), OUTDOOR_RADIUS_M * np.sqrt(rng.random())
        return np.array([radius * np.cos(angle), radius * np.sin(angle), 0.0])

    return draw
