"""Baselines: what is reached without learning, or without listening; scored on the same clips as a bundle.

- ``gcc``: generalised cross-correlation with phase transform (Knapp & Carter 1976) for the interaural delay, level
  differences in bands, and a table of both, averaged over heads, in which the nearest direction is looked up.
- ``random``: any class, any direction, any distance.
- ``majority``: the one constant answer that is best on the very clips that are scored (so it flatters itself).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.geometry import angle_between_azimuths, angles_of, wrap_deg
from earshot.runtime.labels import by_key, load_labels
from earshot.runtime.scene.sources import SourceEstimate
from earshot.training.synthesis.dataset import DataFolders, build_world
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, Head, cached_head
from earshot.training.synthesis.scenes import is_validation_head

Audio = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Listen = Callable[[Audio], list[SourceEstimate]]
Truth = Mapping[str, Any]
"""A source of a scene description."""

NAMES = ("gcc", "random", "majority")

FRAME, HOP = 1024, 512
OVERSAMPLING = 8
MAX_DELAY_S = 1.0e-3
# The phase transform is taken where the delay is audible as phase and noise is not yet all there is.
PHAT_BAND_HZ = (200.0, 4000.0)
BAND_EDGES_HZ = (200.0, 500.0, 1000.0, 1600.0, 2400.0, 3400.0, 4600.0, 6000.0, 7800.0)
AZIMUTH_STEP_DEG = 5.0
# Frames more than this below the loudest one hold reverberation and noise.
ACTIVE_DB = 20.0
# No table is exact: noise, rooms and heads add to the spread between the heads of the table.
DELAY_FLOOR_S = 40e-6
LEVEL_FLOOR_DB = 3.0


@dataclass(frozen=True)
class Cues:
    """Interaural differences.

    Attributes
    ----------
    delay_s : float
        How much later the right ear hears; positive = source on the left.
    level_db : float64 [8]
        How much louder the left ear is, in the bands between `BAND_EDGES_HZ`.
    """

    delay_s: float
    level_db: FloatArray


@dataclass(frozen=True)
class CueTable:
    """What to expect from a direction, over heads.

    Attributes
    ----------
    azimuth_deg : float64 [D]
    mean, spread : float64 [D, 9]
        Delay in seconds, then eight level differences in decibels.
    """

    azimuth_deg: FloatArray
    mean: FloatArray
    spread: FloatArray

    def nearest(self, cues: Cues) -> float:
        """Azimuth whose cues are nearest, deviations counted in units of their spread."""
        measured = np.concatenate([[cues.delay_s], cues.level_db])
        deviation = (measured - self.mean) / self.spread
        # One delay weighs as much as all levels together: the levels of neighbouring bands are not independent.
        cost = deviation[:, 0] ** 2 + (deviation[:, 1:] ** 2).mean(axis=1)
        return float(self.azimuth_deg[np.argmin(cost)])


def interaural_cues(audio: NDArray[np.floating[Any]]) -> Cues:
    """Delay and level differences of a binaural signal [2, samples] at 16 kHz, over its loud frames."""
    return _cues(*_spectra(np.asarray(audio, np.float64)))


def _cues(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> Cues:
    """Cues of the spectra [frames, bins] of both ears."""
    power_left, power_right = np.abs(left) ** 2, np.abs(right) ** 2
    energy = (power_left + power_right).sum(axis=1)
    loud = energy >= energy.max() * 10 ** (-ACTIVE_DB / 10)
    edges = np.searchsorted(np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ), BAND_EDGES_HZ)
    bands = [slice(low, high) for low, high in itertools.pairwise(edges)]
    level = [_decibels(power_left[loud][:, band].sum(), power_right[loud][:, band].sum()) for band in bands]
    return Cues(_phat_delay_s(left[loud], right[loud]), np.array(level))


def _spectra(audio: FloatArray) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Windowed spectra [frames, bins] of both ears; short signals are padded to one frame."""
    padded = np.pad(audio, ((0, 0), (0, max(0, FRAME - audio.shape[1]))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME, axis=1)[:, ::HOP]
    left, right = np.fft.rfft(frames * np.hanning(FRAME), axis=-1)
    return left, right


def _phat_delay_s(left: NDArray[np.complex128], right: NDArray[np.complex128]) -> float:
    """Delay of the right ear from the whitened cross-spectra, averaged over frames."""
    cross = left * np.conj(right)
    frequency = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    inside = (frequency >= PHAT_BAND_HZ[0]) & (frequency <= PHAT_BAND_HZ[1])
    whitened = np.where(inside, (cross / (np.abs(cross) + 1e-20)).sum(axis=0), 0)
    correlation = np.fft.irfft(whitened, FRAME * OVERSAMPLING)
    reach = int(MAX_DELAY_S * SAMPLE_RATE_HZ * OVERSAMPLING)
    lags = np.arange(-reach, reach + 1)
    # left * conj(right) peaks at the negative delay of the right ear.
    return float(-lags[np.argmax(correlation[lags])]) / (SAMPLE_RATE_HZ * OVERSAMPLING)


def _decibels(numerator: float, denominator: float) -> float:
    return float(np.clip(10 * math.log10((numerator + 1e-20) / (denominator + 1e-20)), -30, 30))


def cue_table(heads: Iterable[Head], elevation_deg: float = 10.0) -> CueTable:
    """Cues of every azimuth (5 degrees apart) over heads and the elevations within ``elevation_deg`` of the horizon.

    Parameters
    ----------
    heads : iterable of Head
        Heads that are not those of the clips to be scored.
    elevation_deg : float
        Largest absolute elevation.
    """
    grid = np.arange(-180 + AZIMUTH_STEP_DEG, 180.1, AZIMUTH_STEP_DEG)
    found: dict[int, list[FloatArray]] = {}
    for head in heads:
        azimuth, elevation = angles_of(head.directions)
        for index in np.flatnonzero(np.abs(elevation) <= elevation_deg):
            gap = angle_between_azimuths(grid, float(azimuth[index]))
            if gap.min() <= AZIMUTH_STEP_DEG / 2:
                left, right = np.fft.rfft(head.hrirs[index], FRAME)[:, None]
                cues = _cues(left, right)
                found.setdefault(int(np.argmin(gap)), []).append(np.concatenate([[cues.delay_s], cues.level_db]))
    rows = sorted(found)
    floor = np.array([DELAY_FLOOR_S] + [LEVEL_FLOOR_DB] * (len(BAND_EDGES_HZ) - 1))
    mean = np.stack([np.mean(found[row], axis=0) for row in rows])
    spread = np.stack([np.std(found[row], axis=0) for row in rows])
    return CueTable(np.asarray(wrap_deg(grid[rows])), mean, np.hypot(spread, floor))


def gcc_listener(table: CueTable, label: str, distance_m: float) -> Listen:
    """A listener that looks the direction up; class and distance, which it cannot tell, are constants."""

    def listen(audio: Audio) -> list[SourceEstimate]:
        return [_estimate(label, table.nearest(interaural_cues(audio)), distance_m, audio)]

    return listen


def random_listener(seed: int = 0) -> Listen:
    """A listener that does not listen."""
    rng = np.random.default_rng(seed)
    names = [label.name for label in load_labels()]

    def listen(audio: Audio) -> list[SourceEstimate]:
        distance = float(np.exp(rng.uniform(np.log(0.3), np.log(8.0))))
        return [_estimate(str(rng.choice(names)), float(rng.uniform(-179.9, 180)), distance, audio)]

    return listen


def majority_listener(truths: Sequence[Truth]) -> Listen:
    """A listener that always gives the constant answer that is best on ``truths``."""
    label, azimuth, distance = majority(truths)

    def listen(audio: Audio) -> list[SourceEstimate]:
        return [_estimate(label, azimuth, distance, audio)]

    return listen


def majority(truths: Sequence[Truth]) -> tuple[str, float, float]:
    """Most frequent class name, azimuth (5 degree steps) of least mean error, median distance (2 m if none is known)."""
    points = [source["trajectory"][0] for source in truths]
    label = Counter(source["label"] for source in truths).most_common(1)[0][0]
    azimuths = np.array([point["azimuth_deg"] for point in points])
    grid = np.arange(-175.0, 181.0, 5.0)
    errors = [float(angle_between_azimuths(azimuths, float(candidate)).mean()) for candidate in grid]
    known = [point["distance_m"] for point in points if point["distance_m"] is not None]
    return by_key(label).name, float(grid[int(np.argmin(errors))]), float(np.median(known)) if known else 2.0


def baseline_listener(
    name: str, truths: Sequence[Truth], data: Path | None = None, cache: Path | None = None, seed: int = 0
) -> Listen:
    """Listener of a baseline.

    Parameters
    ----------
    name : {"gcc", "random", "majority"}
    truths : sequence of mapping
        Sources of the clips that will be scored; their most frequent class and median distance are the constants of
        baselines that cannot tell.
    data, cache : Path, optional
        Recordings (``hrtf/``): ``gcc`` looks up the training heads of it, without it those made by rule.
    seed : int

    Raises
    ------
    UsageError
        No such baseline.
    """
    if name == "gcc":
        label, _, distance = majority(truths)
        return gcc_listener(cue_table(_training_heads(data, cache)), label, distance)
    if name == "random":
        return random_listener(seed)
    if name == "majority":
        return majority_listener(truths)
    raise UsageError(f"--baseline {name}: choose {', '.join(NAMES)}")


def _training_heads(data: Path | None, cache: Path | None) -> Iterable[Head]:
    """Measured heads that are not held out for validation; those made by rule without a folder."""
    if data is None:
        return build_world(DataFolders(None), "train").heads
    files = [p for p in sorted((data / "hrtf").glob("*.sofa")) if "_NF" not in p.stem]
    heads = [cached_head(path, cache) for path in files if not is_validation_head(path.stem)]
    if not heads:
        raise InputError(f"{data / 'hrtf'}: no SOFA file of a training head")
    return heads


def _estimate(label: str, azimuth_deg: float, distance_m: float, audio: Audio) -> SourceEstimate:
    return SourceEstimate(
        label=label, confidence=1.0, azimuth_deg=wrap_deg(azimuth_deg), elevation_deg=0.0, distance_m=distance_m,
        onset_s=0.0, offset_s=audio.shape[1] / SAMPLE_RATE_HZ,
    )  # fmt: skip
