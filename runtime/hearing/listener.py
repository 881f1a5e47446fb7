"""The whole of hearing as one stage: audio chunks in, scene snapshots out, tokens of the last 10 s at hand.

A file, a microphone and a simulated device all go through this object: what is measured on files holds live.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.hearing.encoders import Encoders, EncoderStream
from earshot.runtime.hearing.exchange import EarExchange
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES, HOP_SAMPLES, SAMPLE_RATE_HZ, FeatureExtractor
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.gate import GateSettings, SilenceGate
from earshot.runtime.hearing.seen import seen_from_now
from earshot.runtime.hearing.slots import EMPTY
from earshot.runtime.hearing.tokens import MAX_TOKENS, TOKEN_S, TokenPooler, TokenRing, Tokens
from earshot.runtime.hearing.tracks import SNAPSHOT_S, SceneSnapshot, Tracker, TrackerSettings
from earshot.runtime.hearing.two_ears import TwoEars

MAX_FILL_S = 10.0
"""Lost sound up to this long is taken as silence; after more the stream starts afresh, its clock goes on."""
LEAST_GAP_S = 0.2
"""Lost sound from this long on is forgotten by the encoders once sound is back: the world did not fall silent, and they go on from
what they knew. Single packets are shorter than any pause of a voice."""
MOST_FINDINGS = 64
"""So many are kept for who takes them late."""

Float32 = NDArray[np.float32]

_WINDOW_SNAPSHOTS = round(MAX_TOKENS * TOKEN_S / SNAPSHOT_S)


@dataclass(frozen=True, eq=False)
class HearingWindow:
    """What was heard in the last 10 seconds, as the language model and the answers need it.

    Attributes
    ----------
    tokens : Tokens
        Projector inputs, at most 25 tokens of 400 ms; where the yaw of the head is known, with places as they are from where it looks now.
    snapshots : tuple of SceneSnapshot
        At 10 Hz; `earshot.runtime.scene.sources.summarize` makes sources of them.
    frames : tuple of HearingFrame
        Of the tokens, ten for each; what a question names is looked for in them (`asked.py`).
    end_s : float
        Seconds of audio heard since stream start.
    turned_deg : tuple of float
        How far everything has moved to the left since each token, because the head turned; 0 where that is not known.
    """

    tokens: Tokens
    snapshots: tuple[SceneSnapshot, ...]
    frames: tuple[HearingFrame, ...]
    end_s: float
    turned_deg: tuple[float, ...] = ()


class Hearing:
    """Features, encoders, slots, tracks and tokens of one stream.

    Parameters
    ----------
    encoders : Encoders
        Shared weights; must be loaded before the first chunk.
    tracker_settings : TrackerSettings, optional
    gate_settings : GateSettings, optional
        When the encoders rest.

    Attributes
    ----------
    stride : int
        The encoders hear one of so many frames; the others are taken to be as the last one was. 1 unless a machine that
        is too slow is relieved. May be set from the thread that calls `process`.
    yaw_at : callable, optional
        Stream time in seconds -> yaw of the head in degrees (positive = left), or None where it is not known. Front and back are
        told apart by it when the head turns, and exchanged ears are found.
    exchange : EarExchange
        What finds them.

    Notes
    -----
    `process` and `window` may be called from different threads. Everything is causal: a sound waits for the
    end of its encoder frame (40 ms), a snapshot for the end of the frame it falls into (20 ms at most).
    """

    latency_s = FRAME_S + HOP_SAMPLES / SAMPLE_RATE_HZ

    def __init__(
        self,
        encoders: Encoders,
        tracker_settings: TrackerSettings | None = None,
        gate_settings: GateSettings | None = None,
    ) -> None:
        self._encoders = encoders
        self._features = FeatureExtractor()
        self._gate = SilenceGate(gate_settings)
        self._ears = TwoEars()
        self._pending: Float32 = np.zeros((2, 0), np.float32)
        self._frame: HearingFrame | None = None
        self._frames = 0
        self.stride = 1
        self.yaw_at: Callable[[float], float | None] | None = None
        self._yaw_deg: float | None = None
        self._stream: EncoderStream | None = None
        self._tracker = Tracker(tracker_settings)
        self.exchange = EarExchange()
        self._found: deque[Finding] = deque(maxlen=MOST_FINDINGS)
        self._pooler = TokenPooler()
        self._ring = TokenRing()
        self._snapshots: deque[SceneSnapshot] = deque(maxlen=_WINDOW_SNAPSHOTS)
        self._lock = threading.Lock()
        self._heard_samples = self._base_samples = 0

    @property
    def resting(self) -> bool:
        """Whether the encoders rest, because nothing is to be heard."""
        return self._gate.closed

    def reset(self) -> None:
        """Back to a fresh object; the loaded weights and the stride stay."""
        with self._lock:
            self._restart(0)
            self._tracker.reset()
            self.exchange.reset()
            self._found.clear()

    def process(self, chunk: AudioChunk) -> list[SceneSnapshot]:
        """Hear one chunk of any length.

        Parameters
        ----------
        chunk : AudioChunk
            float32 [2, n] at 16 kHz with its place in the stream. Lost sound before it is told as silence.

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
            return (self._miss(missing) if missing > 0 else []) + self._hear(chunk.samples)

    def flush(self) -> list[SceneSnapshot]:
        """Nothing is held back: what is shorter than a frame is not judged."""
        return []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the ears at the moment, as far as only hearing finds it out."""
        return self.exchange.active

    def take_findings(self) -> list[Finding]:
        """What was found out or taken back since the last call, in order."""
        found = list(self._found)
        self._found.clear()
        return found

    def window(self) -> HearingWindow:
        """The last 10 seconds."""
        with self._lock:
            end_s = self._heard_samples / SAMPLE_RATE_HZ
            turned_deg = self._ring.turned_deg(self._yaw_deg)
            tokens, snapshots, frames = self._ring.tokens(), tuple(self._snapshots), self._ring.frames()
        return HearingWindow(seen_from_now(tokens, turned_deg), snapshots, frames, end_s, turned_deg)

    def _restart(self, base_samples: int) -> None:
        """Reset every stage; the stream clock starts at `base_samples`."""
        for stage in (self._features, self._gate, self._ears, self._pooler, self._ring):
            stage.reset()
        self._tracker.forget()
        self._snapshots.clear()
        self._stream, self._frame, self._frames, self._yaw_deg = None, None, 0, None
        self._pending = np.zeros((2, 0), np.float32)
        self._heard_samples = self._base_samples = base_samples

    def _miss(self, count: int) -> list[SceneSnapshot]:
        """Take lost sound as silence, and let the encoders forget that silence when it was long."""
        long = count >= LEAST_GAP_S * SAMPLE_RATE_HZ and not self._gate.closed
        memory = self._stream.memory() if long and self._stream is not None else None
        due = self._hear(np.zeros((2, count), np.float32))
        if memory is not None and self._stream is not None:
            self._stream.recall(memory)
            self._gate.reset()
        return due

    def _hear(self, samples: Float32) -> list[SceneSnapshot]:
        self._heard_samples += samples.shape[1]
        rest = np.concatenate([self._pending, samples], axis=1)
        whole = rest.shape[1] // FRAME_SAMPLES * FRAME_SAMPLES
        self._pending = rest[:, whole:].copy()
        due: list[SceneSnapshot] = []
        for frame in self._frames_of(rest[:, :whole]):
            time_s = frame.time_s + self._base_samples / SAMPLE_RATE_HZ
            yaw_deg = self._yaw_deg = None if self.yaw_at is None else self.yaw_at(time_s)
            due += self._tracker.process(frame, yaw_deg)
            self._found += self.exchange.process(frame, yaw_deg, time_s)
            token = self._pooler.process(frame, yaw_deg)
            if token is not None:
                self._ring.push(token, self._pooler.frames, self._pooler.yaw_deg)
        if self._base_samples:
            due = [snapshot.later_by(self._base_samples / SAMPLE_RATE_HZ) for snapshot in due]
        self._snapshots.extend(due)
        return due

    def _frames_of(self, samples: Float32) -> Iterator[HearingFrame]:
        """What is heard in whole frames of sound, float32 [2, k * 640]."""
        start = 0
        while start < samples.shape[1]:
            if self._gate.closed:
                yield self._rest(samples[:, start : start + FRAME_SAMPLES])
                start += FRAME_SAMPLES
                continue
            for features in self._features.process(samples[:, start:]):
                yield self._listen(features, samples[:, start : start + FRAME_SAMPLES])
                start += FRAME_SAMPLES
                if self._gate.closed:  # features of the rest were in vain; they start anew when it opens
                    break

    def _listen(self, features: Float32, samples: Float32) -> HearingFrame:
        """Hear one frame, or take it to be as the last one was when it is to be skipped."""
        self._frames += 1
        self._add(samples)
        if self._frame is None or self._frames % self.stride == 0:
            self._step(features)
        self._gate.heard(samples, something=bool((self._now.slot_class != EMPTY).any()))
        return self._now

    def _rest(self, samples: Float32) -> HearingFrame:
        """Take one frame while the encoders rest; they catch up on the pre-roll when it wakes them.

        Their state is kept while they rest. It has settled on silence by then, so it goes on from where more silence would
        have left it, and the pre-roll bridges what little has changed. Names are taken from sound without gaps: from the pre-roll on.
        """
        self._frames += 1
        due = self._gate.process(samples)
        if due is not None:
            self._features.reset()
            self._open_stream().forget_sound()
            for number, features in enumerate(self._features.process(due)[1:], start=1):
                self._add(due[:, number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES])
                self._step(features)
        return self._now

    def _add(self, samples: Float32) -> None:
        """Give the sound of a frame to what hears it without features, before the frame is stepped."""
        stream = self._open_stream()
        stream.add(samples)
        if self._ears.process(samples):
            stream.forget_places()

    def _step(self, features: Float32) -> None:
        self._frame = self._open_stream().step(features)

    def _open_stream(self) -> EncoderStream:
        """The stream of the encoders, a new one when there is none."""
        if self._stream is None:
            self._stream = self._encoders.open_stream()
        return self._stream

    @property
    def _now(self) -> HearingFrame:
        """What the encoders said last, as of now."""
        assert self._frame is not None, "a fresh gate is open"
        return replace(self._frame, time_s=self._frames * FRAME_S)
