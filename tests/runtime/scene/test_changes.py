"""What is told of a scene: new, moved, ended; each once."""

from __future__ import annotations

import pytest

from earshot.runtime.scene.changes import ChangeDetector, TrackChange
from tests.runtime.hearing.frames import Heard
from tests.runtime.hearing.test_tracks import track
from tests.runtime.hearing.test_turning import heard_while_turning


def changes_of(scene: list[list[Heard | None]]) -> list[TrackChange]:
    detector = ChangeDetector()
    return [change for snapshot in track(scene) for change in detector.process(snapshot)] + detector.flush()


def test_a_still_source_is_told_when_it_comes_and_when_it_goes() -> None:
    changes = changes_of([[Heard(3)]] * 50 + [[]] * 50)
    assert [c.kind for c in changes] == ["new", "ended"]
    assert [c.track.active for c in changes] == [True, False]
    assert changes[0].time_s <= 0.3
    assert 2.0 <= changes[1].time_s <= 2.2


def test_a_source_that_goes_round_is_told_again_every_25_degrees_or_so() -> None:
    changes = changes_of([[Heard(3, azimuth_deg=-90.0 + 0.6 * k)] for k in range(250)])
    moves = [c.track.azimuth_deg for c in changes if c.kind == "moved"]
    assert 4 <= len(moves) <= 6
    assert moves == sorted(moves)


def test_pauses_of_less_than_a_second_are_not_told() -> None:
    bark, pause = [[Heard(3)]] * 10, [[Heard(3, activity=0.0)]] * 20
    assert [c.kind for c in changes_of((bark + pause) * 4)] == ["new", "ended"]


def test_a_source_that_comes_back_after_a_long_pause_is_new_again() -> None:
    bark, pause = [[Heard(3)]] * 10, [[Heard(3, activity=0.0)]] * 40
    assert [c.kind for c in changes_of(bark + pause + bark)] == ["new", "ended", "new", "ended"]


def test_the_end_of_the_stream_ends_everything() -> None:
    changes = changes_of([[Heard(3), Heard(8)]] * 50)
    assert [c.kind for c in changes] == ["new", "new", "ended", "ended"]
    assert not changes[-1].track.active


def test_json_of_a_change_says_what_and_where() -> None:
    document = changes_of([[Heard(3, azimuth_deg=45.0)]] * 50)[0].as_dict()
    assert document["event"] == "new"
    assert {
        "time_s",
        "track",
        "label",
        "azimuth_deg",
        "distance_m",
        "front_back_ambiguous",
    } <= document.keys()


def test_a_head_that_turns_moves_no_source() -> None:
    detector = ChangeDetector()
    snapshots = heard_while_turning(60.0, [0.0] * 20 + [1.8 * k for k in range(50)])
    changes = [change for snapshot in snapshots for change in detector.process(snapshot)]
    assert [c.kind for c in changes] == ["new"]
    assert changes[0].as_dict()["room_azimuth_deg"] == pytest.approx(60.0, abs=5.0)
    assert abs(snapshots[-1].tracks[0].azimuth_deg - changes[0].track.azimuth_deg) > 60.0
