"""The gate compares what a user gets: class, direction, answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.export.gate import (
    METRICS,
    Heard,
    describe_loss,
    failed,
    limits_for,
    losses,
    questions_about,
    score_hearing,
)
from earshot.export.gate_scenes import GateScene, Truth, gate_scenes
from earshot.runtime.errors import InputError
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.tokens import TokenRing
from earshot.runtime.labels import by_key, load_labels
from earshot.runtime.scene.sources import SourceEstimate
from earshot.runtime.scene.words import sector8

FIGURES = st.dictionaries(st.sampled_from(sorted(METRICS)), st.floats(0, 1), min_size=1)
KEYS = [label.key for label in load_labels()]


def heard(truths: list[tuple[str, float]], estimates: list[tuple[str, float, float]]) -> Heard:
    scene = GateScene(np.zeros((2, 1), np.float32), tuple(Truth(*truth) for truth in truths))
    sources = [
        SourceEstimate(
            label=by_key(key).name,
            confidence=confidence,
            azimuth_deg=azimuth,
            elevation_deg=0,
            distance_m=1,
            onset_s=0,
            offset_s=1,
        )
        for key, azimuth, confidence in estimates
    ]
    return Heard(scene, sources, TokenRing().tokens())


def test_singles_are_judged_by_the_surest_source_and_silence_is_a_guess() -> None:
    figures = score_hearing(
        [
            heard([("dog", 30)], [("dog", 34, 0.9), ("rain", 170, 0.3)]),
            heard([("dog", 30)], [("dog", 31, 0.2), ("rain", -150, 0.8)]),
            heard([("dog", 30)], []),
        ]
    )
    assert figures["top1"] == pytest.approx(1 / 3)
    assert figures["azimuth_error_deg"] == 90.0
    assert figures["azimuth_over_20deg"] == pytest.approx(2 / 3)


def test_pairs_need_the_right_class_in_the_right_place_once() -> None:
    right = heard([("dog", 30), ("rain", -90)], [("dog", 40, 0.9), ("rain", -85, 0.9)])
    swapped = heard([("dog", 30), ("rain", -90)], [("rain", 40, 0.9), ("dog", -85, 0.9)])
    one_for_two = heard([("dog", 30), ("dog", 35)], [("dog", 32, 0.9)])
    assert score_hearing([right]) == {"f1_20deg": 1.0}
    assert score_hearing([swapped]) == {"f1_20deg": 0.0}
    assert score_hearing([one_for_two])["f1_20deg"] == pytest.approx(2 / 3)


@given(FIGURES, FIGURES)
def test_what_one_lost_the_other_won_and_a_model_loses_nothing_to_itself(a: dict, b: dict) -> None:
    there, back = losses(a, b), losses(b, a)
    assert there == {name: pytest.approx(-value) for name, value in back.items()}
    assert failed(losses(a, a)) == []


def test_the_worst_figure_comes_first_and_less_error_is_better() -> None:
    reference = {"top1": 0.6, "azimuth_error_deg": 7.0, "answers": 0.5}
    loss = losses(reference, {"top1": 0.55, "azimuth_error_deg": 17.0, "answers": 0.49})
    assert failed(loss) == ["azimuth_error_deg", "top1"]
    assert describe_loss("top1", loss["top1"]) == "top1 loses 0.050, 0.010 allowed"


def test_a_figure_that_is_no_number_has_failed() -> None:
    assert failed({"top1": float("nan"), "answers": 0.0}) == ["top1"]


@given(st.sampled_from(KEYS), st.floats(-179.9, 180), st.integers(0, 1000))
def test_one_option_of_a_question_is_right_and_all_differ(key: str, azimuth_deg: float, number: int) -> None:
    (where, places, right), (_, names, named) = questions_about(Truth(key, azimuth_deg), number)
    assert by_key(key).spoken in where
    assert places[right] == sector8(azimuth_deg)
    assert names[named] == by_key(key).definite
    assert len(set(places)) == len(set(names)) == 4


def test_made_scenes_repeat_and_are_louder_on_the_side_of_their_source() -> None:
    scenes, again = gate_scenes(None, 8, 2), gate_scenes(None, 8, 2)
    assert [len(scene.sources) for scene in scenes] == [1] * 8 + [2] * 2
    for scene, other in zip(scenes, again, strict=True):
        np.testing.assert_array_equal(scene.audio, other.audio)
    sideways = [s for s in scenes[:8] if abs(np.sin(np.deg2rad(s.sources[0].azimuth_deg))) > 0.7]
    assert len(sideways) == 4
    for scene in sideways:
        left, right = np.square(scene.audio).sum(axis=1)
        assert (left > right) == (scene.sources[0].azimuth_deg > 0)
    apart = [angle_between_azimuths(*(source.azimuth_deg for source in scene.sources)) for scene in scenes[8:]]
    assert min(apart) > 90


@pytest.fixture
def stems(tmp_path: Path) -> Path:
    """Two scenes of 2 s: constant stems, so that a cut shows what was mixed."""
    shard = tmp_path / "shard-0000"
    shard.mkdir()
    sources = [
        {"label": "dog", "onset_s": 0.6, "offset_s": 1.4, "trajectory": [{"azimuth_deg": 90.0}]},
        {"label": "rain", "onset_s": 0.7, "offset_s": 1.9, "trajectory": [{"azimuth_deg": -30.0}]},
    ]
    (shard / "scenes.jsonl").write_text("".join(json.dumps({"sources": sources}) + "\n" for _ in range(2)))
    values = np.array([100, 10, 1], np.int16)[None, :, None, None] * np.ones((2, 3, 2, 32000), np.int16)
    np.save(shard / "stems.npy", values)
    np.save(shard / "scale.npy", np.array([0.001, 0.002], np.float32))
    return tmp_path


def test_stems_are_mixed_cut_and_scaled(stems: Path) -> None:
    scenes = gate_scenes(stems, 2, 1)
    assert [tuple(source.key for source in scene.sources) for scene in scenes] == [("dog",), ("rain",), ("dog", "rain")]
    assert [float(scene.audio[0, 0]) for scene in scenes] == pytest.approx([0.101, 0.022, 0.111])
    assert scenes[0].audio.shape == (2, round(1.8 * 16000))
    assert scenes[0].sources[0].azimuth_deg == 90.0


def test_a_shard_that_is_being_written_is_left_out(stems: Path) -> None:
    (stems / "shard-0001.partial").mkdir()
    assert len(gate_scenes(stems, 10, 10)) == 4


def test_what_is_no_stem_folder_is_refused(tmp_path: Path, stems: Path) -> None:
    with pytest.raises(InputError, match="holds no shard"):
        gate_scenes(tmp_path / "nothing", 1, 1)
    np.save(stems / "shard-0000" / "scale.npy", np.zeros(5, np.float32))
    with pytest.raises(InputError, match="do not belong together"):
        gate_scenes(stems, 1, 1)


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        ({"sources": []}, "no scene with a source"),
        ({}, "not a shard of rendered stems"),
        ({"sources": [{"label": "dog"}]}, "not a shard of rendered stems"),
        ({"sources": [{"label": "hum", "onset_s": 0, "offset_s": 1, "trajectory": [{"azimuth_deg": 0}]}]}, "'hum'"),
    ],
)
def test_scenes_that_no_gate_can_judge_by_are_refused(scene: dict, said: str, stems: Path) -> None:
    (stems / "shard-0000" / "scenes.jsonl").write_text(2 * (json.dumps(scene) + "\n"))
    with pytest.raises(InputError, match=said):
        gate_scenes(stems, 2, 1)


def test_one_answer_of_few_does_not_fail_a_gate_and_one_in_ten_of_many_does() -> None:
    assert failed({"answers": 1 / 30}, METRICS) == ["answers"]
    assert failed({"answers": 1 / 30}, limits_for(18)) == []
    assert failed({"answers": 0.1, "azimuth_error_deg": 1.5}, limits_for(400)) == ["answers", "azimuth_error_deg"]
    assert failed({"azimuth_error_deg": 1.5}, limits_for(18)) == ["azimuth_error_deg"]
