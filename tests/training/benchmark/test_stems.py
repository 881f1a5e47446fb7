"""What benchmarks are made of: a word where training heard it, and stems of which nothing can be scored."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earshot.runtime.errors import InputError
from earshot.training.benchmark.asa_run import build_asa
from earshot.training.benchmark.dialogue_run import build_dialogue
from earshot.training.benchmark.everyday import make_everyday
from earshot.training.benchmark.hearing import run_hearing
from earshot.training.benchmark.questions import make_questions
from earshot.training.benchmark.seld_run import build_seld
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import MOVING_STEMS


def changed(stems: Path, out: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """A copy of stems with other descriptions."""
    shutil.copytree(stems, out)
    for path in out.glob("shard-*/scenes.jsonl"):
        scenes = [change(json.loads(line)) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(scene) + "\n" for scene in scenes))
    return out


BENCHES: dict[str, Callable[[Path, Path], Any]] = {
    "hearing": lambda data, manifest: run_hearing(None, data, 10, 5, 5, "random"),
    "questions": lambda data, manifest: make_questions(data, 4),
    "everyday": lambda data, manifest: make_everyday(data, 4),
    "asa": lambda data, manifest: build_asa(data, "quick", manifest),
    "seld": lambda data, manifest: build_seld(data, "quick", manifest),
    "dialogue": lambda data, manifest: build_dialogue(data, "quick", manifest),
}


@pytest.mark.parametrize("name", BENCHES)
def test_a_score_on_what_training_heard_is_not_given_without_a_word(
    name: str, stems: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BENCHES[name](stems, manifest)
    assert "training scenes" not in capsys.readouterr().err
    BENCHES[name](changed(stems, tmp_path / "train", lambda scene: {**scene, "split": "train"}), manifest)
    lines = [line for line in capsys.readouterr().err.splitlines() if "training scenes" in line]
    assert len(lines) == 1 and str(tmp_path / "train") in lines[0] and "--split validation" in lines[0]


def test_stems_of_one_source_are_scored_as_far_as_they_go(stems: Path, tmp_path: Path) -> None:
    lone = changed(stems, tmp_path / "lone", lambda scene: {**scene, "sources": scene["sources"][:1]})
    report = run_hearing(None, lone, 10, 5, 5, "random")
    assert report["single"]["clips"] == 5
    assert report["named_of_two"] is None and report["pairs"]["clips"] == 0
    assert not math.isnan(report["single"]["azimuth_mean_deg"])


def test_stems_in_which_all_moves_are_refused_in_one_line(tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "validation", MOVING_STEMS, range(1), scenes_per_shard=2)
    with pytest.raises(InputError, match="something moves in every shard"):
        run_hearing(None, tmp_path, 10, 5, 5, "random")
