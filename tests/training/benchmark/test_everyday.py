"""Everyday questions: strangers' words, kinds in even shares, understanding and hearing apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from earshot.runtime.errors import InputError
from earshot.training.benchmark.everyday import CONVERSE, FIGURES, content_hash, make_everyday, run_everyday, strangers
from earshot.training.questions.phrasing import bare, phrasings
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import SceneSettings


def test_no_wording_is_one_of_training() -> None:
    trained = {bare(wording) for wordings in phrasings("train").values() for wording in wordings}
    assert not trained & {bare(wording) for wordings in strangers().values() for wording in wordings}
    assert all(strangers().values()), "a kind without a wording left"


def test_the_same_stems_give_the_same_questions_in_even_shares(stems: Path) -> None:
    first, again = make_everyday(stems, 120), make_everyday(stems, 120)
    assert content_hash(first) == content_hash(again) != content_hash(make_everyday(stems, 120, seed=7))
    assert len(first) == 120 and not any(one.question.item.choices for one in first)
    kinds = Counter(one.kind for one in first)
    assert len(kinds) > 35 and max(kinds.values()) <= 8, kinds


def test_what_is_asked_is_stated_in_one_fixed_form(stems: Path) -> None:
    for one in make_everyday(stems, 120):
        assert all(line.startswith("asked: ") for line in one.meanings)
        name, _, form = one.kind.partition(".")
        assert len(one.meanings) == (2 if name == "between" or (form == "yesno" and name in CONVERSE) else 1)
        assert "{" not in one.question.item.question


def test_yes_is_about_as_often_right_as_no(stems: Path) -> None:
    truths = Counter(
        (one.kind, bool(one.question.item.truth["yes"]))
        for one in make_everyday(stems, 400)
        if "yes" in one.question.item.truth
    )
    yes, no = (sum(count for (_, truth), count in truths.items() if truth is said) for said in (True, False))
    assert 0.4 < yes / (yes + no) < 0.6
    # These stems hardly move: without balance every question whether anything does would be answered by no.
    assert truths["moving.any", False] <= 2 + 1.1 * truths["moving.any", True]


def test_a_bundle_is_asked_with_its_own_ears_and_ideal_ones(stems: Path, tiny_bundle: Path) -> None:
    report = run_everyday(tiny_bundle, stems, count=20)
    assert sum(part["items"] for part in report["by_kind"].values()) == report["items"] == 20
    for name in FIGURES:
        mean = sum(part[name] * part["items"] for part in report["by_kind"].values()) / 20
        assert report[name]["value"] == pytest.approx(mean)


def test_stems_that_nothing_can_be_asked_about_are_refused(tmp_path: Path) -> None:
    settings = SceneSettings(duration_s=2.0, sources=1, free_share=1.0)
    write_shards(DataFolders(None), tmp_path, "validation", settings, range(1), scenes_per_shard=1)
    described = tmp_path / "shard-0000" / "scenes.jsonl"
    described.write_text(described.read_text().replace('"distance_m": ', '"distance_m": null, "was": '))
    with pytest.raises(InputError, match="give other stems"):
        make_everyday(tmp_path, 20)
