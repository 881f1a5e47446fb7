"""The listener as a Python object: hears, tells, answers meanwhile, and ends cleanly in every case."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import earshot.runtime
from earshot.runtime import Answer, Listener, Scene
from earshot.runtime.audio.source import ArraySource
from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.questions import BusyError
from earshot.runtime.listener import End, Happening
from tests.runtime.hearing.sounds import bursts, noise
from tests.runtime.whole_bundle import write_whole_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_bundle(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "bursts.wav"
    soundfile.write(path, bursts().T, 16_000, subtype="FLOAT")
    return path


@pytest.fixture
def endless(bundle: Path) -> Iterator[Listener]:
    """Hears noise on the left in true time."""
    with Listener(ArraySource(noise(60.0, 0.2, 0.05), pace="real"), bundle=bundle) as listener:
        yield listener


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"hearing", "answering"}


def test_a_recording_is_heard_to_its_end_and_asked_about(bundle: Path) -> None:
    pieces: list[str] = []
    with Listener(ArraySource(bursts()), bundle=bundle) as listener:
        changes = list(listener.changes())
        assert listener.wait()
        answer = listener.ask("What can you hear?", on_text=pieces.append)
        reply = listener.submit("What can you hear?").result()
        assert listener.frames == 175
        assert listener.scene.state == "ended"
    assert isinstance(answer, Answer)
    assert "".join(pieces).strip().endswith(answer.text)
    assert reply.answer.text == answer.text
    assert {change.kind for change in changes} >= {"new", "ended"}
    assert any(change.track.azimuth_deg > 20 for change in changes)
    assert reply.matter.sources
    assert threads() == set()


def test_the_scene_tells_what_sounds_now(endless: Listener) -> None:
    next(change for change in endless.changes() if change.kind == "new")
    scene = endless.scene
    assert isinstance(scene, Scene)
    assert scene.state == "playing"
    assert len(scene) == len(scene.lines()) > 0
    told = scene.as_dict()["tracks"]
    assert [{**track.as_dict(), "uncertainty": scene.ellipses[track.track_id].as_dict()} for track in scene] == told
    assert "to your left" in scene.lines()[0]


def test_a_file_is_answered_while_live_hearing_goes_on(endless: Listener, recording: Path) -> None:
    reply = endless.ask_file(recording, "Where is it?", ["on the left", "on the right"])
    assert reply.answer.choice in (0, 1)
    assert reply.matter.audio_s == pytest.approx(7.0)
    before = endless.frames
    with pytest.raises(InputError, match="no such file"):
        endless.ask_file("missing.wav", "Where is it?")
    with pytest.raises(InputError, match="longer than 2 s"):
        endless.submit("Where?", source=ArraySource(bursts()), longest_s=2.0).result()
    waited = threading.Event()
    endless.follow(lambda happening: waited.set() if endless.frames > before else None)
    assert waited.wait(60)


class Gate:
    """A question that waits in the answering thread until it is let through."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, text: str) -> None:
        self.reached.set()
        assert self.open.wait(60)


def test_a_running_and_a_waiting_question_are_cancelled_and_the_next_is_answered(endless: Listener) -> None:
    gate = Gate()
    running = endless.submit("What is that?", on_text=gate)
    assert gate.reached.wait(60)
    waiting = endless.submit("And that?")
    endless.cancel(waiting)
    endless.cancel(running)
    with pytest.raises(CancelledError):
        waiting.result(60)  # at once, although the other still runs
    gate.open.set()
    with pytest.raises(CancelledError):
        running.result(60)
    assert endless.ask("What is that?", think=False).text is not None
    endless.cancel(running)  # done already: nothing happens


def test_a_cancel_that_the_language_model_missed_is_not_lost(endless: Listener) -> None:
    """`Answerer.answer` forgets a cancel that comes before it begins; the handle remembers."""
    pieces: list[str] = []

    def hear(text: str) -> None:
        pieces.append(text)
        question.mark_cancelled()

    question = endless.submit("What is that?", on_text=hear)
    with pytest.raises(CancelledError):
        question.result(60)
    assert len(pieces) == 1


