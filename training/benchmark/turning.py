"""What a known turn of the head is worth: the same sounds, heard with the head still and while it turns.

Static sources in shoebox rooms and outdoors, on heads and recordings that training never saw; each sounds for at least
`LEAST_S`, so that there is something to hear during the turn. Every scene is rendered twice and heard three times: still;
turning, the yaw not known (directions are judged from where the head looks at the end); turning, the yaw known. Of the last
what the language model is told when it is asked at the end is judged as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.geometry import angles_of, wrap_deg
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.objects import DIRECTION, POSTERIOR, object_rows, strongest_first
from earshot.runtime.hearing.posterior import lobe_azimuth_deg
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.scene.sources import summarize
from earshot.training.benchmark.statistics import CLIP_STATISTICS, clip_record, interval, plain
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.events import prepare
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ
from earshot.training.synthesis.motion import Track, still
from earshot.training.synthesis.moving import Voice, at_the_ears
from earshot.training.synthesis.placing import Stage, set_stage
from earshot.training.synthesis.render import SOURCE_LEVEL_DB, World, make_background, to_level
from earshot.training.synthesis.scenes import DynamicSettings

DURATION_S = 6.0
LEAST_S = 4.5
ONSET_S = 0.3
TURN_S = (1.5, 3.0)
"""Begin and end of the turn."""
SETTINGS = DynamicSettings(
    duration_s=DURATION_S, measured_share=0.0, moving_share=0.0, turning_share=0.0, walking_share=0.0,
    ambience_snr_db=(6.0, 40.0), t60_s=(0.1, 1.0), distance_m=(0.3, 8.0),
)  # fmt: skip
FIGURES = ("front_back_confusions", "azimuth_mean_deg", "azimuth_over_20deg", "lateral_rms_deg")

Float32 = NDArray[np.float32]
Yaw = Callable[[float], float | None]


def run_turning(
    bundle: Path | None, data: Path | None, count: int, turn_deg: float = 30.0, seed: int = 5
) -> dict[str, Any]:
    """Hear `count` sounds with a still and with a turning head.

    Parameters
    ----------
    bundle : Path or None
        Bundle folder; None is the built-in one.
    data : Path or None
        Folder with ``events/``, ``hrtf/``, ``ambient/``, of which the validation split is used; None takes sounds and heads made by rule.
    count : int
        Number of sounds.
    turn_deg : float
        Angle of the turn; to the left for one half of the scenes, to the right for the other.
    seed : int
        Same seed, same scenes.

    Returns
    -------
    dict
        By way of listening, figures with 95 % intervals.
    """
    world, encoders = build_world(DataFolders(data), "validation"), open_encoders(bundle)[1]
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in track(range(count), "turning heads", console=Console(stderr=True)):
        angle_deg = turn_deg if number % 2 else -turn_deg
        resting, turning, truth = render_pair(world, [seed, number], angle_deg)
        at = _yaw_of(angle_deg)
        for name, audio, yaw, looks_deg in (
            ("still", resting, None, 0.0),
            ("turning, yaw unknown", turning, None, angle_deg),
            ("turning, yaw known", turning, at, angle_deg),
        ):
            seen = {**truth, "label": "", "azimuth_deg": float(wrap_deg(truth["azimuth_deg"] - looks_deg))}
            surest, told = _heard(encoders, audio, yaw)
            records[name].append(clip_record(str(number), seen, surest))
            if yaw is not None:
                records["as told to the language model"].append(clip_record(str(number), seen, told))
    figures = {name: {key: interval(rows, CLIP_STATISTICS[key]) for key in FIGURES} for name, rows in records.items()}
    return {"turn_deg": turn_deg, "sounds": count, "seed": seed, "figures": plain(figures)}


def render_pair(world: World, seed: list[int], turn_deg: float) -> tuple[Float32, Float32, dict[str, float]]:
    """One static sound at a still and at a turning head, [2, samples] each, and its direction from yaw 0."""
    rng = np.random.default_rng(seed)
    stage = set_stage(world, SETTINGS, world.heads[rng.integers(len(world.heads))], rng)
    sound, place = _long_sound(world, rng), stage.place(rng).track
    offset_m = place.values[:1] - stage.scenery.listener.values[:1]
    azimuth_deg, elevation_deg = angles_of(stage.scenery.in_head(offset_m, np.zeros(1))[0])
    truth = {
        "azimuth_deg": float(azimuth_deg), "elevation_deg": float(elevation_deg), "distance_m": float(np.linalg.norm(offset_m)),
    }  # fmt: skip
    yaw = Track(np.array([0.0, *TURN_S, DURATION_S]), np.array([[0.0], [0.0], [turn_deg], [turn_deg]]))
    voice = Voice(sound * np.float32(10 ** (SOURCE_LEVEL_DB / 20)), ONSET_S, place)
    tail_seed = int(rng.integers(2**31))
    stems = np.stack([_at(stage, track, voice, tail_seed) for track in (still(np.zeros(1)), yaw)])
    background, _ = make_background(world, SETTINGS.ambience_snr_db, stems[:1], rng, endless=True)
    level_seed = int(rng.integers(2**31))
    mixed = []
    for stem in stems:
        parts, behind = stem[None].copy(), background.copy()
        to_level(parts, behind, np.random.default_rng(level_seed))
        mixed.append(np.asarray(parts[0] + behind, np.float32))
    return mixed[0], mixed[1], truth


def _at(stage: Stage, yaw: Track, voice: Voice, seed: int) -> Float32:
    length = int(DURATION_S * SAMPLE_RATE_HZ)
    return at_the_ears(stage.head, replace(stage.scenery, yaw=yaw), voice, length, np.random.default_rng(seed))[0]


def _long_sound(world: World, rng: np.random.Generator) -> Float32:
    """A sound that lasts; short ones are passed over."""
    keys = world.events.keys()
    while True:
        key = str(keys[rng.integers(len(keys))])
        clips = world.events.clips(key)
        event = prepare(world.events.samples(clips[rng.integers(len(clips))], rng), key, DURATION_S - 2 * ONSET_S, rng)
        if len(event) >= LEAST_S * SAMPLE_RATE_HZ:
            return event


def _yaw_of(turn_deg: float) -> Yaw:
    return lambda time_s: float(np.interp(time_s, TURN_S, (0.0, turn_deg)))


def _heard(encoders: Encoders, audio: Float32, yaw: Yaw | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The surest source of the whole clip, and the sound object that sounded most, both as seen at its end."""
    hearing, snapshots = Hearing(encoders), []
    hearing.yaw_at = yaw
    for start in range(0, audio.shape[1], 1600):
        snapshots += hearing.process(AudioChunk(audio[:, start : start + 1600], start))
    sources = summarize(snapshots)
    surest = max(sources, key=lambda source: source.confidence).model_dump() if sources else None
    rows = object_rows(hearing.window().tokens)
    return surest, _place_of(rows[strongest_first(rows)[0]]) if rows else None


def _place_of(row: Float32) -> dict[str, Any]:
    """Where an object's row says it is."""
    elevation_deg = float(angles_of(row[DIRECTION])[1])
    return {"label": "", "azimuth_deg": lobe_azimuth_deg(row[POSTERIOR]), "elevation_deg": elevation_deg}
