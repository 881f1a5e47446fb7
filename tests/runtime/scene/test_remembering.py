"""From changes of the scene to the memory: hearing never waits, and a bad disk is told once."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.changes import ChangeDetector, TrackChange
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.remembering import Rememberer
from tests.runtime.hearing.frames import Heard
from tests.runtime.hearing.test_tracks import track

NOW_S = 2_000_000.0
KEY = load_labels()[3].key


def changes_of(*snapshots: SceneSnapshot) -> list[TrackChange]:
    detector = ChangeDetector()
    return [change for snapshot in snapshots for change in detector.process(snapshot)] + detector.flush()


def hear(rememberer: Rememberer, scene: list[list[Heard | None]]) -> None:
    for change in changes_of(*track(scene)):
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


@pytest.mark.parametrize("others", [(), ("-wal", "-shm")])
def test_a_file_deleted_while_listening_is_told_and_begun_anew(others: tuple[str, ...], tmp_path: Path) -> None:
    """Everything after it went to a file without a name, and was gone without a word."""
    told: list[str] = []
    path = tmp_path / "m.sqlite"
    rememberer = Rememberer(SceneMemory(path), told.append)
    rememberer.start()
    hear(rememberer, [[Heard(3)]] * 25)
    rememberer.settle()
    for suffix in ("", *others):
        Path(f"{path}{suffix}").unlink()
    hear(rememberer, [[Heard(3)]] * 25 + [[]] * 40)
    rememberer.close()
    assert told == [f"memory: {path} was deleted or replaced; what was in it is gone"]
    with SceneMemory(path) as memory:
        (episode,) = memory.episodes()
        assert episode.ended_s is not None
        assert len(memory.sessions()) == 1


def test_a_file_deleted_while_something_sounds_loses_that_sound_alone(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "m.sqlite"
    rememberer = Rememberer(SceneMemory(path), told.append)
    rememberer.start()
    changes = changes_of(*track([[Heard(3)]] * 25 + [[]] * 40))
    rememberer.take(changes[0])
    rememberer.settle()
    path.unlink()
    for change in changes[1:]:
        rememberer.take(change)
    hear(rememberer, [[Heard(3)]] * 25 + [[]] * 40)
    rememberer.close()
    assert told[1:] == ["memory: 1 event could not be kept"]
    with SceneMemory(path) as memory:
        assert len(memory.episodes()) == 1


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


def test_an_end_that_cannot_be_kept_is_kept_once_there_is_room(tmp_path: Path) -> None:
    """It was lost, and the sound was remembered as still sounding, hours later."""
    memory = SceneMemory(tmp_path / "m.sqlite", clock=lambda: NOW_S)
    told: list[str] = []
    rememberer = Rememberer(memory, told.append, lambda: NOW_S, retry_s=0.0)
    rememberer.start()
    appeared, *_, ended = changes_of(*track([[Heard(3)]] * 25 + [[]] * 40))
    assert (appeared.kind, ended.kind) == ("new", "ended")
    rememberer.take(appeared)
    rememberer.settle()
    with disk_full_at(max(file.stat().st_size for file in tmp_path.iterdir())):
        rememberer.take(ended)
        rememberer.settle()
        assert memory.episodes()[0].ended_s is None
        rememberer.listening(False)
        rememberer.settle()
    rememberer.close()
    with memory:
        assert memory.episodes()[0].ended_s is not None
    assert [line for line in told if "could not be kept" in line] == []


class Clock:
    """A wall clock that stands still until it is moved."""

    time_s = NOW_S

    def __call__(self) -> float:
        return self.time_s


@pytest.mark.parametrize(("gap_s", "sessions"), [(3.0, 1), (600.0, 2)])
def test_while_no_sound_arrives_nobody_has_listened(tmp_path: Path, gap_s: float, sessions: int) -> None:
    """A microphone that was pulled out for hours was remembered as hours in which nothing sounded."""
    clock = Clock()
    memory = SceneMemory(tmp_path / "m.sqlite", clock=clock)
    rememberer = Rememberer(memory, print, clock, heartbeat_s=0.01)
    rememberer.start()
    clock.time_s += 60.0
    rememberer.listening(False)
    rememberer.settle()
    clock.time_s += gap_s
    time.sleep(0.1)  # the heart would beat
    rememberer.listening(True)
    rememberer.settle()
    clock.time_s += 5.0
    rememberer.close()
    with memory:
        spans = [(s.started_s - NOW_S, s.heard_until_s - NOW_S) for s in memory.sessions()]
    assert len(spans) == sessions
    assert spans[0][0] == 0.0
    assert spans[-1][1] == 65.0 + gap_s
    if sessions == 2:
        assert spans[0][1] == 60.0
        assert spans[1][0] == 60.0 + gap_s
