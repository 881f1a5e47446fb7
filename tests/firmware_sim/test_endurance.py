"""A long bad day in short: every fault is told, tracks come back, memory and queues stay bounded."""

from __future__ import annotations

import json

import numpy as np
import psutil
import pytest

from earshot.firmware_sim.endurance import (
    TOLD_BY,
    Endurance,
    _against_control,
    end_of,
    recovery_s,
    table_of,
    usual_share,
    verdict_on,
)
from earshot.firmware_sim.faults import KINDS, Fault
from earshot.firmware_sim.scenario import load_scenario
from earshot.firmware_sim.trial import Told, Trial
from earshot.runtime.audio.reorder import MAX_WAITING
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.loading import open_encoders
from tests.firmware_sim.scenes import scene

VOICE = {"label": "speech", "level_db": -24.0, "path": [{"azimuth_deg": 50.0, "distance_m": 1.5}]}
BAD_MINUTE = [
    {"kind": "loss", "start_s": 4.0, "duration_s": 3.0, "value": 0.4},
    {"kind": "reorder", "start_s": 9.0, "duration_s": 2.0, "value": 0.3},
    {"kind": "duplicate", "start_s": 13.0, "duration_s": 2.0, "value": 0.3},
    {"kind": "bit_errors", "start_s": 17.0, "duration_s": 2.0, "value": 0.3},
    {"kind": "reboot", "start_s": 21.0, "value": 2.0},
    {"kind": "stall", "start_s": 26.0, "duration_s": 2.0},
    {"kind": "dead_left", "start_s": 31.0, "duration_s": 4.0},
    {"kind": "same_ear", "start_s": 38.0, "duration_s": 5.0},
    {"kind": "low_battery", "start_s": 45.0, "duration_s": 2.0, "value": 9.0},
]


def test_a_bad_minute() -> None:
    before_mb = psutil.Process().memory_info().rss / 1e6
    run = Endurance(scene(60.0, faults=BAD_MINUTE, sources=[VOICE]), open_encoders(None)[1])
    run.run()
    report = json.loads(json.dumps(run.report()))
    assert report["complete"]
    assert (report["told"], report["expected"], report["not_told"]) == (9, 9, [])
    assert report["judged"] == 9
    assert report["recovered"] >= 5, "a voice is placed as before, most of the time"
    assert 0 < report["most_waiting_packets"] <= MAX_WAITING
    assert report["memory"]["peak_mb"] - before_mb < 400
    assert table_of(report).row_count >= 8


def test_every_fault_has_its_finding() -> None:
    assert set(TOLD_BY) == set(KINDS)


def placed(azimuths_deg: dict[int, float], duration_s: float = 20.0) -> Trial:
    """A trial of rain at 60 degrees as if the networks had placed it, by row; elsewhere it was not heard."""
    trial = Trial(scene(duration_s), Encoders())
    for row, azimuth_deg in azimuths_deg.items():
        trial.sights.azimuth_deg[row, 0] = azimuth_deg
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


def test_a_fault_that_another_follows_at_once_is_not_judged() -> None:
    first, second, third = Fault("loss", 2.0, 4.0), Fault("stall", 4.5, 5.5), Fault("swapped", 9.0, 10.0)
    trial = placed({46: 60.0, 101: 60.0})
    trial.told.append(Told("packet-loss", 3.0, 3.0))
    verdicts = [verdict_on(fault, trial, (first, second, third)) for fault in (first, second, third)]
    assert [verdict.judged for verdict in verdicts] == [False, True, True]
    assert [verdict.told for verdict in verdicts] == [True, False, False]


def test_what_is_not_heard_without_faults_either_is_no_fault_s_doing() -> None:
    fault = Fault("loss", 2.0, 4.0)
    silent, found = placed({}), placed({44: 60.0})
    both = [verdict_on(fault, silent, (fault,), control) for control in (silent, found)]
    assert [verdict.control_s for verdict in both] == [None, pytest.approx(0.55)]
    assert _against_control(both) == {"in_place": 1, "recovered": 0}
    assert _against_control([verdict_on(fault, found, (fault,), found)]) == {"in_place": 1, "recovered": 1}


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


def test_a_run_that_is_broken_off_is_judged_so_far() -> None:
    run = Endurance(scene(30.0, faults=[{"kind": "stall", "start_s": 20.0, "duration_s": 1.0}]), open_encoders(None)[1])
    look = run._look

    def stop(*arguments: object) -> None:
        look(*arguments)  # type: ignore[arg-type]
        if run.trial.source.now_s > 3.0:
            raise KeyboardInterrupt

    run._look = stop  # type: ignore[method-assign]
    run.run()
    report = run.report()
    assert not report["complete"]
    assert report["simulated_minutes"] == pytest.approx(0.05, abs=0.01)
    assert report["expected"] == 0, "what has not come yet is not asked about"
    assert np.isfinite(run.trial.sights.told_s).sum() == pytest.approx(30, abs=2)


def test_the_command_ends_with_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["simulate", "meeting", "--endurance", "--minutes", "0.03"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (document["kind"], document["complete"]) == ("endurance", True)
    assert document["control"] == {"in_place": 0, "recovered": 0}, "nothing went wrong in two seconds"
    assert cli.run(["simulate", "meeting", "--endurance", "--minutes", "2"]) == 2
    assert "this scenario has 1;" in capsys.readouterr().err
