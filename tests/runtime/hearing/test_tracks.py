"""The tracker on synthetic frames: when a track begins and ends, what it says of direction and distance."""

from __future__ import annotations

import pytest

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.tracks import SceneSnapshot, Tracker, TrackerSettings, TrackSnapshot
from tests.runtime.hearing.frames import Heard, frame


def track(scene: list[list[Heard | None]], tracker: Tracker | None = None) -> list[SceneSnapshot]:
    tracker = tracker or Tracker()
    return [s for k, slots in enumerate(scene, 1) for s in tracker.process(frame(k, slots))]


def only(snapshot: SceneSnapshot) -> TrackSnapshot:
    assert len(snapshot.tracks) == 1
    return snapshot.tracks[0]


def test_ten_snapshots_a_second_also_of_silence() -> None:
    snapshots = track([[]] * 250)
    assert [round(s.time_s, 6) for s in snapshots] == [round(0.1 * k, 6) for k in range(1, 101)]
    assert all(not s.tracks for s in snapshots)


def test_direction_elevation_and_distance_are_those_of_the_slot() -> None:
    heard = only(track([[Heard(3, azimuth_deg=-120.0, elevation_deg=25.0, distance_m=1.5)]] * 25)[-1])
    assert heard.azimuth_deg == pytest.approx(-120.0, abs=1.0)
    assert heard.elevation_deg == pytest.approx(25.0, abs=0.1)
    assert heard.distance_m == pytest.approx(1.5, rel=1e-3)
    assert heard.spread_deg == pytest.approx(10.0, abs=1.0)
    assert not heard.front_back_ambiguous


def test_front_back_confusion_is_told() -> None:
    assert only(track([[Heard(3, azimuth_deg=20.0, mirrored=0.4)]] * 25)[-1]).front_back_ambiguous


def test_a_click_of_three_frames_is_no_track_and_four_frames_are() -> None:
    held = [Heard(3, activity=0.0)]
    assert not any(s.tracks for s in track([[Heard(3)]] * 3 + [held] * 20))
    assert any(s.tracks for s in track([[Heard(3)]] * 4 + [held] * 20))


def test_activity_between_the_thresholds_keeps_but_does_not_start_a_track() -> None:
    assert not any(s.tracks for s in track([[Heard(3, activity=0.4)]] * 25))
    kept = track([[Heard(3)]] * 10 + [[Heard(3, activity=0.4)]] * 40)
    assert only(kept[-1]).active


def test_short_pauses_are_bridged_and_long_ones_are_told() -> None:
    pause = [Heard(3, activity=0.05)]
    snapshots = track([[Heard(3)]] * 25 + [pause] * 5 + [[Heard(3)]] * 20 + [pause] * 25)
    by_time = {round(s.time_s, 1): only(s) for s in snapshots if s.time_s > 0.25}
    assert all(by_time[t].active for t in (0.9, 1.1, 1.2, 1.5, 2.0))
    assert not by_time[2.4].active
    assert by_time[2.4].last_heard_s == pytest.approx(2.0)
    assert by_time[2.4].track_id == by_time[0.9].track_id


def test_onset_is_moved_back_to_where_the_class_became_probable() -> None:
    tracker = Tracker()
    for k in range(1, 26):  # the class rises at frame 11 but gets its slot at frame 16
        tracker.process(frame(k, [None] if k < 11 else [Heard(3)] if k >= 16 else [Heard(3, activity=0.0)]))
    snapshot = tracker.process(frame(26, [Heard(3)])) or tracker.process(frame(27, [Heard(3)]))
    assert only((snapshot or tracker.process(frame(28, [Heard(3)])))[0]).onset_s == pytest.approx(0.4)


def test_a_slot_that_changes_class_ends_one_track_and_begins_another() -> None:
    snapshots = track([[Heard(3)]] * 25 + [[Heard(9)]] * 25)
    assert (only(snapshots[8]).track_id, only(snapshots[8]).class_id) == (1, 3)
    assert (only(snapshots[-1]).track_id, only(snapshots[-1]).class_id) == (2, 9)


def test_direction_follows_a_moving_source_within_the_smoothing_time() -> None:
    scene = [[Heard(3, azimuth_deg=-90.0 + 0.6 * k)] for k in range(250)]  # 15 degrees a second
    final = only(track(scene)[-1])
    assert angle_between_azimuths(final.azimuth_deg, -90.0 + 0.6 * 249) < 15.0 * 0.4 + 3.0


def test_crossing_the_back_does_not_pass_through_the_front() -> None:
    scene = [[Heard(3, azimuth_deg=170.0 + 0.2 * k)] for k in range(100)]
    for snapshot in track(scene)[3:]:
        assert abs(only(snapshot).azimuth_deg) > 160.0


