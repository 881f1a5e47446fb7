"""One opened input of PortAudio: its callback, the ring it fills, and the figures of its health."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.capture import CaptureSettings, Vitals
from earshot.runtime.audio.portaudio import InputDevice, choose_rate, quiet_stderr
from earshot.runtime.audio.ring import RingBuffer
from earshot.runtime.errors import DeviceError

Samples = NDArray[np.float32]

_BLOCKS_AT_ONCE = 2
"""40 ms, an encoder frame: to wake for less would be to wake in vain."""


class InputStream:
    """Two channels of a device, from `open()` to `close()`; not to be opened twice.

    The callback copies a block into the ring and notes two clocks, nothing else. One other thread reads.

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
        self.first_at_s: float | None = None  # time.monotonic() of the first sample
        self._opened_at_s = self._last_at_s = 0.0
        self._delay_s, self._usual_delay_s = 0.0, float("inf")
        self._zeros_since_s: float | None = None
        self._stream: Any = None

    def open(self) -> None:
        """Open and start the device.

        Raises
        ------
        DeviceError
            When it cannot be had at any rate.
        """
        self.rate_hz = choose_rate(self._sounddevice, self.device)
        self.ring = RingBuffer(round(self._settings.ring_s * self.rate_hz))
        self._opened_at_s = time.monotonic()
        try:
            with quiet_stderr():
                self._stream = self._sounddevice.InputStream(
                    samplerate=self.rate_hz,
                    blocksize=round(self._settings.block_s * self.rate_hz),
                    device=self.device.index,
                    channels=2,
                    dtype="float32",
                    latency="high",  # the buffer of the sound system; callbacks come per block all the same
                    callback=self._take,
                )
                self._stream.start()
        except (self._sounddevice.PortAudioError, ValueError) as error:
            self.close()
            raise DeviceError(f"{self.device.name}: cannot be opened ({error}); check that it is free") from error

    def close(self) -> None:
        """Give the device back; the ring keeps what it holds, and its reader learns that no more comes."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with quiet_stderr(), suppress(self._sounddevice.PortAudioError):
                stream.close()
        self.ring.close()

    def read(self, timeout_s: float) -> tuple[int, Samples]:
        """Take a tenth of a second at most, once there are two blocks of the device; see `RingBuffer.read`."""
        two_blocks = round(_BLOCKS_AT_ONCE * self._settings.block_s * self.rate_hz)
        start, samples = self.ring.read(self.rate_hz // 10, timeout_s, two_blocks)
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
            alive=self._stream is not None and bool(self._stream.active),
            has_frames=has_frames,
            silence_s=now_s - (self._last_at_s if has_frames else self._opened_at_s),
            zeros_s=0.0 if zeros_since_s is None else now_s - zeros_since_s,
            system_lag_s=max(0.0, self._delay_s - self._usual_delay_s) if has_frames else 0.0,
            waiting_s=len(self.ring) / self.rate_hz,
        )

    def _take(self, block: Samples, frames: int, clocks: Any, _status: object) -> None:
        """PortAudio's callback.

        Sound servers never raise the overflow flag; being late shows only as a growing distance between the
        clock and the time at which the block was recorded.
        """
        self.ring.write(block.T)
        now_s = time.monotonic()
        if self.first_at_s is None:
            self.first_at_s = now_s - frames / self.rate_hz
        self._last_at_s = now_s
        recorded_s = clocks.inputBufferAdcTime
        if recorded_s > 0.0:  # some host systems do not know
            self._delay_s = clocks.currentTime - recorded_s
            self._usual_delay_s = min(self._usual_delay_s, self._delay_s)
