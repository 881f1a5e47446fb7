"""Stem shards and what is made of them: resumable, independent of workers, mixtures with true shares."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from earshot.runtime.errors import EarshotError, InputError, UsageError
from earshot.training.models.hearing import Hearing
from earshot.training.models.load import load_hearing
from earshot.training.models.names import Names, save_names
from earshot.training.stages import checkpoint, encoders
from earshot.training.stages.bank import BankSettings, build_bank, mirrored, mix_scene
from earshot.training.stages.command import app
from earshot.training.stages.encoders import EncoderSettings, run
from earshot.training.stages.hearing_loss import LossWeights, hearing_loss
from earshot.training.stages.hearing_score import score_batches
from earshot.training.stages.remix import Remixer, RemixSettings, ahead, crowded, validation_batches
from earshot.training.synthesis.dataset import DataFolders, open_shards, write_shards
from earshot.training.synthesis.scenes import MOVING_STEMS, SceneSettings, Split, fully_known
from tests.no_room import no_room

SETTINGS = SceneSettings(duration_s=6.0, sources=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny shards per split, sounds and heads made by rule."""
    folder = tmp_path_factory.mktemp("stems")
    for split in ("train", "validation"):
        write_shards(DataFolders(None), folder / split, split, SETTINGS, range(2), scenes_per_shard=2)  # type: ignore[arg-type]
    return folder


def test_bytes_do_not_depend_on_the_number_of_workers(data: Path, tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "train", SETTINGS, range(2), scenes_per_shard=2, workers=2)
    for first, second in zip(open_shards(data / "train"), open_shards(tmp_path), strict=True):
        assert np.array_equal(first.stems, second.stems)
        assert first.scenes == second.scenes


def test_a_stopped_run_resumes_and_keeps_finished_shards(data: Path) -> None:
    kept = data / "train" / "shard-0000" / "stems.npy"
    before = kept.stat().st_mtime_ns
    leftover = data / "train" / "shard-0001.partial"
    leftover.mkdir()
    write_shards(DataFolders(None), data / "train", "train", SETTINGS, range(2), scenes_per_shard=2)
    assert kept.stat().st_mtime_ns == before
    assert len(open_shards(data / "train")) == 2
    leftover.rmdir()


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="earshot synth"):
        open_shards(tmp_path)


@pytest.mark.parametrize("name", ["scenes.jsonl", "stems.npy", "scale.npy", "power.npy"])
@pytest.mark.parametrize("left", [None, 60, 1000])
def test_a_damaged_shard_is_named(name: str, left: int | None, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "train" / "shard-0000", tmp_path / "shard-0000")
    path = tmp_path / "shard-0000" / name
    whole = path.read_bytes()
    path.unlink()
    if left is not None:
        path.write_bytes(whole[: min(left, len(whole) - 4)])
    with pytest.raises(InputError, match="render it again") as caught:
        open_shards(tmp_path)
    assert "shard-0000" in str(caught.value)


def test_a_full_disk_ends_a_shard_with_an_error_not_with_the_process(tmp_path: Path) -> None:
    with no_room(50_000):
        write_shards(DataFolders(None), tmp_path, "train", SETTINGS, range(1), scenes_per_shard=1)
    with pytest.raises(InputError, match="no finished shard"):
        open_shards(tmp_path)


def test_a_bank_that_cannot_be_made_again_stays_as_it_was(data: Path, tmp_path: Path) -> None:
    settings, hearing = BankSettings(mixtures=1, duration_s=(5.0, 6.0)), Hearing().eval()
    build_bank(data / "train", hearing, tmp_path, settings)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with no_room(20_000):
        build_bank(data / "train", hearing, tmp_path, replace(settings, seed=12))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    build_bank(data / "train", hearing, tmp_path, replace(settings, seed=12))
    assert (tmp_path / "scenes.jsonl").read_bytes() != before["scenes.jsonl"]


