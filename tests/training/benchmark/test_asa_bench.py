"""ASA-bench: what the set promises, and that scores say what answers deserve."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.asa_clips import AsaClip, draw_clips, mix, to_float, to_pcm
from earshot.training.benchmark.asa_items import make_asa_items
from earshot.training.benchmark.asa_probes import ROTATIONS, STRAIGHT, Controls, Probe, probes_of
from earshot.training.benchmark.asa_report import score
from earshot.training.benchmark.asa_run import AsaBench, AsaRequest, export_asa, run_asa
from earshot.training.benchmark.free_answers import judge_free
from earshot.training.questions.phrasing import phrasings
from tests.training.benchmark.conftest import ASA_SIZE

Lines = dict[str, dict[str, Any]]


def perfect(probes: list[Probe]) -> Lines:
    """The answers of a system that knows the truth of what it is asked."""
    lines: Lines = {}
    for probe in probes:
        text = probe.item.answer
        lines[probe.item.id] = {"id": probe.item.id, "answer": text, "choice": probe.item.choice}
    return lines


def scored(bench: AsaBench, lines: Lines, controls: Controls | None = None) -> dict[str, Any]:
    return score(bench.items, bench.clips, probes_of(bench.items, bench.clips, controls or Controls()), lines)


def test_the_set_has_the_sizes_it_promises(asa: AsaBench) -> None:
    levels = Counter(item.level for item in asa.items.choice)
    assert levels == {level: ASA_SIZE[level] for level in ("L1", "L2", "L3")}
    assert (len(asa.items.free), len(asa.items.absent)) == (ASA_SIZE["open"], ASA_SIZE["absent"])
    assert len({item.id for item in asa.items}) == len(list(asa.items))


def test_the_right_option_is_on_every_letter_equally_often(asa: AsaBench) -> None:
    for level in ("L1", "L2", "L3"):
        places = Counter(item.choice for item in asa.items.choice if item.level == level)
        assert max(places.values()) - min(places.values()) <= 1
        assert all((i.choices or ())[i.choice or 0] in i.answer for i in asa.items.choice)


def test_phrasings_are_held_out_from_training(asa: AsaBench) -> None:
    """Phrasings without a place for a sound are the same text every time."""
    held_out = {t.rstrip("?.").lower() for texts in phrasings("paraphrase").values() for t in texts if "{" not in t}
    trained = {t.rstrip("?.").lower() for texts in phrasings("train").values() for t in texts if "{" not in t}
    asked = {item.question.rstrip("?.").lower() for item in asa.items}
    assert asked & held_out
    assert not asked & (trained - held_out)


def test_twins_are_one_question_about_a_clip_with_and_one_without_the_sound(asa: AsaBench) -> None:
    labels = {clip.id: clip.labels for clip in asa.clips}
    for absent, present in zip(asa.items.absent, asa.items.present, strict=True):
        assert absent.question == present.question
        assert absent.truth["label"] == present.truth["label"]
        assert absent.truth["label"] not in labels[absent.scene]
        assert present.truth["label"] in labels[present.scene]


def test_free_questions_are_about_what_is_there_and_their_reference_is_right(asa: AsaBench) -> None:
    assert all(judge_free(item, item.answer) for item in asa.items.free)
    assert not any(item.truth.get("absent") for item in asa.items.free)


def test_the_reasoning_of_training_is_no_part_of_the_benchmark(asa: AsaBench) -> None:
    assert {item.think for item in asa.items} == {""}


def test_another_seed_asks_other_questions(asa: AsaBench) -> None:
    other = make_asa_items(asa.clips, ASA_SIZE, 99)
    assert {i.question for i in other} != {i.question for i in asa.items}


def test_clips_are_what_their_description_says(asa: AsaBench) -> None:
    for clip in asa.clips:
        samples = mix(asa.shards, clip)
        assert samples.shape == (2, round(clip.scene["duration_s"] * 16_000))
        assert 5.0 <= clip.scene["duration_s"] <= 10.0
        for source in clip.scene["sources"]:
            sounding = slice(round(source["onset_s"] * 16_000), round(source["offset_s"] * 16_000))
            assert samples[:, sounding].any()


def test_more_stems_in_a_mixture_are_added(asa: AsaBench) -> None:
    clip = next(c for c in asa.clips if len(c.scene["sources"]) >= 2)
    quiet = replace(clip, gains=tuple(0.02 * gain for gain in clip.gains))  # so that nothing is turned down

    def alone(stem: int) -> AsaClip:
        gains = tuple(gain if number == stem else 0.0 for number, gain in enumerate(quiet.gains))
        return replace(quiet, gains=gains)

    parts = sum(mix(asa.shards, alone(stem)).astype(int) for stem in range(len(clip.gains)))
    assert np.abs(parts - mix(asa.shards, quiet)).max() <= len(clip.gains)


def test_loud_audio_is_turned_down_and_16_bits_are_kept() -> None:
    loud = np.array([[3.0, -1.0], [0.0, 0.5]])
    assert np.abs(to_pcm(loud)).max() <= 32_767
    pcm = np.array([[-32_768, 32_767], [0, 1]], np.int16)
    assert np.array_equal(to_pcm(0.5 * to_float(pcm)), np.rint(pcm / 2).astype(np.int16))


def test_unknown_distances_cannot_be_asked_about(asa: AsaBench) -> None:
    shard = asa.shards[0]
    scenes = json.loads(json.dumps(shard.scenes))
    for scene in scenes:
        scene["sources"][0]["trajectory"][0]["distance_m"] = None
    with pytest.raises(InputError, match="earshot synth"):
        draw_clips([replace(shard, scenes=tuple(scenes))], 3, 0)


def test_too_few_stems_for_the_questions_is_one_line(asa: AsaBench) -> None:
    with pytest.raises(InputError, match="use more stems"):
        make_asa_items(asa.clips[:1], ASA_SIZE, 0)


def test_a_system_that_knows_everything_is_right_everywhere(asa: AsaBench) -> None:
    report = scored(asa, perfect(probes_of(asa.items, asa.clips, Controls())))
    assert report["choice"]["overall"]["value"] == 1.0
    assert report["controls"]["ear_swap_all_correct"]["overall"]["value"] == 1.0
    assert report["controls"]["rotation_all_correct"]["L3"]["value"] == 1.0
    assert report["open"]["all"]["value"] == 1.0
    assert report["absent"]["both_twins_right"]["value"] == 1.0
    assert (report["absent"]["all"]["hallucinated"]["value"], report["absent"]["all"]["falsely_denied"]["value"]) == (
        0,
        0,
    )


def test_direction_tasks_are_reported_apart_for_every_condition(asa: AsaBench) -> None:
    lines = perfect(probes_of(asa.items, asa.clips, Controls()))
    turned = {item.id for item in asa.items.choice if item.task == "turn"}
    for name in [name for name in lines if name.endswith("@spatial_zeroed") and name.split("@")[0] in turned]:
        lines[name]["choice"] = (lines[name]["choice"] + 1) % 4
    report = scored(asa, lines)
    assert report["choice"]["directions"]["value"] == 1.0
    assert (
        report["controls"]["spatial_zeroed"]["directions"]["value"]
        < report["controls"]["spatial_zeroed"]["overall"]["value"]
    )


def test_always_the_same_letter_fails_all_rotations(asa: AsaBench) -> None:
    probes = probes_of(asa.items, asa.clips, Controls())
    report = scored(asa, {p.item.id: {"id": p.item.id, "answer": "A", "choice": None} for p in probes})
    assert report["choice"]["overall"]["value"] == pytest.approx(0.25)
    assert report["controls"]["rotation_all_correct"]["overall"]["value"] == 0.0


def test_always_the_same_side_fails_the_ear_swap(asa: AsaBench) -> None:
    """A system that answers by the question alone gives the mirrored question the mirrored answer, or not: never both by luck."""
    lines = perfect(probes_of(asa.items, asa.clips, Controls()))
    for name in [name for name in lines if name.endswith("@ears_swapped")]:
        lines[name]["choice"] = (lines[name]["choice"] + 1) % 4
    report = scored(asa, lines)
    assert report["choice"]["overall"]["value"] == 1.0
    assert report["controls"]["ear_swap_all_correct"]["overall"]["value"] == 0.0


@pytest.mark.parametrize(
    ("text", "made_up", "denied"), [("I can't hear it.", 0.0, 1.0), ("Yes, 2 metres ahead.", 1.0, 0.0)]
)
def test_one_answer_to_all_twins_tells_none_apart(asa: AsaBench, text: str, made_up: float, denied: float) -> None:
    twins = (*asa.items.absent, *asa.items.present)
    report = scored(asa, {item.id: {"id": item.id, "answer": text, "choice": None} for item in twins})
    assert report["absent"]["all"]["hallucinated"]["value"] == made_up
    assert report["absent"]["all"]["falsely_denied"]["value"] == denied
    assert report["absent"]["both_twins_right"]["value"] == 0.0


def test_no_answers_are_no_right_answers(asa: AsaBench) -> None:
    report = scored(asa, {})
    assert report["choice"]["overall"]["value"] == 0.0
    assert report["open"]["all"]["value"] == 0.0
    assert report["absent"]["both_twins_right"]["value"] == 0.0
    assert report["controls"] == {}, "a control that was not put to the system is not reported"


@pytest.mark.parametrize("switch", list(vars(Controls())))
def test_each_control_is_one_switch(asa: AsaBench, switch: str) -> None:
    every = {p.condition for p in probes_of(asa.items, asa.clips, Controls())}
    fewer = {p.condition for p in probes_of(asa.items, asa.clips, replace(Controls(), **{switch: False}))}
    only = {p.condition for p in probes_of(asa.items, asa.clips, replace(Controls.none(), **{switch: True}))}
    gone = every - fewer
    assert gone
    assert only == gone | {STRAIGHT}
    assert gone == set(ROTATIONS) or len(gone) == 1


def test_other_audio_is_of_another_stem_scene(asa: AsaBench) -> None:
    origin = {clip.id: clip.origin for clip in asa.clips}
    others = [p for p in probes_of(asa.items, asa.clips, Controls()) if p.condition == "other_scene"]
    assert others
    assert all(origin[p.clip] != origin[p.item.scene] for p in others)


@pytest.mark.parametrize("name", ["random", "majority", "gcc"])
def test_baselines_answer_everything(stems: Path, manifest: Path, asa: AsaBench, name: str) -> None:
    report = run_asa(AsaRequest(stems, "quick", baseline=name, manifest=manifest))
    assert report["hash"] == asa.contents.hash
    assert report["stems"] == "procedural"
    assert 0.0 <= report["choice"]["overall"]["value"] <= 1.0
    assert report["absent"]["both_twins_right"]["value"] < 1.0
    json.dumps(report, allow_nan=False)


def test_an_unknown_baseline_says_which_there_are(stems: Path, manifest: Path) -> None:
    with pytest.raises(UsageError, match="gcc, random, majority"):
        run_asa(AsaRequest(stems, "quick", baseline="oracle", manifest=manifest))


@pytest.mark.parametrize("option", ["answers", "plots"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_asked(
    option: str, manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written"):
        run_asa(AsaRequest(tmp_path / "no stems", manifest=manifest, **{option: tmp_path / "file" / "x"}))
    assert (tmp_path / "file").read_text() == "mine"


def test_exported_items_answered_by_their_truth_score_fully(stems: Path, manifest: Path, tmp_path: Path) -> None:
    request = AsaRequest(stems, "quick", manifest=manifest, plots=tmp_path / "plots")
    exported = Path(export_asa(request, tmp_path / "items")["items"])
    items = [json.loads(line) for line in exported.read_text().splitlines()]
    assert not any({"answer", "choice", "truth"} & item.keys() for item in items), "the truth is kept apart"
    audio, rate = soundfile.read(exported.parent / items[0]["audio"], dtype="int16")
    assert (rate, audio.shape[1]) == (16_000, 2)
    truth = [json.loads(line) for line in (exported.parent / "truth.jsonl").read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json.dumps({"id": t["id"], "answer": t["answer"], "choice": t["choice"]}) + "\n" for t in truth)
    )
    report = run_asa(replace(request, predictions=answers))
    assert report["choice"]["overall"]["value"] == 1.0
    assert report["controls"]["swap_and_rotation_all_correct"]["overall"]["value"] == 1.0
    assert report["absent"]["both_twins_right"]["value"] == 1.0
    assert (tmp_path / "plots" / "accuracy_by_task.png").stat().st_size > 1000


def test_exported_audio_is_the_hashed_audio_and_swapped_ears_are_swapped(
    asa: AsaBench, stems: Path, manifest: Path, tmp_path: Path
) -> None:
    export_asa(AsaRequest(stems, "quick", manifest=manifest), tmp_path)
    clip = asa.clips[0]
    straight, _ = soundfile.read(tmp_path / "audio" / f"{clip.id}.wav", dtype="int16")
    swapped, _ = soundfile.read(tmp_path / "audio" / f"{clip.id}-swapped.wav", dtype="int16")
    assert np.array_equal(straight.T, mix(asa.shards, clip))
    assert np.array_equal(swapped, straight[:, ::-1])


def test_answers_to_other_questions_are_refused(stems: Path, manifest: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"id": "choice-9999", "answer": "A"}\n')
    with pytest.raises(InputError, match="choice-9999"):
        run_asa(AsaRequest(stems, "quick", predictions=answers, manifest=manifest))
