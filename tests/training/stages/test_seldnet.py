"""Training the SELDnet baselines: targets of remixes, a loss that does not care for the order, runs that resume."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from typer.testing import CliRunner

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.command import app as bench
from earshot.training.benchmark.seld_run import SeldRequest, run_seld
from earshot.training.benchmark.seld_scenes import audible_spans
from earshot.training.benchmark.seldnet_system import SeldnetSystem, summarized
from earshot.training.models.seldnet import STAGE, TRACKS, Seldnet, SeldnetConfig, load_seldnet, save_config
from earshot.training.models.seldnet_hear import Heard, outputs_of
from earshot.training.stages import seldnet as stage
from earshot.training.stages.command import app as train
from earshot.training.stages.loop import LoopSettings
from earshot.training.stages.remix import Batch, Remixer, RemixSettings
from earshot.training.stages.remix_ahead import RemixedBatches
from earshot.training.stages.seldnet_loss import SeldTargets, adpit_loss, bridged, targets_of
from earshot.training.stages.seldnet_score import choose_threshold, score_batches
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import SceneSettings
from tests.training.benchmark.conftest import write_manifest
from tests.training.stages.conftest import rows

SCENES = SceneSettings(duration_s=5.0, sources=4, free_share=1.0)
REMIX = RemixSettings(frames=50)
LOOP = LoopSettings(steps=4, log_steps=1, precision="fp32", warmup_steps=1, checkpoint_s=0.0, learning_rate=1e-3)
TINY = SeldnetConfig(filters=8, hidden=16, heads=2, recurrent=1, attention=1, dropout=0.2)
SETTINGS = stage.SeldnetSettings(LOOP, TINY, batch=2, scored_batches=1, remix=REMIX)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny shard per split, sounds and heads made by rule, in free field."""
    folder = tmp_path_factory.mktemp("stems")
    for split, count in (("train", 2), ("validation", 4)):
        write_shards(DataFolders(None), folder / split, split, SCENES, range(1), scenes_per_shard=count)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def batch(data: Path) -> Batch:
    return next(Remixer(data / "train", replace(REMIX, source_counts=(0.3, 0.4, 0.3))).batches(6, 3))


def test_targets_are_those_of_the_remix_at_ten_a_second(batch: Batch) -> None:
    targets = targets_of(batch)
    assert targets.active.shape == (6, 20, 4) and targets.active.any()
    assert not targets.active.transpose(1, 2)[batch.present == 0].any()
    # A source that stands still is at one place in all frames, whatever their rate.
    assert torch.equal(targets.direction[:, 7], batch.direction[:, :, 3])
    assert torch.allclose(targets.distance_m[:, 7].log(), batch.log_distance[:, :, 3], equal_nan=True)
    sounding_s = targets.active.sum(1) * 0.1 - batch.active.sum(-1) * 0.04
    assert sounding_s.min() > -0.2, "pauses are filled, nothing is lost but the edges of frames"


def test_a_frame_sounds_when_one_frame_of_the_encoders_lies_in_it(batch: Batch) -> None:
    active = torch.zeros_like(batch.active)
    active[0, 0, 20] = active[1, 0, 22] = 1.0  # 0.80-0.84 s, 0.88-0.92 s: half of the latter in each of two frames
    found = targets_of(replace(batch, active=active, present=torch.ones_like(batch.present))).active
    assert found.nonzero().tolist() == [[0, 8, 0]]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_pauses_are_filled_as_in_the_truth_of_the_benchmark(sounds: list[bool]) -> None:
    signal = np.repeat(np.array(sounds, float), 1600)[None].repeat(2, axis=0)
    wanted = np.zeros(len(sounds), bool)
    for first, last in audible_spans(signal):
        wanted[first:last] = True
    assert bridged(torch.tensor(sounds)[None, None])[0, 0].tolist() == wanted.tolist()


def random_targets(seed: int, classes: int = 3) -> tuple[torch.Tensor, SeldTargets]:
    """What a network might say, and sources of which several may be of one class."""
    generator = torch.Generator().manual_seed(seed)
    output = torch.rand(2, 4, TRACKS, 4, classes, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(2, 4, 3, 3, generator=generator), dim=-1)
    distance = torch.rand(2, 4, 3, generator=generator) * 5 + 0.3
    distance[:, :, 2] = torch.nan
    known = torch.randint(classes, (2, 3), generator=generator)
    return output, SeldTargets(known, torch.rand(2, 4, 3, generator=generator) > 0.4, directions, distance)


def written_out(output: torch.Tensor, targets: SeldTargets) -> float:
    """The loss frame by frame and class by class, with all ways to give sources to tracks tried in turn."""
    total = 0.0
    frames = list(itertools.product(range(output.shape[0]), range(output.shape[1])))
    for b, t in frames:
        for label in range(output.shape[-1]):
            tracks = output[b, t, :, :, label]
            here = [q for q in range(3) if targets.active[b, t, q] and targets.classes[b, q] == label]
            ways = [w for w in itertools.product(here, repeat=TRACKS) if set(w) == set(here)]
            costs = [sum(cost(track, targets, b, t, q) for track, q in zip(tracks, way, strict=True)) for way in ways]
            total += min(costs) if costs else float(tracks[:, :3].square().sum())
    return total / TRACKS / len(frames)


