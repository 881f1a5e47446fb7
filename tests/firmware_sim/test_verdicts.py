"""Whether a fault was told and the tracks came back: judged on trials whose tracks are written down."""

from __future__ import annotations

import pytest

from earshot.firmware_sim.audible import Audible
from earshot.firmware_sim.faults import KINDS, Fault
from earshot.firmware_sim.scenario import load_scenario
from earshot.firmware_sim.trial import Told, Trial
from earshot.firmware_sim.verdicts import (
    LEAST_SOUND_S,
    TOLD_BY,
    against_control,
    beside_control_s,
    end_of,
    recovery_s,
    told_by,
    too_small,
    usual_share,
    verdict_on,
    why_no_evidence,
)
from earshot.runtime.hearing.encoders import Encoders
from tests.firmware_sim.scenes import RAIN, scene


def test_every_fault_has_its_finding() -> None:
    assert set(TOLD_BY) == set(KINDS)


def placed(azimuths_deg: dict[int, float], duration_s: float = 20.0) -> Trial:
    """A trial of rain at 60 degrees as if the networks had placed it, by row; elsewhere it was not heard."""
    trial = Trial(scene(duration_s), Encoders())
    for row, azimuth_deg in azimuths_deg.items():
        trial.sights.azimuth_deg[row, 0], trial.sights.confidence[row, 0] = azimuth_deg, 0.5
        trial.sights.told_s[row] = 0.1 * (row + 1) + 0.05
    return trial


def test_recovery_is_the_first_track_near_a_true_sound() -> None:
    trial = placed({48: 60.0, 53: -60.0, 57: 75.0})
    assert recovery_s(trial, 2.0, 5.0) == pytest.approx(0.85)
    assert recovery_s(trial, 3.0, 6.0) is None
    assert recovery_s(placed({49: 60.0, 250: 60.0}, 40.0), 2.0, 5.0) is None, "later than 10 s is not waited for"


def test_to_be_placed_as_before_the_fault_is_recovery_too() -> None:
    wrong = placed({25: -100.0, 45: -150.0, 53: -100.0})
    assert recovery_s(wrong, 3.0, 5.0) == pytest.approx(0.45), "wrong as before, so the fault is over"
    assert recovery_s(wrong, 9.0, 5.0) is None, "what was placed long before does not count"


def test_to_be_placed_as_without_faults_is_recovery_too() -> None:
    """The sound has moved to where both runs take it for something behind; what is said beside it does not count."""
    ours, control = placed({25: 60.0, 53: -110.0, 57: -150.0}), placed({53: -60.0, 57: -140.0})
    assert recovery_s(ours, 3.0, 5.0) is None
    assert recovery_s(ours, 3.0, 5.0, control) == pytest.approx(0.85)
    control.sights.azimuth_deg[53, 1], control.sights.confidence[53, :2] = -110.0, (0.9, 0.1)
    assert recovery_s(ours, 3.0, 5.0, control) == pytest.approx(0.85), "the surest of both count"


def test_what_sounds_too_late_to_be_told_in_time_is_no_evidence() -> None:
    rain = Audible(scene(20.0, sources=[{**RAIN, "onset_s": 4.55}]))
    fault, hears = Fault("loss", 2.0, 4.0), placed({44: 60.0})
    assert rain.sounding_s(4.0, 5.0) >= LEAST_SOUND_S
    assert why_no_evidence(fault, hears, rain) == "nothing sounds"


def test_a_fault_that_another_follows_at_once_is_not_judged() -> None:
    first, second, third = Fault("loss", 2.0, 4.0), Fault("stall", 4.5, 5.5), Fault("swapped", 9.0, 10.0)
    trial = placed({46: 60.0, 101: 60.0})
    trial.told.append(Told("packet-loss", 3.0, 3.0))
    verdicts = [verdict_on(fault, trial, (first, second, third)) for fault in (first, second, third)]
    assert [verdict.judged for verdict in verdicts] == [False, True, True]
    assert [verdict.told for verdict in verdicts] == [True, False, False]


