"""What every source of sound looks like to the rest of the program, and the source that plays an array.

A file, a microphone, a socket and a simulated device are the same thing to a consumer: chunks of both ears at
16 kHz, each with its place in the stream. Construction never fails; `open()` may.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from earshot.runtime.audio import checks
from earshot.runtime.audio.resample import StreamResampler
from earshot.runtime.errors import UsageError

SAMPLE_RATE_HZ = 16000
"""Rate of all audio inside the program."""
DEFAULT_CHUNK_SAMPLES = 640
"""40 ms: one encoder frame."""

Samples = NDArray[np.float32]
PaceName = Literal["fast", "real"]


@dataclass(frozen=True, eq=False)
class AudioChunk:
    """A piece of the stream.

    Attributes
    ----------
    samples : ndarray of float32, shape [2, n]
        Channel 0 = left ear; full scale is 1.
    start_sample : int
        Place of the first sample since stream start. A jump between chunks means lost sound.
    """

    samples: Samples
    start_sample: int

    @property
    def start_s(self) -> float:
        """Seconds from stream start to the first sample."""
        return self.start_sample / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """Seconds from stream start to just after the last sample."""
        return (self.start_sample + int(self.samples.shape[1])) / SAMPLE_RATE_HZ


@runtime_checkable
class AudioSource(Protocol):
    """Anything that yields chunks of float32 [2, n] at 16 kHz between `open()` and `close()`."""

    @property
    def name(self) -> str:
        """What a message calls this source."""

    @property
    def duration_s(self) -> float | None:
        """Length in seconds once open; None when nobody can know (live)."""

    def open(self) -> None:
        """Acquire the source; the only call that may fail for outside reasons.

        Raises
        ------
        EarshotError
            When the source cannot be used, in one line.
        """

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield chunks in order until the source ends or `close()` is called."""

    def close(self) -> None:
        """Release the source; may be called twice and from another thread."""

    def __enter__(self) -> Self:
        """Open."""

    def __exit__(self, *exc: object) -> None:
        """Close."""


class Pacer:
    """Lets chunks through at once ("fast") or when they would have been heard ("real").

    Parameters
    ----------
    pace : {"fast", "real"}
    speed : float
        Factor on true time: 2 plays twice as fast. Ignored when fast.
    """

    def __init__(self, pace: PaceName = "fast", speed: float = 1.0) -> None:
        self._pace, self._speed = pace, speed
        self._stop = threading.Event()
        self._started_at: float | None = None

    def start(self) -> None:
        """Check the settings and take the next chunk's wait as the beginning of time.

        Raises
        ------
        UsageError
            When the pace is unknown or the speed is not a positive number.
        """
        if self._pace not in ("fast", "real"):
            raise UsageError(f"pace {self._pace!r} is unknown; use 'fast' or 'real'")
        if not (self._speed > 0 and np.isfinite(self._speed)):
            raise UsageError(f"speed must be a positive number, not {self._speed}")
        self._stop.clear()
        self._started_at = None

    def stop(self) -> None:
        """End a wait in progress, from any thread."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop()` was called since `start()`."""
        return self._stop.is_set()

    def wait_for(self, stream_s: float) -> bool:
        """Wait until stream time `stream_s` is due; False when stopped meanwhile.

        Due times are counted from the first call, so that lateness of one chunk does not add up.
        """
        if self._started_at is None:
            self._started_at = time.monotonic()
        if self._pace == "real":
            self._stop.wait(max(0.0, self._started_at + stream_s / self._speed - time.monotonic()))
        return not self._stop.is_set()


