"""What is frozen is recognised; what differs is said in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.asa_run import AsaBench, build_asa, freeze_asa
from earshot.training.benchmark.frozen import (
    LEVEL_TOLERANCE_DB,
    MANIFEST,
    BandLevels,
    check,
    contents_of,
    freeze,
    load_manifest,
)
from earshot.training.benchmark.seld_run import SeldBench, build_seld, freeze_seld
from earshot.training.synthesis.dataset import open_shards
from tests.no_room import no_room
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


def test_what_is_frozen_stays_when_there_is_no_room_for_more(asa: AsaBench, tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "frozen.json")
    before = path.read_bytes()
    with no_room(len(before) // 2, UsageError):
        freeze(asa.contents, "asa", "quick", path)
    assert path.read_bytes() == before


def test_other_questions_are_one_line_that_says_so(asa: AsaBench, tmp_path: Path) -> None:
    own = write_manifest(tmp_path / "frozen.json")
    freeze(asa.contents, "asa", "quick", own)
    verdict = check(replace(asa.contents, items="0" * 16), "asa", "quick", own)
    assert verdict.frozen is False
    assert "items differ" in verdict.line
    assert "\n" not in verdict.line


def test_audio_that_differs_in_rounding_is_frozen_and_other_audio_is_not(asa: AsaBench, tmp_path: Path) -> None:
    own = write_manifest(tmp_path / "frozen.json")
    freeze(asa.contents, "asa", "quick", own)
    # Descriptions hold rounded levels, so those of all scenes may differ where no question does.
    rounded = replace(asa.contents, audio="0" * 16, data="1" * 16)
    verdict = check(rounded, "asa", "quick", own)
    assert (verdict.frozen, verdict.hash) == (True, asa.contents.hash)
    assert "equal but for rounding" in verdict.line
    levels_db = (*asa.contents.levels_db[:-1], asa.contents.levels_db[-1] + 0.1)
    other = check(replace(rounded, levels_db=levels_db), "asa", "quick", own)
    assert (other.frozen, other.hash) == (False, rounded.hash)
    assert "audio differs by up to 0.1 dB" in other.line


def test_band_levels_tell_of_rounding_little_and_of_exchanged_ears_much() -> None:
    rng = np.random.default_rng(2)
    quieter = np.array([[1.0], [0.5]])
    clips = [np.rint(quieter * rng.normal(0.0, 300.0, (2, 16_000))).astype(np.int16) for _ in range(40)]
    as_rendered, rounded, exchanged = BandLevels(), BandLevels(), BandLevels()
    for number, clip in enumerate(clips):
        as_rendered.add(clip)
        rounded.add(clip + (rng.random(clip.shape) < 0.001))
        exchanged.add(clip[:: 1 if number % 2 else -1])

    def apart_db(other: BandLevels) -> float:
        return float(np.abs(np.subtract(as_rendered.rounded_db(), other.rounded_db())).max())

    assert apart_db(rounded) < LEVEL_TOLERANCE_DB / 5
    assert apart_db(exchanged) > 10 * LEVEL_TOLERANCE_DB


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