def test_only_names_of_sounds_that_training_heard_are_doubted(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    hearing, sure = Hearing().eval(), BankSettings(mixtures=1, duration_s=(5.0, 6.0))
    for split, doubted in (("train", True), ("validation", False)):
        for doubt in (False, True):
            build_bank(data / split, hearing, tmp_path / f"{split}-{doubt}", replace(sure, doubt=doubt))
        told = [(tmp_path / f"{split}-{doubt}" / "semantic.npy").read_bytes() for doubt in (False, True)]
        assert (told[0] != told[1]) is doubted


def test_a_bank_of_scenes_that_nobody_can_be_asked_about_is_refused(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "train" / "shard-0000", tmp_path / "shard-0000")
    path = tmp_path / "shard-0000" / "scenes.jsonl"
    scenes = [json.loads(line) for line in path.read_text().splitlines()]
    for source in (source for scene in scenes for source in scene["sources"]):
        source["trajectory"] = [{**point, "distance_m": None} for point in source["trajectory"]]
    path.write_text("".join(json.dumps(scene) + "\n" for scene in scenes))
    with pytest.raises(InputError, match="no scene whose distances are all known"):
        build_bank(tmp_path, Hearing().eval(), tmp_path / "bank", BankSettings(mixtures=1))


def test_a_mixture_is_the_sum_of_its_stems_and_shares_are_shares(data: Path) -> None:
    settings = RemixSettings(frames=100, source_counts=(0, 1, 0), swap_probability=0.0)
    batch = next(Remixer(data / "train", settings).batches(4, 3))
    assert batch.audio.shape == (4, 2, 64_000)
    assert batch.present.sum(1).min() >= 1
    assert float(batch.share.sum(1).max()) <= 1.01
    assert float(batch.share.min()) >= 0.0
    absent = batch.queries[batch.present == 0]
    assert absent.numel() == 0 or int(absent.max()) < 61


@pytest.mark.parametrize("stage", ["encoders", "names", "seldnet"])
@pytest.mark.parametrize("exchanged", ["train", "validation"])
def test_what_is_scored_is_never_learned_from(stage: str, exchanged: str, data: Path, tmp_path: Path) -> None:
    for split, folder in (("train", "train"), ("validation", "validation")):
        other = {"train": "validation", "validation": "train"}[split]
        (tmp_path / folder).symlink_to(data / (other if folder == exchanged else split))
    command = [stage, "--data", str(tmp_path), "--run", str(tmp_path / "run"), "--minutes", "0.01"]
    if stage == "names":
        torch.manual_seed(0)
        save_names(Names(), tmp_path / "start")
        command += ["--start", str(tmp_path / "start")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3, result.output
    assert f"{exchanged} ones are wanted here" in " ".join(result.stderr.split())
    assert not list((tmp_path / "run").rglob("raw.safetensors"))


def test_shards_in_which_all_moves_are_none_to_score_with(tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "validation", MOVING_STEMS, range(1), scenes_per_shard=2)
    with pytest.raises(InputError, match="something moves in every shard"):
        validation_batches(tmp_path, RemixSettings(frames=50), 2, 1)


def test_descriptions_of_something_else_are_a_damaged_shard(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "train" / "shard-0000", tmp_path / "shard-0000")
    (tmp_path / "shard-0000" / "scenes.jsonl").write_text('{"id": 1}\n[]\n')
    with pytest.raises(InputError, match=r"a scene without .*sources.* render it again"):
        open_shards(tmp_path)
    write_shards(
        DataFolders(None), tmp_path, "train", SETTINGS, range(1), scenes_per_shard=2
    )  # kept, as all finished ones


def test_the_same_seed_draws_the_same_mixtures(data: Path) -> None:
    settings = RemixSettings(frames=100)
    first, second = (next(Remixer(data / "train", settings).batches(2, 9)) for _ in range(2))
    assert torch.equal(first.audio, second.audio)


def test_exchanged_ears_mirror_the_labels(data: Path) -> None:
    remixer = Remixer(data / "train", RemixSettings(frames=100, swap_probability=1.0, ear_gain_db=0.0))
    straight = Remixer(data / "train", RemixSettings(frames=100, swap_probability=0.0, ear_gain_db=0.0))
    a = next(remixer.batches(1, 4))
    b = next(straight.batches(1, 4))
    assert torch.allclose(a.azimuth_deg, -b.azimuth_deg)
    assert torch.allclose(a.direction[..., 1], -b.direction[..., 1])
    assert torch.allclose(a.audio[:, 0], b.audio[:, 1], atol=1e-4)


def test_another_speed_scales_the_whole_scene(data: Path) -> None:
    settings = RemixSettings(frames=80, source_counts=(1, 0, 0), swap_probability=0.0, ear_gain_db=0.0)
    remixer, shard = Remixer(data / "train", settings), open_shards(data / "train")[0]
    start = int(np.clip(shard.scenes[0]["sources"][0]["onset_s"] * 25 - 20, 0, 50))
    usual, fast = (remixer.mix(shard, 0, [0], 1, start, np.random.default_rng(2), speed) for speed in (1.0, 1.25))
    assert fast["audio"].shape == usual["audio"].shape
    assert (usual["log_distance"] - fast["log_distance"])[0] == pytest.approx(np.full(80, np.log(1.25)), abs=1e-5)
    assert np.array_equal(usual["azimuth_deg"], fast["azimuth_deg"])
    begins = [int(np.flatnonzero(mix["event"][0])[0]) for mix in (usual, fast)]
    assert abs(begins[0] - 1.25 * begins[1]) <= 1.5, "labels and sound stay together"
    envelopes = [np.square(mix["audio"]).sum(0).reshape(80, -1).mean(1) for mix in (usual, fast)]
    stretched = np.interp(np.arange(80) * 1.25, np.arange(80), envelopes[0])[:60]
    assert np.corrcoef(np.log(stretched + 1e-9), np.log(envelopes[1][:60] + 1e-9))[0, 1] > 0.9


def test_bank_scenes_state_their_sources_and_mirror_twice_is_the_same(data: Path) -> None:
    shard = open_shards(data / "train")[0]
    settings = BankSettings(duration_s=(5.0, 6.0), swap_probability=0.0)
    scene, audio = mix_scene(shard, 0, settings, np.random.default_rng(0))
    assert audio.shape == (2, int(scene["duration_s"] * 16_000))
    assert all(s["offset_s"] <= scene["duration_s"] for s in scene["sources"])
    assert mirrored(mirrored(scene)) == scene


def test_a_crowd_is_two_sounds_twice_as_often_as_three() -> None:
    assert crowded(0.6).source_counts == pytest.approx((0.4, 0.4, 0.2))
    assert crowded(0.0).source_counts == (1.0, 0.0, 0.0)


def test_a_bank_holds_a_row_for_every_token(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    count = build_bank(data / "train", Hearing().eval(), tmp_path, BankSettings(mixtures=1, duration_s=(5.0, 6.0)))
    assert count == 4
    rows = np.load(tmp_path / "slots.npy")
    lines = (tmp_path / "scenes.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert rows.dtype == np.float16
    assert rows.shape[1:] == (4, 107)
    assert len(rows) == sum(json.loads(line)["tokens"] for line in lines)


def test_what_goes_wrong_while_mixing_ahead_is_raised_and_not_waited_for() -> None:
    def batches() -> Iterator[Any]:
        yield 1
        raise InputError("a clip is gone")

    prepared = ahead(batches())
    assert next(prepared) == 1  # type: ignore[comparison-overlap]
    with pytest.raises(InputError, match="a clip is gone"):
        next(prepared)


@pytest.mark.parametrize("stage", ["encoders", "names", "seldnet"])
@pytest.mark.parametrize("wrong", [("--seed", "-5"), ("--learning-rate", "nan")])
def test_seeds_and_rates_that_are_none_are_wrong_use(stage: str, wrong: tuple[str, str], data: Path) -> None:
    result = CliRunner().invoke(app, [stage, "--data", str(data), *wrong])
    assert result.exit_code == 2, result.output


@pytest.mark.parametrize("fixed_names", [False, True])
def test_the_encoder_stage_resumes_where_it_stopped(data: Path, tmp_path: Path, fixed_names: bool) -> None:
    settings = EncoderSettings(
        minutes=10, batch=4, threads=1, remix=RemixSettings(frames=50), validation_batches=1, max_steps=2,
        fixed_names=fixed_names,
    )  # fmt: skip
    run(data, tmp_path, settings)
    first = (tmp_path / "state" / "state.json").read_text()
    run(data, tmp_path, replace(settings, max_steps=4))
    progress = [json.loads(text) for text in (first, (tmp_path / "state" / "state.json").read_text())]
    assert [p["step"] for p in progress] == [2, 4]
    assert {"model.safetensors", "raw.safetensors", "state"} <= {p.name for p in tmp_path.iterdir()}
    torch.manual_seed(settings.seed)
    fresh, trained = Hearing(), load_hearing(tmp_path)
    same = torch.equal(fresh.semantic.classify.weight, trained.semantic.classify.weight)
    assert same == fixed_names
    assert not torch.equal(fresh.spatial.heads.weight, trained.spatial.heads.weight)


QUICK = EncoderSettings(
    minutes=10, batch=4, threads=1, remix=RemixSettings(frames=50), validation_batches=1, max_steps=1
)


def test_encoders_do_not_go_on_with_what_they_were_not_begun_with(data: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.npz"
    clips = [source["clip"] for scene in open_shards(data / "train")[0].scenes for source in scene["sources"]]
    names = [*clips, *(f"other-{number}" for number in range(70))]
    np.savez(teacher, clip=names, embedding=np.random.default_rng(0).normal(size=(len(names), 70)))
    out, start = tmp_path / "run", tmp_path / "start"
    checkpoint.save_weights(start, Hearing(), checkpoint.MovingAverage(Hearing()))
    run(data, out, replace(QUICK, start=start))
    before = (out / "raw.safetensors").read_bytes()
    for changed, said in (
        ({"start": tmp_path / "other"}, f"begun with --start {start}"),
        ({"teacher": teacher}, "begun without --teacher"),
        ({"fixed_names": True}, "begun without --fixed-names"),
    ):
        with pytest.raises(UsageError, match=f"{said}: go on so, or name another --run"):
            run(data, out, replace(QUICK, max_steps=2, **changed))  # type: ignore[arg-type]
    assert (out / "raw.safetensors").read_bytes() == before
    for number, again in enumerate((None, start), 2):
        run(data, out, replace(QUICK, max_steps=number, start=again))
    assert json.loads((out / "state" / "state.json").read_text())["settings"]["start"] == str(start)
    run(data, tmp_path / "taught", replace(QUICK, teacher=teacher))
    run(data, tmp_path / "taught", replace(QUICK, teacher=teacher, max_steps=2))


def test_a_teacher_that_heard_other_recordings_is_refused(data: Path, tmp_path: Path) -> None:
    names = [f"other-{number}" for number in range(80)]
    np.savez(tmp_path / "t.npz", clip=names, embedding=np.random.default_rng(0).normal(size=(80, 70)))
    with pytest.raises(InputError, match="the teacher has heard none of its clips"):
        run(data, tmp_path / "run", replace(QUICK, teacher=tmp_path / "t.npz"))


def test_encoders_that_diverge_leave_the_last_good_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path, QUICK)
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    loss_of = encoders.hearing_loss
    lost = lambda *args: (loss_of(*args)[0] * float("nan"), {})  # noqa: E731
    monkeypatch.setattr(encoders, "hearing_loss", lost)
    with pytest.raises(EarshotError, match="the loss is nan"):
        run(data, tmp_path, replace(QUICK, max_steps=3))
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == before


def test_a_distance_without_bounds_counts_as_off(data: Path) -> None:
    batch = next(Remixer(data / "train", RemixSettings(frames=50, source_counts=(1, 0, 0))).batches(8, 3))

    class Boundless(Hearing):
        def forward(self, *args: Any) -> Any:
            semantic, spatial = super().forward(*args)
            return semantic, replace(spatial, log_distance=torch.full_like(spatial.log_distance, 1e4))

    assert score_batches(Boundless().eval(), [batch])["far"] == 1.0


def test_a_distance_is_off_by_half_a_metre_or_not(data: Path) -> None:
    batch = next(Remixer(data / "train", RemixSettings(frames=50, source_counts=(1, 0, 0))).batches(8, 3))
    semantic, spatial = Hearing()(batch.audio, batch.queries)
    true = torch.nan_to_num(batch.log_distance)
    parts = [
        hearing_loss(semantic, replace(spatial, log_distance=(true.exp() + wrong_m).log()), batch, LossWeights())[1]
        for wrong_m in (0.0, 0.3, 0.7, 3.0)
    ]
    off = [float(part["off"]) for part in parts]
    assert off == sorted(off)
    assert off[1] < 0.25 and off[2] > 0.7
    assert off[3] == pytest.approx(1.0, abs=0.2), "known for nearly all"


def test_moving_sources_come_as_stems_too_and_are_cut_with_the_scene(tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "train", MOVING_STEMS, range(1), scenes_per_shard=6)
    shard = open_shards(tmp_path)[0]
    assert shard.stems.shape[:3] == (6, 5, 2)
    moving = [s for scene in shard.scenes for s in scene["sources"] if len(s["trajectory"]) > 1]
    assert moving
    assert all(scene["head"]["yaw"] == [{"time_s": 0.0, "yaw_deg": 0.0}] for scene in shard.scenes)
    for row, scene in enumerate(shard.scenes):
        silent = shard.stems[row, len(scene["sources"]) : -1]
        assert not silent.any(), "stems that the scene does not have are silent"
        assert shard.stems[row, -1].any()
        mixed, audio = mix_scene(shard, row, BankSettings(duration_s=(5.0, 6.0)), np.random.default_rng(row))
        assert np.isfinite(audio).all()
        for source in mixed["sources"]:
            assert source["trajectory"][-1]["time_s"] <= source["offset_s"]
    assert not shard.stands_still
    batch = next(Remixer(tmp_path, RemixSettings(frames=100, swap_probability=0.0)).batches(12, 1))
    turned = (batch.azimuth_deg[:, 0, -1] - batch.azimuth_deg[:, 0, 0]).abs()
    assert 0 < int((turned > 5).sum()) < 12, "a direction for every frame"
    count = build_bank(tmp_path, Hearing().eval(), tmp_path / "bank", BankSettings(mixtures=1))
    assert count == sum(fully_known(scene) for scene in shard.scenes)


@pytest.mark.parametrize(
    ("split", "settings", "count", "said"),
    [
        ("validation", SETTINGS, 2, "split train"),
        ("train", SETTINGS, 1, "2 scenes"),
        ("train", replace(SETTINGS, duration_s=4.0), 2, "6 s"),
        ("train", replace(SETTINGS, sources=2), 2, "3 sources"),
    ],
)
def test_shards_of_other_settings_are_not_passed_off_as_these(
    split: Split, settings: SceneSettings, count: int, said: str, data: Path
) -> None:
    before = sorted((data / "train").iterdir())
    with pytest.raises(UsageError, match=rf"shard-0000 .*{said}.* name another folder") as caught:
        write_shards(DataFolders(None), data / "train", split, settings, range(3), scenes_per_shard=count)
    assert "\n" not in str(caught.value)
    assert sorted((data / "train").iterdir()) == before


def test_shards_made_by_rule_are_not_passed_off_as_recordings(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "train", tmp_path / "stems")
    with pytest.raises(UsageError, match="shard-0000 is there and is made by rule, not of --data; name another folder"):
        write_shards(DataFolders(tmp_path / "data"), tmp_path / "stems", "train", SETTINGS, range(2), 2)
    for path in (tmp_path / "stems").glob("*/scenes.jsonl"):
        path.write_text(path.read_text().replace('"id": "sphere-', '"id": "KEMAR-'))
    with pytest.raises(UsageError, match="is made of recordings, which --data names; name another folder"):
        write_shards(DataFolders(None), tmp_path / "stems", "train", SETTINGS, range(2), 2)


def test_shards_added_later_repeat_no_scene(data: Path) -> None:
    with pytest.raises(UsageError, match="name another folder"):
        write_shards(DataFolders(None), data / "train", "train", SETTINGS, range(2, 3), scenes_per_shard=1)
