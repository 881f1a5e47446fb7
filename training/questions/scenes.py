"""Abstract scenes: ground truth without audio, in the layout of docs/architecture.md.

The language stage needs far more scenes than can be rendered; these cost microseconds. They cover the same ranges
as rendered ones, and plant near-equal distances and levels now and then, so that "about equal" is sometimes true.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from earshot.training.questions.view import LABELS, wrap_deg

Scene = dict[str, Any]
FASTEST_M_S = 6.0
"""Of what moves; between running and driving through a street."""


@dataclass(frozen=True)
class SceneRanges:
    """What abstract scenes are drawn from.

    Attributes
    ----------
    source_shares : tuple of float
        Shares of scenes with 0, 1, 2, 3 sources.
    duration_s, distance_m : tuple of float
        Smallest and largest value (uniform; log-uniform).
    level_share : float
        Share of sources near ear height; the rest is uniform in -40..90 degrees.
    equal_share : float
        Share of scenes where two sources get nearly the same distance, and of those with nearly the same level.
    start_share : float
        Share of sources that sound from the very beginning.
    moving_share : float
        Share of sources that move, at the same speed along a straight line.
    """

    source_shares: tuple[float, float, float, float] = (0.06, 0.20, 0.37, 0.37)
    duration_s: tuple[float, float] = (5.0, 10.0)
    distance_m: tuple[float, float] = (0.3, 8.0)
    level_share: float = 0.6
    equal_share: float = 0.25
    start_share: float = 0.2
    moving_share: float = 0.25


def sample_scene(rng: random.Random, scene_id: str = "abstract", ranges: SceneRanges | None = None) -> Scene:
    """Draw one abstract scene.

    Parameters
    ----------
    rng : random.Random
        Source of randomness; the same state gives the same scene.
    scene_id : str
        Goes into `id`.
    ranges : SceneRanges, optional
        Distributions; the defaults match rendered scenes.

    Returns
    -------
    dict
        Scene JSON; `seed` is None because nothing can be rendered from it.
    """
    ranges = ranges or SceneRanges()
    duration_s = round(rng.uniform(*ranges.duration_s), 1)
    count = rng.choices(range(4), ranges.source_shares)[0]
    labels = rng.sample(range(len(LABELS)), count)
    sources = [_sample_source(LABELS[index].key, duration_s, rng, ranges) for index in labels]
    _plant_equals(sources, rng, ranges.equal_share)
    return {
        "id": scene_id, "seed": None, "split": "abstract", "duration_s": duration_s, "sample_rate_hz": 16000,
        "sources": sources,
        "room": {"kind": "free", "name": "abstract", "size_m": None, "t60_s": 0.0},
        "head": {"id": "abstract", "yaw": [{"time_s": 0.0, "yaw_deg": 0.0}]},
        "ambience": {"kind": "none", "snr_db": None}, "interferers": [],
    }  # fmt: skip


def _sample_source(key: str, duration_s: float, rng: random.Random, ranges: SceneRanges) -> dict[str, Any]:
    near_m, far_m = ranges.distance_m
    onset_s = 0.0 if rng.random() < ranges.start_share else rng.uniform(0.0, duration_s - 1.0)
    offset_s = min(duration_s, onset_s + rng.uniform(0.7, duration_s))
    at_ear_height = rng.random() < ranges.level_share
    point = {
        "time_s": 0.0,
        "azimuth_deg": wrap_deg(rng.uniform(-180.0, 180.0)),
        "elevation_deg": rng.gauss(0.0, 4.0) if at_ear_height else rng.uniform(-40.0, 90.0),
        "distance_m": math.exp(rng.uniform(math.log(near_m), math.log(far_m))),
    }
    moves = at_ear_height and offset_s - onset_s >= 1.0 and rng.random() < ranges.moving_share
    points = _straight_way(point, onset_s, offset_s, rng, ranges) if moves else [point]
    return {
        "label": key, "clip": "", "group": "", "onset_s": onset_s, "offset_s": offset_s,
        "gain_db": 0.0, "level_db": rng.uniform(-45.0, -15.0), "trajectory": points,
    }  # fmt: skip


def _straight_way(
    start: dict[str, float], onset_s: float, offset_s: float, rng: random.Random, ranges: SceneRanges
) -> list[dict[str, float]]:
    """Points every 0.2 s on a straight line from a place to another one: on the same bearing, past the head, or anywhere."""
    near_m, far_m = ranges.distance_m
    goal_m = math.exp(rng.uniform(math.log(near_m), math.log(far_m)))
    turn_deg = rng.choice((rng.gauss(0.0, 8.0), 180.0 + rng.gauss(0.0, 40.0), rng.uniform(-180.0, 180.0)))
    goal_deg = start["azimuth_deg"] + turn_deg
    ends = [_on_floor(start["azimuth_deg"], start["distance_m"]), _on_floor(goal_deg, goal_m)]
    count = max(2, math.ceil((offset_s - onset_s) / 0.2) + 1)
    points = []
    for step in range(count):
        part = step / (count - 1)
        x, y = ((1 - part) * one + part * other for one, other in zip(*ends, strict=True))
        time_s = onset_s + part * (offset_s - onset_s)
        points.append(
            {**start, "time_s": time_s, "azimuth_deg": math.degrees(math.atan2(y, x)), "distance_m": math.hypot(x, y)}
        )
    speed_m_s = math.dist(*ends) / (offset_s - onset_s)
    nearest_m = min(point["distance_m"] for point in points)
    return points if nearest_m >= 0.2 and speed_m_s <= FASTEST_M_S else [start]


def _on_floor(azimuth_deg: float, distance_m: float) -> tuple[float, float]:
    """Metres to the front and to the left."""
    angle = math.radians(azimuth_deg)
    return distance_m * math.cos(angle), distance_m * math.sin(angle)


def _plant_equals(sources: list[dict[str, Any]], rng: random.Random, share: float) -> None:
    if len(sources) < 2:
        return
    first, second = rng.sample(sources, 2)
    if max(len(source["trajectory"]) for source in (first, second)) > 1:
        return
    if rng.random() < share:
        distance_m = first["trajectory"][0]["distance_m"] * rng.uniform(0.95, 1.05)
        second["trajectory"][0]["distance_m"] = distance_m
    if rng.random() < share:
        second["level_db"] = first["level_db"] + rng.uniform(-0.8, 0.8)
    if rng.random() < share:
        second["trajectory"][0]["azimuth_deg"] = wrap_deg(first["trajectory"][0]["azimuth_deg"] + rng.uniform(-5, 5))
    if rng.random() < share:
        _start_together(first, second, rng)


def _start_together(first: dict[str, Any], second: dict[str, Any], rng: random.Random) -> None:
    length_s = second["offset_s"] - second["onset_s"]
    limit_s = max(first["offset_s"], second["offset_s"])
    second["onset_s"] = max(0.0, first["onset_s"] + rng.uniform(-0.1, 0.1))
    second["offset_s"] = max(second["onset_s"] + 0.5, min(limit_s, second["onset_s"] + length_s))
