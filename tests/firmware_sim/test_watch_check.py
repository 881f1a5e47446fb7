"""Missed and false alarms: the truth of a watch, the matching, and that sound gives alerts at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.firmware_sim.scenario import load_scenario
from earshot.firmware_sim.watch_check import (
    WATCHES,
    Score,
    alerts,
    check,
    heard_snapshots,
    matched,
    true_snapshots,
)
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.scene.watch_language import compile_watch
from tests.runtime.whole_bundle import write_whole_bundle

RULES = {text: compile_watch(text)[0] for text in WATCHES}


def true_times(scenario: str) -> dict[str, list[float]]:
    found = alerts(true_snapshots(load_scenario(scenario)), list(RULES.values()))
    return {text: [alert.time_s for alert in told] for text, told in zip(RULES, found, strict=True)}


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
        ([10.0], [10.5], [True]),
        ([10.0], [17.0], [False]),
        ([10.0], [], [False]),
        ([], [3.0, 9.0], []),
        ([10.0, 12.0], [12.5], [True, False]),
        ([10.0], [10.1, 10.2], [True]),
    ],
)
def test_each_alert_counts_once(true: list[float], told: list[float], expected: list[bool]) -> None:
    assert matched(true, told) == expected
    figures = Score(len(true), len(told), sum(expected))
    assert figures.missed + figures.right == len(true)
    assert figures.false + figures.right == len(told)


def test_a_scenario_goes_through_the_device_and_the_networks(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    _, encoders = open_encoders(write_whole_bundle(tmp_path / "bundle"))
    scenario = load_scenario("kitchen").model_copy(update={"duration_s": 6.0})
    heard, unheard = compile_watch("when anything is heard")[0], compile_watch("when a clock ticks on my left")[0]
    scores, misses = check(scenario, encoders, [heard, unheard.model_copy(update={"min_confidence": 1.0})])
    assert [figures.true for figures in scores] == [1, 1]
    assert scores[0].told >= 1
    assert scores[1].told == 0
    assert len(misses) == sum(figures.missed for figures in scores)
    assert misses[-1].watch == unheard.text
    assert misses[-1].time_s == pytest.approx(0.3)
    told = [snapshot.yaw_deg for snapshot in heard_snapshots(scenario, encoders)]
    assert told[-1] == pytest.approx(scenario.yaw_deg(6.0), abs=6.0), "the device says where the head looks"
