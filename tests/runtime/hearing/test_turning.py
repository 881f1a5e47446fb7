"""A turning head: front from back, places in the room, and ears that are exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.geometry import angle_between_azimuths, wrap_deg
from earshot.runtime.hearing.posterior import AZIMUTH_BINS, bin_centres_deg, lobe_azimuth_deg
from earshot.runtime.hearing.tracks import SceneSnapshot, Tracker
from earshot.runtime.hearing.turning import MOST_VIEWS, Views, turned
from earshot.runtime.scene.sources import summarize
from tests.runtime.hearing.frames import Heard, frame


def confused(azimuth_deg: float, true_share: float = 0.4) -> np.ndarray:
    """A posterior with a lobe at an azimuth and a larger one at its mirror image, front for back."""
    lobes = []
    for centre_deg in (azimuth_deg, 180.0 - azimuth_deg):
        away_deg = np.abs(wrap_deg(bin_centres_deg() - centre_deg))
        lobes.append(np.exp(-0.5 * (away_deg / 8.0) ** 2))
    first, second = (lobe / lobe.sum() for lobe in lobes)
    return true_share * first + (1 - true_share) * second


@given(st.floats(-720, 720), st.floats(-170, 170))
def test_a_turned_posterior_has_its_lobe_turned(by_deg: float, azimuth_deg: float) -> None:
    lobe = confused(azimuth_deg, 1.0)
    moved = turned(lobe, by_deg)
    assert moved.sum() == pytest.approx(1.0)
    assert angle_between_azimuths(lobe_azimuth_deg(moved), lobe_azimuth_deg(lobe) + by_deg) < 2.5


@pytest.mark.parametrize("true_deg", [30.0, -40.0, 150.0, -160.0, 10.0])
@pytest.mark.parametrize("way", [1, -1])
def test_a_turn_of_thirty_degrees_tells_front_from_back(true_deg: float, way: int) -> None:
    views = Views()
    yaws_deg = way * np.linspace(0.0, 30.0, 25)
    for k, yaw_deg in enumerate(yaws_deg):
        views.add(confused(wrap_deg(true_deg - yaw_deg)), yaw_deg, 0.04 * k)
    last = confused(wrap_deg(true_deg - yaws_deg[-1]))
    head_deg = lobe_azimuth_deg(views.sharpened(last, yaws_deg[-1], 1.0))
    assert angle_between_azimuths(head_deg + yaws_deg[-1], true_deg) < 12.0


def test_a_still_head_changes_nothing() -> None:
    views = Views()
    for k in range(50):
        views.add(confused(30.0), 4.0, 0.04 * k)
    np.testing.assert_allclose(views.sharpened(confused(30.0), 4.0, 2.0), confused(30.0))


def test_views_are_bounded_and_fade() -> None:
    views = Views()
    for k in range(100):
        views.add(confused(30.0), wrap_deg(12.0 * k), 0.04 * k)
    assert len(views.views) == MOST_VIEWS
    much_later = views.sharpened(confused(-60.0, 1.0), 0.0, 1000.0)
    assert lobe_azimuth_deg(much_later) == pytest.approx(lobe_azimuth_deg(confused(-60.0, 1.0)), abs=1.0)


def test_what_was_heard_for_a_moment_counts_less_than_what_was_heard_for_long() -> None:
    def log_odds(frames: int) -> float:
        """Of 30 degrees against 150, after a view that speaks for the latter."""
        views = Views()
        for number in range(frames):
            views.add(confused(165.0, 1.0), 15.0, 0.04 * number)
        belief = views.sharpened(confused(30.0, 0.5), 30.0, 0.8)
        return float(np.log(belief[bin_centres_deg() == 35.0] / belief[bin_centres_deg() == 145.0])[0])

    moment, long = log_odds(0) - log_odds(2), log_odds(0) - log_odds(20)
    assert 0.0 < moment < 0.15 * long


def heard_while_turning(true_deg: float, yaws_deg: list[float]) -> list[SceneSnapshot]:
    tracker, snapshots = Tracker(), []
    for k, yaw_deg in enumerate(yaws_deg, 1):
        heard = frame(k, [Heard(3, azimuth_deg=wrap_deg(true_deg - yaw_deg), mirrored=0.2)])
        snapshots += tracker.process(heard, wrap_deg(yaw_deg))
    return snapshots


def test_a_track_keeps_its_place_in_the_room_while_the_head_turns() -> None:
    snapshots = heard_while_turning(60.0, [0.0] * 20 + list(np.linspace(0, 90, 50)))
    told = [s.as_dict() for s in snapshots if s.tracks]
    assert all(abs(wrap_deg(t["tracks"][0]["room_azimuth_deg"] - 60.0)) < 12.0 for t in told)
    assert told[-1]["yaw_deg"] == 90.0
    (source,) = summarize(snapshots)
    assert source.azimuth_deg == pytest.approx(-30.0, abs=10.0)


@pytest.mark.parametrize("slot_is_held", [True, False])
def test_what_a_turn_told_still_holds_after_sound_and_yaw_were_lost(slot_is_held: bool) -> None:
    tracker = Tracker()

    def hear(numbers: range, yaws_deg: np.ndarray) -> list[SceneSnapshot]:
        heard = [Heard(3, azimuth_deg=wrap_deg(140.0 - yaw_deg), mirrored=0.55) for yaw_deg in yaws_deg]
        return [s for k, h, y in zip(numbers, heard, yaws_deg, strict=True) for s in tracker.process(frame(k, [h]), y)]

    before = hear(range(1, 101), np.linspace(0.0, 60.0, 100))
    assert before[-1].tracks[0].azimuth_deg == pytest.approx(80.0, abs=12.0)
    for k in range(101, 151):  # a device that starts anew: silence, and nothing tells the yaw
        silent = frame(k, [Heard(3, activity=0.0, probability=0.01) if slot_is_held else None])
        lost = tracker.process(silent, None)
        assert all(track.room_azimuth_deg is None for snapshot in lost for track in snapshot.tracks)
    after = hear(range(151, 161), np.full(10, 20.0))
    told_deg = [snapshot.tracks[0].azimuth_deg for snapshot in after if snapshot.tracks]
    assert told_deg and told_deg == pytest.approx([120.0] * len(told_deg), abs=12.0)


def test_without_a_yaw_nothing_is_said_about_the_room() -> None:
    tracker = Tracker()
    told = [s.as_dict() for k in range(1, 20) for s in tracker.process(frame(k, [Heard(3)]))]
    assert told and all("yaw_deg" not in t and "room_azimuth_deg" not in t["tracks"][0] for t in told if t["tracks"])


def test_bins_are_those_of_the_posterior() -> None:
    assert len(turned(np.ones(AZIMUTH_BINS), 13.0)) == AZIMUTH_BINS
