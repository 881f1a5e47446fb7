"""Dialogue-bench: the same stems give the same conversations, scores say what answers deserve, a real bundle is talked to."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from earshot.runtime.errors import InputError
from earshot.training.benchmark.dialogue_run import (
    DialogueBench,
    DialogueRequest,
    build_dialogue,
    freeze_dialogue,
    run_dialogue,
    score,
)
from earshot.training.questions.dialogues import KINDS
from tests.training.benchmark.conftest import write_manifest


@pytest.fixture(scope="module")
def bench(stems: Path, manifest: Path) -> DialogueBench:
    """A dozen conversations."""
    return build_dialogue(stems, "quick", manifest)


def test_kinds_come_in_even_shares(bench: DialogueBench) -> None:
    assert set(Counter(c.kind for c in bench.conversations).values()) == {len(bench.conversations) // len(KINDS)}


def test_the_same_stems_give_the_same_hash_and_another_is_told(
    bench: DialogueBench, stems: Path, tmp_path: Path
) -> None:
    manifest = write_manifest(tmp_path / "frozen.json")
    assert all(verdict.frozen for verdict in freeze_dialogue(stems, manifest))
    assert build_dialogue(stems, "quick", manifest).contents == bench.contents
    document = json.loads(manifest.read_text())
    document["dialogue"]["seed"] += 1
    manifest.write_text(json.dumps(document))
    predictions = tmp_path / "none.jsonl"
    predictions.write_text("")
    report = run_dialogue(DialogueRequest(stems, "quick", predictions=predictions, manifest=manifest))
    assert report["frozen"] is False
    assert "differ" in report["verdict"]


def test_true_answers_are_right_and_no_answers_are_wrong(bench: DialogueBench) -> None:
    turns = [turn for conversation in bench.conversations for turn in conversation.turns]
    report = score(bench.conversations, bench.clips, {t.item.id: {"answer": t.item.answer} for t in turns})
    assert report["first"]["right"]["value"] == report["follow_ups"]["right"]["value"] == 1.0
    assert "in_full" not in report
    report = score(bench.conversations, bench.clips, {})
    assert report["first"]["right"]["value"] == report["follow_ups"]["right"]["value"] == 0.0


def test_a_bundle_is_talked_to_and_its_answers_can_be_scored_again(
    bench: DialogueBench, stems: Path, manifest: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "answers.jsonl"
    request = DialogueRequest(stems, "quick", tiny_bundle, think=False, answers=kept, manifest=manifest)
    report = run_dialogue(request)
    lines = {line["id"]: line for line in map(json.loads, kept.read_text().splitlines())}
    turns = [turn for conversation in bench.conversations for turn in conversation.turns]
    follow_ups = [turn for turn in turns if turn.follows_up]
    assert len(lines) == 2 * len(turns) + len(follow_ups)
    assert all(lines[turn.item.id]["question"] == turn.item.question for turn in turns if not turn.follows_up)
    assert any(lines[turn.item.id]["question"] != turn.item.question for turn in follow_ups)
    again = run_dialogue(DialogueRequest(stems, "quick", predictions=kept, think=False, manifest=manifest))
    for part in ("hash", "first", "follow_ups", "in_full", "question_only", "by_kind", "left_alone"):
        assert again[part] == report[part]


def test_answers_to_other_conversations_are_refused(stems: Path, manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"id": "dialogue-9999-1", "answer": "yes"}\n')
    with pytest.raises(InputError, match="no turn of this benchmark"):
        run_dialogue(DialogueRequest(stems, "quick", predictions=path, manifest=manifest))
