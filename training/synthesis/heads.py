"""Heads: head-related impulse responses (HRIRs) on a common grid of samples, from SOFA files or from a parametric sphere.

Every head becomes a :class:`Head` at 16 kHz with the same number of taps, so that the renderer needs no special cases.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import soxr
from numpy.typing import NDArray

from earshot.runtime.errors import InputError
from earshot.training.synthesis.orientation import DelayWitness, inspect_delays

SAMPLE_RATE_HZ = 16_000
TAPS = 128
PRE_ONSET_TAPS = 8
BAND_TAPS = 31
BAND_EDGES_HZ = (700.0, 2800.0)
SPEED_OF_SOUND_M_S = 343.0
# What no set has, and what would take hours or all memory to resample or shift.
RATES_HZ = (8_000.0, 400_000.0)
LONGEST_DELAY_S = 0.1

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """HRIRs of one head.

    Attributes
    ----------
    head_id : str
        Name of the head; splits keep heads apart by it.
    directions : float32 [D, 3]
        Unit vectors of the measured directions, x front, y left, z up (AES69 / SOFA).
    hrirs : float32 [D, 2, TAPS]
        Impulse responses, ear 0 = left, scaled so that the diffuse-field power is 1.
    banded : float32 [D, 2, 3, TAPS + BAND_TAPS - 1]
        The same split into three bands at ``BAND_EDGES_HZ`` (they sum to the delayed original), so that a reflection
        can be damped per band by three multiplications.
    diffuse : float32 [2, 257]
        Diffuse-field magnitude per ear on the bins of a 512-point FFT.
    """

    head_id: str
    directions: FloatArray
    hrirs: FloatArray
    banded: FloatArray
    diffuse: FloatArray

    def nearest(self, vectors: FloatArray) -> NDArray[np.intp]:
        """Index of the measured direction nearest to each unit vector [N, 3]."""
        best: NDArray[np.intp] = np.argmax(np.asarray(vectors) @ self.directions.T, axis=1)
        return best


def load_sofa(path: Path, head_id: str | None = None) -> Head:
    """Read a SimpleFreeFieldHRIR file (AES69-2022).

    Left and right are judged by the set's own interaural time differences. (``ReceiverPosition`` is no witness: public
    sets of the KU100 state the right ear first and hold the left one.)

    Parameters
    ----------
    path : Path
        SOFA file with ``Data.IR`` [M, 2, N] and spherical or cartesian source positions.
    head_id : str, optional
        Name of the head; the file's stem by default.

    Raises
    ------
    InputError
        The file cannot be read, has not two receivers, its interaural delays do not follow its directions, or they
        follow them mirrored: training on such a set would teach that left is right.
    """
    hrirs, directions = _read_sofa(path)
    witness = inspect_delays(path.name, hrirs, directions, SAMPLE_RATE_HZ)
    if witness.mirrored:
        raise InputError(f"{witness}; leave it out, or write a mended copy: earshot synth heads {path} --mend FOLDER")
    return finish_head(head_id or path.stem, directions, hrirs)


def inspect_sofa(path: Path) -> DelayWitness:
    """What the interaural delays of a SOFA file say about its directions; raises like `load_sofa`."""
    return inspect_delays(path.name, *_read_sofa(path), SAMPLE_RATE_HZ)


def _read_sofa(path: Path) -> tuple[NDArray[np.float64], FloatArray]:
    """Responses [D, 2, N] at 16 kHz with their delays, and unit vectors of their directions [D, 3]."""
    import sofar

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a SimpleFreeFieldHRIR SOFA file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old versions of the convention are read all the same
            sofa = sofar.read_sofa(str(path), verify=False, verbose=False)
        impulse_responses = np.asarray(sofa.Data_IR, dtype=np.float64)
        delays = np.asarray(sofa.Data_Delay, dtype=np.float64)
        rate = float(np.asarray(sofa.Data_SamplingRate).ravel()[0])
        positions = np.asarray(sofa.SourcePosition, dtype=np.float64)
        kind, units = str(sofa.SourcePosition_Type), str(sofa.SourcePosition_Units)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable SimpleFreeFieldHRIR SOFA file ({reason})") from error
    if impulse_responses.ndim != 3 or impulse_responses.shape[1] != 2:
        raise InputError(f"{path}: Data.IR has shape {impulse_responses.shape}; two receivers (ears) are needed")
    _demand_numbers(path, {"Data.IR": impulse_responses, "Data.Delay": delays, "SourcePosition": positions}, rate)
    if len(positions) != len(impulse_responses):
        raise InputError(f"{path}: {len(positions)} source positions for {len(impulse_responses)} responses")
    directions = _unit_vectors(path, positions, kind, units)
    return _resample(_apply_delays(impulse_responses, delays), rate), directions


def _demand_numbers(path: Path, fields: dict[str, NDArray[np.float64]], rate: float) -> None:
    """Refuse values that are no numbers, and those that nothing measured has."""
    for name, values in fields.items():
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name} holds values that are not finite; leave the set out or mend it")
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise InputError(f"{path}: Data.SamplingRate is {rate:g}; it is wanted in hertz, such as 48000")
    longest = float(np.abs(fields["Data.Delay"]).max(initial=0.0))
    if longest > LONGEST_DELAY_S * rate:
        raise InputError(f"{path}: Data.Delay of up to {longest:.0f} samples; that is over {LONGEST_DELAY_S:g} s")


def parametric_head(rng: np.random.Generator, head_id: str) -> Head:
    """A spherical head with simple pinna echoes, for use without any measured set.

    Delay after Woodworth, head shadow as the one-pole one-zero filter of Brown & Duda (1998, "A structural model for
    binaural sound synthesis"), five elevation-dependent pinna reflections from the same paper, random head radius.
    """
    radius_m = rng.uniform(0.078, 0.098)
    directions = _sphere_grid()
    scale = rng.uniform(0.8, 1.25, size=5)
    hrirs = np.stack([_parametric_ear(directions * np.array([1.0, side, 1.0]), radius_m, scale) for side in (1, -1)])
    return finish_head(head_id, directions, np.moveaxis(hrirs, 0, 1))


# All of it: made anew from what was rounded for keeping, bands would differ in their last bits from those first used.
_KEPT = ("directions", "hrirs", "banded", "diffuse")


@functools.lru_cache(maxsize=64)
def cached_head(path: Path, cache_dir: Path | None = None) -> Head:
    """``load_sofa`` with a cache in memory and, when ``cache_dir`` is given, on disk as npz."""
    if cache_dir is None:
        return load_sofa(path)
    stamp = hashlib.sha256(b"v4" + path.read_bytes()).hexdigest()[:16]
    target = cache_dir / f"{path.stem}-{stamp}.npz"
    with suppress(FileNotFoundError, EOFError, ValueError, KeyError, BadZipFile), np.load(target) as data:
        return Head(path.stem, *(data[name] for name in _KEPT))
    head = load_sofa(path)
    cache_dir.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.npz")  # several workers may begin with the same head
    np.savez(part, **{name: getattr(head, name) for name in _KEPT})
    part.replace(target)
    return head


def _unit_vectors(path: Path, position: NDArray[np.float64], kind: str, units: str) -> FloatArray:
    if kind == "cartesian":
        distance = np.linalg.norm(position, axis=1, keepdims=True)
        if not distance.all():
            raise InputError(f"{path}: a SourcePosition lies in the head itself; such a direction is none")
        return np.asarray(position / distance, np.float32)
    angles = position[:, :2]
    if units.lower().startswith("rad"):
        angles = np.rad2deg(angles)
    elif 0 < np.abs(angles[:, 0]).max(initial=0.0) <= 2 * np.pi and np.abs(angles[:, 1]).max() <= np.pi / 2:
        raise InputError(f"{path}: SourcePosition holds radians and calls them {units!r}; degrees are wanted")
    azimuth, elevation = np.deg2rad(angles).T
    return np.stack(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], axis=1
    ).astype(np.float32)


def _apply_delays(impulse_responses: NDArray[np.float64], delays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put Data.Delay (samples, [1 or M, 2]) back into the responses as whole samples."""
    if delays.size == 0 or not np.any(delays):
        return impulse_responses
    count, ears, length = impulse_responses.shape
    shift = np.broadcast_to(np.rint(delays).astype(int), (count, ears))
    shift = shift - min(0, int(shift.min()))  # what all have in common carries no direction
    out = np.zeros((count, ears, length + int(shift.max())))
    columns = np.arange(length) + shift[..., None]
    np.put_along_axis(out, columns, impulse_responses, axis=-1)
    return out


def _resample(impulse_responses: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    count, ears, length = impulse_responses.shape
    if rate_hz == SAMPLE_RATE_HZ:
        return impulse_responses
    flat = impulse_responses.reshape(count * ears, length).T
    padded = np.pad(flat, ((32, 32), (0, 0)))  # room for the resampler's pre-ringing
    resampled = soxr.resample(padded, rate_hz, SAMPLE_RATE_HZ, quality="HQ").T
    return np.asarray(resampled.reshape(count, ears, -1), np.float64)


def finish_head(head_id: str, directions: FloatArray, hrirs: NDArray[np.float64]) -> Head:
    """Make a head of responses [D, 2, N] at 16 kHz: cut, scaled and split into bands."""
    hrirs = _crop(hrirs)
    spectrum = np.abs(np.fft.rfft(hrirs, 512, axis=-1))
    hrirs = hrirs / np.sqrt(np.mean(spectrum**2))
    diffuse = np.sqrt(np.mean(np.abs(np.fft.rfft(hrirs, 512, axis=-1)) ** 2, axis=0))
    return Head(
        head_id=head_id,
        directions=np.ascontiguousarray(directions, dtype=np.float32),
        hrirs=np.ascontiguousarray(hrirs, dtype=np.float32),
        banded=_split_bands(hrirs),
        diffuse=diffuse.astype(np.float32),
    )


def _crop(hrirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut all responses at the same sample (delays between the ears and directions stay) and fade the end."""
    loud = np.abs(hrirs) > 0.1 * np.abs(hrirs).max(axis=(1, 2), keepdims=True)
    first = int(np.quantile(np.argmax(loud.any(axis=1), axis=-1), 0.01))
    start = max(0, first - PRE_ONSET_TAPS)
    cut = hrirs[..., start : start + TAPS]
    cut = np.pad(cut, ((0, 0), (0, 0), (0, TAPS - cut.shape[-1])))
    fade = np.ones(TAPS)
    fade[-16:] = 0.5 * (1 + np.cos(np.linspace(0, np.pi, 16)))
    return cut * fade


def _split_bands(hrirs: NDArray[np.float64]) -> FloatArray:
    from scipy.signal import firwin

    low = firwin(BAND_TAPS, BAND_EDGES_HZ[0], fs=SAMPLE_RATE_HZ)
    below = firwin(BAND_TAPS, BAND_EDGES_HZ[1], fs=SAMPLE_RATE_HZ)
    delta = np.zeros(BAND_TAPS)
    delta[BAND_TAPS // 2] = 1.0
    filters = np.stack([low, below - low, delta - below])
    size = 256
    spectrum = np.fft.rfft(hrirs, size)[:, :, None, :] * np.fft.rfft(filters, size)
    return np.fft.irfft(spectrum, size)[..., : TAPS + BAND_TAPS - 1].astype(np.float32)


def _sphere_grid() -> FloatArray:
    elevation = np.deg2rad(np.arange(-45, 91, 9.0))
    rows = []
    for angle in elevation:
        count = max(1, round(60 * np.cos(angle)))
        azimuth = np.arange(count) * 2 * np.pi / count
        rows.append(
            np.stack(
                [
                    np.cos(azimuth) * np.cos(angle),
                    np.sin(azimuth) * np.cos(angle),
                    np.full(count, np.sin(angle)),
                ],
                axis=1,
            )
        )
    return np.concatenate(rows).astype(np.float32)


def _parametric_ear(directions: FloatArray, radius_m: float, pinna_scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """HRIRs [D, TAPS] of the ear at +y for directions [D, 3]."""
    incidence = np.arccos(np.clip(directions[:, 1], -1, 1))
    elevation = np.arcsin(np.clip(directions[:, 2], -1, 1))
    front = directions[:, 0]
    frequency = np.fft.rfftfreq(512, 1 / SAMPLE_RATE_HZ)
    omega0 = SPEED_OF_SOUND_M_S / radius_m
    # Not held beyond 150 degrees: the rise towards 180 is the bright spot opposite the source (Brown & Duda, eq. 3).
    alpha = 1.05 + 0.95 * np.cos(incidence * 180 / 150)
    shadow = (1 + 1j * alpha[:, None] * np.pi * frequency / omega0) / (1 + 1j * np.pi * frequency / omega0)
    delay = (
        radius_m
        / SPEED_OF_SOUND_M_S
        * np.where(incidence < np.pi / 2, 1 - np.cos(incidence), 1 + incidence - np.pi / 2)
    )
    reflection = np.ones_like(shadow)
    amplitudes, spans, offsets, pulls = (
        (0.5, -1, 0.5, -0.25, 0.25),
        (1, 5, 5, 5, 5),
        (2, 4, 7, 11, 13),
        (1, 0.5, 0.5, 0.5, 0.5),
    )
    pinna_azimuth = np.arctan2(directions[:, 1], front)
    for amplitude, span, offset, pull, scale in zip(amplitudes, spans, offsets, pulls, pinna_scale, strict=True):
        samples = span * np.cos(pinna_azimuth / 2) * np.sin(pull * (np.pi / 2 - elevation)) + offset
        lag = scale * samples / 44_100
        reflection = reflection + 0.6 * amplitude * np.exp(-2j * np.pi * frequency * lag[:, None])
    total_delay = delay + (PRE_ONSET_TAPS + 4) / SAMPLE_RATE_HZ
    response = shadow * reflection * np.exp(-2j * np.pi * frequency * total_delay[:, None])
    return np.fft.irfft(response, 512)[:, :TAPS]
