"""What a listener could tell of a scene: its sources in the rounding of evidence lines, and the words for places."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from earshot.runtime.labels import Label, load_labels

LABELS = load_labels()
BY_KEY: dict[str, Label] = {label.key: label for label in LABELS}

SECTORS = ("front", "front left", "left", "back left", "behind", "back right", "right", "front right")
"""The eight directions, counter-clockwise from the front, 45 degrees each."""


def wrap_deg(angle_deg: float) -> float:
    """Bring an angle into (-180, 180] degrees."""
    wrapped = -((-angle_deg + 180.0) % 360.0 - 180.0)
    return 180.0 if wrapped == -180.0 else wrapped


def wrap_int(angle_deg: int) -> int:
    """Bring a whole angle into (-180, 180] degrees."""
    return 180 - (180 - angle_deg) % 360


def round_azimuth(azimuth_deg: float) -> int:
    """Azimuth as evidence lines state it: a multiple of 5 in (-180, 180]."""
    return wrap_int(5 * round(azimuth_deg / 5.0))


def sector_of(azimuth_deg: float, margin_deg: float = 0.0) -> int | None:
    """Index into `SECTORS`; None when the direction lies within `margin_deg` of a border (ambiguous)."""
    index = round(azimuth_deg / 45.0)
    if abs(azimuth_deg - 45.0 * index) > 22.5 - margin_deg:
        return None
    return index % 8


def side_words(azimuth_deg: int) -> str:
    """A whole azimuth in words: `35 degrees left`, `straight ahead`, `straight behind`."""
    if azimuth_deg == 0:
        return "straight ahead"
    if abs(azimuth_deg) == 180:
        return "straight behind"
    return f"{abs(azimuth_deg)} degrees {'left' if azimuth_deg > 0 else 'right'}"


@dataclass(frozen=True)
class Heard:
    """One source as a listener could state it (rounded as in evidence lines), beside its exact values.

    Attributes
    ----------
    label : Label
        Entry of the label table.
    azimuth_deg, elevation_deg : int
        Multiples of 5 and 10 degrees.
    distance_m, onset_s, offset_s : float
        One decimal.
    level_db : int
        Level at the ears, dB re the loudest sound of the scene where it is part of one: no listener knows the gain of the microphones.
    exact : tuple of float
        Azimuth, elevation (degrees), distance (m), onset, offset (s), level (dB), not rounded.
    """

    label: Label
    azimuth_deg: int
    elevation_deg: int
    distance_m: float
    onset_s: float
    offset_s: float
    level_db: int
    exact: tuple[float, float, float, float, float, float]

    @property
    def key(self) -> str:
        """Class key."""
        return self.label.key

    @property
    def name(self) -> str:
        """Spoken label."""
        return self.label.spoken

    @property
    def duration_s(self) -> float:
        """Length of the audible part by the rounded times, s."""
        return round(self.offset_s - self.onset_s, 1)


def hear(source: Mapping[str, Any]) -> Heard:
    """Read one source of a scene JSON; a moving source is stated where it is in the middle of its audible part."""
    onset_s, offset_s = float(source["onset_s"]), float(source["offset_s"])
    point = _point_at(source["trajectory"], 0.5 * (onset_s + offset_s))
    azimuth_deg, elevation_deg = float(point["azimuth_deg"]), float(point["elevation_deg"])
    distance_m, level_db = float(point["distance_m"]), float(source.get("level_db", -30.0))
    return Heard(
        BY_KEY[source["label"]], round_azimuth(azimuth_deg), 10 * round(elevation_deg / 10.0),
        max(0.1, round(distance_m, 1)), round(onset_s, 1), round(offset_s, 1), round(level_db),
        (azimuth_deg, elevation_deg, distance_m, onset_s, offset_s, level_db),
    )  # fmt: skip


def _point_at(trajectory: Sequence[Mapping[str, float]], time_s: float) -> Mapping[str, float]:
    return min(trajectory, key=lambda point: abs(point["time_s"] - time_s))


ABSENT_SHARE = 0.2
"""Share of open and number questions about a sound that is not there, where nothing else is said. Frozen sets depend on it."""


@dataclass(frozen=True)
class SceneView:
    """The sources of a scene in order of onset.

    Attributes
    ----------
    scene_id : str
        Id of the scene JSON.
    heard : tuple of Heard
        Sources in order of onset.
    duration_s : float
        Length of the scene.
    pool : sequence of str
        Class keys that absent sounds are drawn from: the labels present in recent scenes, so that how often a label
        is asked about does not tell whether it is there. Empty: all labels alike.
    absent_share : float
        Share of open and number questions about a sound that is not there.
    """

    scene_id: str
    heard: tuple[Heard, ...]
    duration_s: float
    pool: Sequence[str] = ()
    absent_share: float = ABSENT_SHARE

    @cached_property
    def present(self) -> frozenset[str]:
        """Class keys that sound in the scene."""
        return frozenset(heard.key for heard in self.heard)

    def absent(self, rng: random.Random, count: int = 1) -> list[Label]:
        """Draw `count` different labels that do not sound in the scene."""
        found: list[Label] = []
        while len(found) < count:
            label = BY_KEY[rng.choice(self.pool)] if len(self.pool) > 200 else rng.choice(LABELS)
            if label.key not in self.present and label not in found:
                found.append(label)
        return found


def view_scene(scene: Mapping[str, Any], pool: Sequence[str] = ()) -> SceneView:
    """Read a scene JSON.

    Parameters
    ----------
    scene : mapping
        Scene JSON of docs/architecture.md.
    pool : sequence of str
        See `SceneView`.

    Raises
    ------
    KeyError
        A field is missing or a label is not in the table.
    """
    heard = sorted((hear(source) for source in scene["sources"]), key=lambda h: (h.onset_s, h.exact[3]))
    loudest_db = max((h.level_db for h in heard), default=0)
    heard = [replace(h, level_db=h.level_db - loudest_db) for h in heard]
    return SceneView(str(scene["id"]), tuple(heard), float(scene["duration_s"]), pool)
