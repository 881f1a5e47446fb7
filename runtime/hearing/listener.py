"""The whole of hearing as one stage: audio chunks in, scene snapshots out, tokens of the last 10 s at hand.

A file, a microphone and a simulated device all go through this object: what is measured on files holds live.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders, EncoderStream
from earshot.runtime.hearing.features import FRAME_S, HOP_SAMPLES, SAMPLE_RATE_HZ, FeatureExtractor
from earshot.runtime.hearing.tokens import MAX_TOKENS, TOKEN_S, TokenPooler, TokenRing, Tokens
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot, Tracker, TrackerSettings

MAX_FILL_S = 10.0
"""Lost sound up to this long is taken as silence; after more the stream starts afresh, its clock goes on."""

_WINDOW_SNAPSHOTS = round(MAX_TOKENS * TOKEN_S / SNAPSHOT_S)


@dataclass(frozen=True, eq=False)
class HearingWindow:
    """What was heard in the last 10 seconds, as the language model and the answers need it.

    Attributes
    ----------
    tokens : Tokens
        Projector inputs, at most 25 tokens of 400 ms.
    snapshots : tuple of SceneSnapshot
        At 10 Hz; `earshot.runtime.scene.sources.summarize` makes sources of them.
    end_s : float
        Seconds of audio heard since stream start.
    """

    tokens: Tokens
    snapshots: tuple[SceneSnapshot, ...]
    end_s: float


class Hearing:
    """Features, encoders, slots, tracks and tokens of one stream.

    Parameters
    ----------
    encoders : Encoders
        Shared weights; must be loaded before the first chunk.
    tracker_settings : TrackerSettings, optional

    Notes
    -----
    `process` and `window` may be called from different threads. Everything is causal: a sound waits for the
    end of its encoder frame (40 ms), a snapshot for the end of the frame it falls into (20 ms at most).
    """

    latency_s = FRAME_S + HOP_SAMPLES / SAMPLE_RATE_HZ

    def __init__(self, encoders: Encoders, tracker_settings: TrackerSettings | None = None) -> None:
        self._encoders = encoders
        self._features = FeatureExtractor()
        self._stream: EncoderStream | None = None
        self._tracker = Tracker(tracker_settings)
        self._pooler = TokenPooler()
        self._ring = TokenRing()
        self._snapshots: deque[SceneSnapshot] = deque(maxlen=_WINDOW_SNAPSHOTS)
        self._lock = threading.Lock()
        self._heard_samples = self._base_samples = 0

    def reset(self) -> None:
        """Back to a fresh object; the loaded weights stay."""
        with self._lock:
            self._restart(0)
            self._tracker.reset()

    def process(self, chunk: AudioChunk) -> list[SceneSnapshot]:
        """Hear one chunk of any length.

        Parameters
        ----------
        chunk : AudioChunk
            float32 [2, n] at 16 kHz with its place in the stream. Lost sound before it is taken as silence.

        Returns
        -------
        list of SceneSnapshot
            Those that became due, one per 100 ms.
        """
        with self._lock:
            missing = chunk.start_sample - self._heard_samples
            if missing > MAX_FILL_S * SAMPLE_RATE_HZ:
                self._restart(chunk.start_sample)
                missing = 0
            samples = np.pad(chunk.samples, ((0, 0), (missing, 0))) if missing > 0 else chunk.samples
            return self._hear(samples)

    def flush(self) -> list[SceneSnapshot]:
        """Nothing is held back: what is shorter than a frame is not judged."""
        return []

    def window(self) -> HearingWindow:
        """The last 10 seconds."""
        with self._lock:
            end_s = self._heard_samples / SAMPLE_RATE_HZ
            return HearingWindow(self._ring.tokens(), tuple(self._snapshots), end_s)

    def _restart(self, base_samples: int) -> None:
        """Reset every stage; the stream clock starts at `base_samples`."""
        for stage in (self._features, self._pooler, self._ring):
            stage.reset()
        self._tracker.forget()
        self._snapshots.clear()
        self._stream = None
        self._heard_samples = self._base_samples = base_samples

    def _hear(self, samples: NDArray[np.float32]) -> list[SceneSnapshot]:
        if self._stream is None:
            self._stream = self._encoders.open_stream()
        due: list[SceneSnapshot] = []
        for features in self._features.process(samples):
            frame = self._stream.step(features)
            due += self._tracker.process(frame)
            token = self._pooler.process(frame)
            if token is not None:
                self._ring.push(token)
        self._heard_samples += samples.shape[1]
        if self._base_samples:
            due = [snapshot.later_by(self._base_samples / SAMPLE_RATE_HZ) for snapshot in due]
        self._snapshots.extend(due)
        return due
