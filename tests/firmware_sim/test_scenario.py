"""Scenarios: what is written is what is simulated, and a mistake is one line with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.firmware_sim.faults import KINDS, Fault, Schedule, draw_faults
from earshot.firmware_sim.scenario import load_scenario, shipped_scenarios
from earshot.firmware_sim.sounds import SOUNDS, loop
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.labels import load_labels
from tests.firmware_sim.scenes import scene


def test_five_scenarios_are_shipped_and_all_can_be_read() -> None:
    assert set(shipped_scenarios()) == {"kitchen", "meeting", "quiet_night", "street_crossing", "worst_day"}
    for name in shipped_scenarios():
        assert load_scenario(name).title


def test_the_worst_day_has_every_fault() -> None:
    assert {fault.kind for fault in load_scenario("worst_day").schedule().faults} == set(KINDS)


WRONG = [
    ("durations_s = 3", "unknown key 'durations_s'; did you mean 'duration_s'?"),
    ("duration_s = 3\n[device]\nbit = 16", "unknown key 'device.bit'; did you mean 'bits'?"),
    ("duration_s = 3\n[[sources]]\nlabel = 'dogg'", "label 'dogg' is unknown; did you mean 'dog'?"),
    (
        "duration_s = 3\n[[sources]]\nlabel = 'dog'\nlevel = 3",
        "unknown key 'sources.0.level'; did you mean 'level_db'?",
    ),
    (
        "duration_s = 3\n[[sources]]\nlabel = 'dog'\npath = [{azimut_deg = 3}]",
        "unknown key 'sources.0.path.0.azimut_deg'; did you mean 'azimuth_deg'?",
    ),
    ("duration_s = 3\n[[sources]]\nlabel = 'helicopter'", "there is no sound 'helicopter'"),
    ("duration_s = 3\n[[faults]]\nkind = 'los'\nstart_s = 1", "there is no fault 'los'; did you mean 'loss'?"),
    ("duration_s = 3\n[[faults]]\nkind = 'loss'\nstart_s = 1", "loss needs duration_s"),
    ("duration_s = 3\n[[faults]]\nkind='loss'\nstart_s=1\nduration_s=1\nvalue=7", "loss 7 is outside of 0 to 1"),
    ("duration_s = -3", "duration_s: Input should be greater than 0"),
    ("duration_s = nan", "duration_s: Input should be a finite number"),
    ("duration_s = 3\nhead = [{time_s = 1.0}, {time_s = 0.5}]", "the times of head do not rise"),
    ("duration_s = 3\n[room]\nlistener_m = [9, 9, 9]", "listener_m lies outside of size_m"),
    ("duration_s = 3\nfolder = '/'", "unknown key 'folder'"),
    ("duration_s = ", "no TOML"),
    ("duration_s = 3\n[room]\nsize_m = [1e300, 4, 3]", "room.size_m.0: Input should be less than or equal to 1000"),
    ("duration_s = 3\n[device]\ngain_db = [1e9, 0]", "device.gain_db.0: Input should be less than or equal to 60"),
    ("duration_s = 3\n[device]\ndc = [0, 2]", "device.dc.1: Input should be less than or equal to 1"),
    ("duration_s = 3\nhead = [{yaw_deg = 1e308}]", "head.0.yaw_deg: Input should be less than"),
    ("duration_s = 3\n[random_faults]\nper_hour = 60\nkinds = []", "random_faults.kinds: Tuple should have at least 1"),
    ("duration_s = 3\n[[sources]]\nlabel = 'dog'\nfile = 'gone.wav'", "sources.0.file: there is no"),
]


@pytest.mark.parametrize(("text", "help_"), WRONG)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, help_: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_scenario(str(path))
    assert help_ in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "kitchen.toml"
    path.write_text(shipped_scenarios()["kitchen"].read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load_scenario(str(path)).duration_s == load_scenario("kitchen").duration_s


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UsageError, match="did you mean 'kitchen'"):
        load_scenario("kitchn")


def test_places_are_relative_to_the_turning_head() -> None:
    turning = scene(10.0, head=[{"time_s": 0.0, "yaw_deg": 0.0}, {"time_s": 10.0, "yaw_deg": 90.0}])
    ((label, azimuth_deg, elevation_deg, distance_m),) = turning.truth(10.0)
    assert label == "rain"
    assert azimuth_deg == pytest.approx(-30.0)
    assert (elevation_deg, distance_m) == (pytest.approx(0.0), pytest.approx(1.5))


def test_a_passing_source_moves_on_a_straight_line() -> None:
    passing = {
        "label": "engine",
        "path": [
            {"time_s": 0.0, "azimuth_deg": 45.0, "distance_m": 10.0},
            {"time_s": 2.0, "azimuth_deg": -45.0, "distance_m": 10.0},
        ],
    }
    ((_, azimuth_deg, _, distance_m),) = scene(sources=[passing]).truth(1.0)
    assert azimuth_deg == pytest.approx(0.0, abs=1e-6)
    assert distance_m == pytest.approx(10 / 2**0.5)


def test_random_faults_are_the_same_for_the_same_seed_and_fit_into_the_scenario() -> None:
    first = draw_faults(1, 600.0, 600.0)
    assert first == draw_faults(1, 600.0, 600.0)
    assert first != draw_faults(2, 600.0, 600.0)
    assert 60 < len(first) < 140
    assert all(0 <= fault.start_s <= fault.end_s < 600 for fault in first)
    assert {fault.kind for fault in first} == set(KINDS)


def test_the_beginning_of_a_scenario_has_its_faults_at_their_times() -> None:
    whole = load_scenario("worst_day")
    part = whole.beginning(900.0)
    assert part.duration_s == 900.0
    assert part.schedule().faults == tuple(f for f in whole.schedule().faults if f.start_s < 900.0)


def test_of_two_faults_of_a_kind_the_later_one_holds() -> None:
    schedule = Schedule([Fault("loss", 2.0, 4.0, 0.9), Fault("loss", 0.0, 10.0, 0.1)])
    assert [schedule.value("loss", t) for t in (1.0, 3.0, 5.0, 11.0)] == [0.1, 0.9, 0.1, None]


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_every_sound_is_a_label_loud_as_promised_and_not_a_constant(name: str) -> None:
    assert name in {label.key for label in load_labels()}
    sound = loop(name)
    assert (sound**2).mean() == pytest.approx(1.0)
    assert abs(sound.mean()) < 0.1
    assert abs(sound).max() < 60
