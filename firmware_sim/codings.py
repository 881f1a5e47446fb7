"""Ways in which hearables code the sound of two ears, each for a whole clip: FFmpeg's encoders and decoders.

`codec.py` codes a stream inside the simulated device; here whole clips are coded to compare codings with each other.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from earshot.runtime.errors import UsageError

Samples = NDArray[np.float32]

RATE_HZ = 16_000
_TAIL = 8192
"""Silence after a clip, for what the codec still holds: longer than its delay."""
_LONGEST_DELAY = 4096
_LAMBDA = 118
"""FFmpeg's unit of quality (FF_QP2LAMBDA); for SBC the quality is the bitpool."""
_MISSING = 'coding sound needs the package av, which is not installed; install it with: pip install "earshot[codec]"'


@dataclass(frozen=True)
class Coding:
    """One way to code both ears.

    Attributes
    ----------
    name : str
    codec : str
        Encoder and decoder, as FFmpeg calls them.
    apart : bool
        Each ear coded by itself, as earpieces do that are two devices.
    format : str
        Of the samples, as FFmpeg calls it.
    frame : int
        Samples of an ear that are coded at a time.
    bit_rate : int or None
        Bits per second of one encoder.
    options : mapping of str
        Others of the encoder.
    decoded_hz : int
        Rate at which the decoder gives sound out.
    """

    name: str
    codec: str
    apart: bool
    format: str
    frame: int
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    decoded_hz: int = RATE_HZ


def _sbc(bitpool: int, apart: bool) -> Coding:
    """FFmpeg's SBC encoder takes joint stereo for two channels below 180 kbit/s, which its default is."""
    options = {"flags": "+qscale", "global_quality": str(_LAMBDA * bitpool)}
    name = f"SBC bitpool {bitpool}, " + ("each ear by itself" if apart else "joint stereo")
    return Coding(name, "sbc", apart, "s16", 128, options=options)


def _opus(kbps: int, apart: bool) -> Coding:
    name = f"Opus {kbps} kbit/s, " + ("each ear by itself" if apart else "stereo")
    options = {"application": "audio", "vbr": "off", "frame_duration": "20"}
    return Coding(name, "libopus", apart, "s16", 320, 1000 * kbps // (1 + apart), options, 48_000)


CODINGS: tuple[Coding, ...] = (
    _sbc(53, apart=False),
    _sbc(35, apart=False),
    _sbc(18, apart=False),
    _sbc(26, apart=True),
    _sbc(17, apart=True),
    _sbc(9, apart=True),
    Coding("aptX, 4 : 1", "aptx", False, "s32p", 1024),
    Coding("AAC 64 kbit/s, stereo", "aac", False, "fltp", 1024, 64_000),
    _opus(96, apart=False),
    _opus(48, apart=False),
    _opus(24, apart=False),
    _opus(96, apart=True),
    _opus(48, apart=True),
    _opus(24, apart=True),
)
"""SBC, which every Bluetooth audio device has; 26 for each ear is near mSBC, the codec of calls. aptX codes the ears apart
but for a bit that keeps its blocks in step. LC3, the codec of LE Audio, is not in FFmpeg, and its package has no wheel for 64-bit ARM."""


def coded(samples: Samples, coding: Coding) -> tuple[Samples, float]:
    """A clip after coding and decoding, its delay taken out.

    Parameters
    ----------
    samples : ndarray, float32 [2, n]
        At 16 kHz, full scale 1.
    coding : Coding

    Returns
    -------
    samples : ndarray, float32 [2, n]
    kbps : float
        What was sent, of both ears together; 1000 bits per second of the clip.

    Raises
    ------
    UsageError
        When the package av is not installed.
    """
    padded = np.pad(samples, ((0, 0), (0, _TAIL)))
    parts = (padded[:1], padded[1:]) if coding.apart else (padded,)
    heard, sizes = zip(*(_there_and_back(part, coding) for part in parts), strict=True)
    length = min(part.shape[1] for part in heard)
    both = np.concatenate([part[:, :length] for part in heard])
    late = _delay(samples.sum(axis=0), both.sum(axis=0))
    both = np.pad(both, ((0, 0), (0, max(0, late + samples.shape[1] - both.shape[1]))))
    return both[:, late : late + samples.shape[1]], 8 * sum(sizes) / (padded.shape[1] / RATE_HZ) / 1000


def _there_and_back(samples: Samples, coding: Coding) -> tuple[Samples, int]:
    """Through encoder and decoder: float32 [channels, n] at 16 kHz, late; and how many bytes lay between."""
    av = _library()
    layout = "stereo" if len(samples) == 2 else "mono"
    encoder = av.CodecContext.create(coding.codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, layout, coding.format
    encoder.time_base, encoder.options = Fraction(1, RATE_HZ), dict(coding.options)
    if coding.bit_rate is not None:
        encoder.bit_rate = coding.bit_rate
    packets = [p for frame in _frames(av, samples, coding, layout) for p in encoder.encode(frame)]
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(coding.codec, "r")
    decoder.sample_rate, decoder.layout = coding.decoded_hz, layout
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    parts = [_floats(frame, len(samples)) for packet in packets for frame in decoder.decode(packet)]
    heard = np.concatenate(parts, axis=1)
    if coding.decoded_hz != RATE_HZ:
        heard = soxr.resample(heard.T, coding.decoded_hz, RATE_HZ).T
    return np.asarray(heard, np.float32), sum(packet.size for packet in packets)


def _library() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UsageError(_MISSING) from error


def _frames(av: Any, samples: Samples, coding: Coding, layout: str) -> Iterator[Any]:
    """The clip cut into frames, in the encoder's number format."""
    values = _as_format(samples, coding.format)
    for at in range(0, samples.shape[1] - coding.frame + 1, coding.frame):
        piece = np.ascontiguousarray(values[:, at : at + coding.frame])
        packed = piece if coding.format.endswith("p") else piece.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=coding.format, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        yield frame


def _as_format(samples: Samples, format_: str) -> NDArray[Any]:
    if format_.startswith("flt"):
        return samples
    bits = int(format_[1:3]) - 1
    steps = 2.0**bits
    whole = np.clip(np.rint(samples.astype(np.float64) * steps), -steps, steps - 1)
    return whole.astype(np.int16 if bits == 15 else np.int32)


def _floats(frame: Any, channels: int) -> Samples:
    """Decoded samples [channels, n], full scale 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if np.issubdtype(values.dtype, np.integer):
        return np.asarray(values / 2.0 ** (8 * values.dtype.itemsize - 1), np.float32)
    return np.asarray(values, np.float32)


def _delay(before: Samples, after: Samples) -> int:
    """Samples by which the second is later: where their correlation is largest."""
    size = len(before) + len(after)
    spectrum = np.conj(np.fft.rfft(before, size)) * np.fft.rfft(after, size)
    return int(np.argmax(np.fft.irfft(spectrum, size)[:_LONGEST_DELAY]))
