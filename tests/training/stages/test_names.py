"""Training the names network: what is to be named in a patch, a run that resumes, and the bank that hears like the runtime."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.names import Named
from earshot.runtime.hearing.names import Names as NamesStage
from earshot.training.models.hearing import Hearing
from earshot.training.models.names import Names, load_names, save_names
from earshot.training.stages import names as stage
from earshot.training.stages.bank import encode_clips, fused_logits
from earshot.training.stages.command import app
from earshot.training.stages.remix import Batch, Remixer, RemixSettings
from earshot.training.synthesis.dataset import DataFolders, write_shards
from earshot.training.synthesis.scenes import SceneSettings

SCENES = SceneSettings(duration_s=5.0, sources=4, free_share=1.0)
SETTINGS = stage.NamesSettings(
    mixtures=2, patches=2, max_steps=3, scored_batches=1, checkpoint_s=0.0, remix=RemixSettings(frames=50)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny shard per split, sounds and heads made by rule, in free field."""
    folder = tmp_path_factory.mktemp("stems")
    for split in ("train", "validation"):
        write_shards(DataFolders(None), folder / split, split, SCENES, range(1), scenes_per_shard=2)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("names")
    save_names(Names(), folder)
    return folder


@pytest.fixture(scope="module")
def batch(data: Path) -> Batch:
    return next(Remixer(data / "train", RemixSettings(frames=100, source_counts=(0.0, 0.5, 0.5))).batches(6, 3))


def test_a_patch_is_both_ears_before_its_end_to_score_and_one_look_to_train_and_silence_before_the_sound(
    batch: Batch,
) -> None:
    both = stage.patches_of(batch, 3, np.random.default_rng(1)).samples.numpy()
    assert both.shape == (18, 2, 15_600)
    for number, samples in enumerate(both):
        padded = np.pad(batch.audio[number // 3].numpy(), ((0, 0), (15_600, 0)))
        ends = [end for end in range(10, 101) if np.allclose(padded[:, end * 640 : end * 640 + 15_600], samples)]
        assert len(ends) == 1
    for share, looks in ((1.0, (0, 1)), (0.0, (2,))):
        settings = replace(SETTINGS, one_ear_share=share)
        trained = stage.patches_of(batch, 3, np.random.default_rng(1), settings).samples.numpy()
        assert trained.shape == (18, 15_600)
        padded = np.pad(batch.audio[0].numpy(), ((0, 0), (15_600, 0)))
        ears = [padded[0], padded[1], padded.mean(axis=0)]
        found = [
            look for look in range(3) for end in range(10, 101)
            if np.allclose(ears[look][end * 640 : end * 640 + 15_600], trained[0], atol=1e-7)
        ]  # fmt: skip
        assert found and set(found) <= set(looks)


def test_what_sounds_at_the_end_is_named_and_what_sounded_earlier_may_be(batch: Batch) -> None:
    batch = replace(batch, active=torch.zeros_like(batch.active), present=torch.ones_like(batch.present))
    batch.queries[0] = torch.tensor([3, 7, 9, 20])
    batch.active[0, 0, 90:95] = 1.0
    batch.active[0, 1, 80:85] = 1.0
    batch.active[0, 2, 10:20] = 1.0
    target = stage._targets(batch, 0, 95)
    assert target[3] == 1.0
    assert np.isnan(target[7])
    assert target[9] == 0.0
    assert np.nansum(target) == 1.0


def test_a_run_resumes_and_learns_head_and_trunk(data: Path, start: Path, tmp_path: Path) -> None:
    begun = replace(SETTINGS, start=start, max_steps=1)
    stage.run(data, None, tmp_path, begun)
    scores = stage.run(data, None, tmp_path, replace(begun, max_steps=3))
    assert set(scores) == {"map", "top1"}
    rows = list(csv.DictReader((tmp_path / "training" / "log.csv").open()))
    assert int(rows[-1]["step"]) == 3
    before, after = load_file(start / "model.safetensors"), load_file(tmp_path / "training" / "raw.safetensors")
    for name in ("head.weight", "trunk.layers.0.convolution.weight", "trunk.layers.26.convolution.weight"):
        assert not torch.equal(before[name], after[name])
    assert float(load_names(tmp_path).trust) == pytest.approx(SETTINGS.scale * SETTINGS.trust)


def test_what_a_run_left_that_came_to_no_checkpoint_is_not_mixed_in(
    data: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = load_names(start)
    with torch.no_grad():
        other.head.bias.fill_(9.0)
    save_names(other, tmp_path / "training" / "before")
    monkeypatch.setattr(stage, "load_trunk", lambda path: load_names(path).trunk)
    stage.run(data, start, tmp_path, replace(SETTINGS, max_steps=1, frozen_share=0.0))
    assert float(load_names(tmp_path / "training" / "before").head.bias.detach().max()) < 0.0


def test_a_run_goes_on_with_the_network_that_it_was_begun_with(data: Path, start: Path, tmp_path: Path) -> None:
    stage.run(data, None, tmp_path, replace(SETTINGS, start=start, max_steps=1))
    with pytest.raises(UsageError, match="go on so, or name another --run"):
        stage.run(data, None, tmp_path, replace(SETTINGS, start=tmp_path, max_steps=2))
    stage.run(data, None, tmp_path, replace(SETTINGS, max_steps=2))
    noted = json.loads((tmp_path / "training" / "state" / "state.json").read_text())
    assert noted["settings"]["start"] == str(start)


def test_a_start_that_is_none_is_not_passed_over(data: Path, start: Path, tmp_path: Path) -> None:
    command = ["names", "--data", str(data), "--run", str(tmp_path / "run"), "--minutes", "0.01"]
    result = CliRunner().invoke(app, [*command, "--start", str(tmp_path), "--yamnet", str(start)])
    assert result.exit_code == 3
    assert f"no names network at {tmp_path}" in " ".join(result.stderr.split())


def test_what_ships_is_a_mixture_with_scaled_logits(start: Path) -> None:
    before, trained = load_names(start), load_names(start)
    with torch.no_grad():
        trained.head.bias.add_(1.0)
    made = stage.finished(before, trained, replace(SETTINGS, kept_share=0.25, scale=0.5, shift=2.0))
    samples = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 15_600)).astype(np.float32))
    with torch.no_grad():
        expected = 0.5 * (before(samples)[0] + 0.75) + 2.0
        np.testing.assert_allclose(made(samples)[0], expected, atol=1e-4)


