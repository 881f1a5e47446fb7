"""The ellipse around a track: wider for a vaguer network, blind to the mirror image, gone with its track."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.scene.uncertainty import LEAST_DISTANCE_SHARE, Ellipse, UncertaintyView, lobe_spread_deg
from tests.runtime.hearing.frames import Heard, lobe
from tests.runtime.hearing.test_tracks import track


def last_of(scene: list[list[Heard | None]]) -> dict[int, Ellipse]:
    view = UncertaintyView()
    return [view.process(snapshot) for snapshot in track(scene)][-1]


def test_a_steady_source_has_the_spread_of_its_lobe_and_the_least_of_distances() -> None:
    (ellipse,) = last_of([[Heard(3, azimuth_deg=-60.0, distance_m=2.0)]] * 50).values()
    assert ellipse.azimuth_deg == pytest.approx(10.0, abs=1.5)
    assert ellipse.across_m == pytest.approx(0.35, abs=0.06)
    assert ellipse.along_m == pytest.approx(0.3, abs=0.01)


def test_a_distance_that_wavers_is_longer_along() -> None:
    snapshots = track([[Heard(3, distance_m=0.5 if k // 12 % 2 else 20.0)] for k in range(100)])
    view = UncertaintyView()
    ellipses = [view.process(snapshot) for snapshot in snapshots][-1]
    (heard,) = snapshots[-1].tracks
    assert ellipses[heard.track_id].along_m > 2 * LEAST_DISTANCE_SHARE * heard.distance_m


def test_the_mirror_image_does_not_widen_it() -> None:
    (clear,) = last_of([[Heard(3, azimuth_deg=20.0)]] * 25).values()
    (doubtful,) = last_of([[Heard(3, azimuth_deg=20.0, mirrored=0.4)]] * 25).values()
    assert doubtful.azimuth_deg == pytest.approx(clear.azimuth_deg, abs=1.0)


@settings(deadline=None)
@given(st.floats(-179.0, 180.0), st.floats(6.0, 18.0), st.floats(1.2, 1.8))
def test_a_wider_lobe_is_less_sure_wherever_it_is(azimuth_deg: float, width_deg: float, factor: float) -> None:
    narrow = lobe_spread_deg(lobe(azimuth_deg, width_deg), azimuth_deg)
    wide = lobe_spread_deg(lobe(azimuth_deg, width_deg * factor), azimuth_deg)
    assert 0 < narrow < wide <= 60.0
    mirrored = lobe_spread_deg(lobe(-azimuth_deg, width_deg), -azimuth_deg)
    assert mirrored == pytest.approx(narrow, rel=1e-4)


def test_no_track_leaves_anything_behind() -> None:
    view = UncertaintyView()
    for snapshot in track([[Heard(3)]] * 50 + [[]] * 50):
        ellipses = view.process(snapshot)
        assert ellipses.keys() == {t.track_id for t in snapshot.tracks}
    assert view._logs == {}