def test_an_ear_swapped_scene_gives_mirrored_azimuths_and_nothing_else_changes() -> None:
    scene = [[Heard(3, azimuth_deg=33.0, elevation_deg=10.0), Heard(8, azimuth_deg=-127.0)]] * 50
    mirrored = [[Heard(3, azimuth_deg=-33.0, elevation_deg=10.0), Heard(8, azimuth_deg=127.0)]] * 50
    for one, other in zip(track(scene)[-1].tracks, track(mirrored)[-1].tracks, strict=True):
        assert one.azimuth_deg == pytest.approx(-other.azimuth_deg, abs=1e-4)
        assert one.elevation_deg == pytest.approx(other.elevation_deg, abs=1e-4)
        assert one.confidence == other.confidence


def test_reset_equals_a_fresh_tracker() -> None:
    scene = [[Heard(3, azimuth_deg=33.0)]] * 30 + [[]] * 10 + [[Heard(5)]] * 30
    used = Tracker()
    track([[Heard(9)]] * 17, used)
    used.reset()
    again, fresh = track(scene, used), track(scene)
    assert [s.as_dict() for s in again] == [s.as_dict() for s in fresh]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="off_activity <= on_activity"):
        TrackerSettings(on_activity=0.2, off_activity=0.5)


def test_beside_a_surer_sound_a_track_is_told_of_once_it_is_likely_and_until_it_is_not() -> None:
    sure = Heard(10, azimuth_deg=40.0)
    likely, hardly, less = (Heard(4, azimuth_deg=-80.0, probability=p) for p in (0.5, 0.1, 0.2))
    assert {t.class_id for t in track([[sure, hardly]] * 30)[-1].tracks} == {10}
    assert {t.class_id for t in track([[None, hardly]] * 30)[-1].tracks} == {4}, "alone it is told of"
    snapshots = track([[sure, likely]] * 30 + [[sure, less]] * 30)
    assert {t.class_id for t in snapshots[-1].tracks} == {4, 10}, "it need not be as likely to stay"
    snapshots = track([[sure, likely]] * 30 + [[sure, hardly]] * 60)
    assert {t.class_id for t in snapshots[-1].tracks} == {10}


def test_in_a_pause_a_track_is_told_of_as_before() -> None:
    hardly = Heard(4, azimuth_deg=-80.0, probability=0.1)
    paused = Heard(4, azimuth_deg=-80.0, probability=0.1, activity=0.01)
    assert [t.class_id for t in track([[hardly]] * 30 + [[paused]] * 15)[-1].tracks] == [4]
    with pytest.raises(ValueError, match="told_confidence"):
        TrackerSettings(told_confidence=0.1, kept_confidence=0.2)


@pytest.mark.parametrize(
    ("second", "yaw_deg", "tracks"),
    [
        (Heard(4, azimuth_deg=135.0, probability=0.7), None, 1),
        (Heard(4, azimuth_deg=45.0, probability=0.7), None, 1),
        (Heard(4, azimuth_deg=135.0, probability=0.85), None, 2),
        (Heard(4, azimuth_deg=100.0, probability=0.7), None, 2),
        (Heard(4, azimuth_deg=135.0, probability=0.7), 0.0, 2),
    ],
    ids=["across", "same place", "as sure", "elsewhere", "the head tells front from back"],
)
def test_a_less_sure_name_on_the_cone_of_a_sound_is_not_told_of(
    second: Heard, yaw_deg: float | None, tracks: int
) -> None:
    tracker, heard = Tracker(), [Heard(10, azimuth_deg=45.0), second]
    snapshots = [s for number in range(1, 51) for s in tracker.process(frame(number, heard), yaw_deg)]
    assert {len(s.tracks) for s in snapshots[5:]} == {tracks}


def test_what_was_told_of_stays_until_it_is_much_less_sure_than_the_sound_on_its_cone() -> None:
    surer, steps = Heard(10, azimuth_deg=45.0, probability=0.9), (0.85, 0.6, 0.3)
    scene = [[surer, Heard(4, azimuth_deg=135.0, probability=p)] for p in steps for _ in range(40)]
    counts = [len(s.tracks) for s in track(scene)]
    assert counts[10] == counts[31] == 2
    assert counts[-1] == 1


def test_the_share_that_keeps_a_second_name_is_not_above_the_one_that_begins_it() -> None:
    with pytest.raises(ValueError, match="second_name"):
        TrackerSettings(second_name=0.5, kept_second_name=0.6)
