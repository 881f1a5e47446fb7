"""A sound card without a sound card: what `sounddevice` offers, with blocks at true cadence and faults on demand.

It stands in where PortAudio itself cannot be had; the same faults through the real PortAudio are in
tests/end_to_end/test_live_capture.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np


class PortAudioError(Exception):
    """As sounddevice raises it."""


@dataclass
class Card:
    """One input. `level` 0 is a muted one; `flowing` False is a suspended one; `late_s` a growing backlog."""

    name: str
    channels: int = 2
    rates_hz: tuple[int, ...] = (48_000,)
    default_rate_hz: int = 48_000
    level: float = 0.1
    flowing: bool = True
    late_s: float = 0.0
    opened: list[int] = field(default_factory=list)


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
    def __init__(self, owner: FakePortAudio, card: Card, settings: dict[str, Any]) -> None:
        self._owner, self._card = owner, card
        self._rate_hz: int = settings["samplerate"]
        self._frames: int = settings["blocksize"]
        self._callback: Callable[..., None] = settings["callback"]
        self._stop = threading.Event()
        self.active = False

    def start(self) -> None:
        self.active = True
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        rng = np.random.default_rng(0)
        due_s = time.monotonic()
        while self._card in self._owner.plugged:
            due_s += self._frames / self._rate_hz
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            if self._card.flowing:
                block = self._card.level * rng.standard_normal((self._frames, 2)).astype(np.float32)
                now_s = time.monotonic()
                clocks = SimpleNamespace(currentTime=now_s, inputBufferAdcTime=now_s - 0.01 - self._card.late_s)
                self._callback(block, self._frames, clocks, None)
        self.active = False
