"""Two clocks that should agree and do not: measure the difference, and stretch the sound so that it vanishes.

A device that believes in 16 kHz may be 200 ppm off, 0.7 s in an hour. Sound is stretched by a fractional delay
that glides (windowed sinc; Laakso et al., "Splitting the unit delay", 1996); what glides is decided by a
proportional-integral loop on how late packets come, taken from the least late one of each second, since a
network only ever adds delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

MAX_PPM = 1000.0
"""No crystal is worse; beyond, the declared rate is wrong."""
_TAPS = 32
_PHASES = 512
_KAISER_BETA = 7.0
"""Images below -70 dB; flat to 6.8 kHz."""
_WINDOW_S = 1.0
_GAIN_PPM_PER_S = 50_000.0
"""Proportional: 1 ms late is answered with 50 ppm, a time constant of 20 s. The integral makes it critically damped."""
_ENGAGE_S = 0.003
_ENGAGE_WINDOWS = 3
_JUMP_S = 0.02
"""More than this from one second to the next is no crystal."""
_PACE_WINDOWS = 5
_LIVE_WITHIN = 0.01


def _kernel() -> NDArray[np.float32]:
    """Windowed-sinc taps for each fractional delay, [phases + 1, taps]; phase 0 is exactly a unit impulse."""
    fraction = np.arange(_PHASES + 1)[:, None] / _PHASES
    place = np.arange(_TAPS)[None, :] - (_TAPS // 2 - 1) - fraction
    inside = np.sqrt(np.maximum(0.0, 1 - (place / (_TAPS / 2)) ** 2))
    taps = np.sinc(place) * np.i0(_KAISER_BETA * inside) / np.i0(_KAISER_BETA)
    taps /= taps.sum(axis=1, keepdims=True)
    taps[0] = place[0] == 0
    taps[-1] = place[-1] == 0
    return np.asarray(taps, np.float32)


class Stretcher:
    """Stage: plays [2, n] samples a little faster or slower, steplessly.

    Until the first change of speed the samples pass through bit for bit, 1 ms later. Both ears are moved alike,
    so no direction changes. The result does not depend on how the stream is cut.
    """

    latency_samples = _TAPS // 2

    def __init__(self) -> None:
        self._taps = _kernel()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._history = np.zeros((2, _TAPS // 2 - 1), np.float32)
        self._place = 0.0  # of the next output sample, in input samples from the start of the history

    def process(self, samples: Samples, ppm: float = 0.0) -> Samples:
        """Stretch the next block.

        Parameters
        ----------
        samples : ndarray of float32, shape [2, n]
        ppm : float
            By how much the input runs fast: positive makes fewer samples of it.

        Returns
        -------
        ndarray of float32, shape [2, m]
        """
        x = np.concatenate([self._history, samples], axis=1)
        step = 1.0 + ppm * 1e-6
        room = x.shape[1] - _TAPS - self._place
        count = max(0, int(np.floor(room / step)) + 1) if room >= 0 else 0
        out = self._read(x, self._place + step * np.arange(count, dtype=np.float64))
        place = self._place + step * count
        used = min(int(place), x.shape[1])
        self._history, self._place = x[:, used:].copy(), place - used
        return out

    def flush(self) -> Samples:
        """Give what is held back; the stream has ended."""
        out = self.process(np.zeros((2, self.latency_samples), np.float32))
        self.reset()
        return out

    def _read(self, x: Samples, places: NDArray[np.float64]) -> Samples:
        """Values between the samples, by taps interpolated linearly between two phases."""
        whole = places.astype(np.int64)
        if not np.any(places - whole):
            first = _TAPS // 2 - 1
            return x[:, whole + first] if len(whole) else np.zeros((2, 0), np.float32)
        phase = (places - whole) * _PHASES
        row = phase.astype(np.int64)
        blend = (phase - row).astype(np.float32)[:, None]
        taps = (1 - blend) * self._taps[row] + blend * self._taps[row + 1]
        pieces = np.lib.stride_tricks.sliding_window_view(x, _TAPS, axis=1)[:, whole]
        return np.asarray(np.einsum("cnt,nt->cn", pieces, taps), np.float32)


@dataclass
class _Window:
    """The least late arrival of one second."""

    number: int = -1
    late_s: float = np.inf
    stream_s: float = 0.0


@dataclass(frozen=True)
class ClockState:
    """What the loop knows.

    Attributes
    ----------
    ppm : float
        By how much the device's sound is stretched now, positive = its clock runs fast.
    drift_ppm : float
        The steady part: the difference of the clocks.
    late_s : float
        How far the sound is behind where it should be; the level of the (virtual) buffer.
    speed : float
        Stream time per true time over the last seconds; far from 1 when not live.
    live : bool
        Whether sound comes in true time; otherwise nothing is corrected.
    """

    ppm: float = 0.0
    drift_ppm: float = 0.0
    late_s: float = 0.0
    speed: float = 1.0
    live: bool = True


@dataclass
class DriftControl:
    """Decides the stretch from arrival times.

    Call `observe` for each block with its arrival and the stream time that it reaches; read `state`.
    """

    state: ClockState = field(default_factory=ClockState)
    _window: _Window = field(default_factory=_Window)
    _done: list[_Window] = field(default_factory=list)
    _baseline_s: float | None = None
    _settling: int = 0
    _engaging: int = 0
    _engaged: bool = False
    _integral_ppm: float = 0.0
    _jumps: int = 0
    _step_s: float = 0.0

    def reset(self) -> None:
        """Forget everything; equals a fresh object."""
        self.__init__()  # type: ignore[misc]

    def restart(self) -> None:
        """Sound begins anew (after a reboot or a pause): the lateness is learnt again, the drift is kept."""
        self._window, self._done = _Window(), []
        self._baseline_s, self._settling, self._jumps, self._step_s = None, 0, 0, 0.0

    def lateness_s(self, arrival_s: float, stream_s: float) -> float:
        """How much later than usual a block is; 0 while nothing is known."""
        return 0.0 if self._baseline_s is None else arrival_s - stream_s - self._baseline_s

    def take_step_s(self) -> float:
        """Lateness that came all at once and stayed, seconds; asking says that the stream time will make up for it."""
        step_s, self._step_s = self._step_s, 0.0
        if step_s and self._baseline_s is not None:
            self._baseline_s -= step_s
        return step_s

    def observe(self, arrival_s: float, stream_s: float) -> None:
        """Take a block that arrived at `arrival_s` (receiver's clock) and reaches to `stream_s`."""
        number = int(arrival_s // _WINDOW_S)
        if number != self._window.number:
            if self._window.number >= 0:
                self._close(self._window)
            self._window = _Window(number)
        late_s = arrival_s - stream_s
        if late_s < self._window.late_s:
            self._window = _Window(number, late_s, stream_s)

    def _close(self, window: _Window) -> None:
        """Judge a complete second."""
        previous = self._done[-1] if self._done else None
        self._done = [*self._done[-_PACE_WINDOWS:], window]
        if previous is None:
            self._baseline_s = window.late_s
            return
        jump = abs(window.late_s - previous.late_s) > _JUMP_S * max(1, window.number - previous.number)
        self._jumps = self._jumps + 1 if jump else 0
        speed = self._speed()
        live = not jump or self._jumps < _PACE_WINDOWS or abs(speed - 1) < _LIVE_WITHIN
        self.state = ClockState(self.state.ppm, self._integral_ppm, self.state.late_s, speed, live)
        if not jump:
            self._steer(window.late_s, window.number - previous.number)

    def _speed(self) -> float:
        first, last = self._done[0], self._done[-1]
        arrived_s = (last.late_s + last.stream_s) - (first.late_s + first.stream_s)
        return (last.stream_s - first.stream_s) / max(arrived_s, 1e-6)

    def _steer(self, late_s: float, seconds: int) -> None:
        baseline_s = self._baseline_s if self._baseline_s is not None else late_s
        self._settling += 1
        error_s = late_s - baseline_s
        if abs(error_s) > _JUMP_S or (self._settling <= 3 and error_s < 0):
            self._step_s = max(0.0, error_s)
            self._baseline_s, error_s = late_s, 0.0  # the way has become longer or shorter, no clock does that
        self._engaging = self._engaging + 1 if abs(error_s) > _ENGAGE_S else 0
        self._engaged = self._engaged or self._engaging >= _ENGAGE_WINDOWS
        ppm = 0.0
        if self._engaged:
            # Early (negative lateness) means that the device runs fast, so its sound must shrink.
            integral_gain = _GAIN_PPM_PER_S**2 / 4e6
            self._integral_ppm = _within(self._integral_ppm - integral_gain * error_s * min(seconds, 5))
            ppm = _within(self._integral_ppm - _GAIN_PPM_PER_S * error_s)
        self.state = ClockState(ppm, self._integral_ppm, error_s, self.state.speed, True)


def _within(ppm: float) -> float:
    return float(np.clip(ppm, -MAX_PPM, MAX_PPM))