def test_the_line_of_questions_is_bounded(endless: Listener) -> None:
    gate = Gate()
    running = endless.submit("What is that?", on_text=gate)
    assert gate.reached.wait(60)
    waiting = [endless.submit("And that?", think=False) for _ in range(8)]
    with pytest.raises(BusyError, match="ask again"):
        endless.submit("One more?")
    gate.open.set()
    for question in (running, *waiting):
        assert question.result(60).answer is not None


def test_time_is_up_and_the_question_is_cancelled(endless: Listener) -> None:
    gate = Gate()
    running = endless.submit("What is that?", on_text=gate)
    assert gate.reached.wait(60)
    with pytest.raises(TimeoutError):
        endless.ask("And that?", timeout_s=0.01)
    assert endless.answering.waiting == 1  # answered by nobody, and skipped
    gate.open.set()
    running.result(60)
    endless.ask("And now?", think=False)
    assert endless.answering.answered == 2


def test_closing_cancels_what_waits(bundle: Path) -> None:
    listener = Listener(ArraySource(noise(60.0), pace="real"), bundle=bundle)
    listener.start()
    gate = Gate()
    running = listener.submit("What is that?", on_text=gate)
    assert gate.reached.wait(60)
    waiting = listener.submit("And that?")
    threading.Timer(0.05, gate.open.set).start()
    listener.close()
    for question in (running, waiting):
        with pytest.raises(CancelledError):
            question.result(60)
    with pytest.raises(BusyError, match="closed"):
        listener.ask("Anyone?")
    with pytest.raises(UsageError, match="once"):
        listener.start()
    listener.close()
    assert threads() == set()


def test_a_broken_follower_does_not_stop_the_hearing(bundle: Path) -> None:
    seen: list[Happening] = []

    def broken(happening: Happening) -> None:
        seen.append(happening)
        raise RuntimeError("broken")

    listener = Listener(ArraySource(bursts()), bundle=bundle)
    listener.follow(broken)
    with listener:
        assert listener.wait()
        assert listener.frames == 175
    assert len(seen) == 1
    late: list[Happening] = []
    listener.follow(late.append)
    assert late == [End(None)]


def test_a_source_that_fails_on_the_way_is_told_to_everybody(bundle: Path) -> None:
    samples = bursts()
    samples[0, 50_000] = np.nan
    with Listener(ArraySource(samples), bundle=bundle) as listener:
        with pytest.raises(InputError, match="NaN"):
            list(listener.changes())
        with pytest.raises(InputError, match="NaN"):
            listener.wait()
        assert listener.state == "failed"


def test_a_source_that_cannot_be_opened_leaves_no_thread(bundle: Path) -> None:
    with pytest.raises(InputError), Listener("missing.wav", bundle=bundle):
        pass
    assert threads() == set()
    with pytest.raises(UsageError, match="not loaded"):
        Listener("missing.wav").ask("Where?")


def test_figures_of_the_load_are_measured(bundle: Path) -> None:
    with Listener(ArraySource(bursts()), bundle=bundle) as listener:
        listener.wait()
        load = listener.load_figures()
    assert 0 < load.processing_p50_s <= load.processing_p95_s
    assert load.load > 0
    assert set(load.as_dict()) == {"processing_p50_s", "processing_p95_s", "load"}


def test_the_public_names_are_documented_and_loaded_late() -> None:
    for name in earshot.runtime.__all__:
        assert inspect.getdoc(getattr(earshot.runtime, name))
    for name, member in inspect.getmembers(Listener):
        if not name.startswith("_"):
            assert inspect.getdoc(member), name
    code = "import sys, earshot.runtime; print('numpy' in sys.modules, hasattr(earshot.runtime, 'nonsense'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
