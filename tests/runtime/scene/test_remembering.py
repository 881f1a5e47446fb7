"""From changes of the scene to the memory: hearing never waits, and a bad disk is told once."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from earshot.runtime.labels import load_labels
from earshot.runtime.scene.changes import ChangeDetector
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.remembering import Rememberer
from tests.runtime.hearing.frames import Heard
from tests.runtime.hearing.test_tracks import track

NOW_S = 2_000_000.0
KEY = load_labels()[3].key


def hear(rememberer: Rememberer, scene: list[list[Heard | None]]) -> None:
    detector = ChangeDetector()
    for snapshot in track(scene):
        for change in detector.process(snapshot):
            rememberer.take(change)
    for change in detector.flush():
        rememberer.take(change)


def test_a_scene_becomes_episodes_with_the_times_of_the_sound_itself(tmp_path: Path) -> None:
    told: list[str] = []
    rememberer = Rememberer(SceneMemory(tmp_path / "m.sqlite", clock=lambda: NOW_S), told.append, lambda: NOW_S)
    rememberer.start()
    hear(rememberer, [[Heard(3, azimuth_deg=-90.0 + 0.6 * k)] for k in range(100)] + [[]] * 40)
    rememberer.settle()
    (episode,) = rememberer.memory.episodes()
    assert episode.label == KEY
    assert NOW_S - 0.5 <= episode.started_s <= NOW_S, "the sound began before it was told"
    assert episode.ended_s is not None
    assert [round(p.azimuth_deg) for p in episode.places] == sorted(round(p.azimuth_deg) for p in episode.places)
    assert len(episode.places) >= 3
    rememberer.close()
    assert told == []


def test_a_place_that_cannot_be_written_is_told_once_and_hearing_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told: list[str] = []
    rememberer = Rememberer(SceneMemory(tmp_path / "file" / "m.sqlite"), told.append)
    rememberer.start()
    for _ in range(3):
        hear(rememberer, [[Heard(3)]] * 25)
    rememberer.close()
    assert len(told) == 2
    assert "listening goes on" in told[0]
    assert told[1] == "memory: 6 events could not be kept"


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """Writes of this process beyond a size fail in the kernel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_for_a_while_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    told: list[str] = []
    memory = SceneMemory(tmp_path / "m.sqlite")
    rememberer = Rememberer(memory, told.append, retry_s=0.0)
    rememberer.start()
    hear(rememberer, [[Heard(3)]] * 25)
    rememberer.settle()
    before = memory.count()
    assert before == 2
    used = max(file.stat().st_size for file in tmp_path.iterdir())
    with disk_full_at(used):
        for _ in range(8):
            hear(rememberer, [[Heard(3)]] * 25)
        rememberer.settle()
    assert [line for line in told if "make room on the disk" in line] == told[:1]
    hear(rememberer, [[Heard(3)]] * 25)
    rememberer.settle()
    assert "it can be written again" in told[1]
    assert memory.count() >= before + 2
    assert memory.episodes()[0].ended_s is not None
    rememberer.close()
    assert "could not be kept" in told[-1]


def test_a_memory_of_another_kind_is_told_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_text("dear diary, " * 100)
    told: list[str] = []
    rememberer = Rememberer(SceneMemory(path), told.append)
    rememberer.start()
    rememberer.close()
    assert "no memory of Earshot" in told[0]
    assert path.read_text() == "dear diary, " * 100


@pytest.mark.parametrize("kind", ["settle", "close"])
def test_one_that_was_never_started_has_nothing_to_wait_for(tmp_path: Path, kind: str) -> None:
    rememberer = Rememberer(SceneMemory(tmp_path / "m.sqlite"), print)
    getattr(rememberer, kind)()
    assert list(tmp_path.iterdir()) == []
