"""A long bad day in short: every fault is told, tracks come back, memory and queues stay bounded."""

from __future__ import annotations

import json

import numpy as np
import psutil
import pytest

from earshot.firmware_sim.endurance import Endurance, table_of
from earshot.runtime.audio.reorder import MAX_WAITING
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
    assert document["control"] == {"heard": 0, "alike": 0}, "nothing went wrong in two seconds"
    assert cli.run(["simulate", "meeting", "--endurance", "--minutes", "2"]) == 2
    assert "this scenario has 1;" in capsys.readouterr().err
