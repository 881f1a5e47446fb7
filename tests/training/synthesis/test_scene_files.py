"""Folders of scenes: the same bytes whoever renders, nothing lost with a worker, and what is there is kept."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.command import app
from earshot.training.synthesis.dataset import DataFolders, build_world, scene_seed
from earshot.training.synthesis.render import render_scene
from earshot.training.synthesis.scale_out import completed
from earshot.training.synthesis.scene_files import SceneJob, _collect, write_scene, write_scenes
from earshot.training.synthesis.scenes import DynamicSettings, SceneSettings
from tests.no_room import no_room

MOVING = DynamicSettings(
    duration_s=2.0, sources=(2, 2), moving_share=1.0, turning_share=1.0, walking_share=1.0, outdoor_share=0.5
)


def job(out: Path) -> SceneJob:
    return SceneJob(DataFolders(None), out, "train", MOVING)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three moving scenes rendered in this process."""
    folder = tmp_path_factory.mktemp("alone")
    write_scenes(job(folder), 3)
    return folder


@pytest.mark.parametrize("content", ['{"id": "a"', '{"foo": 1}', "[]"])
def test_a_list_of_something_else_is_one_clear_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_text(content + "\n")
    with pytest.raises(InputError, match=r"scenes\.jsonl: not a list of scenes .* name another folder"):
        write_scenes(job(tmp_path), 1)
    assert (tmp_path / "scenes.jsonl").read_text() == content + "\n"


def test_scenes_made_by_rule_are_not_passed_off_as_recordings(alone: Path) -> None:
    before = hashes(alone)
    with pytest.raises(UsageError, match="is made by rule, not of --data; name another folder"):
        write_scenes(replace(job(alone), folders=DataFolders(alone / "data")), 3)
    assert {name: value for name, value in hashes(alone).items() if name in before} == before


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    """A local Ray cluster of two workers."""
    ray = pytest.importorskip("ray", reason="needs the optional package ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else workers starve (15) beside other work
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_a_folder_holds_sounds_and_one_line_each(alone: Path) -> None:
    scenes = [json.loads(line) for line in (alone / "scenes.jsonl").read_text().splitlines()]
    assert [scene["id"] for scene in scenes] == [f"dynamic-train-{n:06d}" for n in range(3)]
    assert {path.name for path in alone.iterdir()} == {"scenes.jsonl", *(scene["audio"] for scene in scenes)}
    for scene in scenes:
        audio, rate = soundfile.read(alone / scene["audio"])
        assert (audio.shape, rate) == ((32_000, 2), 16_000)
        assert np.abs(audio).max() > 0.01
        assert len(scene["sources"][0]["trajectory"]) > 1


def test_processes_give_the_same_bytes(alone: Path, tmp_path: Path) -> None:
    assert write_scenes(job(tmp_path), 3, workers=2) == 3
    assert hashes(tmp_path) == hashes(alone)


def dies_once(flag: Path, out: Path, number: int) -> None:
    """Renders a scene; the first worker that is given scene 1 is killed when its sound is half written."""
    if number == 1 and not flag.exists():
        flag.touch()
        (out / "dynamic-train-000001.wav.part").write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    write_scene(job(out), number)


def test_on_ray_a_killed_worker_loses_nothing_and_changes_no_byte(
    two_workers: None, alone: Path, tmp_path: Path
) -> None:
    flag, out = tmp_path / "killed", tmp_path / "out"
    (out / "parts").mkdir(parents=True)
    assert set(completed(functools.partial(dies_once, flag, out), range(3), on_ray=True)) == {0, 1, 2}
    assert flag.exists()
    _collect(out, {})
    assert hashes(out) == hashes(alone)


def test_a_full_disk_is_said_and_leaves_no_half_scene(tmp_path: Path) -> None:
    with no_room(50_000):
        write_scenes(job(tmp_path), 1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_stopped_run_goes_on_where_it_was(alone: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    write_scene(job(tmp_path), 1)  # what a run left that was killed after one scene
    before = (tmp_path / "dynamic-train-000001.wav").stat().st_mtime_ns
    assert write_scenes(job(tmp_path), 3) == 2
    assert (tmp_path / "dynamic-train-000001.wav").stat().st_mtime_ns == before
    assert hashes(tmp_path) == hashes(alone)
    assert write_scenes(job(tmp_path), 3) == 0
    assert hashes(tmp_path) == hashes(alone)


def test_still_scenes_are_what_they_were(tmp_path: Path) -> None:
    arguments = ["scenes", str(tmp_path), "--count", "2", "--duration-s", "3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    world, settings = build_world(DataFolders(None), "train"), SceneSettings(duration_s=3.0, sources=2)
    lines = (tmp_path / "scenes.jsonl").read_text().splitlines()
    for number, line in enumerate(lines):
        wanted = render_scene(world, settings, scene_seed("train", number), f"train-{number:06d}", "train")
        assert json.loads(line) == json.loads(json.dumps({**wanted.scene, "audio": f"train-{number:06d}.wav"}))
        audio, _ = soundfile.read(tmp_path / f"train-{number:06d}.wav")
        assert pytest.approx(wanted.mixture(), abs=2 / 32_768) == audio.T
    assert len(lines) == 2


def test_the_command_renders_moving_scenes_beside_still_ones(tmp_path: Path) -> None:
    for extra in ([], ["--dynamic", "--sources", "1"]):
        result = CliRunner().invoke(app, ["scenes", str(tmp_path), "--count", "1", "--duration-s", "2", *extra])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout.splitlines()[-1])["rendered"] == 1
    ids = [json.loads(line)["id"] for line in (tmp_path / "scenes.jsonl").read_text().splitlines()]
    assert ids == ["dynamic-train-000000", "train-000000"]


@pytest.mark.parametrize("other", [["--duration-s", "3"], ["--sources", "3"], ["--dynamic", "--duration-s", "3"]])
def test_scenes_of_other_settings_are_not_passed_off_as_these(other: list[str], tmp_path: Path) -> None:
    arguments = ["scenes", str(tmp_path), "--count", "1", "--duration-s", "2", "--sources", "2"]
    for kind in ([], ["--dynamic"]):
        assert CliRunner().invoke(app, arguments + kind).exit_code == 0
    before = hashes(tmp_path)
    result = CliRunner().invoke(app, arguments + other)
    assert isinstance(result.exception, UsageError) and "name another folder" in str(result.exception)
    assert hashes(tmp_path) == before


def test_an_unknown_split_is_a_wrong_use(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["scenes", str(tmp_path), "--split", "all"])
    assert isinstance(result.exception, UsageError)


def test_what_a_stopped_run_of_other_settings_left_is_not_passed_off_either(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    write_scene(job(tmp_path), 1)
    other = SceneJob(DataFolders(None), tmp_path, "train", replace(MOVING, duration_s=3.0))
    with pytest.raises(UsageError, match="name another folder"):
        write_scenes(other, 2)
