"""Watches on synthetic frames: when an alert comes, and when it must not."""

from __future__ import annotations

from datetime import datetime

from earshot.runtime.labels import class_id
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watches import WatchRule
from earshot.runtime.scene.watching import Alert, Watcher
from tests.runtime.hearing.frames import Heard
from tests.runtime.hearing.test_tracks import track

DOG, ENGINE = class_id("dog"), class_id("engine")
FRAMES_PER_S = 25
Scene = list[list[Heard | None]]


def rule(text: str, **fields: object) -> WatchRule:
    return compile_watch(text)[0].model_copy(update=fields)


def alerts(watched: WatchRule, scene: Scene, watcher: Watcher | None = None) -> list[Alert]:
    watcher = watcher or Watcher([watched])
    return [alert for snapshot in track(scene) for alert in watcher.process(snapshot)]


def drive(start_m: float, end_m: float, seconds: float, azimuth_deg: float = 180.0) -> Scene:
    steps = round(seconds * FRAMES_PER_S)
    return [[Heard(ENGINE, azimuth_deg, distance_m=start_m * (end_m / start_m) ** (k / steps))] for k in range(steps)]


def silence(seconds: float) -> Scene:
    return [[] for _ in range(round(seconds * FRAMES_PER_S))]


CAR = rule("when a car approaches from behind")


def test_a_car_that_comes_nearer_from_behind_is_told_once_and_early() -> None:
    (alert,) = alerts(CAR, drive(40.0, 3.0, 8.0))
    assert alert.time_s <= 3.0
    assert alert.text.startswith("engine coming nearer: directly behind you, about ")


def test_a_car_that_stands_goes_away_or_comes_from_the_front_is_not() -> None:
    assert alerts(CAR, drive(10.0, 10.0, 8.0)) == []
    assert alerts(CAR, drive(3.0, 40.0, 8.0)) == []
    assert alerts(CAR, drive(40.0, 3.0, 8.0, azimuth_deg=0.0)) == []


def test_what_goes_away_is_told_by_a_watch_for_it() -> None:
    assert len(alerts(rule("when a car drives away"), drive(3.0, 40.0, 8.0))) == 1


def test_another_sound_is_not_told() -> None:
    assert alerts(rule("when a dog barks"), drive(10.0, 10.0, 5.0)) == []


def test_a_series_of_barks_is_one_alert_and_a_later_one_another() -> None:
    barks: Scene = ([[Heard(DOG)]] * 10 + [[Heard(DOG, activity=0.0)]] * 20) * 4
    watched = rule("when a dog barks", min_interval_s=0.0)
    assert len(alerts(watched, barks)) == 1
    assert len(alerts(watched, barks + silence(6.0) + barks)) == 2
    assert len(alerts(watched, barks + silence(2.0) + barks)) == 1


def test_wavering_over_the_edge_of_a_sector_is_one_alert() -> None:
    wavering: Scene = [[Heard(DOG, azimuth_deg=112.5 + (6.0 if k // 25 % 2 else -6.0))] for k in range(500)]
    watched = rule("when a dog barks behind me", min_interval_s=0.0, release_s=0.5)
    assert len(alerts(watched, wavering)) == 1


def test_near_means_near() -> None:
    watched = rule("when a dog comes within 2 metres")
    assert alerts(watched, [[Heard(DOG, distance_m=4.0)]] * 100) == []
    assert len(alerts(watched, [[Heard(DOG, distance_m=1.5)]] * 100)) == 1


def test_stopping_is_told_after_a_while_of_silence_and_only_after_a_sound() -> None:
    watched = rule("when the dog stops barking")
    assert alerts(watched, silence(20.0)) == []
    (alert,) = alerts(watched, [[Heard(DOG)]] * 100 + silence(10.0))
    assert 7.0 <= alert.time_s <= 8.0
    assert alert.text.startswith("dog has stopped")
    assert alerts(watched, [[Heard(DOG)]] * 100) == [], "the end of the stream is no stop"


def test_a_condition_must_hold() -> None:
    watched = rule("when a dog barks for 3 seconds")
    assert alerts(watched, [[Heard(DOG)]] * 50 + silence(5.0)) == []
    assert len(alerts(watched, [[Heard(DOG)]] * 100)) == 1


def test_rates_are_limited_and_what_is_held_back_is_counted() -> None:
    scene = ([[Heard(DOG)]] * 25 + silence(2.0)) * 6
    watched = rule("when a dog barks", release_s=1.0, min_interval_s=7.0)
    watcher = Watcher([watched])
    assert len(alerts(watched, scene, watcher)) == 2
    assert watcher.limited == 4
    often = watched.model_copy(update={"min_interval_s": 0.0, "max_per_hour": 3})
    assert len(alerts(often, scene)) == 3


def test_quiet_hours_are_quiet() -> None:
    watched = rule("when a dog barks, except at night")
    at = [datetime(2026, 5, 20, 23, 0).timestamp()]
    watcher = Watcher([watched], clock=lambda: at[0])
    assert alerts(watched, [[Heard(DOG)]] * 50, watcher) == []
    assert watcher.quieted == 1
    at[0] += 12 * 3600
    watcher.reset()
    assert len(alerts(watched, [[Heard(DOG)]] * 50, watcher)) == 1


def test_several_watches_and_a_callback() -> None:
    seen: list[Alert] = []
    watcher = Watcher([CAR, rule("when a dog barks")], on_alert=seen.append)
    told = alerts(CAR, [[*slots, Heard(DOG)] for slots in drive(40.0, 3.0, 8.0)], watcher)
    assert {alert.rule.text for alert in told} == {"when a car approaches from behind", "when a dog barks"}
    assert seen == told
    assert {"event", "watch", "text", "label", "azimuth_deg"} <= told[0].as_dict().keys()
