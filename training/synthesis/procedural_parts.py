"""Building blocks of the procedural sounds: oscillators, shaped noise, damped modes, placing of grains.

Everything is mono, float64 while in work, 16 kHz, numpy only; all chance comes from the generator passed in.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SAMPLE_RATE_HZ",
    "Array",
    "convolve",
    "damped_modes",
    "harmonic_tone",
    "intervals",
    "log_uniform",
    "mix_at",
    "pulse_envelope",
    "reverberate",
    "seconds",
    "shaped_noise",
    "slow_curve",
]

SAMPLE_RATE_HZ = 16000
_TOP_HZ = 7600.0  # partials above this are left out: they would alias or be cut by any recording chain

Array = NDArray[np.float64]
Numbers = Sequence[float] | NDArray[np.float64]


def seconds(duration_s: float) -> Array:
    """Time axis of a duration, shape [samples], in seconds."""
    return np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from [low, high] with equal chance per octave."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def shaped_noise(rng: np.random.Generator, count: int, curve: Sequence[tuple[float, float]]) -> Array:
    """Gaussian noise with a given long-term spectrum.

    Parameters
    ----------
    count : int
        Samples.
    curve : sequence of (frequency_hz, level_db)
        Breakpoints, interpolated in dB over log frequency and held outside.

    Returns
    -------
    array, shape [count]
        RMS 1.
    """
    length = max(count, 512)
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    at, level = np.array(curve).T
    gain = 10 ** (np.interp(np.log(np.maximum(frequency, 1.0)), np.log(at), level) / 20)
    gain[0] = 0.0
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * gain, length)[:count]
    return np.asarray(noise / (np.sqrt(np.mean(noise**2)) + 1e-12))


def slow_curve(rng: np.random.Generator, count: int, rate_hz: float) -> Array:
    """Smooth random curve around 0, spread about 1, wandering ``rate_hz`` times a second; [count]."""
    knots = max(4, int(np.ceil(count / SAMPLE_RATE_HZ * rate_hz * 2)) + 2)
    fine = np.linspace(0, knots - 1, count)
    values = rng.standard_normal(knots)
    left = np.minimum(fine.astype(int), knots - 2)
    blend = 0.5 - 0.5 * np.cos(np.pi * (fine - left))
    return np.asarray(values[left] * (1 - blend) + values[left + 1] * blend)


def harmonic_tone(frequency_hz: Array, amplitudes: Numbers, phases: Array | None = None) -> Array:
    """Sum of harmonics of a varying fundamental.

    Parameters
    ----------
    frequency_hz : array, shape [samples]
        Fundamental at every sample.
    amplitudes : numbers
        Amplitude of harmonic 1, 2, ...; harmonics above 7.6 kHz are left out sample by sample.
    phases : array, optional
        Start phase per harmonic in radians; zero when left out.
    """
    phase = 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ
    tone = np.zeros_like(phase)
    for number, amplitude in enumerate(amplitudes, start=1):
        start = 0.0 if phases is None else phases[number - 1]
        audible = number * frequency_hz < _TOP_HZ
        if audible.any():
            tone += amplitude * audible * np.sin(number * phase + start)
    return tone


def damped_modes(
    rng: np.random.Generator,
    frequencies_hz: Numbers,
    decays_s: Numbers,
    gains: Numbers,
) -> Array:
    """Struck object: exponentially damped sines with random phases (modal synthesis).

    Parameters
    ----------
    decays_s : numbers
        Time in which each mode falls by 60 dB; the longest one sets the length of the result.
    """
    time = seconds(max(decays_s))
    body = np.zeros_like(time)
    for frequency, decay, gain in zip(frequencies_hz, decays_s, gains, strict=True):
        if frequency < _TOP_HZ:
            phase = rng.uniform(0, 2 * np.pi)
            body += gain * np.exp(-6.91 * time / decay) * np.sin(2 * np.pi * frequency * time + phase)
    ramp = min(len(body), 16)  # one millisecond: no object starts in no time
    body[:ramp] *= np.linspace(0, 1, ramp)
    return body


def mix_at(track: Array, onset_s: float, grain: Array) -> None:
    """Add a grain to a track in place; what hangs over the end is cut."""
    start = round(onset_s * SAMPLE_RATE_HZ)
    part = grain[: max(0, len(track) - start)]
    track[start : start + len(part)] += part


def intervals(
    rng: np.random.Generator, duration_s: float, period_s: float, jitter: float, first_s: float = 0.0
) -> Iterator[float]:
    """Onsets in seconds, ``period_s`` apart, each interval changed by up to the fraction ``jitter``."""
    onset = first_s
    while onset < duration_s:
        yield onset
        onset += period_s * (1 + rng.uniform(-jitter, jitter))


def pulse_envelope(count: int, attack_s: float, release_s: float) -> Array:
    """Raised-cosine rise, plateau of 1, raised-cosine fall; shape [count]."""
    envelope = np.ones(count)
    for length, where in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        ramp = min(count, max(1, round(length * SAMPLE_RATE_HZ)))
        envelope[where][:ramp] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(ramp) / ramp)
    return envelope


def reverberate(rng: np.random.Generator, dry: Array, t60_s: float, wet: float) -> Array:
    """Add a decaying diffuse tail (Moorer 1979); ``wet`` is its energy over that of the direct sound."""
    time = seconds(t60_s)
    tail = shaped_noise(rng, len(time), [(50, -3), (500, 0), (2000, -3), (8000, -12)])
    tail *= np.exp(-6.91 * time / t60_s)
    tail *= np.sqrt(wet) / (np.sqrt(np.sum(tail**2)) + 1e-12)
    return dry + convolve(dry, tail)


def convolve(signal: Array, response: Array) -> Array:
    """Causal convolution by FFT, cut to the length of the signal."""
    size = 1 << (len(signal) + len(response)).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(signal)])