def cost(track: torch.Tensor, targets: SeldTargets, b: int, t: int, q: int) -> float:
    far = (track[3] - targets.distance_m[b, t, q]) / targets.distance_m[b, t, q]
    return float((track[:3] - targets.direction[b, t, q]).square().sum()) + float(torch.nan_to_num(far**2))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_the_loss_is_the_least_over_all_ways_to_give_sources_to_tracks(seed: int) -> None:
    output, targets = random_targets(seed)
    assert float(adpit_loss(output, targets)) == pytest.approx(written_out(output, targets), rel=1e-4)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.permutations(range(3)), st.permutations(range(3)))
def test_the_order_of_tracks_and_of_sources_does_not_matter(seed: int, tracks: list[int], sources: list[int]) -> None:
    output, targets = random_targets(seed)
    other = SeldTargets(
        targets.classes[:, sources], targets.active[..., sources], targets.direction[:, :, sources],
        targets.distance_m[..., sources],
    )  # fmt: skip
    assert torch.allclose(adpit_loss(output[:, :, tracks], other), adpit_loss(output, targets), rtol=1e-5)


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_the_truth_costs_nothing_and_every_error_has_a_gradient(seed: int, order: list[int]) -> None:
    _, targets = random_targets(seed, classes=61)
    targets = replace(targets, classes=torch.tensor([[4, 9, 60], [5, 5, 5]]), distance_m=torch.full((2, 4, 3), 2.0))
    output = torch.zeros(2, 4, TRACKS, 4, 61)
    for b, t in itertools.product(range(2), range(4)):
        for label in set(targets.classes[b].tolist()):
            here = [q for q in range(3) if targets.active[b, t, q] and targets.classes[b, q] == label]
            for track, q in zip(order, itertools.cycle(here), strict=False) if here else ():
                output[b, t, track, :3, label] = targets.direction[b, t, q]
                output[b, t, track, 3, label] = 2.0
    assert float(adpit_loss(output, targets)) == pytest.approx(0.0, abs=1e-9)
    wrong = (output + 0.1).requires_grad_()
    adpit_loss(wrong, targets).backward()
    assert torch.isfinite(wrong.grad).all()
    assert (wrong.grad[..., :3, :] != 0).all(), "vectors of silent classes are pulled to 0"
    assert not wrong.grad[:, :, :, 3, 30].any(), "distances of silent classes are free"


def test_a_step_has_one_batch_whichever_steps_were_asked_for_before(data: Path) -> None:
    batches = RemixedBatches(Remixer(data / "train", REMIX), 2, 5)
    second = [batches(step).audio for step in range(3)][2]
    again = RemixedBatches(Remixer(data / "train", REMIX), 2, 5)
    assert torch.equal(again(2).audio, second)
    assert not torch.equal(again(3).audio, second)
    batches.close()
    again.close()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a stop."""
    out = tmp_path_factory.mktemp("whole")
    list(stage.run(data, out, SETTINGS))
    return out


def test_a_stopped_run_ends_as_one_that_was_not_stopped(data: Path, whole: Path, tmp_path: Path) -> None:
    list(itertools.islice(stage.run(data, tmp_path, SETTINGS), 3))
    assert json.loads((tmp_path / "state" / "state.json").read_text())["step"] == 2
    list(stage.run(data, tmp_path, SETTINGS))
    for name in ("model", "raw"):
        first, second = (load_file(folder / f"{name}.safetensors") for folder in (whole, tmp_path))
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert rows(tmp_path / "validation.csv")[-1] == rows(whole / "validation.csv")[-1]


def test_the_curve_has_a_line_for_every_checkpoint(whole: Path) -> None:
    curve = rows(whole / "validation.csv")
    assert [row["step"] for row in curve] == ["1", "2", "3", "4", "4"]
    assert {"threshold", "one_f20", "one_azimuth", "one_top1", "two_flips", "two_far"} <= set(curve[0])
    assert all(0.0 <= float(row["one_top1"]) <= 1.0 for row in curve)


def test_a_run_does_not_go_on_with_other_features(data: Path, whole: Path) -> None:
    with pytest.raises(InputError, match="gcc"):
        next(stage.run(data, whole, replace(SETTINGS, config=replace(TINY, features="salsa-lite"))))


def test_a_network_learns_what_sounds_where(data: Path) -> None:
    """By heart: one batch, until it is known."""
    torch.manual_seed(0)
    one = next(Remixer(data / "train", replace(REMIX, source_counts=(1, 0, 0))).batches(4, 1))
    model = Seldnet(replace(TINY, filters=16, hidden=32, dropout=0.0)).train()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    before = score_batches(model.eval(), [one], 0.5)
    for _ in range(130):
        loss, _ = stage.loss_of(model.train(), one)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = score_batches(model.eval(), [one], 0.5)
    assert before["f20"] < 0.1 and after["f20"] > 0.6
    assert after["top1"] == 1.0 and after["azimuth"] < 20.0
    assert choose_threshold(model, [one]) in np.round(np.arange(0.2, 0.71, 0.05), 2)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps by the command, with the features that the other tests do not take."""
    run = tmp_path_factory.mktemp("runs") / "salsa"
    outcome = CliRunner().invoke(
        train, ["seldnet", "--data", str(data), "--run", str(run), "--features", "salsa-lite", "--steps", "3",
                "--threads", "1", "--precision", "fp32", "--batch", "2", "--scored-batches", "1"],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout.splitlines()[-1])["stage"] == "seldnet"
    return run


