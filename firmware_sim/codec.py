"""What a Bluetooth codec leaves of the sound: SBC, which every Bluetooth audio device must have, by FFmpeg's encoder and decoder.

The sound is coded and decoded again inside the device, as if a receiver had unpacked it before it became packets. LC3, the codec of
LE Audio, is not offered: its only maintained package for Python (lc3py) has no wheel for 64-bit ARM.
"""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from earshot.firmware_sim.scenario import Device
from earshot.runtime.errors import UsageError

Samples = NDArray[np.float32]

BLOCK = 128
"""Samples of one SBC frame: 8 subbands, 16 blocks."""
FILTER_DELAY = 73
"""Of both filter banks together, samples."""
_LAMBDA = 118
"""FFmpeg's unit of quality (FF_QP2LAMBDA); for SBC the quality is the bitpool."""
_STEPS = 32_768.0
_MISSING = 'codec = "sbc" needs the package av, which is not installed; install it with: pip install "earshot[codec]"'


class Codec(Protocol):
    """Stage: samples of the converter in, as many decoded samples out; float32 [2, n], full scale 1."""

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""

    def process(self, samples: Samples) -> Samples:
        """Take the next block."""


class Uncoded:
    """No codec: everything stays as it is."""

    def reset(self) -> None:
        """Nothing is kept."""

    def process(self, samples: Samples) -> Samples:
        """The same samples."""
        return samples


class SbcCodec:
    """SBC in joint stereo: what is alike in both ears is coded once, band by band.

    Parameters
    ----------
    sample_rate_hz : int
        16000, 32000, 44100 or 48000.
    bitpool : int
        Bits that a frame has for the samples of one block; 53 is "high quality" in joint stereo at 44.1 kHz, 35 the middle one
        (Advanced Audio Distribution Profile, section 4.3.2).

    Raises
    ------
    UsageError
        When the package av is not installed.
    """

    latency_samples = BLOCK + FILTER_DELAY

    def __init__(self, sample_rate_hz: int, bitpool: int) -> None:
        self._rate_hz, self._bitpool = sample_rate_hz, bitpool
        try:
            self._av: Any = importlib.import_module("av")
        except ImportError as error:
            raise UsageError(_MISSING) from error
        self.reset()

    @property
    def kbps(self) -> float:
        """Rate of the coded stream: 13 bytes of header and scale factors, and the samples (A2DP, section 12.9)."""
        return (13 + 2 * self._bitpool) * 8 * self._rate_hz / BLOCK / 1000

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._encoder, self._decoder = self._context("w"), self._context("r")
        self._waiting = np.zeros((2, 0), np.float32)
        self._ready = np.zeros((2, BLOCK), np.float32)  # a frame must be complete before any of it is heard

    def process(self, samples: Samples) -> Samples:
        """Take the next block; as many samples come out, `latency_samples` later."""
        joined = np.concatenate([self._waiting, samples], axis=1)
        whole = joined.shape[1] - joined.shape[1] % BLOCK
        self._waiting = joined[:, whole:]
        frames = [self._coded(joined[:, at : at + BLOCK]) for at in range(0, whole, BLOCK)]
        ready = np.concatenate([self._ready, *frames], axis=1)
        count = samples.shape[1]
        self._ready = ready[:, count:]
        return ready[:, :count]

    def _context(self, mode: str) -> Any:
        context = self._av.CodecContext.create("sbc", mode)
        context.sample_rate, context.layout = self._rate_hz, "stereo"
        if mode == "w":
            context.format, context.time_base = "s16", Fraction(1, self._rate_hz)
            context.options = {"flags": "+qscale", "global_quality": str(_LAMBDA * self._bitpool)}
        return context

    def _coded(self, samples: Samples) -> Samples:
        """One frame, coded and decoded: float32 [2, 128]."""
        whole = np.clip(np.rint(samples.T * _STEPS), -_STEPS, _STEPS - 1).astype(np.int16)
        frame = self._av.AudioFrame.from_ndarray(whole.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = self._rate_hz
        heard = [
            decoded.to_ndarray() for packet in self._encoder.encode(frame) for decoded in self._decoder.decode(packet)
        ]
        return np.concatenate(heard, axis=1).astype(np.float32) / np.float32(_STEPS)


def codec_of(device: Device) -> Codec:
    """What codes the sound of a device.

    Raises
    ------
    UsageError
        When it needs a package that is not installed.
    """
    return SbcCodec(device.sample_rate_hz, device.sbc_bitpool) if device.codec == "sbc" else Uncoded()
