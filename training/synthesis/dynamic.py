"""Whole scenes in which things move: drawn, rendered and described in one pass.

Several sources, some of them walking or driving by, heard by someone who may walk and look around; sounds that are not
labelled, ambience, faulty microphones. Trajectories state where a sound comes from when it is heard, relative to the
head as it points then; the world azimuth is that plus the yaw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earshot.runtime.geometry import angles_of
from earshot.training.synthesis.events import active_rms, prepare
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head
from earshot.training.synthesis.interferers import interferer
from earshot.training.synthesis.microphone_faults import apply_faults, sample_faults
from earshot.training.synthesis.moving import Voice, at_the_ears
from earshot.training.synthesis.paths import Flight, Scenery
from earshot.training.synthesis.placing import Placed, Stage, set_stage
from earshot.training.synthesis.render import (
    SOURCE_LEVEL_DB,
    RenderedScene,
    World,
    balance_levels,
    draw_classes,
    make_background,
    to_level,
)
from earshot.training.synthesis.rooms import BAND_DELAY_SAMPLES, MeasuredResponse
from earshot.training.synthesis.scenes import DynamicSettings, Scene, sample_span

TRAJECTORY_S = 0.1
"""Spacing of the points of a trajectory in the description."""

FloatArray = NDArray[np.float32]


def render_dynamic(world: World, settings: DynamicSettings, seed: int, scene_id: str, split: str) -> RenderedScene:
    """Sample and render one dynamic scene.

    Parameters
    ----------
    world : World
        Sounds, heads and rooms of one split.
    settings : DynamicSettings
    seed : int
        Same seed, world and settings: same audio, bit for bit.
    scene_id, split : str
        Written into the description.
    """
    rng = np.random.default_rng([seed, 0xD1A])
    head = world.heads[rng.integers(len(world.heads))]
    stage = set_stage(world, settings, head, rng)
    spans = sample_spans(int(rng.integers(settings.sources[0], settings.sources[1] + 1)), settings, rng)
    keys = _keys(world, len(spans), settings, rng)
    rendered: list[tuple[dict[str, Any], FloatArray]] = []
    for key, span in zip(keys, spans, strict=True):
        alike = [source for source, _ in rendered if source["label"] == key]
        rendered.append(_labelled(world, stage, key, span, alike, rng))
    sources, stems = [source for source, _ in rendered], np.stack([stem for _, stem in rendered])
    balance_levels(stems, sources, rng)
    background, ambience = make_background(world, settings.ambience_snr_db, stems, rng, endless=True)
    unlabelled = _interferers(stage, settings, stems, rng)
    for _, stem in unlabelled:
        background += stem
    to_level(stems, background, rng)
    faults = sample_faults(rng) if rng.random() < settings.fault_share else None
    if faults is not None:
        stems, background = apply_faults(stems, background, faults, rng)
    for source, stem in zip(sources, stems, strict=True):
        source["level_db"] = round(20 * np.log10(active_rms(stem.mean(axis=0)) + 1e-9), 1)
    scene: Scene = {
        "id": scene_id,
        "seed": seed,
        "split": split,
        "duration_s": settings.duration_s,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "sources": sources,
        "room": stage.room,
        "head": head_json(head, stage, settings.duration_s),
        "ambience": ambience,
        "interferers": [source for source, _ in unlabelled],
        "microphones": faults.to_json() if faults is not None else None,
    }
    return RenderedScene(scene, stems, background)


def sample_spans(count: int, settings: DynamicSettings, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Onsets and longest durations of up to ``count`` sources, of which ``settings.overlap`` overlap at most."""
    spans: list[tuple[float, float]] = []
    for _ in range(40 * count):
        onset, lasts = sample_span(settings.duration_s, rng)
        if most_at_once([*spans, (onset, lasts)]) <= settings.overlap:
            spans.append((onset, lasts))
        if len(spans) == count:
            break
    return spans


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many of the spans (onset, duration) overlap at one time, at most; it is so at the onset of one of them."""
    return max(sum(a <= onset < a + lasts for a, lasts in spans) for onset, _ in spans)


def _keys(world: World, count: int, settings: DynamicSettings, rng: np.random.Generator) -> list[str]:
    keys = draw_classes(world, count, rng)
    if count > 1 and rng.random() < settings.same_class_share:
        keys[-1] = keys[0]
    return keys


def _labelled(
    world: World,
    stage: Stage,
    key: str,
    span: tuple[float, float],
    alike: list[dict[str, Any]],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], FloatArray]:
    """Description and stem of a source of a class; another clip and another place than those of its like."""
    clips = world.events.clips(key)
    clips = [clip for clip in clips if clip.name not in {source["clip"] for source in alike}] or clips
    clip = clips[rng.integers(len(clips))]
    event = prepare(world.events.samples(clip, rng), key, span[1], rng)
    placed = stage.place(rng, [source["trajectory"][0]["azimuth_deg"] for source in alike])
    described, stem = _heard(stage, placed, event, span[0], rng)
    return {"label": key, "clip": clip.name, "group": clip.group, **described}, stem


def _interferers(
    stage: Stage, settings: DynamicSettings, stems: FloatArray, rng: np.random.Generator
) -> list[tuple[dict[str, Any], FloatArray]]:
    """Descriptions and sounds of what is not labelled, a little softer than the sources."""
    found: list[tuple[dict[str, Any], FloatArray]] = []
    if rng.random() >= settings.interferer_share:
        return found
    reference = float(np.median([active_rms(stem.mean(axis=0)) for stem in stems]))
    for _ in range(int(rng.integers(1, 3))):
        onset, lasts = sample_span(settings.duration_s, rng)
        kind, sound = interferer(rng, lasts)
        described, stem = _heard(stage, stage.place(rng), sound, onset, rng)
        relative_db = float(rng.uniform(-15.0, 0.0))
        stem *= reference * 10 ** (relative_db / 20) / (active_rms(stem.mean(axis=0)) + 1e-9)
        found.append(({"kind": kind, **described, "relative_db": round(relative_db, 1)}, stem))
    return found


def _heard(
    stage: Stage, placed: Placed, sound: FloatArray, onset_s: float, rng: np.random.Generator
) -> tuple[dict[str, Any], FloatArray]:
    """Times and trajectory of a placed sound, and what it makes at the ears."""
    length = int(stage.duration_s * SAMPLE_RATE_HZ)
    loud = sound * np.float32(10 ** ((SOURCE_LEVEL_DB + rng.normal(0, 4)) / 20))
    if placed.measured is not None:
        return _measured(placed.measured, loud, onset_s, stage.duration_s)
    here = placed.track.at(np.array([onset_s]))[0] - stage.scenery.listener.at(np.array([onset_s]))[0]
    emitted_s = onset_s - float(np.linalg.norm(here)) / SPEED_OF_SOUND_M_S
    stem, flight = at_the_ears(stage.head, stage.scenery, Voice(loud, emitted_s, placed.track), length, rng)
    heard = flight.arrival_s[0][[0, -1]] + BAND_DELAY_SAMPLES / SAMPLE_RATE_HZ
    begin, end = max(0.0, float(heard[0])), min(stage.duration_s, float(heard[1]))
    points = trajectory(stage.scenery, flight, begin, end)
    if stage.scenery.still and placed.track.still:
        points = [{**points[0], "time_s": 0.0}]
    described: dict[str, Any] = {
        "onset_s": round(begin, 3),
        "offset_s": round(end, 3),
        "gain_db": 0.0,
        "motion": placed.motion,
        "speed_m_s": placed.speed_m_s,
        "trajectory": points,
    }
    return described, stem


def trajectory(scenery: Scenery, flight: Flight, begin_s: float, end_s: float) -> list[dict[str, float]]:
    """Points of a trajectory: where the direct sound comes from while it is heard, relative to the head."""
    count = max(2, int(np.ceil((end_s - begin_s) / TRAJECTORY_S)) + 1)
    time = np.linspace(begin_s, end_s, count)
    offsets = scenery.in_head(flight.offset(0, time), time)
    azimuth, elevation = angles_of(offsets)
    distance = np.linalg.norm(offsets, axis=1)
    return [
        {
            "time_s": round(float(t), 3),
            "azimuth_deg": round(float(a), 1),
            "elevation_deg": round(float(e), 1),
            "distance_m": round(float(d), 3),
        }
        for t, a, e, d in zip(time, azimuth, elevation, distance, strict=True)
    ]


def _measured(
    measured: MeasuredResponse, sound: FloatArray, onset_s: float, duration_s: float
) -> tuple[dict[str, Any], FloatArray]:
    """A sound through a measured response, which stands still."""
    response = measured.samples() / (measured.distance_m or 2.0)
    delay = int(np.argmax(np.abs(response).max(axis=0)))
    length = int(duration_s * SAMPLE_RATE_HZ)
    start = max(0, int(onset_s * SAMPLE_RATE_HZ) - delay)
    wet = oaconvolve(np.broadcast_to(sound, (2, len(sound))), response, axes=1)[:, : length - start]
    stem = np.zeros((2, length), np.float32)
    stem[:, start : start + wet.shape[1]] = wet
    onset = (start + delay) / SAMPLE_RATE_HZ
    point = {
        "time_s": 0.0,
        "azimuth_deg": measured.azimuth_deg,
        "elevation_deg": measured.elevation_deg,
        "distance_m": measured.distance_m,
    }
    described = {
        "onset_s": round(onset, 3),
        "offset_s": round(min(onset + len(sound) / SAMPLE_RATE_HZ, duration_s), 3),
        "gain_db": 0.0,
        "motion": "still",
        "speed_m_s": 0.0,
        "trajectory": [point],
    }
    return described, stem


def head_json(head: Head, stage: Stage, duration_s: float) -> dict[str, Any]:
    """The head's part of a description: yaw and, if the listener walks, the way in metres from where it began.

    The way is in the world's directions: x to where yaw 0 faces, y to the left of it.
    """
    time = np.arange(0.0, duration_s + 1e-9, TRAJECTORY_S)
    scenery = stage.scenery
    yaw = [(0.0, 0.0)] if scenery.yaw.still else list(zip(time, scenery.yaw.at(time)[:, 0], strict=True))
    described: dict[str, Any] = {
        "id": head.head_id,
        "yaw": [{"time_s": round(float(t), 2), "yaw_deg": round(float(y), 1)} for t, y in yaw],
    }
    if not scenery.listener.still:
        moved = scenery.listener.at(time) - scenery.listener.values[0]
        angle = np.deg2rad(scenery.space.facing_deg)
        x = np.cos(angle) * moved[:, 0] + np.sin(angle) * moved[:, 1]
        y = np.cos(angle) * moved[:, 1] - np.sin(angle) * moved[:, 0]
        described["way"] = [
            {"time_s": round(float(t), 2), "x_m": round(float(a), 3), "y_m": round(float(b), 3)}
            for t, a, b in zip(time, x, y, strict=True)
        ]
    return described
