"""Missed and false alarms: the truth of a watch, the matching, and that sound gives alerts at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.firmware_sim.scenario import load_scenario
from earshot.firmware_sim.watch_check import (
    WATCHES,
    Score,
    alert_times,
    check,
    heard_snapshots,
    score,
    true_snapshots,
)
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.scene.watch_language import compile_watch
from tests.runtime.whole_bundle import write_whole_bundle

RULES = {text: compile_watch(text)[0] for text in WATCHES}


def true_times(scenario: str) -> dict[str, list[float]]:
    times = alert_times(true_snapshots(load_scenario(scenario)), list(RULES.values()))
    return dict(zip(RULES, times, strict=True))


def test_the_truth_of_a_street() -> None:
    times = true_times("street_crossing")
    assert times["when someone approaches from behind"] == [pytest.approx(5.9, abs=1.0)]
    assert times["when a siren comes closer"] == [pytest.approx(32.5, abs=1.0)]
    assert times["when a car honks"] == [pytest.approx(24.3, abs=0.3)]
    assert times["when someone knocks"] == []


def test_the_truth_follows_the_head() -> None:
    times = true_times("kitchen")
    assert times["when a vacuum cleaner is heard behind me"] == [pytest.approx(10.3, abs=0.3)]
    assert times["when the vacuum cleaner stops"] == [pytest.approx(27.0, abs=0.3)]
    assert times["when someone knocks"] == [pytest.approx(30.2, abs=0.3)]


@pytest.mark.parametrize(
    ("true", "told", "expected"),
    [
        ([10.0], [10.5], Score(1, 1, 1)),
        ([10.0], [17.0], Score(1, 1, 0)),
        ([10.0], [], Score(1, 0, 0)),
        ([], [3.0, 9.0], Score(0, 2, 0)),
        ([10.0, 12.0], [12.5], Score(2, 1, 1)),
        ([10.0], [10.1, 10.2], Score(1, 2, 1)),
    ],
)
def test_each_alert_counts_once(true: list[float], told: list[float], expected: Score) -> None:
    assert score(true, told) == expected
    assert expected.missed + expected.right == expected.true
    assert expected.false + expected.right == expected.told


def test_a_scenario_goes_through_the_device_and_the_networks(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    _, encoders = open_encoders(write_whole_bundle(tmp_path / "bundle"))
    scenario = load_scenario("kitchen").model_copy(update={"duration_s": 6.0})
    scores = check(scenario, encoders, [compile_watch("when anything is heard")[0]])
    assert scores[0].true == 1
    assert scores[0].told >= 1
    told = [snapshot.yaw_deg for snapshot in heard_snapshots(scenario, encoders)]
    assert told[-1] == pytest.approx(scenario.yaw_deg(6.0), abs=6.0), "the device says where the head looks"
