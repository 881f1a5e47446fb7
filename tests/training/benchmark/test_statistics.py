"""Bootstrap intervals and tables by factor, on records small enough to work out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.training.benchmark.frame_tables import table_of
from earshot.training.benchmark.seld_metrics import SeldCounts, count, score
from earshot.training.benchmark.statistics import (
    accuracy,
    azimuth_mean_deg,
    azimuth_over_20deg,
    bootstrap,
    by_scene,
    clip_record,
    distance_over_half_m,
    factor_table,
    front_back_confusions,
    interval,
    lateral_deg,
    lateral_rms_deg,
    plain,
    top1,
)


def clip(truth_deg: float, heard_deg: float | None, scene: str = "a", **more: object) -> dict[str, object]:
    truth = {"label": "Dog", "azimuth_deg": truth_deg, "distance_m": 1.0}
    heard = None if heard_deg is None else {"label": "Dog", "azimuth_deg": heard_deg, "distance_m": 1.6}
    return clip_record(scene, truth, heard, **more)  # type: ignore[arg-type]


def test_clip_figures_worked_out_by_hand() -> None:
    # Errors 10, 120 (front and back exchanged: 30 -> 150), 90 (nothing heard), 2.
    records = [clip(0, 10), clip(30, 150), clip(-60, None), clip(179, -179)]
    assert azimuth_mean_deg(records) == pytest.approx((10 + 120 + 90 + 2) / 4)
    assert azimuth_over_20deg(records) == 0.5
    # Heard: three; one exchanged.
    assert front_back_confusions(records) == pytest.approx(1 / 3)
    # Lateral errors 10, 0 (150 is as far left as 30), 2.
    assert lateral_rms_deg(records) == pytest.approx(math.sqrt((100 + 0 + 4) / 3))
    assert distance_over_half_m(records) == 1.0
    assert top1(records) == 0.75


def test_a_lateral_angle_is_what_the_ears_differences_tell() -> None:
    # Halfway up on the left: to the ears as far left as a source at 30 degrees, azimuth 90 or not.
    truth = {"label": "Dog", "azimuth_deg": 90.0, "elevation_deg": 60.0, "distance_m": 1.0}
    heard = {"label": "Dog", "azimuth_deg": 30.0, "elevation_deg": 0.0, "distance_m": 1.0}
    assert lateral_deg(90.0, 60.0) == pytest.approx(30.0)
    assert lateral_rms_deg([clip_record("a", truth, heard)]) == pytest.approx(0.0, abs=1e-9)
    assert azimuth_mean_deg([clip_record("a", truth, heard)]) == pytest.approx(60.0)


def test_sources_near_the_axis_of_the_ears_cannot_be_confused() -> None:
    assert math.isnan(front_back_confusions([clip(80, 100), clip(-90, -100)]))


def question(scene: str, correct: bool) -> dict[str, object]:
    return {"scene": scene, "level": "L1", "task": "azimuth", "correct": correct}


def test_all_right_leaves_no_doubt() -> None:
    found = interval([question(str(k), True) for k in range(20)], accuracy)
    assert (found.value, found.low, found.high, found.scenes) == (1.0, 1.0, 1.0, 20)


def test_the_interval_of_a_coin_is_the_binomial_one() -> None:
    # 400 independent answers, half of them right: standard error sqrt(0.25 / 400) = 0.025, 95 % = +-0.049.
    records = [question(str(k), k % 2 == 0) for k in range(400)]
    found = interval(records, accuracy)
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(4 * 0.0245, abs=0.012)


def test_questions_about_one_scene_are_drawn_together() -> None:
    # 100 scenes with four equal answers each carry the information of 100 answers, not of 400.
    records = [question(str(k), k % 2 == 0) for k in range(100) for _ in range(4)]
    together = interval(records, accuracy)
    apart = interval([{**record, "scene": str(n)} for n, record in enumerate(records)], accuracy)
    assert len(by_scene(records)) == 100
    assert together.high - together.low > 1.6 * (apart.high - apart.low)


def test_scenes_in_which_nothing_counts_carry_no_figure() -> None:
    found = interval([clip(0.0, 10.0, "a"), clip(0.0, None, "b"), clip(0.0, None, "c")], lateral_rms_deg)
    assert (found.value, found.scenes) == (pytest.approx(10.0), 1)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    records = [clip(0.0, 0.7 * k, str(k)) for k in range(60)]
    first, again, other = (interval(records, azimuth_mean_deg, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_seld_counts_can_be_drawn() -> None:
    truth = table_of([(0, 1, 0, 0, 0, 1.0)])
    scenes = [count(truth, truth), count(truth, table_of([]))] * 10
    found = bootstrap(scenes, lambda drawn: score(SeldCounts.total(drawn)).f20_micro, samples=200)
    # Twenty references, ten hits, ten estimates: 2 * 10 / 30.
    assert found.value == pytest.approx(2 / 3)
    assert found.low < 2 / 3 < found.high


def test_nothing_to_draw_gives_no_figure() -> None:
    found = interval([], accuracy)
    assert math.isnan(found.value)
    assert found.to_json() == {"value": None, "low": None, "high": None, "scenes": 0}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_the_interval_holds_the_figure_and_stays_inside_0_and_1(right: list[bool]) -> None:
    found = interval([question(str(k), value) for k, value in enumerate(right)], accuracy, samples=200)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_a_table_sorts_clips_into_bins() -> None:
    records = [
        clip(0, 0, "a", t60_s=0.1), clip(0, 40, "b", t60_s=0.2), clip(0, 40, "c", t60_s=0.9), clip(0, 0, "d"),
    ]  # fmt: skip
    table = factor_table(records, "t60_s", samples=50)
    assert list(table) == ["0 to 0.2", "0.2 to 0.4", ">= 0.7"]
    assert [row["clips"] for row in table.values()] == [1, 1, 1]
    assert [row["azimuth_mean_deg"].value for row in table.values()] == [0.0, 40.0, 40.0]
    json.dumps(plain(table), allow_nan=False)


def test_signal_to_noise_ratios_below_all_bounds_have_a_bin() -> None:
    table = factor_table([clip(0, 0, snr_db=-3.0), clip(0, 0, snr_db=31.0)], "snr_db", {"error": azimuth_mean_deg})
    assert list(table) == ["< 10", ">= 30"]
    assert np.isfinite(table["< 10"]["error"].value)
