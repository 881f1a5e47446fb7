"""The one loop: what it tells, and how it does less on a machine that is too slow and more again."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime import Listener, loop
from earshot.runtime.audio import head_yaw
from earshot.runtime.audio.capture import Patient
from earshot.runtime.audio.head_yaw import HeadYaw
from earshot.runtime.audio.source import ArraySource
from earshot.runtime.errors import UsageError
from earshot.runtime.happenings import EffortChange, Followers, Happening, Note
from earshot.runtime.hearing.effort import REFUSAL, Effort, EffortSettings
from earshot.runtime.hearing.encoders import Encoders, EncoderStream
from earshot.runtime.hearing.frame import HearingFrame
from earshot.runtime.hearing.holding import Holding
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.language.questions import BusyError
from earshot.runtime.listener import MAX_WATCHES, End
from earshot.runtime.loop import HearingLoop
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.watching import Alert
from tests.runtime.audio.test_network import free_port
from tests.runtime.hearing.sounds import bursts, noise
from tests.runtime.tiny_bundle import write_tiny_networks
from tests.runtime.whole_bundle import write_whole_bundle

HASTY = EffortSettings(average_s=0.1, patience_s=0.1, calm_s=1.0, over_load=5.0, fits_load=4.0)
"""Steps come after a few frames, and only sleeping makes a load that is so high: not other programs."""


class LiveArray(ArraySource):
    """Of no known length, like a microphone."""

    @property
    def duration_s(self) -> None:
        return None


class PatientArray(LiveArray):
    """Notes what it is told of resting."""

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__(samples)
        self.told: list[bool] = []

    def rest(self, resting: bool) -> None:
        self.told.append(resting)


class SlowEncoders(Encoders):
    """Take longer than the sound lasts, for as long as somebody says so."""

    def __init__(self, step_s: Callable[[], float]) -> None:
        super().__init__()
        self._step_s = step_s

    def open_stream(self) -> EncoderStream:
        return _SlowStream(self, self._step_s)


class _SlowStream(EncoderStream):
    def __init__(self, encoders: Encoders, step_s: Callable[[], float]) -> None:
        super().__init__(encoders)
        self._step_s = step_s

    def step(self, features: np.ndarray) -> HearingFrame:
        time.sleep(self._step_s())
        return super().step(features)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_networks(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_bundle(tmp_path_factory.mktemp("whole"))


def heard(encoders: Encoders, source: ArraySource, settings: EffortSettings | None = None) -> list[Happening]:
    told: list[Happening] = []
    with source:
        HearingLoop(encoders, told.append, effort_settings=settings).run(source)
    return told


def efforts(told: list[Happening]) -> list[Effort]:
    return [change.effort for change in told if isinstance(change, EffortChange)]


def test_a_slow_machine_hears_less_then_only_hears_and_recovers_step_by_step(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "time_hops", lambda encoders, clock: 0.03)
    told: list[Happening] = []
    delays_s = {0: 0.25, 1: 0.5}
    encoders = SlowEncoders(lambda: delays_s.get(len(efforts(told)), 0.0))
    encoders.load(tiny)
    source = LiveArray(noise(8.0, 0.2, 0.05))
    with source:
        hearing = HearingLoop(encoders, told.append, effort_settings=HASTY)
        hearing.run(source)
    assert efforts(told) == [Effort.HALF, Effort.HEARING_ONLY, Effort.HALF, Effort.FULL]
    assert hearing.effort is Effort.FULL
    times = [snapshot.time_s for snapshot in told if isinstance(snapshot, SceneSnapshot)]
    assert times == pytest.approx(np.arange(1, 81) / 10), "the clock of the scene goes on whatever is left out"
    assert any(isinstance(change, TrackChange) and change.kind == "new" for change in told)


def test_a_machine_that_the_self_test_finds_too_slow_begins_with_less(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "time_hops", lambda encoders, clock: 1.2)
    encoders = Encoders()
    encoders.load(tiny)
    told = heard(encoders, LiveArray(noise(3.0, 0.2, 0.05)))
    assert efforts(told) == [Effort.HALF]
    assert "every second frame" in told[0].text  # type: ignore[union-attr]


def test_a_live_source_is_told_what_the_self_test_found_and_a_recording_is_not_tested(tiny: Path) -> None:
    encoders = Encoders()
    encoders.load(tiny)
    looks = iter(range(10**6))
    told: list[Happening] = []
    with LiveArray(noise(0.2)) as source:
        hearing = HearingLoop(encoders, told.append, clock=lambda: 0.002 * next(looks))
        hearing.run(source)
    assert hearing.holding == Holding(1, Effort.FULL, pytest.approx(0.05))
    (note,) = [happening for happening in told if isinstance(happening, Note)][:1]
    assert note.text.startswith("self-test: hearing every frame takes 5.0% of real time on one thread")
    with ArraySource(noise(0.2)) as source:
        waits = HearingLoop(encoders, told.append, threads=2)
        waits.run(source)
    assert waits.holding is None
    assert encoders.threads == 2, "as somebody has chosen"


def test_a_silent_head_tracker_is_told_and_held_and_hearing_goes_on(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_yaw, "SILENT_S", 0.0)
    encoders = Encoders()
    encoders.load(tiny)
    told: list[Happening] = []
    with HeadYaw(f"osc://127.0.0.1:{free_port(socket.SOCK_DGRAM)}") as yaw, ArraySource(bursts()) as source:
        loop_ = HearingLoop(encoders, told.append, yaw=yaw)
        loop_.run(source)
    silent = [note.text for note in told if isinstance(note, Note) and "no yaw of the head comes" in note.text]
    assert len(silent) == 1
    assert silent[0] in loop_.findings
    new = [change.track for change in told if isinstance(change, TrackChange) and change.kind == "new"]
    assert new
    assert all(track.room_azimuth_deg is None for track in new)


def test_the_self_test_hears_with_the_encoders_it_is_about(tiny: Path) -> None:
    encoders = SlowEncoders(lambda: 0.05)
    encoders.load(tiny)
    assert efforts(heard(encoders, LiveArray(noise(0.2))))[0] is not Effort.FULL


def test_a_source_that_can_wait_is_told_when_the_encoders_rest(tiny: Path) -> None:
    encoders = Encoders()
    encoders.load(tiny)
    quiet, loud = noise(4.0, 1e-4, 1e-4), noise(0.5, 0.2, 0.05)
    source = PatientArray(np.concatenate([quiet, loud], axis=1))
    heard(encoders, source)
    assert isinstance(source, Patient)
    frames = [source.told.index(True), len(source.told) - source.told[::-1].index(True)]
    assert source.told == [frames[0] <= number < frames[1] for number in range(len(source.told))], "one rest"
    assert frames[1] == pytest.approx(100, abs=1), "until the sound, to the frame"


def test_a_recording_waits_so_nothing_is_left_out(tiny: Path) -> None:
    encoders = SlowEncoders(lambda: 0.3)
    encoders.load(tiny)
    assert efforts(heard(encoders, ArraySource(noise(0.4)), HASTY)) == []


def test_questions_are_refused_in_one_line_while_the_machine_only_hears(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "time_hops", lambda encoders, clock: 9.0)
    source = LiveArray(noise(30.0, 0.2, 0.05), pace="real")
    listener = Listener(source, bundle=bundle)
    began: list[EffortChange] = []
    listener.follow(lambda happening: began.append(happening) if isinstance(happening, EffortChange) else None)
    with listener:
        next(change for change in listener.changes() if change.kind == "new")
        assert listener.effort is Effort.HEARING_ONLY
        with pytest.raises(BusyError, match="too busy with hearing"):
            listener.ask("Where is it?")
    assert "\n" not in REFUSAL
    assert began[0].time_s == 0.0


def test_watches_come_and_go_while_it_listens(bundle: Path) -> None:
    listener = Listener(ArraySource(bursts()), bundle=bundle)
    told: list[Alert] = []
    listener.follow(lambda happening: told.append(happening) if isinstance(happening, Alert) else None)
    left, _ = listener.watch("when any sound appears on my left")
    gone, _ = listener.watch("when any sound appears on my right")
    assert listener.unwatch(gone)
    assert not listener.unwatch(gone)
    with listener:
        assert listener.wait(60)
    assert list(listener.watches) == [left]
    assert told
    assert all(alert.track.azimuth_deg > 0 for alert in told)
    again, _ = listener.watch("when any sound appears on my right")
    assert again > gone, "a number is never given twice"


def test_watches_that_mean_nothing_or_are_too_many_are_refused() -> None:
    listener = Listener("missing.wav")
    with pytest.raises(UsageError, match="cannot watch for"):
        listener.watch("when pigs fly by")
    for _ in range(MAX_WATCHES):
        listener.watch("when a dog barks")
    with pytest.raises(UsageError, match="remove one first"):
        listener.watch("when a dog barks")


def test_what_happened_is_remembered_and_asked_for(bundle: Path, tmp_path: Path) -> None:
    with Listener(ArraySource(bursts()), bundle=bundle, memory=tmp_path / "memory.sqlite") as listener:
        assert listener.wait(60)
        reply = listener.submit("What did you hear in the last hour?").result(60)
        assert reply.answer.prompt_tokens == 0, "the memory answers, not the language model"
        assert reply.answer.text
        assert listener.submit("What did you hear in the last hour?", ["a dog", "a cat"]).result(60).answer.choice in (
            0,
            1,
        )


def test_without_a_memory_a_question_about_the_past_is_said_to_be_none(bundle: Path) -> None:
    notes: list[str] = []
    listener = Listener(ArraySource(noise(0.5)), bundle=bundle)
    listener.follow(lambda happening: notes.append(happening.text) if isinstance(happening, Note) else None)
    with listener:
        listener.ask("What did you hear in the last hour?", think=False)
    assert any("--remember" in note for note in notes)


def test_a_follower_that_fails_is_dropped_and_a_late_one_is_told_the_end() -> None:
    followers, told = Followers(), []

    def fails(happening: Happening) -> None:
        told.append("failed")
        raise RuntimeError("on purpose")

    followers.add(fails)
    followers.tell(Note("one", 0.0))
    followers.tell(Note("two", 0.0))
    followers.tell(End())
    followers.add(lambda happening: told.append(type(happening).__name__))
    followers.tell(Note("late", 0.0))
    assert told == ["failed", "End", "Note"]
