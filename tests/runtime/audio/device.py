"""A small device for tests: sound cut into packets, and what a receiver makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from earshot.runtime.audio.packets import Flags, Header, Kind, Packet, audio_packet, encode
from earshot.runtime.audio.receiver import Receiver
from earshot.runtime.audio.source import AudioChunk

FRAMES = 320


def noise(seconds: float, rate_hz: int = 16_000, seed: int = 0) -> np.ndarray:
    """Two ears of noise that survives 16 bits unchanged, float32 [2, n]."""
    whole = np.random.default_rng(seed).integers(-8000, 8000, (2, round(seconds * rate_hz)))
    return (whole / 32_768).astype(np.float32)


def tone(seconds: float, rate_hz: float = 16_000, pitch_hz: float = 440.0) -> np.ndarray:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([np.sin(2 * np.pi * pitch_hz * time_s)] * 2).astype(np.float32) * np.float32(0.5)


def packets_of(
    audio: np.ndarray,
    rate_hz: int = 16_000,
    *,
    stream_id: int = 7,
    sequence: int = 0,
    index: int = 0,
    true_rate_hz: float | None = None,
    yaw_cdeg: int = 0,
    frames: int = FRAMES,
) -> list[Packet]:
    """Audio packets of 20 ms at 16 kHz (320 frames); device time counts the true rate."""
    made = []
    for number, at in enumerate(range(0, audio.shape[1] - audio.shape[1] % frames, frames)):
        header = Header(
            Kind.AUDIO,
            (sequence + number) % 2**32,
            stream_id,
            round((index + at) / (true_rate_hz or rate_hz) * 1e6),
            index + at,
            rate_hz,
            yaw_cdeg=yaw_cdeg,
            flags=int(Flags.POSE_VALID),
        )
        made.append(audio_packet(header, audio[:, at : at + frames]))
    return made


def with_time(packet: Packet, **fields: int) -> Packet:
    return replace(packet, header=replace(packet.header, **fields))


def hear(receiver: Receiver, packets: Iterable[Packet], start_s: float = 0.0, step_s: float = 0.02) -> list[AudioChunk]:
    """Send packets one after another in even steps."""
    chunks: list[AudioChunk] = []
    for number, packet in enumerate(packets):
        chunks += receiver.process(encode(packet), start_s + number * step_s)
    return chunks


def joined(chunks: Iterable[AudioChunk]) -> np.ndarray:
    """The whole stream with silence in its gaps, float32 [2, n]; checks that chunks never overlap."""
    stream = np.zeros((2, 0), np.float32)
    for chunk in chunks:
        assert chunk.start_sample >= stream.shape[1]
        gap = chunk.start_sample - stream.shape[1]
        stream = np.concatenate([stream, np.zeros((2, gap), np.float32), chunk.samples], axis=1)
    return stream


def ids(receiver: Receiver) -> list[str]:
    found = receiver.take_findings()
    assert all("\n" not in finding.text and "{" not in finding.text for finding in found)
    return [finding.id for finding in found]
