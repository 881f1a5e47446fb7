"""Continuous scenes: their truth is what sounds, and scores are full for the truth and empty for silence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.asa_clips import to_float
from earshot.training.benchmark.command import app
from earshot.training.benchmark.frame_tables import FrameTable, table_of
from earshot.training.benchmark.seld_report import records_of, report
from earshot.training.benchmark.seld_run import SeldBench, SeldRequest, export_seld, run_seld, write_table
from earshot.training.benchmark.seld_scenes import MOST_AT_ONCE, audible_spans, draw_scenes, mix_scene
from earshot.training.benchmark.seld_systems import baseline_table, hear_scenes, tracks_of


def test_no_more_than_three_at_once_and_each_source_stays_where_it_is(seld: SeldBench) -> None:
    scenes = draw_scenes(seld.shards, 6, 30, 4)
    at_once: list[int] = []
    for scene in scenes:
        truth = scene.truth()
        at_once += np.bincount(truth.frame).tolist()
        assert truth.frame.max() < 300
        for label in np.unique(truth.class_id):
            assert len(np.unique(truth.azimuth_deg[truth.class_id == label])) == 1
    assert max(at_once) <= MOST_AT_ONCE
    assert 2 in at_once, "sources overlap"


def test_the_truth_is_louder_than_the_rest(seld: SeldBench) -> None:
    scene = seld.scenes[0]
    audio = mix_scene(seld.shards, scene).astype(float)
    power = (audio.reshape(2, -1, 1600) ** 2).sum(axis=(0, 2))
    sounding = np.isin(np.arange(len(power)), scene.truth().frame)
    assert sounding.any()
    assert not sounding.all()
    assert np.median(power[sounding]) > 2 * np.median(power[~sounding])


def test_audible_spans_bridge_short_pauses_only() -> None:
    signal = np.zeros((2, 40 * 1600))
    for first, last in ((2, 5), (8, 10), (20, 22)):  # pauses of 0.3 s and 1 s
        signal[:, first * 1600 : last * 1600] = 0.5
    signal[:, 30 * 1600 : 31 * 1600] = 0.5 * 10 ** (-35 / 20)  # more than 30 dB down
    assert audible_spans(signal) == [(2, 10), (20, 22)]
    assert audible_spans(np.zeros((2, 16_000))) == []


def test_the_background_goes_on_without_a_gap(seld: SeldBench) -> None:
    scene = replace(seld.scenes[0], events=())
    audio = mix_scene(seld.shards, scene).astype(float)
    levels = np.sqrt((audio.reshape(2, -1, 1600) ** 2).mean(axis=(0, 2)))
    assert levels.min() > 0.3 * np.median(levels)


def test_the_truth_scores_fully(seld: SeldBench) -> None:
    figures = report(seld.scenes, [scene.truth() for scene in seld.scenes])
    assert figures["dcase"]["f20_macro"]["value"] == 1.0
    assert figures["dcase"]["er20"]["value"] == 0.0
    assert figures["dcase"]["doae_deg"]["value"] == pytest.approx(0.0, abs=1e-3)
    assert figures["static"]["found"]["value"] == 1.0
    assert figures["static"]["mae_deg"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert figures["static"]["distance_over_half_m"]["value"] == 0.0
    assert 0 < figures["level"]["sources"] <= figures["static"]["sources"]
    assert sum(row["clips"] for row in figures["by_factor"]["sources"].values()) == figures["static"]["sources"]


def test_silence_finds_nothing(seld: SeldBench) -> None:
    figures = report(seld.scenes, [table_of([]) for _ in seld.scenes])
    assert figures["dcase"]["f20_macro"]["value"] == 0.0
    assert figures["dcase"]["er20"]["value"] == 1.0
    assert figures["static"]["found"]["value"] == 0.0
    assert figures["static"]["mae_missed_as_guess_deg"]["value"] == 90.0
    assert figures["static"]["mae_deg"]["value"] is None


def turned(table: FrameTable, angle_deg: float) -> FrameTable:
    return replace(table, azimuth_deg=table.azimuth_deg + angle_deg)


def test_a_constant_error_of_direction_is_measured(seld: SeldBench) -> None:
    figures = report(seld.scenes, [turned(scene.truth(), 12.0) for scene in seld.scenes])
    assert figures["static"]["mae_deg"]["value"] == pytest.approx(12.0)
    assert figures["static"]["er20"]["value"] == 0.0
    further = report(seld.scenes, [turned(scene.truth(), 25.0) for scene in seld.scenes])
    assert further["static"]["er20"]["value"] == 1.0


def test_a_localiser_that_misnames_everything_is_judged_where_sources_are_alone(seld: SeldBench) -> None:
    guesses = [replace(t, class_id=(t.class_id + 1) % 61) for t in (scene.truth() for scene in seld.scenes)]
    assert all(record["heard_label"] is None for record in records_of(seld.scenes, guesses))
    alone = records_of(seld.scenes, guesses, alone=True)
    assert alone
    assert all(r["heard_azimuth_deg"] == pytest.approx(r["azimuth_deg"]) for r in alone)


def test_exported_truth_read_back_as_a_prediction_scores_fully(stems: Path, manifest: Path, tmp_path: Path) -> None:
    request = SeldRequest(stems, "quick", manifest=manifest, plots=tmp_path / "plots")
    export_seld(request, tmp_path / "items")
    assert (tmp_path / "items" / "classes.csv").read_text().startswith("class,key,name")
    assert len(list((tmp_path / "items" / "audio").glob("*.wav"))) == 2
    result = run_seld(replace(request, predictions=tmp_path / "items" / "truth"))
    assert result["dcase"]["f20_macro"]["value"] == 1.0
    assert result["static"]["mae_deg"]["value"] < 0.6, "whole degrees"
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {"azimuth_error.png", "front_back.png"}
    json.dumps(result, allow_nan=False)


def test_a_missing_prediction_is_named(seld: SeldBench, stems: Path, manifest: Path, tmp_path: Path) -> None:
    write_table(tmp_path / f"{seld.scenes[0].id}.csv", seld.scenes[0].truth())
    with pytest.raises(InputError, match=r"seld-0001\.csv \(1 of 2 missing\)"):
        run_seld(SeldRequest(stems, "quick", predictions=tmp_path, manifest=manifest))
    with pytest.raises(UsageError, match="choose one"):
        run_seld(SeldRequest(stems, "quick", predictions=tmp_path, baseline="gcc", manifest=manifest))


def test_a_bundle_is_heard_alike_by_any_number_of_processes(seld: SeldBench, stems: Path, tiny_bundle: Path) -> None:
    alone = list(hear_scenes(seld.scenes, tiny_bundle, stems))
    both = list(hear_scenes(seld.scenes, tiny_bundle, stems, workers=2))
    for one, two in zip(alone, both, strict=True):
        assert np.array_equal(one.frame, two.frame)
        assert np.array_equal(one.azimuth_deg, two.azimuth_deg)


def test_tracks_are_those_of_the_live_path_at_ten_a_second(tiny_bundle: Path) -> None:
    from earshot.runtime.hearing.encoders import Encoders

    encoders = Encoders()
    encoders.load(tiny_bundle)
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 48_000)).astype(np.float32)
    table = tracks_of(encoders, noise)
    assert set(table.frame.tolist()) <= set(range(30))
    assert np.array_equal(table.azimuth_deg, table.azimuth_deg.round()), "whole degrees, as in the csv"


def test_baselines_speak_when_something_sounds(seld: SeldBench, stems: Path, manifest: Path) -> None:
    quiet = np.random.default_rng(0).standard_normal((2, 80_000)).astype(np.float32) * 1e-3
    quiet[:, 32_000:48_000] *= 100
    from earshot.training.benchmark.baselines import random_listener

    assert set(baseline_table(random_listener(), quiet).frame.tolist()) == set(range(20, 30))
    assert to_float(mix_scene(seld.shards, seld.scenes[0])).dtype == np.float32
    result = run_seld(SeldRequest(stems, "quick", baseline="majority", manifest=manifest))
    assert 0.0 <= result["dcase"]["f20_macro"]["value"] < 1.0


@pytest.mark.parametrize(("name", "heading"), [("asa", "four options"), ("seld", "near ear height")])
def test_the_command_prints_tables_and_ends_with_one_json_document(stems: Path, name: str, heading: str) -> None:
    outcome = CliRunner().invoke(app, [name, "--data", str(stems), "--quick", "--baseline", "random"])
    assert outcome.exit_code == 0, outcome.output
    document = json.loads(outcome.stdout.splitlines()[-1])
    assert document["benchmark"] == name
    assert document["hash"] in document["verdict"]
    assert heading in outcome.stderr
