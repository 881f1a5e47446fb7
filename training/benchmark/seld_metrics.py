"""Metrics of joint sound event localisation and detection (SELD), to the definitions of DCASE task 3.

Sources:

- [1] Mesaros, Adavanne, Politis, Heittola, Virtanen: "Joint measurement of localization and detection of sound events",
  WASPAA 2019.
- [2] Politis, Mesaros, Adavanne, Heittola, Virtanen: "Overview and evaluation of sound event localization and detection
  in DCASE 2019", IEEE/ACM TASLP 2021: several sources of one class, optimal assignment.
- [3] Krause, Politis, Mesaros: "Sound event detection and localization with distance estimation", EUSIPCO 2024; adopted
  by DCASE 2024 task 3: frame-wise, F20 with a relative distance threshold of 1, DOAE, RDE, averaged over classes.

All are counted on 100 ms frames. (DCASE 2020 to 2023 counted the older ER20, F20, LE, LR on 1 s segments; since 2024 the
official evaluation counts on frames, and so does this one, so that all figures of a table speak of the same events.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from earshot.runtime.geometry import great_circle_deg
from earshot.training.benchmark.frame_tables import FrameTable

FloatArray = NDArray[np.float64]
NO_MATCH_ERROR_DEG = 180.0


@dataclass(frozen=True)
class SeldSettings:
    """Which events count as found.

    Attributes
    ----------
    angle_deg : float
        Largest angle between truth and estimate (20 in all challenges).
    relative_distance : float
        Largest |estimated - true| / true distance (1 in DCASE 2024 and 2025); only asked where both are known.
    stereo : bool
        DCASE 2025: only the azimuth counts, and sources behind are folded to the front (180 - azimuth).
    """

    angle_deg: float = 20.0
    relative_distance: float = 1.0
    stereo: bool = False


@dataclass
class ClassCounts:
    """What is summed for one class.

    Attributes
    ----------
    references, estimates : int
        Rows of the class in the reference and in the prediction (R and P of [2]).
    matched : int
        Pairs of the optimal assignment, min(R, P) in each frame, whatever their error.
    hits, hits_2d : int
        Pairs within the angle and the relative distance; within the angle alone (before 2024).
    angle_deg, relative_distance : float
        Sums of the errors over the pairs.
    with_distance : int
        Pairs whose distances are both known.
    """

    references: int = 0
    estimates: int = 0
    matched: int = 0
    hits: int = 0
    hits_2d: int = 0
    angle_deg: float = 0.0
    relative_distance: float = 0.0
    with_distance: int = 0

    def add(self, other: ClassCounts) -> None:
        """Add the counts of other frames or recordings."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class SeldCounts:
    """Counts of any number of recordings; they add up, so that a bootstrap can draw recordings without counting again.

    Attributes
    ----------
    classes : dict of int to ClassCounts
    substitutions, deletions, insertions : int
        Of the location-dependent error rate, per frame over all classes [1].
    """

    classes: dict[int, ClassCounts] = field(default_factory=lambda: defaultdict(ClassCounts))
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def add(self, other: SeldCounts) -> None:
        """Add the counts of other recordings."""
        for number, counts in other.classes.items():
            self.classes[number].add(counts)
        self.substitutions += other.substitutions
        self.deletions += other.deletions
        self.insertions += other.insertions

    @staticmethod
    def total(parts: Iterable[SeldCounts]) -> SeldCounts:
        """Sum of several counts."""
        out = SeldCounts()
        for part in parts:
            out.add(part)
        return out


@dataclass(frozen=True)
class SeldScores:
    """The figures. Angles in degrees, shares from 0 to 1; None where nothing was matched.

    Attributes
    ----------
    f20_macro : float
        F-score with both thresholds, mean over classes (DCASE 2024, 2025) [3].
    doae_deg : float or None
        Class-dependent error of direction: mean angle of all assigned pairs of a class, however large, then mean over
        the classes that have any [3].
    rde : float or None
        Relative distance error |estimate - truth| / truth, averaged likewise [3].
    seld_2024 : float
        Mean over classes of the mean of 1 - F20, DOAE / 180 and RDE (what is not defined is left out); less is better.
    f20_micro : float
        F-score with the angle threshold alone, all classes counted together (DCASE 2020 and 2021) [1].
    er20 : float
        Location-dependent error rate (substitutions + deletions + insertions) / references [1].
    le_deg : float
        Localisation error: like DOAE, but 180 degrees for a class of which nothing was matched (DCASE 2022) [2].
    lr : float
        Localisation recall: assigned pairs / references of a class, whatever their error, mean over classes [2].
    references : int
    """

    f20_macro: float
    doae_deg: float | None
    rde: float | None
    seld_2024: float
    f20_micro: float
    er20: float
    le_deg: float
    lr: float
    references: int


