"""A scenario heard at simulated times: what was told when, and where sounds were placed."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.firmware_sim.trial import Sights, Trial, error_deg
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.kin import MOST_KIN
from earshot.runtime.hearing.slots import SLOTS
from earshot.runtime.hearing.snapshots import SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces.loading import open_encoders
from tests.firmware_sim.scenes import RAIN, scene


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return open_encoders(None)[1]


def test_reports_and_sights_have_their_true_times(encoders: Encoders) -> None:
    faults = [
        {"kind": "stall", "start_s": 2.0, "duration_s": 1.5},
        {"kind": "dead_left", "start_s": 5.0, "duration_s": 4.0},
    ]
    trial = Trial(scene(11.0, faults=faults), encoders)
    trial.run()
    assert {"stall", "resumed"} <= trial.told_within(2.0, 4.0)
    assert "dead-left" not in trial.told_within(0.0, 5.0)
    assert "dead-left" in trial.told_within(8.5, 8.6), "it is told as long as it holds"
    assert "dead-left" not in trial.told_within(10.4, 10.6)
    assert trial.states_within(2.0, 4.0) == ["deaf", "listening"]
    late_s = trial.sights.told_s[:108] - 0.1 * np.arange(1, 109)
    assert late_s[:19].max() < 0.15
    assert late_s[22] > 1.0, "what was heard in a stall is known after it"
    assert np.isfinite(trial.sights.told_s[:108]).all()


def test_the_surest_track_counts() -> None:
    sights = Sights(1.0)
    assert np.isnan(sights.surest_deg(0))
    sights.azimuth_deg[0, :2], sights.confidence[0, :2] = (10.0, 80.0), (0.2, 0.9)
    assert sights.surest_deg(0) == 80.0


def test_what_is_beyond_the_end_is_not_kept() -> None:
    sights = Sights(1.0)
    sights.keep(SceneSnapshot(500.0, ()), 500.0)
    sights.keep(SceneSnapshot(0.1, ()), 0.2)
    assert np.isfinite(sights.told_s).sum() == 1
    assert sights.told_s[0] == 0.2


def test_more_tracks_than_slots_are_kept() -> None:
    """Several sources of one class share a slot."""
    posterior = np.full(36, 1 / 36)
    tracks = [
        TrackSnapshot(number + 1, 0, True, 0.9, float(number), 0.0, 2.0, 10.0, False, 0.0, 0.1, posterior)
        for number in range(SLOTS * MOST_KIN)
    ]
    sights = Sights(1.0)
    sights.keep(SceneSnapshot(0.1, tuple(tracks)), 0.2)
    assert sorted(sights.azimuth_deg[0]) == list(range(len(tracks)))


@pytest.mark.parametrize(("azimuth_deg", "expected"), [(60.0, 0.0), (-100.0, 160.0), (-170.0, 130.0)])
def test_the_error_is_that_to_the_nearest_sound(azimuth_deg: float, expected: float) -> None:
    assert error_deg(scene(), 1.0, azimuth_deg) == pytest.approx(expected)
    two = scene(sources=[RAIN, {**RAIN, "path": [{"azimuth_deg": azimuth_deg}]}])
    assert error_deg(two, 1.0, azimuth_deg) == pytest.approx(0.0)


def test_where_nothing_sounds_there_is_no_error() -> None:
    assert np.isnan(error_deg(scene(sources=[]), 1.0, 10.0))
    assert np.isnan(error_deg(scene(), 1.0, float("nan")))
