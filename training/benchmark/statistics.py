"""Statistics of results: confidence intervals by bootstrap over scenes, and tables by factor.

Results are plain records (dictionaries). A record of a clip with one source has the keys of :func:`clip_record`;
a record of a question has ``scene``, ``level``, ``task`` and ``correct``. Anything else may stand beside them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.geometry import angle_between_azimuths

Record = Mapping[str, Any]
Group = TypeVar("Group")
FloatArray = NDArray[np.float64]

# What a silent answer is worth: the mean error of a guess over the whole circle.
GUESS_ERROR_DEG = 90.0
# Near the ear's axis front and back cannot be told apart and need not be.
LATERAL_LIMIT_DEG = 75.0


@dataclass(frozen=True)
class Statistic:
    """A figure that is a mean over records, so that a bootstrap only has to add up.

    Attributes
    ----------
    value : callable
        What one record adds; None leaves it out.
    finish : callable
        Applied to the mean (array in, array out).
    """

    value: Callable[[Record], float | None]
    finish: Callable[[FloatArray], FloatArray] = np.asarray

    def __call__(self, records: Sequence[Record]) -> float:
        """The figure of some records; NaN if none counts."""
        return float(self.of_sums(*np.sum([self.sums([record]) for record in records] or [(0.0, 0.0)], axis=0)))

    def sums(self, records: Sequence[Record]) -> tuple[float, float]:
        """Sum and number of the values of some records."""
        values = [value for value in map(self.value, records) if value is not None]
        return float(sum(values)), float(len(values))

    def of_sums(self, total: FloatArray, number: FloatArray) -> FloatArray:
        """The figure of summed values and their numbers; NaN where the number is 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.finish(np.divide(total, number))


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval.

    Attributes
    ----------
    value, low, high : float
        The figure on all scenes, and the bounds of the interval; NaN where it is not defined.
    scenes : int
        How many independent scenes it rests on.
    """

    value: float
    low: float
    high: float
    scenes: int

    def to_json(self) -> dict[str, float | int | None]:
        """JSON object; undefined figures are null."""
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {**{k: v if math.isfinite(v) else None for k, v in bounds.items()}, "scenes": self.scenes}


def by_scene(records: Sequence[Record]) -> list[list[Record]]:
    """Records grouped by their key ``scene``, in order of first appearance.

    Questions about one scene share its audio, so that they are not independent: scenes are what is drawn.
    """
    groups: dict[Any, list[Record]] = defaultdict(list)
    for record in records:
        groups[record["scene"]].append(record)
    return list(groups.values())


def bootstrap(
    groups: Sequence[Group],
    statistic: Callable[[Sequence[Group]], float],
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap (Efron & Tibshirani 1993, chapter 13) over independent groups.

    Parameters
    ----------
    groups : sequence
        One element per scene: its records, its SELD counts, anything the statistic understands.
    statistic : callable
        Figure of a list of groups; draws for which it is not finite are left out.
    samples : int
        Number of draws with replacement.
    confidence : float
        Share of draws inside the interval, 0 to 1.
    seed : int
        Same seed, same interval.
    """
    draws = _draws(len(groups), samples, seed)
    values = np.array([statistic([groups[i] for i in draw]) for draw in draws])
    return _interval(statistic(groups) if groups else math.nan, values, confidence, len(groups))


