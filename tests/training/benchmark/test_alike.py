"""The benchmark of several sources of one class: what is rendered, and how it is judged."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.runtime.hearing.tracks import SceneSnapshot, Tracker
from earshot.training.benchmark.alike import (
    ALIKE,
    KINDS,
    LEAST_LATERAL_DEG,
    AlikeScene,
    Call,
    Kind,
    judge_alike,
    render_alike,
    run_alike,
)
from earshot.training.benchmark.statistics import lateral_deg
from earshot.training.synthesis.dataset import DataFolders, build_world
from tests.runtime.hearing.frames import Heard, frame

DOG = 3
CALLS = (Call(0, 0.4, 1.6), Call(1, 2.0, 3.2), Call(0, 3.6, 4.8), Call(1, 5.2, 6.4))
PLACES_DEG = (60.0, -40.0)


def scene(kind: Kind, labels: tuple[int, ...] = (DOG, DOG), calls: tuple[Call, ...] = CALLS) -> AlikeScene:
    silence = np.zeros((2, 0), np.float32)
    return AlikeScene(kind, labels, calls, silence, lambda source, _: PLACES_DEG[source], lambda _: 0.0)


def told(places_deg: tuple[float, ...], calls: tuple[Call, ...] = CALLS) -> list[SceneSnapshot]:
    """What a tracker tells whose network hears the calls from these places."""
    tracker, snapshots = Tracker(), []
    for k in range(1, 180):
        now = [call for call in calls if call.begin_s < 0.04 * k <= call.end_s]
        heard = Heard(DOG, places_deg[now[0].source]) if now else Heard(DOG, activity=0.0)
        snapshots += tracker.process(frame(k, [heard]))
    return snapshots


def test_two_that_are_told_apart_are_right_and_keep_their_numbers() -> None:
    record = judge_alike(scene("in turn"), told(PLACES_DEG))
    assert record is not None
    assert record["number_right"] and record["kept"] and record["placed"] == 1.0 and not record["merged"]


def test_two_in_one_track_are_merged_and_half_of_the_calls_are_misplaced() -> None:
    record = judge_alike(scene("in turn"), told((60.0, 60.0)))
    assert record is not None
    assert record["merged"] and not record["number_right"] and record["kept"] is False
    assert record["placed"] == 0.5


def test_one_source_in_two_tracks_is_split() -> None:
    calls = tuple(Call(0, call.begin_s, call.end_s) for call in CALLS)
    record = judge_alike(scene("one, still", (DOG,), calls), told(PLACES_DEG))
    assert record is not None
    assert record["split"] and record["kept"] is False


def test_at_once_one_of_two_in_its_place_is_half() -> None:
    at_once = (Call(0, 0.4, 7.0), Call(1, 0.4, 7.0))
    record = judge_alike(scene("at once", calls=at_once), told(PLACES_DEG, at_once[:1]))
    assert record is not None
    assert record["merged"] and 0.4 < record["placed"] <= 0.5


def test_silence_is_not_judged() -> None:
    assert judge_alike(scene("in turn"), told(PLACES_DEG, ())) is None


@pytest.mark.parametrize("kind", ["in turn", "one, head turning"])
def test_scenes_are_what_their_kind_says_and_the_same_for_one_seed(kind: Kind) -> None:
    world = build_world(DataFolders(None), "validation")
    made, again = (render_alike(world, kind, [1, 2]) for _ in range(2))
    np.testing.assert_array_equal(made.audio, again.audio)
    assert {call.source for call in made.calls} == set(range(len(made.labels)))
    if kind in ALIKE:
        assert made.labels[0] == made.labels[1]
        apart_deg = abs(np.diff([lateral_deg(made.azimuth_deg(source, 0.0)) for source in (0, 1)])[0])
        assert apart_deg >= LEAST_LATERAL_DEG
    else:
        assert np.ptp([made.yaw_deg(t) for t in np.arange(0.0, 12.0, 0.1)]) >= 20.0


def test_figures_of_the_built_in_bundle_by_kind() -> None:
    report = run_alike(None, None, 1, kinds=KINDS[:1])
    assert set(report["figures"]) == {"in turn"}
    assert report["scenes"] == 1
