"""What is in a scene: the settings of the random sampler and the scene description (ground truth).

A scene is first described (JSON) and then rendered; the same description and seed give the same audio, bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation"]
Scene = dict[str, Any]

# Heads and measured rooms kept out of training. KU100 is the head of the BBC and SARC rooms: real-room figures are
# therefore on a head and in rooms that were never heard. Every pinna of KEMAR counts as one head.
VALIDATION_HEADS = frozenset(
    [
        "KU100_HRIR_L2702",
        "KU100_HRIR_CIRC360",
        "MIT_KEMAR_normal_pinna",
        "MIT_KEMAR_large_pinna",
        "SADIE_Subject_002_DFC_48k",
        "LISTEN_IRC_1002",
        "CIPIC_021",
        "CIPIC_003",
        "CIPIC_028",
        "CIPIC_059",
        "CIPIC_126",
        "CIPIC_137",
        "CIPIC_162",
    ]
)
# The same two dummy heads as their own collections name them: TH Koeln (HRIR_L2702), SADIE (subjects 1 and 2), SADIE II (D1, D2),
# CIPIC (subjects 21 and 165 are KEMAR with large and small pinnae); and LISTEN's subject 1002 as 3DTI names it.
_VALIDATION_OTHER_NAMES = re.compile(
    r"KU[ _-]?100|KEMAR|^HRIR_(L\d|CIRC|FULL)|^SADIE_Subject_00[12]_|^D[12]_\d+K_|^(CIPIC|subject)_(021|165)$|IRC_?1002",
    re.IGNORECASE,
)
VALIDATION_ROOMS = frozenset({"bbcrd", "sarc-pdn", "sarc-pup"})
# Backgrounds kept out of training, by file stem.
VALIDATION_AMBIENCES = frozenset({"boat", "city", "storm"})
TRAINING_FOLDS = (1, 2, 3)
VALIDATION_FOLDS = (4,)


def is_validation_head(stem: str) -> bool:
    """Whether a SOFA file of this name (without suffix) is of a head that training must not hear."""
    return stem in VALIDATION_HEADS or _VALIDATION_OTHER_NAMES.search(stem) is not None


@dataclass(frozen=True)
class SceneSettings:
    """Ranges of the random scene sampler.

    Attributes
    ----------
    duration_s : float
        Length of a scene, seconds.
    sources : int
        Sources in a scene (stems; mixtures take some or all of them).
    distance_m : (float, float)
        Log-uniform range of source distances.
    t60_s : (float, float)
        Log-uniform range of reverberation times of shoebox rooms.
    free_share, measured_share : float
        Share of scenes without a room and in a measured room.
    ambience_snr_db : (float, float)
        Level of the sources over the background.
    directional_share : float
        Share of the sources in shoebox rooms that radiate more, or less, to the listener than elsewhere. None in frozen sets.
    keep_distance : bool
        A distance that does not fit into the room in one direction is tried in others before it is shortened; otherwise both
        are drawn anew, which makes far sources rare (17 % of the frozen ones are beyond 2 m).
    """

    duration_s: float = 10.0
    sources: int = 4
    distance_m: tuple[float, float] = (0.3, 8.0)
    t60_s: tuple[float, float] = (0.1, 1.0)
    free_share: float = 0.12
    measured_share: float = 0.06
    ambience_snr_db: tuple[float, float] = (6.0, 40.0)
    directional_share: float = 0.0
    keep_distance: bool = False
    heads: tuple[str, ...] = field(default=())


TRAINING_SCENES = SceneSettings(directional_share=0.5, keep_distance=True)
"""Of still training scenes: people and loudspeakers do not radiate alike in all directions, and far sources are not rare."""


@dataclass(frozen=True)
class DynamicSettings:
    """Ranges of the sampler of dynamic scenes.

    Attributes
    ----------
    duration_s : float
        Length of a scene, seconds.
    sources : (int, int)
        Fewest and most labelled sources.
    overlap : int
        How many labelled sources sound at the same time, at most.
    distance_m : (float, float)
        Log-uniform range of the distance at which a source begins; vehicles go beyond it.
    t60_s : (float, float)
        Log-uniform range of reverberation times.
    outdoor_share, measured_share : float
        Share of scenes outdoors, and in measured rooms (where nothing moves).
    moving_share, vehicle_share : float
        Share of sources that move, and of these (outdoors) that drive.
    turning_share, walking_share : float
        Share of scenes in which the listener's head turns, and in which the listener walks.
    same_class_share : float
        Share of scenes with two sources of the same class.
    interferer_share, fault_share : float
        Share of scenes with one or two unlabelled sounds, and with microphone faults.
    ambience_snr_db : (float, float)
        Level of the sources over the background.
    """

    duration_s: float = 10.0
    sources: tuple[int, int] = (1, 5)
    overlap: int = 3
    distance_m: tuple[float, float] = (0.25, 10.0)
    t60_s: tuple[float, float] = (0.1, 1.5)
    outdoor_share: float = 0.25
    measured_share: float = 0.06
    moving_share: float = 0.5
    vehicle_share: float = 0.4
    turning_share: float = 0.5
    walking_share: float = 0.25
    same_class_share: float = 0.15
    interferer_share: float = 0.3
    fault_share: float = 0.5
    ambience_snr_db: tuple[float, float] = (0.0, 30.0)


MOVING_STEMS = DynamicSettings(
    sources=(1, 4),
    distance_m=(0.3, 8.0),
    turning_share=0.0,
    walking_share=0.0,
    same_class_share=0.0,
    interferer_share=0.0,
)
"""Scenes of moving sources for remixing: one listener who stands still, so that any of the sources may be left out."""


def contradiction(scene: Scene, settings: SceneSettings | DynamicSettings) -> str | None:
    """What shows that a scene was drawn with other settings, such as ``lasts 8 s, not 10``; None if nothing does."""
    sources = len(scene["sources"])
    if scene["duration_s"] != settings.duration_s:
        return f"lasts {scene['duration_s']:g} s, not {settings.duration_s:g}"
    if isinstance(settings, SceneSettings):
        return f"has {sources} sources, not {settings.sources}" if sources != settings.sources else None
    return f"has {sources} sources, more than {settings.sources[1]}" if sources > settings.sources[1] else None


def sample_room(settings: SceneSettings, rng: np.random.Generator) -> dict[str, Any]:
    """Describe a shoebox room with the listener in it, or free field."""
    if rng.random() < settings.free_share:
        return {"kind": "free", "name": None, "size_m": None, "t60_s": 0.0}
    low, high = np.log(settings.t60_s)
    width = np.exp(rng.uniform(np.log(2.6), np.log(12.0), 2))
    size = [float(width[0]), float(width[1]), float(rng.uniform(2.3, 2.6 + 0.25 * width.min()))]
    t60 = float(np.exp(rng.uniform(low, high)))
    # Small rooms cannot be very reverberant without walls of glass, halls cannot be dead.
    volume_factor = (np.prod(size) / 60.0) ** 0.15
    t60 = float(np.clip(t60 * volume_factor, *settings.t60_s))
    slope = rng.uniform(0.8, 1.3), 1.0, rng.uniform(0.5, 1.0)
    return {
        "kind": "shoebox",
        "name": None,
        "size_m": [round(v, 3) for v in size],
        "t60_s": round(t60, 3),
        "t60_bands_s": [round(max(0.08, t60 * s), 3) for s in slope],
        "listener_m": [round(float(rng.uniform(0.5, v - 0.5)), 3) for v in size[:2]]
        + [round(float(rng.uniform(1.0, min(1.8, size[2] - 0.4))), 3)],
        "facing_deg": round(float(rng.uniform(-180, 180)), 1),
    }


def sample_direction(rng: np.random.Generator) -> tuple[float, float]:
    """Azimuth uniform over the circle; elevation near ear height in six of ten cases, else -40..80 degrees."""
    elevation = rng.normal(0, 6) if rng.random() < 0.6 else rng.uniform(-40, 80)
    return float(rng.uniform(-180, 180)), float(np.clip(elevation, -40, 80))


def sample_span(duration_s: float, rng: np.random.Generator) -> tuple[float, float]:
    """Onset and longest duration of an event inside a scene, seconds."""
    length = float(np.exp(rng.uniform(np.log(0.8), np.log(duration_s))))
    onset = float(rng.uniform(0.0, max(0.05, duration_s - min(length, duration_s) - 0.1)))
    return onset, min(length, duration_s - onset)


def restrict(scene: Scene, keep: list[int], duration_s: float | None = None, scene_id: str | None = None) -> Scene:
    """The scene with only some of its sources, cut at ``duration_s``; sources heard for under 0.3 s are left out."""
    end = duration_s or scene["duration_s"]
    sources = []
    for index in keep:
        source = dict(scene["sources"][index])
        if source["onset_s"] > end - 0.3:
            continue
        source["offset_s"] = min(source["offset_s"], end)
        kept = [point for point in source["trajectory"] if point["time_s"] <= source["offset_s"]]
        source["trajectory"] = kept or source["trajectory"][:1]
        source["stem"] = index
        sources.append(source)
    return {**scene, "sources": sources, "duration_s": end, "id": scene_id or scene["id"]}


def stands_still(scene: Scene) -> bool:
    """Whether no source of a scene moves."""
    return all(len(source["trajectory"]) == 1 for source in scene["sources"])


def places_at(
    trajectory: Sequence[Mapping[str, float]], time_s: NDArray[np.floating]
) -> tuple[NDArray[np.float64], ...]:
    """Azimuth, elevation (degrees) and distance (m, NaN where unknown) at some times: of the point nearest in time."""
    given_s = np.array([point["time_s"] for point in trajectory])
    nearest = np.abs(np.asarray(time_s)[:, None] - given_s).argmin(axis=1)
    points = [(p["azimuth_deg"], p["elevation_deg"], p["distance_m"]) for p in trajectory]
    values = np.array(points, np.float64)[nearest]
    return values[:, 0], values[:, 1], values[:, 2]


def fully_known(scene: Scene) -> bool:
    """Whether every source has a documented distance; some measured rooms state none."""
    return all(point["distance_m"] is not None for source in scene["sources"] for point in source["trajectory"])
