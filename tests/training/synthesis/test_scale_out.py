"""Scaling out: same bytes whatever the number of workers and whoever dies; a clear line where Ray is absent."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earshot.runtime.errors import EarshotError, InputError, UsageError
from earshot.training.synthesis.command import app
from earshot.training.synthesis.dataset import DataFolders, _write_shard, write_shards
from earshot.training.synthesis.scale_out import completed
from earshot.training.synthesis.scenes import SceneSettings

SETTINGS = SceneSettings(duration_s=3.0, sources=2)


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every file of a data set."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three shards rendered in this process."""
    folder = tmp_path_factory.mktemp("alone")
    write_shards(DataFolders(None), folder, "train", SETTINGS, range(3), scenes_per_shard=1)
    return hashes(folder)


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


def test_processes_give_the_same_bytes(alone: dict[str, str], tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "train", SETTINGS, range(3), scenes_per_shard=1, workers=2)
    assert hashes(tmp_path) == alone


def test_ray_with_two_workers_gives_the_same_bytes(two_workers: None, alone: dict[str, str], tmp_path: Path) -> None:
    write_shards(DataFolders(None), tmp_path, "train", SETTINGS, range(3), scenes_per_shard=1, workers=2, on_ray=True)
    assert hashes(tmp_path) == alone


def dies_once(flag: Path, out: Path, number: int) -> None:
    """Renders a shard; the first worker that is given shard 1 is killed in the middle of it."""
    if number == 1 and not flag.exists():
        flag.touch()
        half = out / "shard-0001.partial"
        half.mkdir(parents=True)
        (half / "stems.npy").write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)
    _write_shard(DataFolders(None), out, "train", SETTINGS, 1, number)


def test_a_killed_worker_loses_nothing(two_workers: None, alone: dict[str, str], tmp_path: Path) -> None:
    flag, out = tmp_path / "killed", tmp_path / "out"
    done = set(completed(functools.partial(dies_once, flag, out), range(3), on_ray=True))
    assert flag.exists()
    assert done == {0, 1, 2}
    assert hashes(out) == alone


def refuses(number: int) -> None:
    raise InputError(f"file {number} is missing")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_reaches_the_user_as_one_line(workers: int) -> None:
    with pytest.raises(InputError, match=r"^file 4 is missing$"):
        list(completed(refuses, [4], workers))


def ends_itself(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_ended_from_outside_is_one_line() -> None:
    with pytest.raises(EarshotError, match=r"ended from outside.*run it again with fewer --workers"):
        list(completed(ends_itself, [0, 1], workers=2))


def test_an_error_on_ray_reaches_the_user_as_one_line(two_workers: None) -> None:
    with pytest.raises(InputError, match=r"^file 4 is missing$"):
        list(completed(refuses, [4], on_ray=True))


def test_without_ray_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # what an import of an absent package finds
    with pytest.raises(UsageError, match=r"pip install 'earshot\[ray\]'") as caught:
        list(completed(refuses, [4], on_ray=True))
    assert "\n" not in str(caught.value)


def test_nothing_to_do_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(completed(refuses, [], on_ray=True)) == []


def test_the_command_takes_the_switch(two_workers: None, tmp_path: Path) -> None:
    arguments = ["stems", str(tmp_path), "--shards", "2", "--scenes-per-shard", "1", "--ray"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shard-0000", "shard-0001"]


def test_the_bench_says_scenes_per_second_and_core() -> None:
    result = CliRunner().invoke(app, ["bench", "--count", "1"])
    assert result.exit_code == 0, result.output
    *human, machine = result.stdout.splitlines()[-4:]
    report = json.loads(machine)
    for line, kind in zip(human, ("static", "moving", "mixed"), strict=True):
        assert line.startswith(kind)
        assert "per second and core" in line
        assert report[kind]["scenes"] == 1
        assert report[kind]["scenes_per_second_and_core"] == pytest.approx(1 / report[kind]["cpu_s"], rel=0.01)


def test_no_arguments_show_the_commands() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "stems" in result.stdout
