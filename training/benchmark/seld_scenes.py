"""Continuous scenes for ``earshot bench seld``: a minute of one head in one room, with static sources that come and go.

Every scene is made of the stems of one stem scene: its sources (four as a rule) sound again and again, each always from
its own place, up to three at a time, over the scene's background. A source counts where it is audible: within 30 dB of
its loudest moment, pauses of up to half a second included. Samples are 16-bit, as in :mod:`asa_clips`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.training.benchmark.asa_clips import SAMPLE_RATE_HZ, Pcm, to_pcm
from earshot.training.benchmark.frame_tables import FRAME_S, FrameTable, table_of_scene
from earshot.training.synthesis.dataset import Shard, iterate_scenes
from earshot.training.synthesis.scenes import Scene, fully_known, stands_still

MOST_AT_ONCE = 3
TRIES_PER_S = (0.15, 0.8)
"""Events tried per second of scene; those that do not fit are left out."""
GAP_S = 0.5
LEAD_S, TAIL_S, FADE_S = 0.05, 1.0, 0.05
LOOP_FADE_S = 0.5
GAIN_DB = 2.0
AUDIBLE_DB = -30.0
BRIDGED_FRAMES = 5

FloatArray = NDArray[np.float64]
Span = tuple[int, int]
"""First frame and the one after the last, of 100 ms."""


@dataclass(frozen=True)
class Event:
    """One appearance of a source.

    Attributes
    ----------
    stem : int
        Number of the source in the stem scene.
    begin, end : int
        Part of the stem that is played, samples.
    start : int
        Where it begins in the scene, samples.
    gain : float
        Factor.
    """

    stem: int
    begin: int
    end: int
    start: int
    gain: float

    @property
    def stop(self) -> int:
        """Where it ends in the scene, samples."""
        return self.start + self.end - self.begin


@dataclass(frozen=True)
class SeldScene:
    """A continuous scene before it is mixed.

    Attributes
    ----------
    scene : dict
        Description: one entry of ``sources`` per audible stretch, with the number of its ``event``.
    origin : str
        Stem scene.
    shard, row : int
        Where the stems are.
    events : tuple of Event
    samples : int
    """

    scene: Scene
    origin: str
    shard: int
    row: int
    events: tuple[Event, ...]
    samples: int

    @property
    def id(self) -> str:
        """Name of the scene."""
        return str(self.scene["id"])

    def truth(self) -> FrameTable:
        """What sounds where in every 100 ms."""
        return table_of_scene(self.scene)


def draw_scenes(shards: Sequence[Shard], count: int, duration_s: float, seed: int) -> list[SeldScene]:
    """Draw scenes, from different stem scenes as far as there are enough.

    Raises
    ------
    InputError
        No stem scene states all distances.
    """
    numbers = {id(shard): number for number, shard in enumerate(shards)}
    known = [
        (s, row)
        for s, row in iterate_scenes(list(shards))
        if fully_known(s.scenes[row]) and stands_still(s.scenes[row])
    ]
    if not known:
        raise InputError(
            "the stems hold no scene whose distances are all known; render some with `earshot synth stems`"
        )
    order = np.random.default_rng(seed).permutation(len(known))
    chosen = (known[order[number % len(known)]] for number in range(count))
    return [
        _draw(shard, row, numbers[id(shard)], number, duration_s, np.random.default_rng([seed, number]))
        for number, (shard, row) in enumerate(chosen)
    ]


def _draw(
    shard: Shard, row: int, shard_number: int, number: int, duration_s: float, rng: np.random.Generator
) -> SeldScene:
    stem_scene = shard.scenes[row]
    samples = round(duration_s * SAMPLE_RATE_HZ)
    events: list[Event] = []
    for _ in range(int(duration_s * rng.uniform(*TRIES_PER_S))):
        event = _candidate(stem_scene, shard.stems.shape[-1], samples, rng)
        if event is not None and _fits(event, events):
            events.append(event)
    events.sort(key=lambda event: event.start)
    sources = [s for index, event in enumerate(events) for s in _audible(shard, row, stem_scene, event, index)]
    scene: Scene = {
        **stem_scene, "id": f"seld-{number:04d}", "duration_s": float(duration_s),
        "sources": [s for s in sources if s["onset_s"] < duration_s],
    }  # fmt: skip
    return SeldScene(scene, str(stem_scene["id"]), shard_number, row, tuple(events), samples)


def _candidate(stem_scene: Scene, length: int, samples: int, rng: np.random.Generator) -> Event | None:
    stem = int(rng.integers(len(stem_scene["sources"])))
    source = stem_scene["sources"][stem]
    begin = max(0, round((source["onset_s"] - LEAD_S) * SAMPLE_RATE_HZ))
    end = min(length, round((source["offset_s"] + TAIL_S) * SAMPLE_RATE_HZ))
    room = samples - (end - begin)
    place, gain_db = float(rng.random()), float(rng.normal(0, GAIN_DB))
    return Event(stem, begin, end, int(place * room), 10 ** (gain_db / 20)) if room > 0 else None


def _fits(event: Event, others: Sequence[Event]) -> bool:
    """No source meets itself, and no more than three sound at once."""
    gap = round(GAP_S * SAMPLE_RATE_HZ)
    near = [o for o in others if o.start < event.stop + gap and event.start < o.stop + gap]
    if any(o.stem == event.stem for o in near):
        return False
    edges = [event.start, *(o.start for o in near if event.start <= o.start < event.stop)]
    return all(sum(o.start <= edge < o.stop for o in near) < MOST_AT_ONCE for edge in edges)


def _audible(shard: Shard, row: int, stem_scene: Scene, event: Event, index: int) -> list[dict[str, Any]]:
    """Entries of the description: one for each audible stretch of an event."""
    played = shard.stems[row, event.stem, :, event.begin : event.end].astype(np.float64)
    entry = {key: value for key, value in stem_scene["sources"][event.stem].items() if key != "gain_db"}
    first_s = event.start / SAMPLE_RATE_HZ
    return [
        {
            **entry,
            "event": index,
            "onset_s": round(first_s + a * FRAME_S, 3),
            "offset_s": round(first_s + b * FRAME_S, 3),
        }
        for a, b in audible_spans(played)
    ]


def audible_spans(samples: FloatArray) -> list[Span]:
    """Stretches in 100 ms frames of a signal [2, n] that lie within 30 dB of its loudest frame, short pauses bridged."""
    block = round(FRAME_S * SAMPLE_RATE_HZ)
    count = samples.shape[1] // block
    power = (samples[:, : count * block].reshape(2, count, block) ** 2).sum(axis=(0, 2))
    loud = np.flatnonzero(power > max(float(power.max(initial=0.0)) * 10 ** (AUDIBLE_DB / 10), 1e-12))
    if len(loud) == 0:
        return []
    cuts = np.flatnonzero(np.diff(loud) > BRIDGED_FRAMES + 1)
    bounds = itertools.pairwise([-1, *cuts.tolist(), len(loud) - 1])
    return [(int(loud[before + 1]), int(loud[last]) + 1) for before, last in bounds]


def mix_scene(shards: Sequence[Shard], scene: SeldScene) -> Pcm:
    """Audio of a scene, int16 [2, samples]; turned down where it would clip."""
    shard = shards[scene.shard]
    mixture = _looped(shard.stems[scene.row, -1].astype(np.float64), scene.samples)
    for event in scene.events:
        part = shard.stems[scene.row, event.stem, :, event.begin : event.end].astype(np.float64)
        mixture[:, event.start : event.stop] += event.gain * _faded(part)
    return to_pcm(mixture * float(shard.scale[scene.row]))


def _faded(part: FloatArray) -> FloatArray:
    fade = min(round(FADE_S * SAMPLE_RATE_HZ), part.shape[1])
    out = part.copy()
    out[:, part.shape[1] - fade :] *= np.linspace(1.0, 0.0, fade)
    return out


def _looped(background: FloatArray, samples: int) -> FloatArray:
    """The background over and over, cross-faded with equal power."""
    fade = round(LOOP_FADE_S * SAMPLE_RATE_HZ)
    step = background.shape[1] - fade
    ramp = np.sqrt(np.linspace(0.0, 1.0, fade))
    out = np.zeros((2, samples + background.shape[1]))
    for start in range(0, samples, step):
        piece = background.copy()
        if start:
            piece[:, :fade] *= ramp
        piece[:, step:] *= ramp[::-1]
        out[:, start : start + background.shape[1]] += piece
    return out[:, :samples]
