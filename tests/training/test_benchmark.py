"""The benchmark's own arithmetic: cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.runtime.scene.sources import SourceEstimate
from earshot.training.benchmark.clips import Clip
from earshot.training.benchmark.controls import mirrored_text
from earshot.training.benchmark.hearing import count_matches, judge_single, lateral_deg, summarize_single
from earshot.training.benchmark.named import named_errors_deg, sector, summarize_named


def source(key: str, azimuth_deg: float, distance_m: float | None = 1.0, elevation_deg: float = 0.0) -> dict:  # type: ignore[type-arg]
    point = {"time_s": 0.0, "azimuth_deg": azimuth_deg, "elevation_deg": elevation_deg, "distance_m": distance_m}
    return {"label": key, "onset_s": 0.0, "offset_s": 1.0, "trajectory": [point]}


def clip(*sources: dict) -> Clip:  # type: ignore[type-arg]
    return Clip(np.zeros((2, 16_000), np.float32), list(sources), {"kind": "free", "t60_s": 0.0}, "x")


def estimate(name: str, azimuth_deg: float, confidence: float = 0.9, distance_m: float = 1.0) -> SourceEstimate:
    return SourceEstimate(
        label=name, confidence=confidence, azimuth_deg=azimuth_deg, elevation_deg=0.0, distance_m=distance_m,
        onset_s=0.0, offset_s=1.0,
    )  # fmt: skip


def test_a_perfect_answer_scores_perfectly_and_a_mirrored_one_does_not() -> None:
    truth = clip(source("dog", 60.0))
    right = summarize_single([judge_single(truth, [estimate("Dog", 60.0)])])
    assert (right["top1"], right["azimuth_mean_deg"], right["front_back_confusions"]) == (1.0, 0.0, 0.0)
    mirrored = summarize_single([judge_single(truth, [estimate("Dog", -60.0)])])
    assert mirrored["azimuth_mean_deg"] == pytest.approx(120.0)


def test_front_and_back_exchanged_has_no_lateral_error() -> None:
    score = summarize_single([judge_single(clip(source("dog", 30.0)), [estimate("Dog", 150.0)])])
    assert score["lateral_mean_deg"] == pytest.approx(0.0, abs=1e-6)
    assert score["front_back_confusions"] == 1.0
    assert lateral_deg(150.0) == pytest.approx(30.0)


def test_lateral_errors_are_of_the_whole_direction_and_frontal_ones_of_sources_at_ear_height() -> None:
    high = judge_single(clip(source("dog", 90.0, elevation_deg=60.0)), [estimate("Dog", 30.0)])
    assert high.lateral_error_deg == pytest.approx(0.0, abs=1e-6) and not high.frontal
    level = judge_single(clip(source("dog", -40.0, elevation_deg=-10.0)), [estimate("Dog", -48.0)])
    behind = judge_single(clip(source("dog", 140.0)), [estimate("Dog", 100.0)])
    assert level.frontal and not behind.frontal
    score = summarize_single([high, level, behind])
    assert score["lateral_rms_frontal_deg"] == pytest.approx(level.lateral_error_deg)
    assert score["lateral_mean_deg"] == pytest.approx((level.lateral_error_deg + 40.0) / 3, abs=1e-6)


def test_nothing_heard_counts_as_a_guess() -> None:
    score = summarize_single([judge_single(clip(source("dog", 30.0)), [])])
    assert score["azimuth_mean_deg"] == 90.0
    assert (score["heard"], score["top1"]) == (0.0, 0.0)


def test_the_surest_track_is_judged() -> None:
    heard = [estimate("Cat", 0.0, 0.3), estimate("Dog", 55.0, 0.8, 1.6)]
    judged = judge_single(clip(source("dog", 60.0)), heard)
    assert judged.correct_class
    assert judged.distance_error_m == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("heard", "hits"),
    [
        ([("Dog", 65.0), ("Cat", -30.0)], 2),
        ([("Dog", 65.0), ("Cat", 30.0)], 1),
        ([("Cat", 60.0), ("Dog", -30.0)], 0),
        ([("Dog", 60.0), ("Dog", 62.0)], 1),
    ],
)
def test_pairs_match_by_class_and_direction(heard: list[tuple[str, float]], hits: int) -> None:
    truth = clip(source("dog", 60.0), source("cat", -30.0))
    assert count_matches(truth, [estimate(*h) for h in heard]) == (hits, 2, 2)


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("35 degrees to your left", "35 degrees to your right"),
        ("front right", "front left"),
        ("at 2 o'clock", "at 10 o'clock"),
        ("at 12 o'clock", "at 12 o'clock"),
        ("Left, then right", "Right, then left"),
        ("behind you", "behind you"),
    ],
)
def test_mirroring_a_text_exchanges_sides(text: str, mirror: str) -> None:
    assert mirrored_text(text) == mirror
    assert mirrored_text(mirrored_text(text)) == text


def test_a_named_one_of_several_is_judged_by_the_surest_of_its_name() -> None:
    truth = clip(source("dog", 60.0), source("cat", -30.0), source("hen", 170.0))
    heard = [estimate("Dog", -60.0, 0.3), estimate("Dog", 50.0, 0.8), estimate("Cat", 150.0)]
    pairs = named_errors_deg(truth, heard)
    assert pairs == [(60.0, 50.0), (-30.0, 150.0), (170.0, None)]
    figures = summarize_named(pairs)
    assert figures["told"] == pytest.approx(2 / 3)
    assert figures["eight_way"] == pytest.approx(1 / 3)
    assert (figures["azimuth_median_deg"], figures["azimuth_median_told_deg"]) == (90.0, 95.0)


@pytest.mark.parametrize(
    ("azimuth_deg", "number"), [(0.0, 0), (-22.0, 0), (44.0, 1), (180.0, 4), (-179.0, 4), (-45.0, 7)]
)
def test_eight_directions_are_centred_on_the_front(azimuth_deg: float, number: int) -> None:
    assert sector(azimuth_deg) == number
