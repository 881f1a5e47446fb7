"""From a device's samples to the stream: 16 kHz, true time, and every missing sample a gap and not a splice.

Knows nothing of packets or sockets: blocks of samples in order, with their place in the device's count when it
has one, and the time at which they came.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.drift import ClockState, DriftControl, Stretcher
from earshot.runtime.audio.resample import StreamResampler
from earshot.runtime.audio.source import DEFAULT_CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioChunk

Samples = NDArray[np.float32]

MISMATCH = 0.002
"""A device that samples so much off its declared rate is mistaken about the rate, not just drifting."""
_METER_S = 2.0
_PAUSE_S = 0.02
"""More device time than samples between two blocks: the device took none meanwhile."""
_STEP_S = 0.25
"""Bare samples that stay so much later than before: the sender paused."""
LONGEST_JUMP_S = 10.0
"""A longer jump of the device's count is not believed; then the receiver's clock says how much is missing."""


class RateMeter:
    """The true sample rate by the device's own clock: frames counted against device time."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin a new measurement."""
        self._anchor: tuple[int, int] | None = None
        self._previous_hz = 0.0

    def measure(self, index: int, time_us: int) -> float | None:
        """Take the first frame of a block; a rate in Hz once two stretches of 2 s agree within 0.05 %."""
        if self._anchor is None:
            self._anchor = (index, time_us)
            return None
        elapsed_s = (time_us - self._anchor[1]) * 1e-6
        if elapsed_s < _METER_S:
            return None
        rate_hz = (index - self._anchor[0]) / elapsed_s
        agrees = abs(rate_hz - self._previous_hz) < 5e-4 * rate_hz
        self._anchor, self._previous_hz = (index, time_us), rate_hz
        return rate_hz if agrees else None


