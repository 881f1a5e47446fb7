"""One opened input of PortAudio: the thread that fetches its sound, the ring it fills, and the figures of its health."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.capture import CaptureSettings, Vitals
from earshot.runtime.audio.flow import FlowClock
from earshot.runtime.audio.portaudio import InputDevice, choose_rate, quiet_stderr
from earshot.runtime.audio.ring import RingBuffer
from earshot.runtime.errors import DeviceError

Samples = NDArray[np.float32]


class InputStream:
    """Two channels of a device, from `open()` to `close()`; not to be opened twice.

    A thread of its own fetches what has come since it last did, copies it into the ring and notes the clock, nothing
    else. How often it does so can change at any time, which no callback of PortAudio allows. It never waits inside
    PortAudio, so that it can always be ended. One other thread reads.

    Parameters
    ----------
    sounddevice : module
    device : InputDevice
    settings : CaptureSettings
    """

    def __init__(self, sounddevice: Any, device: InputDevice, settings: CaptureSettings) -> None:
        self._sounddevice = sounddevice
        self.device = device
        self._settings = settings
        self.rate_hz = 0
        self.ring = RingBuffer(1)
        self._flow = FlowClock(1, 0.0, 0.0)
        self._opened_at_s = 0.0
        self._zeros_since_s: float | None = None
        self._stream: Any = None
        self._thread: threading.Thread | None = None
        self._every_s = settings.fetch_s
        self._ended = False
        self._hurry = threading.Event()

    @property
    def first_at_s(self) -> float | None:
        """`time.monotonic()` of the first sample."""
        return self._flow.first_at_s

    def open(self) -> None:
        """Open and start the device.

        Raises
        ------
        DeviceError
            When it cannot be had at any rate.
        """
        settings = self._settings
        self.rate_hz = choose_rate(self._sounddevice, self.device)
        self.ring = RingBuffer(round(settings.ring_s * self.rate_hz))
        self._flow = FlowClock(self.rate_hz, settings.lag_off_s, settings.lost_after_s)
        self._opened_at_s = time.monotonic()
        try:
            with quiet_stderr():
                self._stream = self._sounddevice.InputStream(
                    samplerate=self.rate_hz,
                    device=self.device.index,
                    channels=2,
                    dtype="float32",
                    latency=settings.buffer_s,
                )
                self._stream.start()
        except (self._sounddevice.PortAudioError, ValueError) as error:
            self.close()
            raise DeviceError(f"{self.device.name}: cannot be opened ({error}); check that it is free") from error
        self._thread = threading.Thread(target=self._fetch, name="microphone", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the device back; the ring keeps what it holds, and its reader learns that no more comes."""
        self._ended = True
        self._hurry.set()
        if self._thread is not None:
            self._thread.join()  # PortAudio must not be closed under it
        stream, self._stream = self._stream, None
        if stream is not None:
            with quiet_stderr(), suppress(self._sounddevice.PortAudioError):
                stream.close()
        self.ring.close()

    def rest(self, resting: bool) -> None:
        """Fetch sound seldom from now on, or often and the first at once."""
        every_s = self._settings.resting_fetch_s if resting else self._settings.fetch_s
        if every_s == self._every_s:
            return
        self._every_s = every_s
        if not resting:
            self._hurry.set()

    def read(self, timeout_s: float) -> tuple[int, Samples]:
        """Take what was fetched, half a second at most; see `RingBuffer.read`."""
        start, samples = self.ring.read(self.rate_hz // 2, timeout_s)
        if samples.shape[1]:
            if samples.any():
                self._zeros_since_s = None
            elif self._zeros_since_s is None:
                self._zeros_since_s = time.monotonic()
        return start, samples

    def vitals(self) -> Vitals:
        """The figures at this moment."""
        now_s, zeros_since_s = time.monotonic(), self._zeros_since_s
        has_frames = self.first_at_s is not None
        return Vitals(
            alive=self._fetching and self._stream is not None and bool(self._stream.active),
            has_frames=has_frames,
            silence_s=now_s - (self._flow.last_at_s if has_frames else self._opened_at_s),
            zeros_s=0.0 if zeros_since_s is None else now_s - zeros_since_s,
            system_lag_s=self._flow.lag_s,
            waiting_s=len(self.ring) / self.rate_hz,
        )

    @property
    def _fetching(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _fetch(self) -> None:
        """The thread that fetches; ends by itself when the device is gone."""
        with suppress(self._sounddevice.PortAudioError):
            while not self._ended:
                self._hurry.wait(self._every_s)
                self._hurry.clear()
                if not self._ended and (count := self._stream.read_available):
                    self._take(*self._stream.read(count))

    def _take(self, block: Samples, overflowed: bool) -> None:
        """Copy a block, float32 [n, 2], behind what was lost before it."""
        lost = self._flow.process(len(block), time.monotonic(), overflowed)
        if lost:
            self.ring.skip(lost)
        self.ring.write(block.T)
