"""Scores of continuous scenes: the DCASE figures with intervals, and how well static sources are placed, by condition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from earshot.runtime.geometry import angles_of, unit_vector
from earshot.runtime.labels import by_key, load_labels
from earshot.training.benchmark.frame_tables import FrameTable
from earshot.training.benchmark.seld_metrics import SeldCounts, SeldScores, count, score
from earshot.training.benchmark.seld_scenes import SeldScene
from earshot.training.benchmark.statistics import (
    FACTORS,
    Record,
    Statistic,
    azimuth_error_deg,
    azimuth_mean_deg,
    bootstrap,
    clip_record,
    distance_over_half_m,
    factor_table,
    front_back_confusions,
    interval,
    lateral_rms_deg,
    plain,
    top1,
)

BOOTSTRAP = 300
FOUND_SHARE = 0.2
"""A source is found when one track follows it for this share of its frames at least."""
LEAST_ALONE = 5
"""Frames that a source must sound alone for."""
LEVEL_DEG = 45.0
DCASE = ("f20_macro", "doae_deg", "rde", "seld_2024", "f20_micro", "er20", "le_deg", "lr")


def _found(record: Record) -> float | None:
    return None if record["heard_azimuth_deg"] is None else azimuth_error_deg(record)


def _found_beyond(record: Record) -> float | None:
    error = _found(record)
    return None if error is None else float(error > 20)


STATIC: dict[str, Statistic] = {
    "found": top1,
    "mae_deg": Statistic(_found),
    "er20": Statistic(_found_beyond),
    "lateral_rms_deg": lateral_rms_deg,
    "front_back_confusions": front_back_confusions,
    "distance_over_half_m": distance_over_half_m,
    "mae_missed_as_guess_deg": azimuth_mean_deg,
}
"""Figures of sources; all but the first and the last over the sources that were found."""


def report(scenes: Sequence[SeldScene], predictions: Sequence[FrameTable]) -> dict[str, Any]:
    """All figures.

    Parameters
    ----------
    scenes : sequence of SeldScene
    predictions : sequence of FrameTable
        What a system says about each.

    Returns
    -------
    dict
        ``dcase`` (figures over the classes that occur, and their intervals by scene), ``static`` (all sources),
        ``by_factor`` (T60, SNR, distance, sources at once), ``alone`` (sources while they sound alone, whatever the
        track is called: what a localiser without classes can be compared with), ``level`` (sources within 45 degrees of
        ear height: near the zenith an azimuth means little).
    """
    truths = [scene.truth() for scene in scenes]
    counts = [count(truth, guess) for truth, guess in zip(truths, predictions, strict=True)]
    records = records_of(scenes, predictions)
    level = [record for record in records if abs(record["elevation_deg"]) <= LEVEL_DEG]
    return {
        "dcase": {name: _interval_of(counts, name) for name in DCASE},
        "classes": len(set(np.concatenate([truth.class_id for truth in truths]).tolist())),
        "static": {"sources": len(records), **_static(records)},
        "level": {"sources": len(level), **_static(level)},
        "alone": _alone(records_of(scenes, predictions, alone=True)),
        "by_factor": {factor: plain(factor_table(records, factor, STATIC)) for factor in FACTORS},
    }


def _static(records: Sequence[Record]) -> dict[str, Any]:
    return {name: interval(records, figure).to_json() for name, figure in STATIC.items()}


def _alone(records: Sequence[Record]) -> dict[str, Any]:
    return {
        "sources": len(records),
        **_static([{**r, "heard_label": r["heard_label"] and r["label"]} for r in records]),
    }


def _interval_of(counts: Sequence[SeldCounts], name: str) -> dict[str, Any]:
    figure = _figure(name)
    return bootstrap(counts, lambda drawn: figure(score(SeldCounts.total(drawn))), BOOTSTRAP).to_json()


def _figure(name: str) -> Callable[[SeldScores], float]:
    def read(scores: SeldScores) -> float:
        value = asdict(scores)[name]
        return float("nan") if value is None else float(value)

    return read


def records_of(
    scenes: Sequence[SeldScene], predictions: Sequence[FrameTable], alone: bool = False
) -> list[dict[str, Any]]:
    """One record per event: where the source was, and where the track that followed it longest was.

    Parameters
    ----------
    scenes, predictions
        As in `report`.
    alone : bool
        Only the frames in which nothing else sounds, and tracks of any class; otherwise all frames, and tracks of the
        right class.
    """
    return [
        record
        for scene, guess in zip(scenes, predictions, strict=True)
        for record in _of_scene(scene, scene.truth(), guess, alone)
    ]


def _of_scene(scene: SeldScene, truth: FrameTable, guess: FrameTable, alone: bool) -> list[dict[str, Any]]:
    entries = scene.scene["sources"]
    event_of_row = np.array([entries[number]["event"] for number in truth.source], np.int64)
    at_once = np.bincount(truth.frame, minlength=int(truth.frame.max(initial=0)) + 1)[truth.frame]
    out: list[dict[str, Any]] = []
    for event in np.unique(event_of_row):
        rows = (event_of_row == event) & ((at_once == 1) | (not alone))
        if rows.sum() < (LEAST_ALONE if alone else 1):
            continue
        entry = next(e for e in entries if e["event"] == event)
        candidates = guess if alone else guess.take(guess.class_id == truth.class_id[rows][0])
        record = clip_record(
            scene.origin, {**entry["trajectory"][0], "label": by_key(entry["label"]).name},
            _heard(candidates, truth.frame[rows]), scene.scene["room"].get("t60_s"), scene.scene["ambience"]["snr_db"],
            int(np.median(at_once[rows])),
        )  # fmt: skip
        out.append({**record, "elevation_deg": entry["trajectory"][0]["elevation_deg"]})
    return out


def _heard(guess: FrameTable, frames: np.ndarray[Any, Any]) -> dict[str, Any] | None:
    """Label and mean place of the longest track within some frames; None where there is none of some length."""
    inside = guess.take(np.isin(guess.frame, frames))
    if len(inside) == 0:
        return None
    # Numbers tell the sources of one class apart; with the class they tell all apart.
    _, track_of_row, lengths = np.unique(
        inside.class_id * 1_000_003 + inside.source, return_inverse=True, return_counts=True
    )
    if lengths.max() < FOUND_SHARE * len(frames):
        return None
    track = inside.take(track_of_row == lengths.argmax())
    azimuth, elevation = angles_of(unit_vector(track.azimuth_deg, track.elevation_deg).mean(axis=0))
    distance = float(np.median(track.distance_m))
    return {
        "label": load_labels()[int(track.class_id[0])].name,
        "azimuth_deg": float(azimuth),
        "elevation_deg": float(elevation),
        "distance_m": distance if np.isfinite(distance) else None,
    }