class Timeline:
    """Stage: device blocks in order in, `AudioChunk`s out.

    Parameters
    ----------
    chunk_samples : int
        Length of the chunks; shorter ones come before a gap and at the end.

    Attributes
    ----------
    missing_s : float
        Sound that never came, in total.
    nominal_hz : int
        Rate that the device declares.
    true_rate_hz : float or None
        Measured rate of the device when it is not what it says.
    """

    def __init__(self, chunk_samples: int = DEFAULT_CHUNK_SAMPLES) -> None:
        self._chunk_samples = chunk_samples
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._drift = DriftControl()
        self._stretcher = Stretcher()
        self._meter = RateMeter()
        self._resampler = StreamResampler(SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
        self._rate_hz = 0.0
        self.nominal_hz = 0
        self._next_index: int | None = None
        self._next_time_us: int | None = None
        self._clock_s = 0.0  # stream time that the received samples reach to
        self._position = 0  # of the first pending output sample
        self._pending = np.zeros((2, 0), np.float32)
        self._anew = False
        self.missing_s = 0.0
        self.true_rate_hz: float | None = None

    @property
    def end_s(self) -> float:
        """Stream time that the received sound reaches to."""
        return self._clock_s

    @property
    def clock(self) -> ClockState:
        """What is known about the device's clock."""
        return self._drift.state

    def lateness_s(self, arrival_s: float) -> float:
        """How much later than the least late ones the latest block came at `arrival_s`, seconds."""
        return self._drift.lateness_s(arrival_s, self._clock_s) if self.clock.live else 0.0

    def restart(self) -> None:
        """The device starts anew with the next block; its counts begin again, the stream goes on."""
        self._anew = True

    def process(
        self,
        samples: Samples,
        rate_hz: int,
        arrival_s: float,
        index: int | None = None,
        time_us: int | None = None,
    ) -> list[AudioChunk]:
        """Take the next block.

        Parameters
        ----------
        samples : ndarray of float32, shape [2, n], n > 0
        rate_hz : int
            Rate that the device declares.
        arrival_s : float
            When the block came, receiver's clock.
        index, time_us : int, optional
            The device's count of frames and its clock at the first frame; without them lost sound shows only
            as a pause.

        Returns
        -------
        list of AudioChunk
        """
        chunks = self._set_rate(rate_hz)
        samples, gap_s = self._fit(samples, arrival_s, index, time_us)
        if gap_s > 0:
            chunks += self._leap(gap_s)
        if not samples.shape[1]:
            return chunks
        ppm = self.clock.ppm
        self._clock_s += samples.shape[1] / self._rate_hz / (1 + ppm * 1e-6)
        self._drift.observe(arrival_s, self._clock_s)
        chunks += self._emit(self._stretcher.process(self._resampler.process(samples), ppm))
        if index is None and self._drift.state.live:
            chunks += self._make_up_for_pause()
        return chunks

    def flush(self) -> list[AudioChunk]:
        """Give what is held back; the stream has ended."""
        return self._drained()

    def _set_rate(self, nominal_hz: int) -> list[AudioChunk]:
        if nominal_hz == self.nominal_hz:
            return []
        chunks = self._drained()
        self.nominal_hz, self.true_rate_hz = nominal_hz, None
        self._meter.restart()
        self._convert_from(nominal_hz)
        return chunks

    def _convert_from(self, rate_hz: float) -> None:
        self._rate_hz = float(round(rate_hz))
        self._resampler = StreamResampler(round(rate_hz), SAMPLE_RATE_HZ)

    def _fit(self, samples: Samples, arrival_s: float, index: int | None, time_us: int | None) -> tuple[Samples, float]:
        """Cut what was heard already and say how many seconds are missing before the block."""
        frames = samples.shape[1]
        if index is None:
            gap_s = self._gap_by_arrival(arrival_s, frames) if self._anew else 0.0
            self._anew = False
            return samples, gap_s
        ahead = 0 if self._next_index is None else index - self._next_index
        if self._anew or not -frames < ahead <= LONGEST_JUMP_S * self._rate_hz:
            gap_s = self._gap_by_arrival(arrival_s, frames)
            self._anew = False
        elif ahead < 0:
            samples, gap_s = samples[:, -ahead:], 0.0
        else:
            gap_s = ahead / self._rate_hz if ahead else self._pause_s(time_us)
            if gap_s <= 0:
                self._measure(index, time_us)
        if gap_s > 0:
            self._meter.restart()
        self._next_index = index + frames
        self._next_time_us = None if time_us is None else time_us + round(frames / self._rate_hz * 1e6)
        return samples, gap_s

    def _gap_by_arrival(self, arrival_s: float, frames: int) -> float:
        """What the receiver's clock says is missing; nothing when sound does not come in true time."""
        late_s = self._drift.lateness_s(arrival_s, self._clock_s + frames / self._rate_hz)
        self._drift.restart()
        self._meter.restart()
        return max(0.0, late_s) if self.clock.live else 0.0

    def _pause_s(self, time_us: int | None) -> float:
        if time_us is None or self._next_time_us is None:
            return 0.0
        pause_s = (time_us - self._next_time_us) * 1e-6
        return pause_s if _PAUSE_S < pause_s <= LONGEST_JUMP_S else 0.0

    def _make_up_for_pause(self) -> list[AudioChunk]:
        step_s = self._drift.take_step_s()
        return self._leap(step_s) if step_s > _STEP_S else []

    def _measure(self, index: int, time_us: int | None) -> None:
        """Believe the device's clock more than its declared rate."""
        rate_hz = None if time_us is None else self._meter.measure(index, time_us)
        if rate_hz is None or not 0.5 < rate_hz / self.nominal_hz < 2.0:
            return
        if abs(rate_hz / self._rate_hz - 1) > MISMATCH:
            held = self._resampler.flush()
            self._pending = np.concatenate([self._pending, self._stretcher.process(held, self.clock.ppm)], axis=1)
            off = abs(rate_hz / self.nominal_hz - 1) > MISMATCH
            self.true_rate_hz = rate_hz if off else None
            self._convert_from(rate_hz if off else self.nominal_hz)

    def _leap(self, gap_s: float) -> list[AudioChunk]:
        """Leave a gap in the stream."""
        chunks = self._drained()
        self._clock_s += gap_s
        self.missing_s += gap_s
        self._position = max(self._position, round(self._clock_s * SAMPLE_RATE_HZ))
        return chunks

    def _drained(self) -> list[AudioChunk]:
        held = self._stretcher.process(self._resampler.flush(), self.clock.ppm)
        tail = np.concatenate([held, self._stretcher.flush()], axis=1)
        self._resampler.reset()
        chunks = self._emit(tail)
        if self._pending.shape[1]:
            chunks.append(AudioChunk(self._pending, self._position))
            self._position += self._pending.shape[1]
            self._pending = np.zeros((2, 0), np.float32)
        return chunks

    def _emit(self, samples: Samples) -> list[AudioChunk]:
        """Whole chunks; the rest waits."""
        joined = np.concatenate([self._pending, samples], axis=1)
        size = self._chunk_samples
        whole = joined.shape[1] - joined.shape[1] % size
        chunks = [
            AudioChunk(np.ascontiguousarray(joined[:, at : at + size]), self._position + at)
            for at in range(0, whole, size)
        ]
        self._position += whole
        self._pending = np.ascontiguousarray(joined[:, whole:])
        return chunks
