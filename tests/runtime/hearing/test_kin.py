"""Several sources of one class in the hearing: each keeps its number and its place, and one is never made two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.geometry import angle_between_azimuths, unit_vector, wrap_deg
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.kin import MOST_KIN
from earshot.runtime.hearing.tracks import SceneSnapshot, Tracker, TrackerSettings
from earshot.runtime.scene.sources import summarize
from tests.runtime.hearing.frames import Heard, frame, lobe
from tests.runtime.hearing.test_tracks import only, track

DOG, CAT = 3, 9
PAUSE: list[Heard | None] = [Heard(DOG, activity=0.05)]
NO_SLOT: list[Heard | None] = []


def bark(azimuth_deg: float, frames: int = 25, label: int = DOG) -> list[list[Heard | None]]:
    return [[Heard(label, azimuth_deg=azimuth_deg)]] * frames


def numbers(snapshots: list[SceneSnapshot]) -> set[int]:
    return {t.track_id for s in snapshots for t in s.tracks}


def sounding(snapshot: SceneSnapshot) -> list[tuple[int, int]]:
    """Number and azimuth, to 10 degrees, of the tracks that sounded within the last 0.1 s."""
    heard = [t for t in snapshot.tracks if t.last_heard_s > snapshot.time_s - 0.1]
    return [(t.track_id, 10 * round(t.azimuth_deg / 10)) for t in heard]


def heard_with_yaw(places_deg: list[float | None], yaws_deg: list[float], mirrored: float = 0.0) -> list[SceneSnapshot]:
    """A dog at places in the room (None = a pause), heard by a head at yaws."""
    tracker, snapshots = Tracker(), []
    for k, (place_deg, yaw_deg) in enumerate(zip(places_deg, yaws_deg, strict=True), 1):
        here = PAUSE if place_deg is None else [Heard(DOG, wrap_deg(place_deg - yaw_deg), mirrored=mirrored)]
        snapshots += tracker.process(frame(k, here), wrap_deg(yaw_deg))
    return snapshots


def test_two_dogs_that_bark_in_turn_are_two_tracks_that_stay_where_they_are() -> None:
    snapshots = track((bark(70) + [PAUSE] * 20 + bark(-40) + [PAUSE] * 20) * 2)
    assert numbers(snapshots) == {1, 2}
    assert [sounding(s) for s in snapshots[9::18][:4]] == [[(1, 70)], [(2, -40)], [(1, 70)], [(2, -40)]]
    last = {t.track_id: t.azimuth_deg for t in snapshots[-1].tracks}
    assert last == {1: pytest.approx(70, abs=2), 2: pytest.approx(-40, abs=2)}


def test_a_second_dog_that_takes_over_without_a_pause_is_told_after_the_minimum_time() -> None:
    snapshots = track(bark(70) + bark(-40))
    by_time = {round(s.time_s, 1): sounding(s) for s in snapshots}
    assert by_time[1.0] == [(1, 70)]
    assert by_time[1.2] == [(2, -40)]


def test_a_dog_that_lost_its_slot_has_its_number_again_in_its_place() -> None:
    snapshots = track(bark(70) + [NO_SLOT] * 100 + bark(68) + [NO_SLOT] * 100 + bark(-40))
    again = only(next(s for s in snapshots if s.time_s > 5.5))
    assert again.track_id == 1
    assert again.onset_s == pytest.approx(5.0, abs=0.05), "it is a new sound of the same source"
    assert only(snapshots[-1]).track_id == 2
    assert [(s.onset_s, s.offset_s) for s in summarize(snapshots)] == [(0.0, 6.0), (10.0, 11.0)]


def test_a_class_that_moves_to_another_slot_keeps_its_number() -> None:
    moved: list[list[Heard | None]] = [[None, Heard(DOG, azimuth_deg=70)]] * 25
    snapshots = track(bark(70) + moved)
    assert numbers(snapshots) == {1}


def test_what_was_heard_too_long_ago_is_forgotten() -> None:
    tracker = Tracker(TrackerSettings(remember_s=2.0))
    assert numbers(track(bark(70) + [NO_SLOT] * 100 + bark(70), tracker)) == {1, 2}


def test_other_classes_do_not_take_the_number() -> None:
    assert numbers(track(bark(70) + [NO_SLOT] * 20 + bark(70, label=CAT))) == {1, 2}


def test_a_third_place_is_a_third_dog_and_their_number_is_bounded() -> None:
    snapshots = track(bark(80) + bark(30) + bark(-10) + bark(-50) + bark(-85) + bark(80))
    assert max(len(s.tracks) for s in snapshots) == MOST_KIN
    assert sounding(snapshots[-1]) == [(1, 80)], "the one that was left out is remembered"


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames_from_elsewhere_make_no_second_dog(frames: int) -> None:
    snapshots = track((bark(60) + bark(-60, frames)) * 3 + bark(60))
    assert numbers(snapshots) == {1}
    assert all(abs(only(s).azimuth_deg - 60) < 3 for s in snapshots[3:])


def test_a_flip_from_front_to_back_is_the_same_dog() -> None:
    assert numbers(track(bark(40) + [PAUSE] * 20 + bark(140) + bark(40))) == {1}


@given(st.floats(-180, 180), st.floats(-60, 60))
@settings(max_examples=15, deadline=None)
def test_a_walker_is_one_track(start_deg: float, speed_deg_s: float) -> None:
    scene = [[Heard(DOG, azimuth_deg=float(wrap_deg(start_deg + 0.04 * speed_deg_s * k)))] for k in range(125)]
    assert len(numbers(track(scene))) == 1


def test_a_walker_who_pauses_goes_on_meanwhile() -> None:
    places_deg = -80 + 0.04 * 45.0 * np.arange(75)
    scene = [PAUSE if 25 <= k < 45 else [Heard(DOG, azimuth_deg=a)] for k, a in enumerate(places_deg)]
    assert numbers(track(scene)) == {1}


@pytest.mark.parametrize("mirrored", [0.0, 0.8])
@pytest.mark.parametrize("place_deg", [0.0, 50.0, -130.0])
def test_a_turning_head_makes_no_second_dog(place_deg: float, mirrored: float) -> None:
    yaws_deg = [0.0] * 25 + list(np.linspace(0, 120, 50)) + [120.0] * 25
    for places_deg in ([place_deg] * 100, [place_deg] * 25 + [None] * 50 + [place_deg] * 25):
        assert numbers(heard_with_yaw(places_deg, yaws_deg, mirrored)) == {1}


def test_two_dogs_are_two_in_the_room_while_the_head_turns() -> None:
    places_deg = [60.0] * 25 + [None] * 50 + [-20.0] * 25 + [None] * 50 + [60.0] * 25
    yaws_deg = [0.0] * 25 + list(np.linspace(0, 60, 50)) + [60.0] * 25 + list(np.linspace(60, 20, 50)) + [20.0] * 25
    snapshots = heard_with_yaw(places_deg, yaws_deg)
    last = {t.track_id: t for t in snapshots[-1].tracks}
    assert set(last) == {1, 2}
    for number, place_deg in ((1, 60.0), (2, -20.0)):
        assert angle_between_azimuths(last[number].room_azimuth_deg or 0.0, place_deg) < 15
    assert last[1].last_heard_s == pytest.approx(7.0)


def test_a_pause_or_a_lost_slot_does_not_make_the_first_frames_count_twice() -> None:
    short = bark(60, 2)
    assert not numbers(track(short + [PAUSE] * 10)), "two frames are no track"
    assert numbers(track(short + [PAUSE] * 10 + short + [PAUSE])) == {1}


def both(azimuths_deg: tuple[float, float], shares: tuple[float, float], number: int) -> HearingFrame:
    """A frame whose slot has two lobes; its direction is what the network makes of both."""
    told = frame(number, [Heard(DOG)])
    posterior = np.stack([share * lobe(a) for a, share in zip(azimuths_deg, shares, strict=True)]).sum(axis=0)
    vectors = [share * unit_vector(a, 20.0) for a, share in zip(azimuths_deg, shares, strict=True)]
    told.azimuth_posterior[0], told.direction[0] = posterior, np.sum(vectors, axis=0)
    return told


def test_two_dogs_at_once_are_told_while_the_network_hears_both() -> None:
    tracker, snapshots = Tracker(), []
    for k in range(1, 76):
        shares = (0.7, 0.3) if k % 20 < 10 else (0.4, 0.6)
        snapshots += tracker.process(both((50.0, -30.0), shares, k))
    left, right = snapshots[-1].tracks
    assert left.active and right.active
    assert (left.azimuth_deg, right.azimuth_deg) == (pytest.approx(50, abs=3), pytest.approx(-30, abs=3))
    assert left.elevation_deg == pytest.approx(20, abs=3)
    assert left.azimuth_posterior.sum() == pytest.approx(1.0)


def test_a_faint_second_lobe_or_a_mirrored_one_is_no_second_dog() -> None:
    for azimuths_deg, shares in (((50.0, -30.0), (0.9, 0.1)), ((50.0, 130.0), (0.5, 0.5))):
        tracker = Tracker()
        assert numbers([s for k in range(1, 76) for s in tracker.process(both(azimuths_deg, shares, k))]) == {1}


def test_a_lobe_where_another_class_is_heard_is_no_second_dog() -> None:
    tracker, snapshots = Tracker(), []
    for k in range(1, 76):
        told = both((50.0, -30.0), (0.6, 0.4), k)
        cat = frame(k, [None, Heard(CAT, azimuth_deg=-30.0)])
        for name in ("slot_class", "activity", "azimuth_posterior", "direction"):
            getattr(told, name)[1] = getattr(cat, name)[1]
        told.class_probability[CAT] = cat.class_probability[CAT]
        snapshots += tracker.process(told)
    assert sorted(t.class_id for t in snapshots[-1].tracks) == [DOG, CAT]


def test_a_lobe_of_two_at_the_first_moment_is_one_dog_at_first() -> None:
    tracker = Tracker()
    told = [s for k in range(1, 6) for s in tracker.process(both((50.0, -30.0), (0.6, 0.4), k))]
    assert numbers(told) == {1}


def test_reset_forgets_all_dogs() -> None:
    tracker = Tracker()
    track((bark(70) + bark(-40)) * 2, tracker)
    tracker.reset()
    again = track(bark(-40) + bark(70), tracker)
    assert [s.as_dict() for s in again] == [s.as_dict() for s in track(bark(-40) + bark(70))]
