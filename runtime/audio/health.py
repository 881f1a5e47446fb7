"""Is this what two ears would hear? Streaming checks of the channels before anything is concluded from them.

A finding never stops the listener: it is told along with the answers, since a dead microphone or the same ear
twice makes every direction wrong without any error. Statistics are taken over whole seconds, so that findings
do not depend on how the stream was cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk

Samples = NDArray[np.float32]

WINDOW_SAMPLES = SAMPLE_RATE_HZ
_SHORTEST_WINDOW = SAMPLE_RATE_HZ // 50

SILENT_DB = -85.0
"""Root mean square re full scale below which an ear is silent; quiet rooms through 16 bits lie above."""
DEAD_EAR_DB = 40.0
"""Level difference that no head makes: beside a head, near an ear, 20 to 30 dB are the most."""
IDENTICAL_DB = -60.0
"""Energy of the difference of the ears re their sum below which they are the same signal."""
CLIPPED_LEVEL = 0.9985
"""Re full scale; 32,719 of 32,767."""
CLIPPED_SAMPLES = 8
"""At least so many clipped samples in a second; a single full-scale peak is no harm."""
DC_LEVEL = 0.02
"""Mean re full scale."""
GAIN_MISMATCH_DB = 7.0
LOW_BAND_HZ = (60.0, 400.0)
"""Here a head casts hardly a shadow: at most 6 dB beyond 0.5 m (CIPIC, KU100, KEMAR, LISTEN heads)."""
OVERSCALE_LEVEL = 8.0
"""Times full scale; more than any headroom explains."""

_TINY = 1e-20


@dataclass(frozen=True)
class Finding:
    """Something wrong with the channels.

    Attributes
    ----------
    id : str
        Stable name: silent, dead-left, dead-right, identical-ears, clipping, dc-offset, gain-mismatch or
        overscale.
    text : str
        One line for a person: what, and what would help.
    since_s : float
        Stream time at which the evidence begins.
    """

    id: str
    text: str
    since_s: float


@dataclass(frozen=True)
class WindowStats:
    """Figures of one window (a second) of both ears; levels in dB re full scale."""

    level_db: tuple[float, float]
    low_level_db: tuple[float, float]
    difference_db: float
    mean: tuple[float, float]
    peak: float
    clipped: int

    @property
    def silent(self) -> bool:
        """Neither ear hears anything."""
        return max(self.level_db) < SILENT_DB

    @property
    def low_gap_db(self) -> float:
        """Left minus right level between 60 and 400 Hz."""
        return self.low_level_db[0] - self.low_level_db[1]


def window_stats(samples: Samples) -> WindowStats:
    """Measure one window.

    Parameters
    ----------
    samples : ndarray of float32, shape [2, n]

    Returns
    -------
    WindowStats
        `difference_db` is the energy of L - R re that of L and R together; means are removed from all levels.
    """
    x = samples.astype(np.float64)
    mean = x.mean(axis=1)
    x = x - mean[:, None]
    level_db = _power_db((x**2).mean(axis=1))
    difference = ((x[0] - x[1]) ** 2).mean() / max((x**2).mean(axis=1).sum(), _TINY)
    magnitude = np.abs(samples)
    return WindowStats(
        level_db=level_db,
        low_level_db=_power_db(_low_band_power(x)),
        difference_db=float(10 * np.log10(difference + _TINY)),
        mean=(float(mean[0]), float(mean[1])),
        peak=float(magnitude.max()),
        clipped=int((magnitude >= CLIPPED_LEVEL).sum()),
    )


def _power_db(power: NDArray[np.float64]) -> tuple[float, float]:
    left, right = 10 * np.log10(power + _TINY)
    return float(left), float(right)


def _low_band_power(x: NDArray[np.float64]) -> NDArray[np.float64]:
    frequency_hz = np.fft.rfftfreq(x.shape[1], 1 / SAMPLE_RATE_HZ)
    inside = (frequency_hz >= LOW_BAND_HZ[0]) & (frequency_hz <= LOW_BAND_HZ[1])
    spectrum = np.fft.rfft(x, axis=1)[:, inside]
    power: NDArray[np.float64] = 2 * (np.abs(spectrum) ** 2).sum(axis=1) / x.shape[1] ** 2
    return power


def _silent(w: WindowStats) -> bool:
    return w.silent


def _dead(ear: int) -> Callable[[WindowStats], bool]:
    def dead(w: WindowStats) -> bool:
        return not w.silent and w.level_db[ear] < w.level_db[1 - ear] - DEAD_EAR_DB

    return dead


def _identical(w: WindowStats) -> bool:
    return not w.silent and w.difference_db < IDENTICAL_DB


def _clipping(w: WindowStats) -> bool:
    return w.clipped >= CLIPPED_SAMPLES and w.peak <= OVERSCALE_LEVEL


def _dc(w: WindowStats) -> bool:
    return max(abs(m) for m in w.mean) > DC_LEVEL and w.peak <= OVERSCALE_LEVEL


def _mismatch(w: WindowStats) -> bool:
    """Low-band level difference; a dead ear is its own finding, and too little low sound says nothing."""
    audible = min(w.low_level_db) > SILENT_DB
    return audible and GAIN_MISMATCH_DB < abs(w.low_gap_db) <= DEAD_EAR_DB


def _overscale(w: WindowStats) -> bool:
    return w.peak > OVERSCALE_LEVEL


@dataclass(frozen=True)
class _Rule:
    id: str
    text: str
    holds: Callable[[WindowStats], bool]
    patience: int  # windows in a row before it is said


_RULES = (
    _Rule("silent", "both ears are silent; check that the microphones are on and not muted", _silent, 2),
    _Rule(
        "dead-left",
        "the left ear is silent while the right one hears; check the left microphone",
        _dead(0),
        2,
    ),
    _Rule(
        "dead-right",
        "the right ear is silent while the left one hears; check the right microphone",
        _dead(1),
        2,
    ),
    _Rule(
        "identical-ears",
        "both ears carry the same signal (mono in disguise): no direction can be told; use two microphones",
        _identical,
        3,
    ),
    _Rule("clipping", "samples are clipped at full scale; lower the recording level", _clipping, 1),
    _Rule("dc-offset", "the signal has a constant offset; use another sound card or a high-pass filter", _dc, 3),
    _Rule(
        "gain-mismatch",
        "the {louder} ear is steadily {gap_db:.0f} dB louder at low pitch; make the microphone gains equal",
        _mismatch,
        5,
    ),
    _Rule("overscale", "samples go far beyond full scale 1.0; scale the recording before saving", _overscale, 1),
)


def _worded(text: str, stats: WindowStats | None) -> str:
    gap_db = stats.low_gap_db if stats else 0.0
    return text.format(louder="left" if gap_db > 0 else "right", gap_db=abs(gap_db))


class ChannelHealth:
    """Stage: audio chunks in, findings out, each said once when its evidence is complete.

    The evidence is a number of bad seconds in a row (1 to 5, by finding); a shorter stream is judged as a
    whole at `flush()`. `findings` keeps all that were said, `active` those that still hold.
    """

    def __init__(self) -> None:
        self.reset()

    @property
    def latency_s(self) -> float:
        """Seconds until one window is complete."""
        return WINDOW_SAMPLES / SAMPLE_RATE_HZ

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings so far, in the order in which they were said."""
        return tuple(self._said.values())

    @property
    def active(self) -> tuple[Finding, ...]:
        """Findings that the latest window still bears out."""
        return tuple(finding for id_, finding in self._said.items() if self._streaks[id_])

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        self._pending: deque[Samples] = deque()
        self._pending_samples = 0
        self._windows = 0
        self._streaks = dict.fromkeys((rule.id for rule in _RULES), 0)
        self._said: dict[str, Finding] = {}
        self._latest: WindowStats | None = None

    def process(self, chunk: AudioChunk) -> list[Finding]:
        """Take the next chunk; returns the findings it completes."""
        self._pending.append(chunk.samples)
        self._pending_samples += chunk.samples.shape[1]
        new: list[Finding] = []
        while self._pending_samples >= WINDOW_SAMPLES:
            new += self._judge(self._take(WINDOW_SAMPLES), final=False)
        return new

    def flush(self) -> list[Finding]:
        """Judge what is left at the end of the stream."""
        if self._pending_samples >= _SHORTEST_WINDOW:
            return self._judge(self._take(self._pending_samples), final=True)
        self._take(self._pending_samples)
        return self._conclude(final=True)

    def _take(self, count: int) -> Samples:
        joined = np.concatenate(self._pending, axis=1) if self._pending else np.zeros((2, 0), dtype=np.float32)
        rest = joined[:, count:]
        self._pending = deque([rest]) if rest.shape[1] else deque()
        self._pending_samples = rest.shape[1]
        return joined[:, :count]

    def _judge(self, samples: Samples, *, final: bool) -> list[Finding]:
        stats = self._latest = window_stats(samples)
        self._windows += 1
        for rule in _RULES:
            self._streaks[rule.id] = self._streaks[rule.id] + 1 if rule.holds(stats) else 0
        return self._conclude(final=final)

    def _conclude(self, *, final: bool) -> list[Finding]:
        new = []
        for rule in _RULES:
            streak = self._streaks[rule.id]
            needed = min(rule.patience, self._windows) if final else rule.patience
            if streak and streak >= needed and rule.id not in self._said:
                since_s = (self._windows - streak) * WINDOW_SAMPLES / SAMPLE_RATE_HZ
                self._said[rule.id] = Finding(rule.id, _worded(rule.text, self._latest), since_s)
                new.append(self._said[rule.id])
        return new