def test_average_precision_is_that_of_the_ranking() -> None:
    right = np.array([True, False, True, False])
    assert stage.average_precision(right, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1 + 2 / 3) / 2)


def test_without_weights_to_begin_with_it_says_where_to_get_them(data: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["names", "--data", str(data), "--run", str(tmp_path / "run"), "--minutes", "0.01"]
    )
    assert result.exit_code == 3
    assert "--yamnet" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("frames", [9, 11, 40, 47])
def test_the_bank_joins_names_as_the_runtime_does(start: Path, frames: int) -> None:
    names = load_names(start)
    names.trust.fill_(0.6)
    rng = np.random.default_rng(4)
    audio = torch.from_numpy(rng.normal(0, 0.05, (1, 2, frames * 640)).astype(np.float32))
    logits = torch.from_numpy(rng.normal(0, 2, (1, frames, 61)).astype(np.float32))

    @torch.no_grad()
    def hear(samples: np.ndarray) -> Named:
        named, trust = names(torch.from_numpy(samples))
        return Named(named[0].numpy(), trust.numpy())

    runtime = NamesStage(hear)
    expected = []
    for frame in range(frames):
        runtime.process(audio[0, :, frame * 640 : (frame + 1) * 640].numpy())
        expected.append(runtime.join(logits[0, frame].numpy()))
    np.testing.assert_allclose(fused_logits(logits, audio, names)[0].numpy(), np.stack(expected), atol=1e-4)


def test_names_change_what_is_heard_in_a_bank(start: Path) -> None:
    torch.manual_seed(2)
    hearing, names = Hearing().eval(), load_names(start)
    clip = np.random.default_rng(5).normal(0, 0.05, (2, 32_000)).astype(np.float32)
    without, with_names = encode_clips(hearing, [clip])[0], encode_clips(hearing, [clip], names)[0]
    assert not np.allclose(without.tokens.semantic[:, -61:], with_names.tokens.semantic[:, -61:])
    np.testing.assert_array_equal(without.tokens.semantic[:, :-61], with_names.tokens.semantic[:, :-61])
