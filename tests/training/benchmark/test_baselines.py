"""Baselines: the classical one hears directions of heads it does not know, the others know nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from earshot.runtime.errors import UsageError
from earshot.runtime.labels import by_key
from earshot.training.benchmark.baselines import (
    CueTable,
    baseline_listener,
    cue_table,
    gcc_listener,
    interaural_cues,
    majority,
    random_listener,
)
from earshot.training.benchmark.command import app
from earshot.training.benchmark.statistics import lateral_deg
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, parametric_head
from earshot.training.synthesis.rooms import free_field_ir
from earshot.training.synthesis.scenes import SceneSettings


@pytest.fixture(scope="module")
def table() -> CueTable:
    return cue_table([parametric_head(np.random.default_rng(seed), str(seed)) for seed in (1, 2)])


def at_the_ears(azimuth_deg: float, seed: int = 0) -> np.ndarray:
    """Half a second of noise from a direction, heard through a head that is not in the table."""
    head = parametric_head(np.random.default_rng(77), "unknown")
    angle = np.deg2rad(azimuth_deg)
    response = free_field_ir(head, np.array([np.cos(angle), np.sin(angle), 0], np.float32), 1.0)
    noise = np.random.default_rng(seed).standard_normal(8000)
    return np.stack([np.convolve(noise, ear) for ear in response]).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(-20, 20).filter(lambda lag: abs(lag) <= 14))
def test_the_delay_of_a_shifted_copy_is_found(lag: int) -> None:
    noise = np.random.default_rng(3).standard_normal(6000)
    ears = np.stack([noise[100:5100], noise[100 - lag : 5100 - lag]])  # the right ear hears lag samples later
    assert interaural_cues(ears).delay_s == pytest.approx(lag / SAMPLE_RATE_HZ, abs=0.07 / SAMPLE_RATE_HZ)


def test_level_differences_are_in_decibels() -> None:
    noise = np.random.default_rng(3).standard_normal(6000)
    assert interaural_cues(np.stack([2 * noise, noise])).level_db == pytest.approx(20 * np.log10(2), abs=1e-6)


def test_exchanged_ears_exchange_the_signs() -> None:
    audio = at_the_ears(50)
    straight, swapped = interaural_cues(audio), interaural_cues(audio[::-1])
    assert straight.delay_s == pytest.approx(-swapped.delay_s)
    assert straight.level_db == pytest.approx(-swapped.level_db)


@pytest.mark.parametrize("azimuth_deg", [-90, -60, -30, 0, 30, 60, 90, 120, 180])
def test_the_side_of_a_source_is_found_through_an_unknown_head(table: CueTable, azimuth_deg: int) -> None:
    (heard,) = gcc_listener(table, "Dog", 1.0)(at_the_ears(azimuth_deg))
    assert abs(lateral_deg(heard.azimuth_deg) - lateral_deg(azimuth_deg)) <= 20


def test_silence_and_a_click_are_heard_without_failing(table: CueTable) -> None:
    click = np.zeros((2, 300), np.float32)
    for audio in (np.zeros((2, 16_000), np.float32), click):
        assert len(gcc_listener(table, "Dog", 1.0)(audio)) == 1


def source(key: str, azimuth_deg: float, distance_m: float | None) -> dict[str, object]:
    return {"label": key, "trajectory": [{"azimuth_deg": azimuth_deg, "distance_m": distance_m}]}


def test_the_majority_is_worked_out() -> None:
    truths = [source("dog", 60, 1.0), source("dog", 70, 3.0), source("cat", 65, None)]
    assert majority(truths) == (by_key("dog").name, 65.0, 2.0)


def test_a_guess_is_as_wrong_as_a_guess_is() -> None:
    listen = random_listener()
    azimuths = np.array([listen(np.zeros((2, 100), np.float32))[0].azimuth_deg for _ in range(500)])
    assert np.abs(azimuths).mean() == pytest.approx(90, abs=8)


def test_an_unknown_baseline_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="gcc, random, majority"):
        baseline_listener("oracle", [source("dog", 0, 1.0)])


def test_the_bench_scores_baselines_on_the_same_clips(tmp_path: Path) -> None:
    write_shards(
        DataFolders(None), tmp_path / "data", "validation", SceneSettings(duration_s=4.0, sources=4), range(1), 5
    )
    reports = {}
    for name in ("gcc", "random"):
        result = CliRunner().invoke(
            app, ["hearing", "--data", str(tmp_path / "data"), "--baseline", name, "--singles", "15", "--pairs", "5",
                  "--plots", str(tmp_path / name)],
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        reports[name] = json.loads(result.stdout.splitlines()[-1])
    gcc, guess = reports["gcc"], reports["random"]
    assert gcc["system"] == "gcc"
    assert gcc["single"]["clips"] == guess["single"]["clips"] == 15
    assert gcc["single"]["lateral_mean_deg"] < guess["single"]["lateral_mean_deg"]
    assert gcc["intervals"]["azimuth_mean_deg"]["value"] == pytest.approx(gcc["single"]["azimuth_mean_deg"])
    assert gcc["intervals"]["top1"]["scenes"] == 5
    assert sum(row["clips"] for row in gcc["by_factor"]["distance_m"].values()) == 15
    assert (tmp_path / "gcc" / "front_back.png").stat().st_size > 1000


def test_neither_bundle_nor_baseline_is_wrong_use(tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "validation", SceneSettings(duration_s=4.0, sources=4), range(1), 1)
    result = CliRunner().invoke(app, ["hearing", "--data", str(tmp_path), "--singles", "10"])
    assert isinstance(result.exception, UsageError)