def test_the_command_trains_the_network_that_the_benchmark_loads(finished: Path) -> None:
    model, threshold = load_seldnet(finished)
    assert model.config == SeldnetConfig("salsa-lite")
    assert 0.2 <= threshold <= 0.7
    config = json.loads((finished / STAGE / "config.json").read_text())
    assert config["features"] == "salsa-lite" and config["threshold"] == threshold


def test_unknown_features_are_wrong_use(data: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(
        train, ["seldnet", "--data", str(data), "--run", str(tmp_path), "--features", "mfcc"]
    )  # fmt: skip
    assert outcome.exit_code == 2 and "gcc or salsa-lite" in outcome.output


def test_both_benchmarks_score_the_network_in_their_tables(data: Path, finished: Path, tmp_path: Path) -> None:
    network, _ = load_seldnet(finished)
    audio = next(Remixer(data / "validation", REMIX).batches(1, 1)).audio[0].numpy()
    loudest = float(np.quantile(np.linalg.norm(outputs_of(network, audio)[:, :, :3], axis=2), 0.999))
    save_config(finished / STAGE, network.config, loudest)  # three steps teach nothing: let a few vectors count
    request = SeldRequest(
        data / "validation", "quick", manifest=write_manifest(tmp_path / "frozen.json"), seldnet=finished
    )
    report = run_seld(request)
    assert report["system"] == f"{finished} (SELDnet, salsa-lite, threshold {loudest:g})"
    assert 0.0 <= report["dcase"]["f20_macro"]["value"] < 1.0 and report["dcase"]["er20"]["value"] > 0.0
    stems = str(data / "validation")
    outcome = CliRunner().invoke(
        bench, ["hearing", "--data", stems, "--singles", "10", "--pairs", "5", "--seldnet", str(finished)]
    )
    assert outcome.exit_code == 0, outcome.output
    heard = json.loads(outcome.stdout.splitlines()[-1])
    assert heard["system"] == report["system"]
    assert heard["single"]["clips"] == 10 and heard["single"]["heard"] > 0


@pytest.mark.parametrize("name", ["seld", "hearing"])
def test_only_one_system_is_scored(data: Path, finished: Path, name: str) -> None:
    arguments = [name, "--data", str(data / "validation"), "--seldnet", str(finished), "--baseline", "random"]
    result = CliRunner().invoke(bench, arguments)
    assert isinstance(result.exception, UsageError) and "choose one" in str(result.exception)


def heard(frames: range, class_id: int, activity: float, azimuth_deg: float) -> list[Heard]:
    return [Heard(frame, class_id, 0, activity, azimuth_deg, 10.0, 2.0) for frame in frames]


def test_a_clip_is_summed_up_by_class_and_the_longest_and_surest_comes_first_in_doubt() -> None:
    sources = summarized([*heard(range(5, 15), 3, 0.8, 179.0), *heard(range(2, 6), 9, 0.9, 40.0)], 20)
    assert [round(s.azimuth_deg) for s in sources] == [40, 179], "in order of onset"
    assert max(sources, key=lambda s: s.confidence).azimuth_deg == pytest.approx(179.0)
    assert (sources[1].onset_s, sources[1].offset_s) == pytest.approx((0.5, 1.5))
    assert sources[1].distance_m == pytest.approx(2.0) and sources[1].elevation_deg == pytest.approx(10.0)
    across = summarized([*heard(range(0, 2), 3, 0.8, 170.0), *heard(range(2, 4), 3, 0.8, -170.0)], 20)
    assert abs(across[0].azimuth_deg) == pytest.approx(180.0)
    assert summarized(heard(range(3, 4), 3, 0.9, 0.0), 20) == [], "a tenth of a second is no track"


def test_tables_are_in_whole_degrees_and_centimetres(finished: Path) -> None:
    save_config(finished / STAGE, SeldnetConfig("salsa-lite"), 0.05)
    table = SeldnetSystem(finished).table(np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float32))
    assert len(table) and table.frame.max() < 3
    assert np.array_equal(table.azimuth_deg, table.azimuth_deg.round())
    assert np.allclose(table.distance_m * 100, (table.distance_m * 100).round())
