"""The fault table: a fault is held against the same scene without it, by the shipped networks."""

from __future__ import annotations

import json

import pytest

from earshot.firmware_sim.fault_table import CASES, Case, fault_table, scene_of, table_of
from earshot.firmware_sim.faults import KINDS
from earshot.runtime.interfaces.loading import open_encoders


def test_every_fault_stands_in_the_table() -> None:
    assert {case.kind for case in CASES} == set(KINDS)
    assert {case.value for case in CASES if case.kind == "drift"} == {200.0, -200.0}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_scene_has_its_one_fault_and_time_after_it(case: Case) -> None:
    scenario = scene_of(case)
    (fault,) = scenario.schedule().faults
    assert fault.kind == case.kind
    assert case.ends_s < scenario.duration_s
    assert scenario.sources == scene_of(Case("none", None)).sources


def test_a_dead_ear_is_told_and_costs_directions() -> None:
    _, encoders = open_encoders(None)
    document = fault_table(encoders, [Case("left ear dead", "dead_left", lasts_s=4.0)])
    (row,) = json.loads(json.dumps(document))["faults"]
    assert {"dead-left", "device-fault"} <= set(row["told"])
    clean, dead = row["without_fault"], row["with_fault"]
    assert clean["heard"] > 0.2
    assert dead["heard"] < clean["heard"] or dead["error_deg"] > clean["error_deg"]
    assert table_of(document).row_count == 1


def test_channels_that_change_places_are_told() -> None:
    _, encoders = open_encoders(None)
    (row,) = fault_table(encoders, [Case("ears swapped", "swapped", lasts_s=5.0)])["faults"]
    assert row["told"] == ["swapped-ears"]
