"""What every question item promises, whatever the scene."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.language.prompt import (
    MAX_QUESTION_CHARS,
    build_prompt,
    normalise_text,
    parse_choice,
    parse_evidence,
)
from earshot.training.questions.generate import generate_items, item_stream, write_items
from earshot.training.questions.items import TASKS
from earshot.training.questions.phrasing import ask, phrasings
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.tasks_l2 import OPPOSITES, RELATIONS
from earshot.training.questions.think import understood
from earshot.training.questions.view import view_scene

ITEMS = list(itertools.islice(item_stream(11), 3000))


def test_every_task_and_level_occurs() -> None:
    assert {item.task for item in ITEMS} == set(TASKS)
    levels = Counter(item.level for item in ITEMS)
    assert all(0.28 < levels[level] / len(ITEMS) < 0.40 for level in ("L1", "L2", "L3"))


def test_choices_are_four_different_texts_and_the_answer_names_the_right_one() -> None:
    for item in ITEMS:
        if item.form != "choice":
            assert item.choices is None and item.choice is None
            continue
        assert item.choices is not None and item.choice is not None
        assert len(set(item.choices)) == 4
        assert parse_choice(item.answer, 4) == item.choice
        assert item.answer.endswith(item.choices[item.choice])


def test_questions_are_in_the_form_the_prompt_wants() -> None:
    for item in ITEMS:
        build_prompt(item.question, item.choices)
        assert normalise_text(item.question) == item.question
        assert len(item.question) <= MAX_QUESTION_CHARS
        assert "{" not in item.question and "{" not in item.answer


def test_evidence_states_the_scene_then_at_most_four_steps_then_the_option() -> None:
    rng = random.Random(5)
    for _ in range(200):
        scene = sample_scene(rng)
        for item in generate_items(scene, rng, 3):
            evidence = parse_evidence(item.think)
            assert sorted(e.label for e in evidence) == sorted(h.name for h in view_scene(scene).heard)
            assert [e.onset_s for e in evidence] == sorted(e.onset_s for e in evidence)
            conclusions = int(item.form == "choice")
            assert len(item.think.split("\n")) <= max(1, len(evidence)) + 5 + conclusions
            assert not conclusions or item.think.endswith(f"so {item.answer[3:]}")


def test_items_are_json_of_the_contract() -> None:
    record = json.loads(json.dumps(ITEMS[0].to_json()))
    assert set(record) == {
        "id", "scene", "level", "task", "form", "question", "choices", "answer", "choice", "think", "truth",
    }  # fmt: skip


def test_same_seed_gives_the_same_items() -> None:
    assert list(itertools.islice(item_stream(11), 50)) == ITEMS[:50]


def bare(text: str) -> str:
    return re.sub(r"[^a-z0-9{} ]", "", text.lower()).strip()


def test_held_out_phrasings_are_a_twentieth_to_a_quarter_and_never_used_in_training() -> None:
    train, held_out = phrasings("train"), phrasings("paraphrase")
    assert set(train) == set(held_out)
    for name in train:
        assert not set(map(bare, train[name])) & set(map(bare, held_out[name]))
        assert 0.05 <= len(held_out[name]) / len(train[name] + held_out[name]) <= 0.25, name
        # An hour of the clock face and a point of the compass are other words for a direction.
        texts = [re.sub("{(clock|compass)}", "{dir}", text) for text in train[name] + held_out[name]]
        slots = {tuple(sorted(set(re.findall(r"{\w+}", text)))) for text in texts}
        assert len(slots) == 1, name


def test_rewording_by_rule_never_arrives_at_a_held_out_phrasing() -> None:
    rng = random.Random(2)
    for name, texts in phrasings("paraphrase").items():
        if "{" in texts[0]:
            continue
        said = {bare(ask(name, {}, rng)) for _ in range(400)}
        assert not said & set(map(bare, texts)), name


def test_reasoning_begins_with_what_was_asked_in_words_that_are_always_the_same() -> None:
    placed = {"closer", "farther", "louder", "quieter", "earlier", "later"}
    beside = {
        "when": {"starts", "lasts", "heard_at"}, "apart": {"between"}, "side_count": {"side", "any_at"}, "what": {"where_all"},
        "where": placed, "distance": {"closer", "farther", "louder"},
        **{task: {opposite} for task, opposite in zip(RELATIONS, OPPOSITES, strict=True)},
    }  # fmt: skip
    kinds = {f"{understood(kind, {})} ": kind.partition(".")[0] for kind in sorted(phrasings("train"), key=len)}
    for item in ITEMS:
        line = item.think.split("\n")[len(parse_evidence(item.think)) or 1]
        found = [kind for start, kind in kinds.items() if f"{line} ".startswith(start)]
        assert found and found[-1] in {item.task, *beside.get(item.task, ())}, item


def test_scenes_are_not_written_over_by_questions_about_them(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes.jsonl"
    scenes.write_text(json.dumps(sample_scene(random.Random(0))) + "\n")
    before = scenes.read_text()
    with pytest.raises(UsageError, match="name another file"):
        write_items(scenes, scenes, 3, 3, 0, "train")
    assert scenes.read_text() == before


@pytest.mark.parametrize(
    "line",
    [
        "{bad",
        "[]",
        "7",
        '{"id": "x"}',
        '{"id": "x", "sources": [{"label": "dog"}]}',
        '{"id": "x", "sources": [{"label": "dog", "trajectory": []}]}',
        json.dumps(sample_scene(random.Random(3))).replace('"offset_s"', '"until"'),
        json.dumps(sample_scene(random.Random(3))).replace('"label": "', '"label": "un'),
    ],
)
def test_a_line_that_describes_no_scene_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_text(json.dumps(sample_scene(random.Random(0))) + f"\n{line}\n")
    with pytest.raises(InputError, match=r"scenes\.jsonl, line 2: no description of a scene"):
        write_items(tmp_path / "items.jsonl", tmp_path / "scenes.jsonl", 3, 3, 0, "train")
    assert not (tmp_path / "items.jsonl").exists()


def test_a_file_of_scenes_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"scenes\.jsonl: no text"):
        write_items(tmp_path / "items.jsonl", tmp_path / "scenes.jsonl", 3, 3, 0, "train")


def test_an_empty_scene_still_has_questions() -> None:
    rng = random.Random(0)
    scene = {**sample_scene(rng), "sources": []}
    items = [item for _ in range(30) for item in generate_items(scene, rng, 3)]
    assert {"presence", "count"} <= {item.task for item in items}
    assert all(item.think.startswith("nothing") for item in items)


def test_nothing_is_asked_by_name_where_two_sounds_have_the_same() -> None:
    made = random.Random(2)
    scene = next(s for s in (sample_scene(made) for _ in range(100)) if len(s["sources"]) == 3)
    twice = {**scene, "sources": [scene["sources"][0], {**scene["sources"][1], "label": scene["sources"][0]["label"]}]}
    assert generate_items(scene, random.Random(0), 5)
    assert generate_items(twice, random.Random(0), 30) == []


def test_nothing_is_asked_about_a_scene_that_does_not_state_its_distances(tmp_path: Path) -> None:
    """Those of some measured rooms: `earshot synth scenes --data` makes them."""
    made = random.Random(2)
    scenes = [s for s in (sample_scene(made, f"s{n}") for n in range(100)) if len(s["sources"]) == 2][:2]
    scenes[0]["sources"][0]["trajectory"][0]["distance_m"] = None
    (tmp_path / "scenes.jsonl").write_text("".join(json.dumps(scene) + "\n" for scene in scenes))
    assert write_items(tmp_path / "items.jsonl", tmp_path / "scenes.jsonl", 20, 3, 0, "train") > 0
    asked = [json.loads(line)["scene"] for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert set(asked) == {scenes[1]["id"]}