def test_what_is_not_heard_without_faults_either_is_no_fault_s_doing() -> None:
    """Places need not be true: rain at 60 degrees heard at -100 in both runs is heard alike."""
    fault, silent = Fault("loss", 2.0, 4.0), placed({})
    wrong, late = placed({44: -100.0, 52: -100.0}), placed({44: 60.0, 52: -110.0})
    assert beside_control_s(wrong, silent, 4.0) == (None, None)
    assert beside_control_s(silent, wrong, 4.0) == (pytest.approx(0.5), None)
    assert beside_control_s(late, wrong, 4.0) == (pytest.approx(0.5), pytest.approx(1.35))
    runs = ((silent, silent), (silent, wrong), (wrong, wrong), (late, wrong))
    assert against_control([verdict_on(fault, ours, (fault,), control) for ours, control in runs]) == {
        "heard": 3,
        "alike": 1,
    }


def test_a_second_without_evidence_is_neither_recovered_nor_missed() -> None:
    """Rain sounds all the time from 60 degrees; a shower that ends with the fault leaves nothing to come back."""
    fault, deaf, hears = Fault("loss", 2.0, 4.0), placed({}), placed({44: 60.0})
    rain, shower = Audible(scene(20.0)), Audible(scene(20.0, sources=[{**RAIN, "offset_s": 4.2}]))
    assert (rain.sounding_s(4.0, 5.0), shower.sounding_s(4.0, 5.0)) == (pytest.approx(1.0), pytest.approx(0.2))
    verdicts = [
        verdict_on(fault, trial, (fault,), control, audible)
        for trial, control, audible in (
            (deaf, hears, rain),
            (deaf, deaf, rain),
            (deaf, hears, shower),
            (hears, deaf, shower),
        )
    ]
    assert [verdict.no_evidence for verdict in verdicts] == [
        "",
        "nor without faults",
        "nothing sounds",
        "nothing sounds",
    ]
    assert [verdict.counts for verdict in verdicts] == [True, False, False, False], "luck does not count either"


def test_a_channel_that_is_dead_while_the_ears_are_exchanged_is_the_other_ear_s() -> None:
    dead, swapped = Fault("dead_left", 2.0, 4.0), Fault("swapped", 3.0, 9.0)
    assert told_by(dead, (dead,)) == {"dead-left"}
    assert told_by(dead, (dead, Fault("swapped", 4.0, 9.0))) == {"dead-left"}
    assert told_by(dead, (dead, swapped)) == {"dead-left", "dead-right"}
    assert told_by(swapped, (dead, swapped)) == {"swapped-ears"}


def test_a_drift_that_leaves_the_clock_true_need_not_be_told() -> None:
    """The device of the worst day always runs 40 ppm fast."""
    drifts = [Fault("drift", 0.0, 1.0, ppm) for ppm in (-52.0, -9.0, 200.0, -100.0)]
    assert [too_small(drift, 40.0) for drift in drifts] == [True, True, False, False]
    assert not too_small(Fault("swapped", 0.0, 1.0), 40.0)


def test_without_faults_the_same_is_heard() -> None:
    bad = scene(4.0, faults=[{"kind": "stall", "start_s": 1.0, "duration_s": 2.0}])
    assert bad.without_faults().schedule().faults == ()
    assert bad.without_faults().truth(2.0) == bad.truth(2.0)
    assert load_scenario("worst_day").without_faults().schedule().faults == ()


def test_a_reboot_ends_when_the_device_is_back() -> None:
    assert end_of(Fault("reboot", 10.0, 10.0, 4.0)) == 14.0
    assert end_of(Fault("hot", 10.0, 12.0, 66.0)) == 12.0


def test_the_usual_share_looks_only_where_no_fault_is_near() -> None:
    found = dict.fromkeys(range(100), 60.0)
    assert usual_share(placed(found), 20.0, ()) == pytest.approx(5 / 15, abs=0.001)
    assert usual_share(placed(found), 20.0, (Fault("loss", 10.0, 14.0),)) == pytest.approx(4 / 5, abs=0.001)
    assert usual_share(placed(found), 4.0, ()) is None