def interval(
    records: Sequence[Record], statistic: Statistic, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Bootstrap interval of a statistic of records, drawn by scene."""
    scenes = by_scene(records)
    sums = np.array([statistic.sums(scene) for scene in scenes]).reshape(-1, 2)
    drawn = sums[_draws(len(scenes), samples, seed)].sum(axis=1)
    return _interval(statistic(records), statistic.of_sums(*drawn.T), confidence, int((sums[:, 1] > 0).sum()))


def _draws(count: int, samples: int, seed: int) -> NDArray[np.int64]:
    """Which scenes each draw holds, [samples, count]; no draws of nothing."""
    return np.random.default_rng(seed).integers(max(1, count), size=(samples if count else 0, count))


def _interval(value: float, values: FloatArray, confidence: float, scenes: int) -> Interval:
    finite = values[np.isfinite(values)]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(finite, [tail, 100 - tail]) if len(finite) else (math.nan, math.nan)
    return Interval(float(value), float(low), float(high), scenes)


def clip_record(
    scene: str,
    truth: Mapping[str, Any],
    heard: Mapping[str, Any] | None,
    t60_s: float | None = None,
    snr_db: float | None = None,
    sources: int = 1,
) -> dict[str, Any]:
    """Record of one source and what was heard of it.

    Parameters
    ----------
    scene : str
        Clips with the same scene are not independent.
    truth, heard : mapping
        ``label``, ``azimuth_deg``, ``elevation_deg`` (0 if left out), ``distance_m`` (None if unknown); ``heard`` is None if nothing was.
    t60_s, snr_db : float, optional
    sources : int
        How many sources sound in the clip.
    """
    return {
        "scene": scene,
        "label": truth["label"],
        "azimuth_deg": truth["azimuth_deg"],
        "elevation_deg": truth.get("elevation_deg", 0.0),
        "distance_m": truth.get("distance_m"),
        "heard_label": heard["label"] if heard else None,
        "heard_azimuth_deg": heard["azimuth_deg"] if heard else None,
        "heard_elevation_deg": heard.get("elevation_deg", 0.0) if heard else None,
        "heard_distance_m": heard.get("distance_m") if heard else None,
        "t60_s": t60_s,
        "snr_db": snr_db,
        "sources": sources,
    }


def azimuth_error_deg(record: Record) -> float:
    """Angle between true and heard azimuth; a guess's error where nothing was heard."""
    if record["heard_azimuth_deg"] is None:
        return GUESS_ERROR_DEG
    return angle_between_azimuths(float(record["heard_azimuth_deg"]), float(record["azimuth_deg"]))


def lateral_deg(azimuth_deg: float, elevation_deg: float = 0.0) -> float:
    """Angle of a direction from the median plane, -90 (right) to 90 (left); front, back, above and below are the same.

    The lateral angle of interaural-polar coordinates (Morimoto and Aokata 1984), which the differences between the ears tell: a
    sound at the left ear's height and one halfway up towards the crown have the same azimuth, 90 degrees, but not the same angle.
    """
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return float(np.rad2deg(np.arcsin(np.clip(np.sin(azimuth) * np.cos(elevation), -1.0, 1.0))))


def confused_front_back(record: Record) -> bool | None:
    """Whether front and back were exchanged; None where nothing was heard or the source is near the ears' axis."""
    truth, heard = record["azimuth_deg"], record["heard_azimuth_deg"]
    if heard is None or abs(lateral_deg(truth)) >= LATERAL_LIMIT_DEG:
        return None
    return bool(np.cos(np.deg2rad(heard)) * np.cos(np.deg2rad(truth)) < 0)


def _lateral_square(record: Record) -> float | None:
    if record["heard_azimuth_deg"] is None:
        return None
    heard_deg = lateral_deg(record["heard_azimuth_deg"], record["heard_elevation_deg"])
    return (heard_deg - lateral_deg(record["azimuth_deg"], record["elevation_deg"])) ** 2


def _beyond_half_m(record: Record) -> float | None:
    if record["heard_distance_m"] is None or record["distance_m"] is None:
        return None
    return float(abs(record["heard_distance_m"] - record["distance_m"]) > 0.5)


accuracy = Statistic(lambda record: float(record["correct"]))
"""Share of right answers (``correct``)."""
top1 = Statistic(lambda record: float(record["heard_label"] == record["label"]))
"""Share of clips whose class was named right."""
azimuth_mean_deg = Statistic(azimuth_error_deg)
"""Mean azimuth error, degrees."""
azimuth_over_20deg = Statistic(lambda record: float(azimuth_error_deg(record) > 20))
"""Share of azimuth errors above 20 degrees."""
lateral_rms_deg = Statistic(_lateral_square, np.sqrt)
"""Root mean square of the lateral error over what was heard, degrees."""
front_back_confusions = Statistic(confused_front_back)
"""Share of clips heard in the wrong half of the circle, sources near the ears' axis left out."""
distance_over_half_m = Statistic(_beyond_half_m)
"""Share of distance errors above 0.5 m (BAT's distance error rate) over what was heard."""

CLIP_STATISTICS: dict[str, Statistic] = {
    "top1": top1,
    "azimuth_mean_deg": azimuth_mean_deg,
    "azimuth_over_20deg": azimuth_over_20deg,
    "lateral_rms_deg": lateral_rms_deg,
    "front_back_confusions": front_back_confusions,
    "distance_over_half_m": distance_over_half_m,
}

# Lower bounds of the bins; the last bin is open.
FACTORS: dict[str, tuple[float, ...]] = {
    "t60_s": (0.0, 0.2, 0.4, 0.7),
    "snr_db": (-math.inf, 10.0, 20.0, 30.0),
    "distance_m": (0.0, 1.0, 2.0, 4.0),
    "sources": (1.0, 2.0, 3.0),
}


def factor_table(
    records: Sequence[Record],
    factor: str,
    statistics: Mapping[str, Statistic] | None = None,
    edges: Sequence[float] | None = None,
    samples: int = 200,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Figures with intervals for every bin of a factor.

    Parameters
    ----------
    records : sequence of mapping
    factor : str
        Key of the records; those that do not state it are left out.
    statistics : mapping, optional
        Name to statistic; `CLIP_STATISTICS` by default.
    edges : sequence of float, optional
        Rising lower bounds of the bins; `FACTORS[factor]` by default.
    samples, seed : int
        Of the bootstrap.

    Returns
    -------
    dict of dict
        Bin name to ``clips`` and one `Interval` per statistic; bins without records are left out.
    """
    edges = FACTORS[factor] if edges is None else edges
    stated = [record for record in records if record.get(factor) is not None]
    bins = np.digitize([record[factor] for record in stated], edges) - 1
    table: dict[str, dict[str, Any]] = {}
    for number in range(len(edges)):
        chosen = [record for record, where in zip(stated, bins, strict=True) if where == number]
        if chosen:
            row: dict[str, Any] = {"clips": len(chosen)}
            for name, statistic in (statistics or CLIP_STATISTICS).items():
                row[name] = interval(chosen, statistic, samples, seed=seed)
            table[_bin_name(edges, number)] = row
    return table


def plain(table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A table with its intervals as JSON objects."""
    return {
        name: {key: value.to_json() if isinstance(value, Interval) else value for key, value in row.items()}
        for name, row in table.items()
    }


def _bin_name(edges: Sequence[float], number: int) -> str:
    low, high = edges[number], edges[number + 1] if number + 1 < len(edges) else math.inf
    if math.isinf(high):
        return f">= {low:g}"
    return f"< {high:g}" if math.isinf(low) else f"{low:g} to {high:g}"
