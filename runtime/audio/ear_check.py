"""Are these two ears? What a few seconds of sound say about a pair of microphones before anything is built on them.

Pure functions over samples; `earshot doctor --audio` and `earshot init` show what they find. The thresholds are those
of `earshot.runtime.audio.health` where both look at the same thing. Two facts of acoustics do most of the work: a head
delays sound by less than a millisecond (Kuhn, JASA 62, 1977), and below some 250 Hz both ears hear nearly the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio import health
from earshot.runtime.audio.health import WindowStats, window_stats
from earshot.runtime.audio.source import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]
Severity = Literal["problem", "warning"]

LONGEST_DELAY_S = 0.0011
"""Around the largest head, with room for a source close to one ear."""
SEARCH_DELAY_S = 0.06
"""Delays between two devices or two buffers lie within this."""
_DELAY_PEAK = 8.0
"""Height of the correlation peak over its own spread; noise alone reaches 5."""
_POLARITY_BAND_HZ = (60.0, 250.0)
_POLARITY_COHERENCE = -0.5
_COPY_DB = -60.0
_NARROW_DB = -55.0
"""Level per hertz above 4.5 kHz re that of 1 to 3.5 kHz; microphone noise alone keeps a true signal above it."""
_RATE_TOLERANCE = 0.02
_SNAP_WINDOW_S = 0.02
_SNAP_RISE_DB = 20.0
"""The loudest 20 ms over the median ones."""
_SNAP_SIDE_DB = 3.0
_SNAP_BAND_HZ = 1500.0
"""Above it a head casts a clear shadow."""
_TINY = 1e-20


@dataclass(frozen=True)
class EarFinding:
    """Something about the microphones that a person should know.

    Attributes
    ----------
    id : str
        Stable name: silent, dead-left, dead-right, identical-ears, polarity, delay, gain-mismatch, clipping,
        dc-offset, narrow-band, rate, swapped-ears; as a warning only, side-unknown.
    text : str
        One line: what, and what would help.
    severity : {"problem", "warning"}
    """

    id: str
    text: str
    severity: Severity = "problem"


def check_ears(samples: Samples, snapped: bool = True) -> list[EarFinding]:
    """Judge a pair of microphones.

    Parameters
    ----------
    samples : ndarray of float32, shape [2, n]
        At 16 kHz, left ear first; three seconds are enough, 0.1 s the least.
    snapped : bool
        Whether a finger was to be snapped at the left ear, so that the sides can be told.

    Returns
    -------
    list of EarFinding
        Empty when all is well. What cannot be judged because of something worse is not mentioned.
    """
    stats = window_stats(samples)
    findings = _level_findings(stats)
    if not any(f.id in ("silent", "dead-left", "dead-right") for f in findings):
        findings += _pair_findings(samples, stats, snapped)
    return findings


def check_rate(nominal_hz: float, measured_hz: float) -> list[EarFinding]:
    """Compare the rate that a device claims with frames per second of the clock."""
    if abs(measured_hz / nominal_hz - 1.0) <= _RATE_TOLERANCE:
        return []
    text = f"gives {measured_hz:.0f} samples a second but says {nominal_hz:.0f}"
    return [EarFinding("rate", f"the device {text}; choose another rate or device in the system's sound settings")]


def ear_delay_s(samples: Samples) -> float | None:
    """By how much the right ear is later than the left one.

    Parameters
    ----------
    samples : ndarray of float32, shape [2, n]

    Returns
    -------
    float or None
        Seconds, positive = the left ear hears first; None when the ears have nothing in common. Generalized cross
        correlation with phase transform (Knapp & Carter, IEEE ASSP 24, 1976), averaged over half-overlapping blocks.
    """
    cross = _cross_spectrum(samples)
    if cross is None:
        return None
    correlation = np.fft.irfft(cross / (np.abs(cross) + _TINY))
    reach = round(SEARCH_DELAY_S * SAMPLE_RATE_HZ)
    lags = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    magnitude = np.abs(lags)
    best = int(magnitude.argmax())
    if magnitude[best] < _DELAY_PEAK * float(np.sqrt((lags**2).mean())):
        return None
    return (best - reach) / SAMPLE_RATE_HZ


def snap_side_db(samples: Samples) -> float | None:
    """How much louder the left ear heard the loudest click.

    Parameters
    ----------
    samples : ndarray of float32, shape [2, n]

    Returns
    -------
    float or None
        Decibels above 1.5 kHz; None when nothing stands out like a finger snap.
    """
    bright = _bright(samples)
    length = round(_SNAP_WINDOW_S * SAMPLE_RATE_HZ)
    count = bright.shape[1] // length
    power = (bright[:, : count * length].reshape(2, count, length) ** 2).mean(axis=2) + _TINY
    both = power.sum(axis=0)
    loudest = int(both.argmax())
    if 10 * np.log10(both[loudest] / np.median(both)) < _SNAP_RISE_DB:
        return None
    return float(10 * np.log10(power[0, loudest] / power[1, loudest]))


def _level_findings(stats: WindowStats) -> list[EarFinding]:
    """What each ear says for itself."""
    if stats.silent:
        return [EarFinding("silent", "both ears are silent; switch the microphones on, unmute them, raise their gain")]
    findings = []
    gap_db = stats.level_db[0] - stats.level_db[1]
    if abs(gap_db) > health.DEAD_EAR_DB:
        side = "right" if gap_db > 0 else "left"
        findings.append(EarFinding(f"dead-{side}", f"the {side} ear is dead; check its plug, cable and gain"))
    if stats.clipped >= health.CLIPPED_SAMPLES:
        findings.append(EarFinding("clipping", "the loudest sound is cut off at full scale; lower the recording level"))
    if max(map(abs, stats.mean)) > health.DC_LEVEL:
        text = f"a constant offset of {100 * max(map(abs, stats.mean)):.0f} % of full scale"
        findings.append(EarFinding("dc-offset", f"{text}; use another sound card, or plug-in power that fits"))
    return findings


def _pair_findings(samples: Samples, stats: WindowStats, snapped: bool) -> list[EarFinding]:
    """What only both ears together can say."""
    if _copy_db(samples) < _COPY_DB:
        text = "both channels carry the same signal (mono in disguise), so there are no directions"
        return [EarFinding("identical-ears", f"{text}; choose a device with two microphones")]
    findings = _delay_findings(ear_delay_s(samples)) or _polarity_findings(samples)
    findings += _gain_findings(stats)
    findings += _band_findings(samples)
    return findings + (_side_findings(snap_side_db(samples)) if snapped else [])


def _delay_findings(delay_s: float | None) -> list[EarFinding]:
    if delay_s is None or abs(delay_s) <= LONGEST_DELAY_S:
        return []
    late = "right" if delay_s > 0 else "left"
    text = f"the {late} ear is {1000 * abs(delay_s):.1f} ms late, more than any head makes"
    return [EarFinding("delay", f"{text}; record both ears with one device and without effects")]


def _polarity_findings(samples: Samples) -> list[EarFinding]:
    if _low_coherence(samples) >= _POLARITY_COHERENCE:
        return []
    text = "one ear has the opposite polarity: what is pressure in one is suction in the other"
    return [EarFinding("polarity", f"{text}; swap the two wires of one microphone, or invert one channel")]


def _gain_findings(stats: WindowStats) -> list[EarFinding]:
    gap_db = stats.low_gap_db
    if min(stats.low_level_db) <= health.SILENT_DB or abs(gap_db) <= health.GAIN_MISMATCH_DB:
        return []
    louder = "left" if gap_db > 0 else "right"
    text = f"the {louder} ear is {abs(gap_db):.0f} dB louder even at low pitch, where a head casts no shadow"
    return [EarFinding("gain-mismatch", f"{text}; make the gains of both microphones equal")]


def _band_findings(samples: Samples) -> list[EarFinding]:
    if _density_db(samples, 4500.0, 7500.0) - _density_db(samples, 1000.0, 3500.0) >= _NARROW_DB:
        return []
    text = "nothing above 4 kHz arrives, as over a telephone or a Bluetooth call"
    return [EarFinding("narrow-band", f"{text}; use a wired microphone or a rate of 16 kHz or more")]


def _side_findings(side_db: float | None) -> list[EarFinding]:
    if side_db is None:
        text = "no finger snap stood out, so left and right are not checked"
        return [EarFinding("side-unknown", f"{text}; run it again and snap once, close to your left ear", "warning")]
    if side_db <= -_SNAP_SIDE_DB:
        text = "the snap at your left ear was heard by the right channel: the ears are swapped"
        return [EarFinding("swapped-ears", f"{text}; exchange the two earpieces or their plugs")]
    if side_db < _SNAP_SIDE_DB:
        text = f"the snap was about as loud in both ears ({side_db:+.1f} dB), so left and right are not checked"
        return [EarFinding("side-unknown", f"{text}; snap closer to your left ear", "warning")]
    return []


def _copy_db(samples: Samples) -> float:
    """Energy of what one ear has beyond a scaled copy of the other, re its own."""
    left, right = samples.astype(np.float64) - samples.mean(axis=1, dtype=np.float64)[:, None]
    common = float(left @ right) ** 2 / max(float(left @ left) * float(right @ right), _TINY)
    return float(10 * np.log10(max(1.0 - common, 1e-12)))


def _cross_spectrum(samples: Samples, size: int = 4096) -> NDArray[np.complex128] | None:
    """Mean of L conj(R) turned so that a positive lag means a later right ear; None for less than one block."""
    blocks = _spectra(samples, size)
    return None if blocks is None else np.asarray((np.conj(blocks[0]) * blocks[1]).mean(axis=0))


def _spectra(samples: Samples, size: int) -> NDArray[np.complex128] | None:
    if samples.shape[1] < size:
        return None
    x = samples.astype(np.float64) - samples.mean(axis=1, dtype=np.float64)[:, None]
    blocks = np.lib.stride_tricks.sliding_window_view(x, size, axis=1)[:, :: size // 2]
    return np.asarray(np.fft.rfft(blocks * np.hanning(size), axis=2))


def _low_coherence(samples: Samples, size: int = 2048) -> float:
    """Real part of the coherence of the ears at low pitch, -1 to 1; 0 when it cannot be told."""
    blocks = _spectra(samples, size)
    if blocks is None:
        return 0.0
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    low = blocks[:, :, (frequency_hz >= _POLARITY_BAND_HZ[0]) & (frequency_hz <= _POLARITY_BAND_HZ[1])]
    power = (np.abs(low) ** 2).sum(axis=(1, 2))
    return float((low[0] * np.conj(low[1])).real.sum() / max(float(np.sqrt(power[0] * power[1])), _TINY))


def _bright(samples: Samples) -> Floats:
    """The part above 1.5 kHz."""
    spectrum = np.fft.rfft(samples.astype(np.float64), axis=1)
    spectrum[:, np.fft.rfftfreq(samples.shape[1], 1 / SAMPLE_RATE_HZ) < _SNAP_BAND_HZ] = 0.0
    return np.asarray(np.fft.irfft(spectrum, samples.shape[1], axis=1))


def _density_db(samples: Samples, low_hz: float, high_hz: float) -> float:
    """Mean power of both ears per bin between two frequencies, decibels."""
    size = min(4096, samples.shape[1])
    blocks = _spectra(samples, size)
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    inside = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    power = 0.0 if blocks is None else float((np.abs(blocks[:, :, inside]) ** 2).mean())
    return float(10 * np.log10(power + _TINY))
