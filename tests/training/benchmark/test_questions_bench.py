"""The four-option benchmark over stems made by rule: the same items every time, and all its controls."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.bundle.builtin import builtin_bundle_dir
from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.questions import Examiner, content_hash, make_questions, run_questions
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import SceneSettings


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes in the open."""
    folder = tmp_path_factory.mktemp("stems")
    settings = SceneSettings(duration_s=6.0, sources=4, free_share=1.0)
    write_shards(DataFolders(None), folder, "validation", settings, range(1), scenes_per_shard=4)
    return folder


def test_the_same_stems_give_the_same_questions(stems: Path) -> None:
    first, again = make_questions(stems, 20), make_questions(stems, 20)
    assert content_hash(first) == content_hash(again)
    assert content_hash(first) != content_hash(make_questions(stems, 20, seed=24))
    assert {len(q.item.choices or ()) for q in first} == {4}


def test_a_split_that_is_none_says_which_there_are(stems: Path) -> None:
    with pytest.raises(UsageError, match="paraphrase or train"):
        make_questions(stems, 20, split="validation")


def test_stems_that_nothing_can_be_asked_about_are_refused_and_not_searched_for_ever(
    stems: Path, tmp_path: Path
) -> None:
    shutil.copytree(stems / "shard-0000", tmp_path / "shard-0000")
    described = tmp_path / "shard-0000" / "scenes.jsonl"
    described.write_text(re.sub(r'"distance_m": [\d.]+', '"distance_m": null', described.read_text()))
    with pytest.raises(InputError, match="give other stems"):
        make_questions(tmp_path, 20)


def test_a_bundle_is_scored_under_every_condition(stems: Path, tiny_bundle: Path) -> None:
    report = run_questions(tiny_bundle, stems, count=20)
    assert set(report["controls"]) == {
        "question_only", "spatial_zeroed", "ears_swapped", "ear_swap_all_correct", "ideal_hearing",
    }  # fmt: skip
    assert sum(part["items"] for part in report["by_task"].values()) == report["items"] == 20
    assert report["controls"]["ear_swap_all_correct"]["overall"] <= report["overall"]


def test_ideal_ears_are_told_of_the_scene_and_nothing_else(stems: Path) -> None:
    examiner = Examiner(builtin_bundle_dir())
    question = next(q for q in make_questions(stems, 20) if q.scene["sources"])
    ideal, heard = examiner.ideally_heard(question, 1).embeddings, examiner.heard(question).embeddings
    assert len(ideal) > 0
    assert ideal.shape[1] == heard.shape[1]
    np.testing.assert_array_equal(ideal, examiner.ideally_heard(question, 1).embeddings)
    assert not np.array_equal(ideal, heard)