class SteadySource:
    """Common part of sources that own their samples: resampling, checks, even chunks, pace.

    A subclass gives `name`, `_acquire() -> rate_hz`, `_blocks()` (float32 [2, n] at that rate)
    and `_release()`.
    """

    def __init__(self, chunk_samples: int, pace: PaceName, speed: float) -> None:
        self._chunk_samples = chunk_samples
        self._pacer = Pacer(pace, speed)
        self._rate_hz: int | None = None

    @property
    def name(self) -> str:
        """What a message calls this source."""
        raise NotImplementedError

    def _acquire(self) -> int:
        raise NotImplementedError

    def _blocks(self) -> Iterator[Samples]:
        raise NotImplementedError

    def _release(self) -> None:
        raise NotImplementedError

    def open(self) -> None:
        """Acquire the source from its beginning; an open source is closed first.

        Raises
        ------
        InputError
            When the sound cannot be used.
        UsageError
            When a setting is impossible.
        """
        self.close()
        if self._chunk_samples < 1:
            raise UsageError(f"a chunk needs at least 1 sample, not {self._chunk_samples}")
        self._pacer.start()
        self._rate_hz = self._acquire()

    def close(self) -> None:
        """Release the source; may be called twice and from another thread."""
        self._pacer.stop()
        self._rate_hz = None
        self._release()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield the chunks; each but the last has exactly the chunk length.

        Raises
        ------
        InputError
            When bad samples turn up on the way (not a number, damaged or ended too early).
        UsageError
            When the source is not open.
        """
        rate_hz = self._rate_hz
        if rate_hz is None:
            raise UsageError(f"{self.name}: not open; call open() first or use it in a 'with' block")
        start_sample = 0
        for samples in even_chunks(self._at_16k(rate_hz), self._chunk_samples):
            chunk = AudioChunk(samples, start_sample)
            if not self._pacer.wait_for(chunk.end_s):
                return
            yield chunk
            start_sample += samples.shape[1]

    def _at_16k(self, rate_hz: int) -> Iterator[Samples]:
        resampler = StreamResampler(rate_hz, SAMPLE_RATE_HZ)
        frames_in = 0
        for block in self._blocks():
            checks.check_values(block, self.name, frames_in / rate_hz)
            frames_in += block.shape[1]
            yield resampler.process(block)
        if not self._pacer.stopped:
            checks.check_length(frames_in, rate_hz, self.name)
            yield resampler.flush()


def even_chunks(blocks: Iterable[Samples], chunk_samples: int) -> Iterator[Samples]:
    """Cut a stream of [2, any] blocks into chunks of one length; the last may be shorter but not empty."""
    rest = np.zeros((2, 0), dtype=np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block], axis=1) if rest.shape[1] else block
        whole = rest.shape[1] - rest.shape[1] % chunk_samples
        for start in range(0, whole, chunk_samples):
            yield np.ascontiguousarray(rest[:, start : start + chunk_samples])
        rest = rest[:, whole:]
    if rest.shape[1]:
        yield np.ascontiguousarray(rest)


class ArraySource(SteadySource):
    """Sound that is in memory already.

    Parameters
    ----------
    samples : ndarray, shape [2, n]
        Channel 0 = left ear; full scale is 1.
    sample_rate_hz : int
        Rate of `samples`; resampled to 16 kHz when different.
    chunk_samples : int
        Length of the chunks at 16 kHz.
    pace, speed
        See `Pacer`.
    name : str
        What messages call it.
    """

    def __init__(
        self,
        samples: NDArray[np.floating],
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        *,
        chunk_samples: int = DEFAULT_CHUNK_SAMPLES,
        pace: PaceName = "fast",
        speed: float = 1.0,
        name: str = "array",
    ) -> None:
        super().__init__(chunk_samples, pace, speed)
        self._samples, self._sample_rate_hz, self._name = samples, sample_rate_hz, name

    @property
    def name(self) -> str:
        """What a message calls this source."""
        return self._name

    @property
    def duration_s(self) -> float | None:
        """Length in seconds."""
        return int(self._samples.shape[-1]) / self._sample_rate_hz

    def _acquire(self) -> int:
        checks.check_shape(self._samples, self._name)
        checks.check_rate(self._sample_rate_hz, self._name)
        checks.check_length(self._samples.shape[1], self._sample_rate_hz, self._name)
        return self._sample_rate_hz

    def _blocks(self, block_frames: int = 16384) -> Iterator[Samples]:
        for start in range(0, self._samples.shape[1], block_frames):
            yield np.asarray(self._samples[:, start : start + block_frames], dtype=np.float32)

    def _release(self) -> None:
        """Nothing is held."""
