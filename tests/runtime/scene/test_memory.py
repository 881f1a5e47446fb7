"""The memory on disk: what was acknowledged stays, what is forgotten is gone, and size and age are bounded."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.scene.episodes import Place
from earshot.runtime.scene.memory import MemoryLimits, MemoryUnusable, SceneMemory, default_memory_path

LEFT, BEHIND = Place(90.0, 0.0, 2.0), Place(-170.0, 10.0, 3.5, True)


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self, time_s: float = 1_000_000.0) -> None:
        self.time_s = time_s

    def __call__(self) -> float:
        return self.time_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> SceneMemory:
    memory = SceneMemory(tmp_path / "deep" / "memory.sqlite", clock=clock)
    memory.open()
    return memory


def do_not_sync(memory: SceneMemory) -> None:
    """For tests of many events: their subject is not what a loss of power leaves."""
    memory._file.read("PRAGMA synchronous = OFF")


def one(memory: SceneMemory, session: int, start_s: float, end_s: float | None, label: str = "dog") -> int:
    episode = memory.add(session, "appeared", start_s, label, LEFT, 0.5)
    memory.add(session, "moved", start_s + 1, label, BEHIND, 0.8, episode)
    if end_s is not None:
        memory.add(session, "ended", end_s, label, BEHIND, 0.7, episode)
    return episode


def test_an_episode_tells_what_from_when_to_when_and_all_its_places(memory: SceneMemory, clock: Clock) -> None:
    one(memory, memory.begin(), clock.time_s, clock.time_s + 5)
    (episode,) = memory.episodes()
    assert (episode.label, episode.confidence) == ("dog", 0.8)
    assert episode.started_s == clock.time_s
    assert episode.ended_s == clock.time_s + 5
    assert episode.places == (LEFT, BEHIND, BEHIND)


def test_questions_get_what_overlaps_their_time(memory: SceneMemory, clock: Clock) -> None:
    session, t = memory.begin(), clock.time_s
    early, late = one(memory, session, t + 10, t + 20), one(memory, session, t + 30, t + 40, "cat")
    assert [e.id for e in memory.episodes(t + 15, t + 16)] == [early]
    assert [e.id for e in memory.episodes(t + 20.5, t + 29)] == []
    assert [e.id for e in memory.episodes(t + 15, t + 35)] == [early, late]
    assert [e.id for e in memory.episodes(labels=("cat", "cow"))] == [late]


def test_what_began_earlier_comes_first_in_whatever_order_it_was_told(memory: SceneMemory, clock: Clock) -> None:
    session, t = memory.begin(), clock.time_s
    second, first = one(memory, session, t + 5, t + 9), one(memory, session, t + 2, t + 9, "cat")
    assert [e.id for e in memory.episodes()] == [first, second]


def test_a_sound_without_an_end_lasted_no_longer_than_was_listened(memory: SceneMemory, clock: Clock) -> None:
    session, t = memory.begin(), clock.time_s
    open_one = one(memory, session, t, None)
    clock.time_s += 60
    memory.heard(session)
    assert [e.id for e in memory.episodes(t + 50)] == [open_one]
    assert memory.episodes(t + 61) == []
    assert memory.episodes()[0].ended_s is None


def test_a_second_run_adds_to_the_first(memory: SceneMemory, clock: Clock) -> None:
    first = memory.begin()
    one(memory, first, clock.time_s, clock.time_s + 2)
    memory.close()
    with SceneMemory(memory.path, clock=clock) as again:
        second = again.begin()
        assert second != first
        one(again, second, clock.time_s + 10, clock.time_s + 12)
        assert [e.session for e in again.episodes()] == [first, second]


def test_forgetting_leaves_no_trace_in_any_file(memory: SceneMemory, clock: Clock) -> None:
    do_not_sync(memory)
    session = memory.begin()
    for k in range(50):
        one(memory, session, clock.time_s + k, clock.time_s + k + 1, "music_violin_or_fiddle")
    folder = memory.path.parent
    assert any(b"music_violin" in file.read_bytes() for file in folder.iterdir())
    assert memory.forget() == 150
    memory.add(session, "moved", clock.time_s, "dog", LEFT, 0.5, 3)  # a listener that still runs
    assert memory.count() == 0
    assert not any(b"music_violin" in file.read_bytes() for file in folder.iterdir())
    assert [s.id for s in memory.sessions()] == [session], "it listens since it forgot"


def test_forgetting_what_is_old_keeps_the_rest(memory: SceneMemory, clock: Clock) -> None:
    session, t = memory.begin(), clock.time_s
    one(memory, session, t, t + 5)
    kept = one(memory, session, t + 100, t + 105)
    assert memory.forget(before_s=t + 50) == 3
    assert [e.id for e in memory.episodes()] == [kept]
    assert one(memory, session, t + 200, t + 201) > kept, "no number is given twice"


@pytest.mark.parametrize("heard_between", [False, True])
def test_after_forgetting_the_memory_begins_no_later_than_what_is_in_it(
    heard_between: bool, memory: SceneMemory, clock: Clock
) -> None:
    """A listener told "last sounded at 00:10:53; my memory begins at 00:10:54"."""
    session = memory.begin()
    memory.forget()
    clock.time_s += 10
    if heard_between:
        memory.heard(session)
    began_s = clock.time_s - 0.7  # a sound is told of a moment after it began
    episode = memory.add(session, "appeared", began_s, "dog", LEFT, 0.5)
    clock.time_s += 5
    memory.add(session, "ended", clock.time_s - 1, "dog", LEFT, 0.5, episode)
    (found,) = memory.sessions()
    assert (found.started_s, found.heard_until_s) == (began_s, clock.time_s)


def test_old_age_is_forgotten_at_the_next_start(tmp_path: Path, clock: Clock) -> None:
    limits = MemoryLimits(max_age_s=3600.0)
    with SceneMemory(tmp_path / "m.sqlite", limits, clock) as memory:
        one(memory, memory.begin(), clock.time_s, clock.time_s + 5)
        clock.time_s += 3000
        recent = one(memory, memory.begin(), clock.time_s, clock.time_s + 5)
        clock.time_s += 1000
        memory.begin()
        assert [e.id for e in memory.episodes()] == [recent]


def test_size_is_bounded_and_the_latest_is_kept(tmp_path: Path, clock: Clock) -> None:
    limits = MemoryLimits(max_bytes=65_536)
    with SceneMemory(tmp_path / "m.sqlite", limits, clock) as memory:
        do_not_sync(memory)
        session = memory.begin()
        for k in range(800):
            last = one(memory, session, clock.time_s + k, clock.time_s + k + 1)
        memory.prune()
        assert memory.used_bytes() <= 65_536
        assert memory.path.stat().st_size <= 2 * 65_536
        assert memory.episodes()[-1].id == last
        assert 100 < len(memory.episodes()) < 800


_WRITER = """
import sys
from pathlib import Path
from earshot.runtime.scene.episodes import Place
from earshot.runtime.scene.memory import SceneMemory
with SceneMemory(Path(sys.argv[1])) as memory:
    session = memory.begin()
    for k in range(100_000):
        episode = memory.add(session, "appeared", 1e6 + k, "dog", Place(k % 180, 0.0, 1.0), 0.5)
        print(episode, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_kill_9_in_the_middle_of_writing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "m.sqlite"
    acknowledged: list[int] = []
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout as lines:
        for _ in range(random.Random(seed).randint(20, 120)):
            acknowledged.append(int(lines.readline()))
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in lines if line.endswith("\n")]
    assert writer.wait() == -signal.SIGKILL
    with SceneMemory(path) as memory:
        kept = {episode.id for episode in memory.episodes()}
        assert set(acknowledged) <= kept
        assert len(kept - set(acknowledged)) <= 1, "at most the one that was being written"
        again = memory.add(memory.begin(), "appeared", 2e6, "cat", LEFT, 0.5)
        assert again not in kept
    whole = sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone()
    assert whole == ("ok",)


