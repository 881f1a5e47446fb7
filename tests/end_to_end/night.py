"""A night that is heard faster than it lasts: a quiet room, a sound now and then, a busy hour, an unplugged microphone.

Made on the spot from a seed, so that ten hours take no room on the disk. The truth of how much there was is counted here,
so that what the listener tells can be compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from earshot.runtime.audio.capture import CaptureEvent, CaptureState, OnCaptureEvent
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk, Pacer
from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.demo.sounds import alarm_beeps, bird_song, knocks

CHUNK_SAMPLES = 1600
_ROOM_NOISE = 10 ** (-74 / 20)
_NOISE_S = 61.0
_SOUNDS = ((alarm_beeps, 0.5), (bird_song, 0.7), (knocks, 2.0))
_PLACES_DEG = (-150.0, -100.0, -60.0, -20.0, 20.0, 60.0, 100.0, 150.0)
_LENGTH_S = 2.5


@dataclass(frozen=True)
class NightPlan:
    """How a night goes.

    Attributes
    ----------
    hours : float
    quiet_every_s, busy_every_s : float
        Mean time between two sounds, in most hours and in every fourth one.
    unplugged_every_s, unplugged_s : float
        The microphone is gone so often, for so long.
    seed : int
    """

    hours: float = 10.0
    quiet_every_s: float = 60.0
    busy_every_s: float = 6.0
    unplugged_every_s: float = 3600.0
    unplugged_s: float = 15.0
    seed: int = 0


@dataclass
class Happened:
    """What really was: sounds begun, and changes of state told by the source."""

    sounds: int = 0
    unplugged: int = 0
    told: list[str] = field(default_factory=list)


class Night:
    """A live `AudioSource` (of no known length) that reports its state, like a microphone.

    Parameters
    ----------
    plan : NightPlan
    speed : float
        Hours an hour.
    """

    name = "night"
    duration_s = None

    def __init__(self, plan: NightPlan, speed: float) -> None:
        self.on_event: OnCaptureEvent | None = None
        self.happened = Happened()
        self._plan = plan
        self._pacer = Pacer("real", speed)
        self._state = CaptureState.STARTING

    @property
    def state(self) -> CaptureState:
        """The state at this moment."""
        return self._state

    def open(self) -> None:
        """Begin."""
        self._pacer.start()

    def close(self) -> None:
        """End the iteration."""
        self._pacer.stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[AudioChunk]:
        """The sound of the night, 100 ms at a time; none while unplugged."""
        plan, rng = self._plan, np.random.default_rng(self._plan.seed)
        noise = _room_noise()
        next_sound = rng.exponential(plan.quiet_every_s)
        sounding: tuple[int, NDArray[np.float32]] | None = None
        for start in range(0, round(plan.hours * 3600 * SAMPLE_RATE_HZ), CHUNK_SAMPLES):
            now_s = start / SAMPLE_RATE_HZ
            if not self._pacer.wait_for(now_s):
                return
            if self._is_unplugged(now_s):
                sounding = None
                continue
            at = int(rng.integers(noise.shape[1] - CHUNK_SAMPLES))
            samples = noise[:, at : at + CHUNK_SAMPLES].copy()
            if sounding is None and now_s >= next_sound:
                sounding = (start, _sound(*rng.integers((len(_SOUNDS), len(_PLACES_DEG)))))
                self.happened.sounds += 1
                busy = int(now_s // 3600) % 4 == 3
                next_sound = now_s + _LENGTH_S + rng.exponential(plan.busy_every_s if busy else plan.quiet_every_s)
            if sounding is not None:
                since = start - sounding[0]
                piece = sounding[1][:, since : since + CHUNK_SAMPLES]
                samples[:, : piece.shape[1]] += piece
                sounding = sounding if since + CHUNK_SAMPLES < sounding[1].shape[1] else None
            yield AudioChunk(samples, start)

    def _is_unplugged(self, now_s: float) -> bool:
        """Whether no sound comes now; changes of the state are told."""
        into_s = now_s % self._plan.unplugged_every_s
        gone = into_s >= self._plan.unplugged_every_s - self._plan.unplugged_s
        wanted = CaptureState.RECONNECTING if gone else CaptureState.LISTENING
        if self._state is not wanted:
            self.happened.unplugged += gone
            self.happened.told.append(wanted.value)
            self._state = wanted
            if self.on_event is not None:
                self.on_event(CaptureEvent(wanted, "pulled out" if gone else "plugged in", now_s))
        return gone


@cache
def _room_noise() -> NDArray[np.float32]:
    shape = (2, round(_NOISE_S * SAMPLE_RATE_HZ))
    return (_ROOM_NOISE * np.random.default_rng(7).standard_normal(shape)).astype(np.float32)


@cache
def _sound(kind: int, place: int) -> NDArray[np.float32]:
    make, gain = _SOUNDS[kind]
    ears = binaural(gain * make(_LENGTH_S), _PLACES_DEG[place], 0.0, 1.5, Room())
    return np.asarray(0.15 * ears / np.abs(ears).max(), np.float32)
