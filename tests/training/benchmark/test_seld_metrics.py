"""SELD metrics: cases worked out by hand, and what must hold for any scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.training.benchmark.frame_tables import FrameTable, table_of
from earshot.training.benchmark.seld_metrics import SeldCounts, SeldScores, SeldSettings, count, evaluate, score

DOG, CAT, RAIN = 1, 2, 3


def one(reference: list[tuple[float, ...]], prediction: list[tuple[float, ...]], **options: object) -> SeldScores:
    return evaluate([(table_of(reference), table_of(prediction))], SeldSettings(**options))  # type: ignore[arg-type]


def test_one_source_a_little_off() -> None:
    # Frame 0: dog at 0 degrees, 2 m; heard at 10 degrees, 3 m. One pair, 10 <= 20, |3 - 2| / 2 = 0.5 <= 1: a hit.
    s = one([(0, DOG, 0, 0, 0, 2.0)], [(0, DOG, 0, 10, 0, 3.0)])
    assert (s.f20_macro, s.f20_micro, s.er20, s.lr) == (1.0, 1.0, 0.0, 1.0)
    assert s.doae_deg == pytest.approx(10.0)
    assert s.le_deg == pytest.approx(10.0)
    assert s.rde == pytest.approx(0.5)
    # Mean of 1 - 1, 10/180 and 0.5.
    assert s.seld_2024 == pytest.approx((0 + 10 / 180 + 0.5) / 3)


def test_a_pair_beyond_the_angle_is_a_false_alarm_and_no_miss() -> None:
    # 30 degrees off: R = P = 1, TP = 0 -> F = 0. Matched all the same: LR = 1, error 30 degrees.
    # FN = 1 - 1 = 0, FP = 1 -> one insertion, ER = 1 / 1.
    s = one([(0, DOG, 0, 0, 0, 2.0)], [(0, DOG, 0, 30, 0, 2.0)])
    assert (s.f20_macro, s.f20_micro, s.er20, s.lr, s.rde) == (0.0, 0.0, 1.0, 1.0, 0.0)
    assert s.doae_deg == pytest.approx(30.0)


def test_exactly_twenty_degrees_and_exactly_double_the_distance_still_count() -> None:
    assert one([(0, DOG, 0, 0, 0, 2.0)], [(0, DOG, 0, 20, 0, 4.0)]).f20_macro == 1.0
    assert one([(0, DOG, 0, 0, 0, 2.0)], [(0, DOG, 0, 20.5, 0, 4.0)]).f20_macro == 0.0


def test_the_distance_threshold_is_asked_only_by_the_newer_f_score() -> None:
    # 2 m heard at 5 m: 1.5 > 1. F of 2024 fails, the older F20 and ER20 know no distance.
    s = one([(0, DOG, 0, 0, 0, 2.0)], [(0, DOG, 0, 0, 0, 5.0)])
    assert (s.f20_macro, s.f20_micro, s.er20) == (0.0, 1.0, 0.0)
    assert s.rde == pytest.approx(1.5)


def test_an_unknown_distance_is_not_held_against_anyone() -> None:
    s = one([(0, DOG, 0, 0, 0, np.nan)], [(0, DOG, 0, 5, 0, 9.0)])
    assert (s.f20_macro, s.rde) == (1.0, None)
    assert s.seld_2024 == pytest.approx((0 + 5 / 180) / 2)


def test_nothing_heard() -> None:
    # One deletion of one reference. Nothing matched: no DOAE, LE = 180 by definition.
    s = one([(0, DOG, 0, 0, 0, 2.0)], [])
    assert (s.f20_macro, s.er20, s.lr, s.le_deg) == (0.0, 1.0, 0.0, 180.0)
    assert (s.doae_deg, s.rde) == (None, None)


def test_the_wrong_class_is_one_substitution() -> None:
    # Dog missed (FN = 1), cat imagined (FP = 1): S = min = 1, D = I = 0, ER = 1 / 1.
    counts = count(table_of([(0, DOG, 0, 0, 0, 2.0)]), table_of([(0, CAT, 0, 0, 0, 2.0)]))
    assert (counts.substitutions, counts.deletions, counts.insertions) == (1, 0, 0)
    assert score(counts).f20_micro == 0.0


def test_two_dogs_are_assigned_so_that_the_sum_of_angles_is_least() -> None:
    # Dogs at 0 and 40, heard at 30 and 10. Straight pairing: 30 + 30 = 60; crossed: 10 + 10 = 20, which is taken.
    s = one(
        [(0, DOG, 0, 0, 0, 1.0), (0, DOG, 1, 40, 0, 1.0)],
        [(0, DOG, 0, 30, 0, 1.0), (0, DOG, 1, 10, 0, 1.0)],
    )
    assert s.doae_deg == pytest.approx(10.0)
    assert (s.f20_macro, s.er20) == (1.0, 0.0)


def test_three_heard_for_two() -> None:
    # References 0 and 90, heard 5, 95, 180: two hits, one surplus. F = 2*2 / (2 + 3) = 0.8; ER = 1 insertion / 2.
    s = one(
        [(0, DOG, 0, 0, 0, 1.0), (0, DOG, 1, 90, 0, 1.0)],
        [(0, DOG, 0, 5, 0, 1.0), (0, DOG, 1, 95, 0, 1.0), (0, DOG, 2, 180, 0, 1.0)],
    )
    assert s.f20_macro == pytest.approx(0.8)
    assert (s.er20, s.lr) == (0.5, 1.0)
    assert s.doae_deg == pytest.approx(5.0)


def test_macro_and_micro_on_a_case_of_three_frames() -> None:
    # Dog in frames 0 1 2 at 0 degrees, 1 m; cat in frame 2 at 90 degrees, 2 m.
    # Heard: dog in frame 0 at 10 degrees, 1.5 m (hit); in frame 1 at 50 degrees, 1 m (pair, no hit); cat in frame 2
    # at 90 degrees, 2 m (hit); rain in frame 2 (imagined); dog in frame 2 not heard.
    reference = [(0, DOG, 0, 0, 0, 1.0), (1, DOG, 0, 0, 0, 1.0), (2, DOG, 0, 0, 0, 1.0), (2, CAT, 1, 90, 0, 2.0)]
    heard = [(0, DOG, 5, 10, 0, 1.5), (1, DOG, 5, 50, 0, 1.0), (2, CAT, 6, 90, 0, 2.0), (2, RAIN, 7, 0, 0, 1.0)]
    s = one(reference, heard)
    # Dog: R 3, P 2, TP 1 -> F = 2/5. Cat: R 1, P 1, TP 1 -> F = 1. Rain is in no reference: not in the macro mean.
    assert s.f20_macro == pytest.approx((2 / 5 + 1) / 2)
    # All: R 4, P 4, TP 2 -> F = 4/8.
    assert s.f20_micro == pytest.approx(0.5)
    # DOAE: dog (10 + 50) / 2 = 30, cat 0 -> 15. RDE: dog (0.5 + 0) / 2 = 0.25, cat 0 -> 0.125.
    assert s.doae_deg == pytest.approx(15.0)
    assert s.rde == pytest.approx(0.125)
    # LR: dog 2 of 3, cat 1 of 1. LE as DOAE, since both classes were matched.
    assert s.lr == pytest.approx((2 / 3 + 1) / 2)
    assert s.le_deg == pytest.approx(15.0)
    # Frame 1: FP 1, FN 0 -> I. Frame 2: FN 1 (dog), FP 1 (rain) -> S. ER = (1 + 1) / 4.
    assert s.er20 == pytest.approx(0.5)
    # 2024 error: dog mean(3/5, 30/180, 0.25), cat 0.
    assert s.seld_2024 == pytest.approx(((0.6 + 1 / 6 + 0.25) / 3 + 0) / 2)
    # With rain among the classes of the data set its F of 0 counts.
    counts = count(table_of(reference), table_of(heard))
    assert score(counts, [DOG, CAT, RAIN]).f20_macro == pytest.approx((2 / 5 + 1 + 0) / 3)


def test_angles_are_taken_on_the_sphere() -> None:
    # Straight up seen from the left and from the right is the same direction; 60 degrees apart in azimuth at elevation
    # 60: cos = sin60^2 + cos60^2 cos60 = 0.75 + 0.125 = 0.875 -> 28.955 degrees.
    assert one([(0, DOG, 0, 90, 90, 1.0)], [(0, DOG, 0, -90, 90, 1.0)]).doae_deg == pytest.approx(0.0, abs=1e-6)
    assert one([(0, DOG, 0, 0, 60, 1.0)], [(0, DOG, 0, 60, 60, 1.0)]).doae_deg == pytest.approx(28.955, abs=1e-3)
    assert one([(0, DOG, 0, 175, 0, 1.0)], [(0, DOG, 0, -175, 0, 1.0)]).doae_deg == pytest.approx(10.0)


def test_stereo_folds_the_rear_and_ignores_elevation() -> None:
    assert one([(0, DOG, 0, 30, 40, 1.0)], [(0, DOG, 0, 150, 0, 1.0)], stereo=True).doae_deg == pytest.approx(0.0)
    assert one([(0, DOG, 0, 30, 0, 1.0)], [(0, DOG, 0, -30, 0, 1.0)], stereo=True).doae_deg == pytest.approx(60.0)


def test_counts_of_recordings_add_up() -> None:
    pairs = [([(0, DOG, 0, 0, 0, 1.0)], [(0, DOG, 0, 9, 0, 1.0)]), ([(0, CAT, 0, 0, 0, 1.0)], [])]
    tables = [(table_of(r), table_of(p)) for r, p in pairs]
    assert score(SeldCounts.total(count(*pair) for pair in tables)) == evaluate(tables)
    assert evaluate(tables).f20_macro == 0.5


def test_silence_that_is_heard_as_silence_is_no_error() -> None:
    assert one([], []).er20 == 0.0
    assert one([], [(0, DOG, 0, 0, 0, 1.0)]).er20 == 1.0


rows = st.tuples(
    st.integers(0, 3), st.integers(0, 2), st.integers(0, 4), st.integers(-179, 180), st.integers(-60, 60),
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
)  # fmt: skip
scenes = st.lists(rows, min_size=1, max_size=14).map(table_of)


def mirrored(table: FrameTable) -> FrameTable:
    return FrameTable(
        table.frame, table.class_id, table.source, -table.azimuth_deg, table.elevation_deg, table.distance_m
    )


@settings(max_examples=60, deadline=None)
@given(scenes)
def test_a_perfect_prediction_scores_perfectly(scene: FrameTable) -> None:
    s = evaluate([(scene, scene)])
    assert (s.f20_macro, s.f20_micro, s.er20, s.lr, s.rde) == (1.0, 1.0, 0.0, 1.0, 0.0)
    assert s.doae_deg == pytest.approx(0.0, abs=1e-6)
    assert s.le_deg == pytest.approx(0.0, abs=1e-6)
    assert s.seld_2024 == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(15, 165), st.booleans(), st.integers(-30, 30), st.integers(1, 4))
def test_a_mirrored_prediction_does_not(azimuth: int, right: bool, elevation: int, frames: int) -> None:
    scene = table_of([(k, DOG, 0, -azimuth if right else azimuth, elevation, 1.0) for k in range(frames)])
    s = evaluate([(scene, mirrored(scene))])
    assert (s.f20_macro, s.lr) == (0.0, 1.0)
    assert s.doae_deg is not None
    assert s.doae_deg > 20


@settings(max_examples=60, deadline=None)
@given(scenes, scenes, st.permutations(range(5)), st.randoms())
def test_numbers_of_sources_and_order_of_rows_change_nothing(
    reference: FrameTable, prediction: FrameTable, names: list[int], random: object
) -> None:
    order = list(range(len(prediction)))
    random.shuffle(order)  # type: ignore[attr-defined]
    renamed = FrameTable(
        prediction.frame, prediction.class_id, np.array(names)[prediction.source], prediction.azimuth_deg,
        prediction.elevation_deg, prediction.distance_m,
    ).take(np.array(order))  # fmt: skip
    assert evaluate([(reference, renamed)]) == evaluate([(reference, prediction)])


@settings(max_examples=40, deadline=None)
@given(scenes, scenes)
def test_mirroring_both_changes_nothing_that_is_unambiguous(reference: FrameTable, prediction: FrameTable) -> None:
    straight, flipped = evaluate([(reference, prediction)]), evaluate([(mirrored(reference), mirrored(prediction))])
    assert flipped.lr == straight.lr
    assert flipped.doae_deg == pytest.approx(straight.doae_deg, abs=1e-6)
