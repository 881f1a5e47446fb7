"""What is frozen is recognised; what differs is said in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.errors import InputError
from earshot.training.benchmark.asa_run import AsaBench, build_asa, freeze_asa
from earshot.training.benchmark.frozen import MANIFEST, check, contents_of, freeze, load_manifest
from earshot.training.benchmark.seld_run import SeldBench, build_seld, freeze_seld
from earshot.training.synthesis.dataset import open_shards
from tests.training.benchmark.conftest import write_manifest


def test_the_shipped_manifest_defines_both_benchmarks() -> None:
    shipped = load_manifest()
    full = shipped["asa"]["sizes"]["full"]
    assert (full["L1"], full["L2"], full["L3"], full["open"], full["absent"]) == (350, 300, 350, 300, 200)
    assert shipped["seld"]["sizes"]["full"]["duration_s"] == 60
    for name in ("asa", "seld"):
        assert isinstance(shipped[name]["seed"], int)
        assert all(entry["size"] in shipped[name]["sizes"] for entry in shipped[name]["frozen"])


def test_regenerating_gives_the_same_hash(asa: AsaBench, seld: SeldBench, stems: Path, manifest: Path) -> None:
    assert build_asa(stems, "quick", manifest).contents == asa.contents
    assert build_seld(stems, "quick", manifest).contents == seld.contents


def test_freezing_twice_keeps_one_entry_that_matches(asa: AsaBench, stems: Path, tmp_path: Path) -> None:
    own = write_manifest(tmp_path / "frozen.json")
    assert check(asa.contents, "asa", "quick", own).frozen is None
    first, second = freeze_asa(stems, own), freeze_asa(stems, own)
    assert first == second
    assert [verdict.frozen for verdict in first] == [True]
    assert freeze_seld(stems, own)[0].frozen
    document = json.loads(own.read_text())
    assert [entry["hash"] for entry in document["asa"]["frozen"]] == [asa.contents.hash]
    assert document["asa"]["frozen"][0]["stems"] == "procedural"


@pytest.mark.parametrize("part", ["items", "audio"])
def test_a_difference_is_one_line_that_says_what_differs(asa: AsaBench, tmp_path: Path, part: str) -> None:
    own = write_manifest(tmp_path / "frozen.json")
    freeze(asa.contents, "asa", "quick", own)
    verdict = check(replace(asa.contents, **{part: "0" * 16}), "asa", "quick", own)
    assert verdict.frozen is False
    assert f"{part} differ" in verdict.line
    assert "\n" not in verdict.line


def test_every_item_and_every_sample_counts(stems: Path) -> None:
    shards = open_shards(stems)
    audio = np.zeros((2, 100), np.int16)
    other = audio.copy()
    other[1, 50] = 1
    first = contents_of(shards, [{"q": 1}], [audio])
    assert contents_of(shards, [{"q": 2}], [audio]).hash != first.hash
    assert contents_of(shards, [{"q": 1}], [other]).hash != first.hash
    assert contents_of(shards, [{"q": 1}], [audio]) == first


def test_a_broken_manifest_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "frozen.json"
    broken.write_text("{")
    with pytest.raises(InputError, match="restore it"):
        load_manifest(broken)
    assert MANIFEST.name == "frozen.json"