def count(reference: FrameTable, prediction: FrameTable, settings: SeldSettings | None = None) -> SeldCounts:
    """Compare a prediction with the truth of one recording.

    In every frame, estimates of a class are assigned to references of that class so that the sum of angles is least [2].
    A pair beyond the thresholds is a false positive, but its reference does not count as missed as well [2, 3].
    """
    settings = settings or SeldSettings()
    truths, guesses = (_by_frame(_prepared(table, settings)) for table in (reference, prediction))
    out = SeldCounts()
    for frame in sorted(truths.keys() | guesses.keys()):
        missed = false = 0
        of_frame, heard = truths.get(frame, {}), guesses.get(frame, {})
        for number in sorted(of_frame.keys() | heard.keys()):
            counts = _count_class(of_frame.get(number), heard.get(number), settings)
            out.classes[number].add(counts)
            missed += counts.references - counts.matched
            false += counts.estimates - counts.hits_2d
        out.substitutions += min(missed, false)
        out.deletions += max(0, missed - false)
        out.insertions += max(0, false - missed)
    return out


def score(counts: SeldCounts, classes: Sequence[int] | None = None) -> SeldScores:
    """Scores of counted recordings.

    Parameters
    ----------
    counts : SeldCounts
    classes : sequence of int, optional
        Classes over which macro averages are taken; by default those that occur in the reference. False alarms of
        other classes count in ER20 and in the micro F-score only.
    """
    wanted = sorted(number for number, c in counts.classes.items() if c.references) if classes is None else classes
    of_class = [counts.classes.get(number, ClassCounts()) for number in wanted]
    every = ClassCounts()
    for part in counts.classes.values():
        every.add(part)
    angles = [c.angle_deg / c.matched for c in of_class if c.matched]
    distances = [c.relative_distance / c.with_distance for c in of_class if c.with_distance]
    errors = counts.substitutions + counts.deletions + counts.insertions
    return SeldScores(
        f20_macro=_mean([_f_score(c.hits, c) for c in of_class]),
        doae_deg=_mean(angles) if angles else None,
        rde=_mean(distances) if distances else None,
        seld_2024=_mean([_class_error(c) for c in of_class]),
        f20_micro=_f_score(every.hits_2d, every),
        er20=errors / every.references if every.references else float(errors > 0),
        le_deg=_mean([c.angle_deg / c.matched if c.matched else NO_MATCH_ERROR_DEG for c in of_class]),
        lr=_mean([c.matched / c.references if c.references else 0.0 for c in of_class]),
        references=every.references,
    )


def evaluate(
    pairs: Iterable[tuple[FrameTable, FrameTable]],
    settings: SeldSettings | None = None,
    classes: Sequence[int] | None = None,
) -> SeldScores:
    """Scores of (reference, prediction) pairs, one pair per recording."""
    return score(SeldCounts.total(count(*pair, settings) for pair in pairs), classes)


def _f_score(hits: int, counts: ClassCounts) -> float:
    """2 TP / (R + P), which is TP / (TP + FP_angle + (FP_surplus + FN) / 2) of [3]; 0 where there is nothing."""
    return 2 * hits / max(1, counts.references + counts.estimates)


def _class_error(counts: ClassCounts) -> float:
    parts = [1 - _f_score(counts.hits, counts)]
    if counts.matched:
        parts.append(counts.angle_deg / counts.matched / 180)
    if counts.with_distance:
        parts.append(counts.relative_distance / counts.with_distance)
    return _mean(parts)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


Place = tuple[float, float, float]
"""Azimuth, elevation (degrees), distance (metres)."""


def _prepared(table: FrameTable, settings: SeldSettings) -> FrameTable:
    """The table in the convention of the settings, rows in an order that does not depend on the numbers of sources.

    Two assignments can have the same sum of angles and different hits; the order decides which one is taken.
    """
    azimuth, elevation = table.azimuth_deg, table.elevation_deg
    if settings.stereo:
        azimuth = np.rad2deg(np.arcsin(np.sin(np.deg2rad(azimuth))))
        elevation = np.zeros_like(elevation)
    folded = FrameTable(table.frame, table.class_id, table.source, azimuth, elevation, table.distance_m)
    return folded.take(np.lexsort((table.distance_m, elevation, azimuth, table.class_id, table.frame)))


def _by_frame(table: FrameTable) -> dict[int, dict[int, list[Place]]]:
    out: dict[int, dict[int, list[Place]]] = defaultdict(lambda: defaultdict(list))
    columns = (table.frame, table.class_id, table.azimuth_deg, table.elevation_deg, table.distance_m)
    for frame, number, *place in zip(*(column.tolist() for column in columns), strict=True):
        out[frame][number].append(tuple(place))
    return out


def _count_class(truths: list[Place] | None, guesses: list[Place] | None, settings: SeldSettings) -> ClassCounts:
    """Counts of one class in one frame."""
    out = ClassCounts(references=len(truths or ()), estimates=len(guesses or ()))
    if not truths or not guesses:
        return out
    truth, guess = np.array(truths), np.array(guesses)
    angles = great_circle_deg(truth[:, None, 0], truth[:, None, 1], guess[None, :, 0], guess[None, :, 1])
    rows, columns = linear_sum_assignment(angles)
    angle = angles[rows, columns]
    relative = np.abs(guess[columns, 2] - truth[rows, 2]) / np.maximum(truth[rows, 2], 1e-9)
    known = np.isfinite(relative)
    near = angle <= settings.angle_deg
    out.matched = len(rows)
    out.angle_deg = float(angle.sum())
    out.hits_2d = int(near.sum())
    out.hits = int((near & ~(relative > settings.relative_distance)).sum())
    out.with_distance = int(known.sum())
    out.relative_distance = float(relative[known].sum())
    return out