def test_a_damaged_or_foreign_file_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be taken for one" * 40)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mail (body)")
    connection.close()
    for path, words in ((text, "no memory of Earshot"), (other, "another program"), (tmp_path, "cannot be made")):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(MemoryUnusable, match=words) as caught:
            SceneMemory(path).open()
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not before or path.read_bytes() == before


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(MemoryUnusable, match="nothing is remembered there"):
        SceneMemory(tmp_path / "m.sqlite").open(create=False)
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_read_it(memory: SceneMemory) -> None:
    memory.begin()
    assert all(file.stat().st_mode & 0o077 == 0 for file in memory.path.parent.iterdir())


def test_the_default_place_follows_the_state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_memory_path() == tmp_path / "earshot" / "memory.sqlite"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_memory_path().is_absolute()


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["appeared", "moved", "ended"]), st.integers(0, 3)), max_size=25),
)
def test_any_order_of_events_gives_episodes_that_begin_before_they_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.sqlite"
    with SceneMemory(path) as memory:
        do_not_sync(memory)
        session = memory.begin()
        begun: list[int] = []
        for k, (kind, which) in enumerate(steps):
            episode = begun[which % len(begun)] if begun else 0
            added = memory.add(session, kind, 1e6 + k, "dog", LEFT, 0.5, episode)  # type: ignore[arg-type]
            begun += [added] if kind == "appeared" else []
        episodes = memory.episodes()
        assert [e.id for e in episodes] == begun
        assert all(e.ended_s is None or e.ended_s >= e.started_s for e in episodes)
        assert memory.count() == sum(len(e.places) for e in episodes)
