"""Rendering: from random draws to a described scene and the binaural stems of its sources.

One call makes one scene: it samples the description and renders each source through head and room in the same pass,
so that the ground truth states what the audio really holds (snapped directions, audible onsets, levels at the ears).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earshot.runtime.errors import InputError
from earshot.training.synthesis.events import EventLibrary, active_rms, prepare
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head
from earshot.training.synthesis.rooms import (
    BAND_DELAY_SAMPLES,
    MeasuredResponse,
    Shoebox,
    free_field_ir,
    shoebox_brir,
)
from earshot.training.synthesis.scenes import Scene, SceneSettings, sample_direction, sample_room, sample_span

FloatArray = NDArray[np.float32]
SOURCE_LEVEL_DB = -30.0  # RMS at one metre before the scene is brought to its level, dB re full scale


@dataclass(frozen=True)
class World:
    """Everything a scene is drawn from: sounds, heads, measured rooms, backgrounds."""

    events: EventLibrary
    heads: tuple[Head, ...]
    measured: tuple[MeasuredResponse, ...] = ()
    ambiences: tuple[Path, ...] = ()


@dataclass(frozen=True)
class RenderedScene:
    """A scene and its audio.

    Attributes
    ----------
    scene : dict
        Ground truth in the scene-JSON layout.
    stems : float32 [sources, 2, samples]
        What each source alone makes at the ears.
    background : float32 [2, samples]
        Ambience and microphone noise.
    """

    scene: Scene
    stems: FloatArray
    background: FloatArray

    def mixture(self) -> FloatArray:
        """Sum of all stems and the background, float32 [2, samples]."""
        return np.asarray(self.stems.sum(axis=0) + self.background, np.float32)


def draw_classes(world: World, count: int, rng: np.random.Generator) -> list[str]:
    """Keys of different classes.

    Raises
    ------
    InputError
        The world has fewer.
    """
    keys = world.events.keys()
    if len(keys) < count:
        raise InputError(
            f"{count} sounds of different classes are wanted, and there are clips of {len(keys)}; add some"
        )
    return [str(key) for key in rng.choice(keys, size=count, replace=False)]


def render_scene(world: World, settings: SceneSettings, seed: int, scene_id: str, split: str) -> RenderedScene:
    """Sample and render one scene.

    Parameters
    ----------
    world : World
        Sounds, heads and rooms of one split.
    settings : SceneSettings
        Ranges of the sampler.
    seed : int
        Same seed, world and settings: same audio, bit for bit.
    scene_id, split : str
        Written into the description.
    """
    rng = np.random.default_rng(seed)
    head = world.heads[rng.integers(len(world.heads))]
    room = sample_room(settings, rng)
    if world.measured and rng.random() < settings.measured_share:
        name = str(rng.choice(sorted({response.room for response in world.measured})))
        room = {"kind": "brir", "name": name, "size_m": None, "t60_s": None}
    length = int(settings.duration_s * SAMPLE_RATE_HZ)
    stems = np.zeros((settings.sources, 2, length), np.float32)
    sources = []
    for index, key in enumerate(draw_classes(world, settings.sources, rng)):
        source, stems[index] = _render_source(world, settings, room, head, key, rng, length)
        sources.append(source)
    balance_levels(stems, sources, rng)
    background, ambience = make_background(world, settings.ambience_snr_db, stems, rng)
    scene: Scene = {
        "id": scene_id,
        "seed": seed,
        "split": split,
        "duration_s": settings.duration_s,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "sources": sources,
        "room": room,
        "head": {"id": head.head_id, "yaw": [{"time_s": 0.0, "yaw_deg": 0.0}]},
        "ambience": ambience,
        "interferers": [],
    }
    to_level(stems, background, rng)
    for source, stem in zip(sources, stems, strict=True):
        source["level_db"] = round(20 * np.log10(active_rms(stem.mean(axis=0)) + 1e-9), 1)
    return RenderedScene(scene, stems, background)


def _render_source(
    world: World,
    settings: SceneSettings,
    room: dict[str, Any],
    head: Head,
    key: str,
    rng: np.random.Generator,
    length: int,
) -> tuple[dict[str, Any], FloatArray]:
    clips = world.events.clips(key)
    clip = clips[rng.integers(len(clips))]
    onset_s, longest_s = sample_span(settings.duration_s, rng)
    event = prepare(world.events.samples(clip, rng), key, longest_s, rng)
    response, azimuth, elevation, distance, delay = _impulse_response(world, settings, room, head, rng)
    wet = oaconvolve(np.broadcast_to(event, (2, len(event))), response, axes=1).astype(np.float32)
    wet *= 10 ** ((SOURCE_LEVEL_DB + rng.normal(0, 4)) / 20)
    # The stated onset is when the sound reaches the ears.
    start = max(0, int(onset_s * SAMPLE_RATE_HZ) - delay)
    stem = np.zeros((2, length), np.float32)
    stop = min(length, start + wet.shape[1])
    stem[:, start:stop] = wet[:, : stop - start]
    onset = (start + delay) / SAMPLE_RATE_HZ
    source = {
        "label": key,
        "clip": clip.name,
        "group": clip.group,
        "onset_s": round(onset, 3),
        "offset_s": round(min(onset + len(event) / SAMPLE_RATE_HZ, settings.duration_s), 3),
        "gain_db": 0.0,
        "trajectory": [
            {
                "time_s": 0.0,
                "azimuth_deg": round(azimuth, 1),
                "elevation_deg": round(elevation, 1),
                "distance_m": None if distance is None else round(distance, 3),
            }
        ],
    }
    return source, stem


def _impulse_response(
    world: World, settings: SceneSettings, room: dict[str, Any], head: Head, rng: np.random.Generator
) -> tuple[FloatArray, float, float, float | None, int]:
    """Response, azimuth, elevation, distance and delay (samples) of a random source position."""
    if room["kind"] == "brir":
        choices = [response for response in world.measured if response.room == room["name"]]
        measured = choices[rng.integers(len(choices))]
        response = measured.samples()
        gain = 1.0 / (measured.distance_m or 2.0)
        delay = int(np.argmax(np.abs(response).max(axis=0)))
        return response * gain, measured.azimuth_deg, measured.elevation_deg, measured.distance_m, delay
    direction, distance = place_source(settings, room, head, rng)
    azimuth = float(np.rad2deg(np.arctan2(direction[1], direction[0])))
    elevation = float(np.rad2deg(np.arcsin(np.clip(direction[2], -1, 1))))
    delay = int(distance / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ) + BAND_DELAY_SAMPLES
    if room["kind"] == "free":
        return free_field_ir(head, direction, distance), azimuth, elevation, distance, delay
    directivity_db = _directivity_db(settings, rng)
    response = shoebox_brir(shoebox_of(room), head, direction, distance, rng, directivity_db)
    return response, azimuth, elevation, distance, delay


def _directivity_db(settings: SceneSettings, rng: np.random.Generator) -> float:
    """Of a source in a room: a talker who faces the listener has about 6 dB at high frequencies, a loudspeaker up to 10."""
    directional = settings.directional_share > 0.0 and rng.random() < settings.directional_share
    return float(rng.uniform(-3.0, 9.0)) if directional else 0.0


def shoebox_of(room: dict[str, Any]) -> Shoebox:
    """The room geometry of a scene description."""
    return Shoebox(
        tuple(room["size_m"]), tuple(room["t60_bands_s"]), tuple(room["listener_m"]), float(room["facing_deg"])
    )


def place_source(
    settings: SceneSettings, room: dict[str, Any], head: Head, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    """A direction that the head was measured in and a distance at which the source is inside the room."""
    box = shoebox_of(room) if room["kind"] == "shoebox" else None
    low, high = np.log(settings.distance_m)
    direction = head.directions[0]
    kept = float(np.exp(rng.uniform(low, high))) if settings.keep_distance else None
    for number in range(60):
        azimuth, elevation = np.deg2rad(sample_direction(rng))
        wanted = np.array(
            [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], np.float32
        )
        direction = head.directions[head.nearest(wanted[None])[0]]
        distance = float(np.exp(rng.uniform(low, high))) if kept is None else kept * 0.7 ** (number // 12)
        if box is None or box.contains(box.position(direction, distance)):
            return direction, distance
    return direction, settings.distance_m[0]


def balance_levels(stems: FloatArray, sources: list[dict[str, Any]], rng: np.random.Generator) -> None:
    """Bring sources that would be inaudible beside the others to within about 10 dB of them."""
    levels = np.array([20 * np.log10(active_rms(stem.mean(axis=0)) + 1e-9) for stem in stems])
    middle = np.median(levels)
    for stem, source, level in zip(stems, sources, levels, strict=True):
        target = middle + np.clip(level - middle, -5, 5) * rng.uniform(0.6, 1.0)
        stem *= 10 ** ((target - level) / 20)
        source["gain_db"] = round(float(target - level), 2)


def make_background(
    world: World,
    snr_range_db: tuple[float, float],
    stems: FloatArray,
    rng: np.random.Generator,
    *,
    endless: bool = False,
) -> tuple[FloatArray, dict[str, Any]]:
    """Ambience and microphone noise [2, samples] under stems [sources, 2, samples], and its description.

    With ``endless`` a recording that is too short goes on backwards; without it silence follows.
    """
    length = stems.shape[-1]
    if world.ambiences and rng.random() < 0.6:
        path = world.ambiences[rng.integers(len(world.ambiences))]
        noise, kind = _ambience(path, length, rng, endless), path.stem
    else:
        slope = float(rng.uniform(0, 1.2))
        noise, kind = _coloured_noise(length, slope, rng), f"noise-{slope:.1f}"
    snr_db = float(rng.uniform(*snr_range_db))
    reference = np.median([active_rms(stem.mean(axis=0)) for stem in stems])
    noise *= reference * 10 ** (-snr_db / 20) / (np.sqrt((noise**2).mean()) + 1e-9)
    hiss = rng.standard_normal((2, length), dtype=np.float32) * np.float32(
        reference * 10 ** (-rng.uniform(35, 60) / 20)
    )
    return noise + hiss, {"kind": kind, "snr_db": round(snr_db, 1)}


def _ambience(path: Path, length: int, rng: np.random.Generator, endless: bool) -> FloatArray:
    """A stretch of a stereo background; mono ones are decorrelated by taking two different stretches."""
    try:
        with soundfile.SoundFile(path) as file:
            first, second = (_stretch(file, length, rng) for _ in range(2))
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from error
    if not len(first):
        raise InputError(f"{path}: holds no sound; take it out of the backgrounds")
    pair = first.T if first.shape[1] == 2 and rng.random() < 0.5 else np.stack([first[:, 0], second[:, -1]])
    out = np.zeros((2, length), np.float32)
    out[:, : pair.shape[1]] = pair
    if endless:
        out[:, pair.shape[1] :] = np.pad(pair, ((0, 0), (0, length - pair.shape[1])), "symmetric")[:, pair.shape[1] :]
    return out


def _stretch(file: soundfile.SoundFile, length: int, rng: np.random.Generator) -> FloatArray:
    """A random stretch of up to ``length`` samples at 16 kHz, float32 [n, channels]."""
    count = -(-length * file.samplerate // SAMPLE_RATE_HZ)
    file.seek(int(rng.integers(max(1, file.frames - count))))
    samples = file.read(count, dtype="float32", always_2d=True)
    if file.samplerate != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, file.samplerate, SAMPLE_RATE_HZ)[:length]
    return np.asarray(samples, np.float32)


def _coloured_noise(length: int, slope: float, rng: np.random.Generator) -> FloatArray:
    size = int(2 ** np.ceil(np.log2(length)))
    spectrum = np.fft.rfft(rng.standard_normal((2, size), dtype=np.float32))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ), 50.0)
    coherence = np.sinc(2 * frequency * 0.24 / SPEED_OF_SOUND_M_S)
    spectrum[1] = coherence * spectrum[0] + np.sqrt(1 - coherence**2) * spectrum[1]
    return np.fft.irfft(spectrum * frequency ** (-slope / 2), size)[:, :length].astype(np.float32)


def to_level(stems: FloatArray, background: FloatArray, rng: np.random.Generator) -> None:
    """Bring the whole scene to a random recording level without clipping; ear gains differ a little."""
    mixture_peak = float(np.abs(stems.sum(axis=0) + background).max()) + 1e-9
    gain = 10 ** (rng.uniform(-24, -1) / 20) / mixture_peak
    mismatch = 10 ** (rng.normal(0, 0.7, 2) / 20)
    scale = (gain * mismatch / max(1.0, mismatch.max())).astype(np.float32)[:, None]
    stems *= scale
    background *= scale
