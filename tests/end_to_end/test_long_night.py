"""Two minutes of a night in seconds: the accounting that the ten hours rest on. The hours themselves: see long_night.py."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.end_to_end.long_night import Figures, live_through, missed
from tests.end_to_end.night import NightPlan

GROWTH = "memory grows by less than 1 MB an hour"
PLAN = NightPlan(hours=1 / 30, quiet_every_s=6.0, unplugged_every_s=50.0, unplugged_s=15.0)


@pytest.fixture(scope="module")
def lived_through(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return live_through(PLAN, 40.0, None, tmp_path_factory.mktemp("night"), lambda line: None)


def test_every_event_of_a_short_night_is_accounted_for(lived_through: dict[str, Any]) -> None:
    report = lived_through
    assert set(missed(report)) <= {GROWTH}, report
    assert report["unplugged"] == 2
    assert report["heard_s"] == 120 - 2 * PLAN.unplugged_s
    assert report["told"]["watch"] >= 1


def test_what_is_missing_is_said(lived_through: dict[str, Any]) -> None:
    report = deepcopy(lived_through)
    report["told"]["ended"] -= 1
    report["kept"]["events"] += 1
    report["web"]["watch"] += 1
    report["threads"] = [9, 10]
    assert len(set(missed(report)) - {GROWTH}) == 4


def test_a_leak_shows_in_the_slope() -> None:
    figures = Figures(times_s=[60.0 * k for k in range(120)], memory_mb=[150 + 2.0 * k / 60 for k in range(120)])
    figures.threads = figures.files = [9] * 120
    assert abs(figures.document()["slope_mb_per_hour"] - 2.0) < 1e-6
