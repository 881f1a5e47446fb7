"""A sound card without a sound card: what `sounddevice` offers, with sound at true cadence and faults on demand.

It stands in where PortAudio itself cannot be had; the same faults through the real PortAudio are in
tests/end_to_end/test_live_capture.py.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PortAudioError(Exception):
    """As sounddevice raises it."""


@dataclass
class Card:
    """One input.

    `level` 0 is a muted one; `flowing` False is a suspended one, whose sound is lost; `late_s` is held back;
    `overflowed` says once that sound was lost. `fetched` holds the lengths of what was read, in samples.
    """

    name: str
    channels: int = 2
    rates_hz: tuple[int, ...] = (48_000,)
    default_rate_hz: int = 48_000
    level: float = 0.1
    flowing: bool = True
    late_s: float = 0.0
    overflowed: bool = False
    opened: list[int] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)


class FakePortAudio:
    """Devices as they were when it was last started; `plugged` may change at any time."""

    PortAudioError = PortAudioError

    def __init__(self, *cards: Card) -> None:
        self.plugged = list(cards)
        self.default = SimpleNamespace(device=[0, -1])
        self.streams: list[_Stream] = []
        self.starts = 0
        self._initialize()

    def _initialize(self) -> None:
        self._known = list(self.plugged)
        self.starts += 1

    def _terminate(self) -> None:
        for stream in self.streams:
            stream.close()

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": card.name,
                "hostapi": 0,
                "max_input_channels": card.channels,
                "default_samplerate": float(card.default_rate_hz),
            }
            for card in self._known
        ]

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "fake"}]

    def check_input_settings(self, device: int, channels: int, dtype: str, samplerate: int) -> None:
        assert (channels, dtype) == (2, "float32")
        if samplerate not in self._known[device].rates_hz:
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **settings: Any) -> _Stream:
        card = self._known[settings["device"]]
        if card not in self.plugged:
            raise PortAudioError("Device unavailable")
        card.opened.append(settings["samplerate"])
        self.streams.append(_Stream(self, card, settings))
        return self.streams[-1]

    def unplug(self, card: Card) -> None:
        """The stream ends, as with a pulled USB plug."""
        self.plugged.remove(card)


class _Stream:
    """Sound by the clock: what has been recorded since the start less what was read or lost."""

    def __init__(self, owner: FakePortAudio, card: Card, settings: dict[str, Any]) -> None:
        self._owner, self._card = owner, card
        self._rate_hz: int = settings["samplerate"]
        self._rng = np.random.default_rng(0)
        self._lock = threading.Lock()
        self._recorded_s = self._looked_at_s = 0.0
        self._taken = 0
        self._started = False

    @property
    def active(self) -> bool:
        return self._started and self._card in self._owner.plugged

    @property
    def read_available(self) -> int:
        if not self.active:
            raise PortAudioError("Unanticipated host error")
        with self._lock:
            now_s = time.monotonic()
            if self._card.flowing:
                self._recorded_s += now_s - self._looked_at_s
            self._looked_at_s = now_s
            return max(0, int((self._recorded_s - self._card.late_s) * self._rate_hz) - self._taken)

    def start(self) -> None:
        self._looked_at_s = time.monotonic()
        self._started = True

    def close(self) -> None:
        self._started = False

    def read(self, count: int) -> tuple[NDArray[np.float32], bool]:
        overflowed, self._card.overflowed = self._card.overflowed, False
        self._taken += count
        self._card.fetched.append(count)
        return self._card.level * self._rng.standard_normal((count, 2)).astype(np.float32), overflowed
