"""Several sources of one class: are they kept apart, and is one source taken for two?

Scenes on heads, in rooms and of recordings that training never saw. Two sources of one class call in turn (A, B, A, B) or at
once; controls are one source that calls as often from one place, while it walks, and while the head turns (yaw known), one
that walks and never pauses, and two sources of different classes. Judged are the numbers of tracks, as anything outside
sees them.

    earshot bench alike --data FOLDER --count 60
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.geometry import angle_between_azimuths, angles_of
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.labels import class_id
from earshot.training.benchmark.statistics import lateral_deg
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.events import prepare
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S
from earshot.training.synthesis.motion import Track, head_turns
from earshot.training.synthesis.moving import Voice, at_the_ears
from earshot.training.synthesis.placing import Stage, set_stage
from earshot.training.synthesis.render import SOURCE_LEVEL_DB, World, make_background, to_level
from earshot.training.synthesis.scenes import DynamicSettings

Kind = Literal[
    "in turn",
    "at once",
    "one, still",
    "one, walking",
    "one, head turning",
    "two classes in turn",
    "two classes at once",
    "one, walking without pauses",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ALIKE: tuple[Kind, ...] = ("in turn", "at once")
CALLERS = (
    "car_horn", "cat", "clapping", "clock_alarm", "coughing", "cow", "crow", "crying_baby", "dog", "frog", "hen", "laughing",
    "rooster", "sheep", "siren", "sneezing", "speech",
)  # fmt: skip
"""Classes of which several are often heard in one place, each of a few calls."""
DURATION_S = 12.0
CALLS = 4
CALL_S = (1.0, 1.8)
PAUSE_S = (0.2, 2.2)
"""Between two calls; some are longer than a slot is held."""
ONSET_S = 0.4
AT_ONCE_S = 7.0
LEAST_LATERAL_DEG = 40.0
"""Nearer ones, and mirror images, differ too little at the ears to be called two."""
MOST_ELEVATION_DEG = 30.0
LEAST_WALK_DEG = 50.0
LEAST_TOLD_S = 0.3
"""A track of less sound is not counted."""
WITHIN_DEG = 25.0
_TRIES = 400
SETTINGS = DynamicSettings(
    duration_s=DURATION_S, measured_share=0.0, moving_share=0.0, turning_share=0.0, walking_share=0.0,
    ambience_snr_db=(6.0, 40.0), t60_s=(0.1, 0.8), distance_m=(0.5, 4.0),
)  # fmt: skip

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """One call of a source: which, from when to when (as emitted, seconds)."""

    source: int
    begin_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class AlikeScene:
    """A rendered scene.

    Attributes
    ----------
    kind : str
    labels : tuple of int
        Class of each source.
    calls : tuple of Call
        In order of time.
    audio : float32 [2, samples]
    azimuth_deg : callable
        Number of the source, time in seconds -> direction from the head at that time.
    yaw_deg : callable
        Time in seconds -> yaw of the head.
    """

    kind: Kind
    labels: tuple[int, ...]
    calls: tuple[Call, ...]
    audio: Float32
    azimuth_deg: Callable[[int, float], float]
    yaw_deg: Callable[[float], float]


def render_alike(world: World, kind: Kind, seed: Sequence[int]) -> AlikeScene:
    """Draw and render one scene; same world, kind and seed: same audio, bit for bit."""
    rng = np.random.default_rng([*seed, KINDS.index(kind)])
    moving = 1.0 if "walking" in kind else 0.0
    settings = replace(SETTINGS, moving_share=moving, vehicle_share=0.0)
    stage = set_stage(world, settings, world.heads[rng.integers(len(world.heads))], rng)
    if kind == "one, head turning":
        stage = replace(stage, scenery=replace(stage.scenery, yaw=head_turns(DURATION_S, rng)))
    keys = _keys(kind, world, rng)
    calls = _calls(kind, len(keys), rng)
    places = _places(stage, len(keys), moving > 0.0, rng)
    sounds = _sounds(world, keys, calls, rng)
    stems = np.stack([_stem(stage, *pair, rng) for pair in zip(sounds, places, strict=True)])
    background, _ = make_background(world, settings.ambience_snr_db, stems, rng, endless=True)
    to_level(stems, background, rng)
    audio = np.asarray(stems.sum(axis=0) + background, np.float32)
    return AlikeScene(
        kind, tuple(map(class_id, keys)), calls, audio,
        azimuth_deg=lambda source, time_s: float(_azimuths_deg(stage, places[source], np.array([time_s]))[0]),
        yaw_deg=lambda time_s: float(stage.scenery.yaw.at(np.array([time_s]))[0, 0]),
    )  # fmt: skip


def _keys(kind: Kind, world: World, rng: np.random.Generator) -> list[str]:
    known = sorted(set(CALLERS) & set(world.events.keys()))
    first, second = (str(key) for key in rng.choice(known, 2, replace=False))
    return [first] if kind.startswith("one") else [first, first] if kind in ALIKE else [first, second]


def _calls(kind: Kind, sources: int, rng: np.random.Generator) -> tuple[Call, ...]:
    """In turn, or all at once and on and on."""
    if kind.endswith(("at once", "without pauses")):
        return tuple(Call(source, ONSET_S, ONSET_S + AT_ONCE_S) for source in range(sources))
    calls, begin_s = [], ONSET_S
    for number in range(CALLS):
        end_s = begin_s + float(rng.uniform(*CALL_S))
        calls.append(Call(number % sources, begin_s, end_s))
        begin_s = end_s + float(np.exp(rng.uniform(*np.log(PAUSE_S))))
    return tuple(call for call in calls if call.end_s < DURATION_S)


def _azimuths_deg(stage: Stage, place: Track, time_s: Floats) -> Floats:
    scenery = stage.scenery
    offsets_m = place.at(time_s) - scenery.listener.at(time_s)
    return np.asarray(angles_of(scenery.in_head(offsets_m, time_s))[0])


def _places(stage: Stage, count: int, walks: bool, rng: np.random.Generator) -> list[Track]:
    """Places near ear height that differ at the ears; a walker is heard to walk."""
    time_s = np.linspace(ONSET_S, DURATION_S, 50)
    for _ in range(_TRIES):
        places = [stage.place(rng).track for _ in range(count)]
        offsets_m = [place.at(np.zeros(1)) - stage.scenery.listener.at(np.zeros(1)) for place in places]
        seen = [angles_of(stage.scenery.in_head(offset, np.zeros(1))[0]) for offset in offsets_m]
        level = all(abs(float(elevation)) <= MOST_ELEVATION_DEG for _, elevation in seen)
        laterals = sorted(lateral_deg(float(azimuth)) for azimuth, _ in seen)
        swept_deg = np.abs(np.rad2deg(np.unwrap(np.deg2rad(_azimuths_deg(stage, places[0], time_s)))))
        walked = not walks or np.ptp(swept_deg) >= LEAST_WALK_DEG
        if level and walked and laterals[-1] - laterals[0] >= LEAST_LATERAL_DEG * (count - 1):
            return places
    return places


def _sounds(world: World, keys: list[str], calls: Sequence[Call], rng: np.random.Generator) -> list[Float32]:
    """What each source emits from the beginning of the scene, as loud as at one metre: another recording for each."""
    sounds, used = [], set[str]()
    for source, key in enumerate(keys):
        clips = [clip for clip in world.events.clips(key) if clip.name not in used] or world.events.clips(key)
        clip = clips[rng.integers(len(clips))]
        used.add(clip.name)
        own = [call for call in calls if call.source == source]
        longest_s = max(call.end_s - call.begin_s for call in own)
        event = _lasting(prepare(world.events.samples(clip, rng), key, longest_s, rng), longest_s)
        sound = np.zeros(int(DURATION_S * SAMPLE_RATE_HZ), np.float32)
        for call in own:
            begin, count = int(call.begin_s * SAMPLE_RATE_HZ), int((call.end_s - call.begin_s) * SAMPLE_RATE_HZ)
            sound[begin : begin + count] = event[:count]
        sounds.append(sound * np.float32(10 ** (SOURCE_LEVEL_DB / 20)))
    return sounds


def _lasting(event: Float32, lasts_s: float) -> Float32:
    """Repeat what is shorter."""
    count = int(np.ceil(lasts_s * SAMPLE_RATE_HZ))
    return np.tile(event, -(-count // len(event)))[:count]


def _stem(stage: Stage, sound: Float32, place: Track, rng: np.random.Generator) -> Float32:
    offset_m = place.at(np.zeros(1))[0] - stage.scenery.listener.at(np.zeros(1))[0]
    voice = Voice(sound, -float(np.linalg.norm(offset_m)) / SPEED_OF_SOUND_M_S, place)
    return at_the_ears(stage.head, stage.scenery, voice, int(DURATION_S * SAMPLE_RATE_HZ), rng)[0]


def hear_alike(encoders: Encoders, scene: AlikeScene) -> list[SceneSnapshot]:
    """Snapshots of a scene by the live path; the yaw is known where the head turns."""
    hearing, snapshots = Hearing(encoders), []
    if scene.kind == "one, head turning":
        hearing.yaw_at = scene.yaw_deg
    for start in range(0, scene.audio.shape[1], 1600):
        snapshots += hearing.process(AudioChunk(scene.audio[:, start : start + 1600], start))
    return snapshots


def judge_alike(scene: AlikeScene, snapshots: Sequence[SceneSnapshot]) -> dict[str, Any] | None:
    """What a listener made of a scene.

    Only tracks of the class heard most are judged (of the right classes where there are two): names are judged elsewhere.

    Returns
    -------
    dict or None
        ``tracks``; ``number_right``; ``split`` (more tracks than sources); ``kept`` (all calls of a source, and no other, bear
        one number: calls in turn only, all heard); ``placed`` share of the sources (at once) or calls (in turn) within
        25 degrees, front for back allowed; None when nothing of the class was heard.
    """
    told = [(s.time_s, t) for s in snapshots for t in s.tracks if t.active]
    heard = Counter(t.class_id for _, t in told)
    if not heard:
        return None
    two_classes = len(set(scene.labels)) > 1
    judged = set(scene.labels) if two_classes else {heard.most_common(1)[0][0]}
    told = [(time_s, t) for time_s, t in told if t.class_id in judged]
    if not told:
        return None
    lasting = {
        number for number, count in Counter(t.track_id for _, t in told).items() if count * 0.1 >= LEAST_TOLD_S - 1e-9
    }
    sources = len(scene.labels)
    record: dict[str, Any] = {
        "kind": scene.kind,
        "tracks": len(lasting),
        "number_right": len(lasting) == sources,
        "split": len(lasting) > sources,
        "merged": len(lasting) < sources,
    }
    told = [(time_s, t) for time_s, t in told if t.track_id in lasting]
    return record | (_at_once(scene, told) if scene.kind.endswith("at once") else _in_turn(scene, told))


def _in_turn(scene: AlikeScene, told: list[tuple[float, TrackSnapshot]]) -> dict[str, Any]:
    numbers: list[tuple[int, int]] = []
    placed = []
    for call in scene.calls:
        during = [(s, t) for s, t in told if call.begin_s + 0.3 <= s <= call.end_s + 0.2 and t.last_heard_s > s - 0.15]
        if not during:
            placed.append(False)
            continue
        number = Counter(t.track_id for _, t in during).most_common(1)[0][0]
        numbers.append((call.source, number))
        time_s, last = [(s, t) for s, t in during if t.track_id == number][-1]
        placed.append(_laterally_near(last.azimuth_deg, scene.azimuth_deg(call.source, time_s)))
    pairs = set(numbers)
    one_to_one = len(pairs) == len({source for source, _ in pairs}) == len({number for _, number in pairs})
    return {
        "heard_calls": len(numbers) / len(scene.calls),
        "kept": one_to_one if len(numbers) == len(scene.calls) else None,
        "placed": float(np.mean(placed)),
    }


def _at_once(scene: AlikeScene, told: list[tuple[float, TrackSnapshot]]) -> dict[str, Any]:
    """Share of time, from a second after the onset on, in which each source is told of in its place."""
    begin_s, end_s = ONSET_S + 1.0, ONSET_S + AT_ONCE_S
    hits = np.zeros(len(scene.labels))
    for time_s, tracks in _by_time(told, begin_s, end_s):
        for source in range(len(scene.labels)):
            truth_deg = scene.azimuth_deg(source, time_s)
            hits[source] += any(_laterally_near(t.azimuth_deg, truth_deg) for t in tracks)
    return {"placed": float(hits.mean() / round((end_s - begin_s) / 0.1)), "kept": None, "heard_calls": None}


def _by_time(
    told: list[tuple[float, TrackSnapshot]], begin_s: float, end_s: float
) -> Iterator[tuple[float, list[TrackSnapshot]]]:
    for time_s in sorted({s for s, _ in told if begin_s < s <= end_s}):
        yield time_s, [t for s, t in told if s == time_s]


def _laterally_near(heard_deg: float, truth_deg: float) -> bool:
    mirrored_deg = 180.0 - truth_deg
    return min(float(angle_between_azimuths(heard_deg, d)) for d in (truth_deg, mirrored_deg)) <= WITHIN_DEG


def run_alike(
    bundle: Path | None, data: Path | None, count: int, seed: int = 11, kinds: Sequence[Kind] = KINDS
) -> dict[str, Any]:
    """Hear `count` scenes of each of some kinds.

    Parameters
    ----------
    bundle : Path or None
        Bundle folder; None is the built-in one.
    data : Path or None
        Folder with ``events/``, ``hrtf/``, ``ambient/``, of which the validation split is used; None takes sounds and heads made by rule.
    count : int
        Scenes of each kind.
    seed : int
        Same seed, same scenes.
    kinds : sequence of str
        Which; all by default.

    Returns
    -------
    dict
        By kind: scenes heard, and shares of those; see `judge_alike`.
    """
    world, encoders = build_world(DataFolders(data), "validation"), open_encoders(bundle)[1]
    records = []
    for number in track(range(count * len(kinds)), "sources of one class", console=Console(stderr=True)):
        scene = render_alike(world, kinds[number % len(kinds)], [seed, number // len(kinds)])
        records.append((scene.kind, judge_alike(scene, hear_alike(encoders, scene))))
    return {"scenes": count, "seed": seed, "figures": figures_of(records)}


def figures_of(records: Sequence[tuple[Kind, dict[str, Any] | None]]) -> dict[str, dict[str, float]]:
    """Shares by kind of scene; those that do not apply are left out."""
    figures: dict[str, dict[str, float]] = {}
    for kind in dict.fromkeys(name for name, _ in records):
        heard = [record for name, record in records if name == kind and record is not None]
        figures[kind] = {"heard": float(len(heard))}
        for key in ("number_right", "merged", "split", "kept", "placed", "tracks"):
            values = [float(record[key]) for record in heard if record[key] is not None]
            if values:
                figures[kind][key] = float(np.mean(values))
    return figures
