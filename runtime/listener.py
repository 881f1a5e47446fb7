"""The listener as a Python object: hears a source, keeps the scene, answers questions meanwhile.

    from earshot.runtime import Listener

    with Listener("street.wav") as listener:
        for change in listener.changes():
            print(change.kind, change.track.label, round(change.track.azimuth_deg))
        print(listener.ask("Where is the dog?").text)

One thread hears, one owns the language model; the caller's threads only look and wait. `earshot listen` and `earshot serve`
run on the same object.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from typing_extensions import Self

from earshot.runtime.audio.capture import CaptureEvent, CaptureState, Reporting
from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioSource
from earshot.runtime.errors import UsageError
from earshot.runtime.happenings import EffortChange, End, Followers, Happening, Note, OnHappening
from earshot.runtime.hearing.effort import REFUSAL, Effort
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.load import HearingLoad, LoadMeter
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.past import Past
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.language.answerer import Answer, Answerer, OnText
from earshot.runtime.language.questions import Answering, BusyError, Question, Reply
from earshot.runtime.loop import HearingLoop
from earshot.runtime.matters import Answers, QuestionNow, QuestionOf
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.now import Scene
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watches import WatchRule
from earshot.runtime.scene.watching import Watcher

__all__ = ["Answer", "EffortChange", "End", "Happening", "Listener", "Note", "Question", "Reply", "Scene"]

FILE_CHUNK_SAMPLES = 16 * 640
"""Files are heard in larger chunks than live sound; no result depends on it."""
MAX_WATCHES = 64
_KEPT_CHANGES = 1024
_FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE_HZ)
_DEAF = (CaptureState.DEAF.value, CaptureState.RECONNECTING.value)


class Listener:
    """Hears a source and answers questions about it; use it as a context.

    Parameters
    ----------
    source : str or AudioSource
        What `earshot listen --source` takes ("mic", "mic:NAME", a path, "tcp://HOST:PORT"), or a source.
    bundle : Path or str, optional
        Model bundle; the built-in one without it.
    think : bool
        Whether answers begin with written evidence.
    speed : float
        Factor on true time for recordings.
    memory : Path or str, optional
        File in which what happens is kept (never sound), so that questions about the past can be answered.
    watches : sequence of WatchRule
        What is looked out for from the beginning.
    """

    def __init__(
        self,
        source: str | AudioSource = "mic",
        *,
        bundle: Path | str | None = None,
        think: bool = True,
        speed: float = 1.0,
        memory: Path | str | None = None,
        watches: Sequence[WatchRule] = (),
    ) -> None:
        self._source_spec, self._speed = source, speed
        self._bundle = None if bundle is None else Path(bundle)
        self._think = think
        self._past = Past(None if memory is None else SceneMemory(Path(memory)), self._note)
        self._watcher = Watcher(watches)
        self._loaded: tuple[Encoders, HearingLoop, Answering] | None = None
        self._source: AudioSource | None = None
        self._followers = Followers()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._closed = False
        self._failure: BaseException | None = None
        self._capture_text = ""

    def load(self) -> None:
        """Verify the bundle and load its networks; done by `start` when it was not done before.

        Raises
        ------
        BundleError
            When it is missing or refused.
        """
        if self._loaded is not None:
            return
        directory, encoders = open_encoders(self._bundle)
        answerer = Answerer(directory)
        answerer.load()
        answering = Answers(answerer, self._past)
        answering.start()
        self._loaded = encoders, HearingLoop(encoders, self._tell, self._watcher), answering

    def start(self) -> None:
        """Open the source and begin to hear.

        Raises
        ------
        UsageError
            When it has been started before, or the source means nothing.
        EarshotError
            When bundle or source cannot be used.
        """
        if self._thread is not None or self._closed:
            raise UsageError("a listener can be started once; make another one")
        spec = self._source_spec
        source = open_source(spec, self._speed) if isinstance(spec, str) else spec
        self.load()
        if isinstance(source, Reporting):
            source.on_event = self._captured
        source.open()
        self._source = source
        self._past.start()
        self._thread = threading.Thread(target=self._hear, args=(source,), name="hearing", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop hearing and answering and free everything; may be called twice and from any thread."""
        self._closed = True
        if self._source is not None:
            self._source.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._loaded is not None:
            self._loaded[2].close()
        self._past.close()
        self._over.set()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What is heard."""
        if self._source is not None:
            return self._source.name
        return self._source_spec if isinstance(self._source_spec, str) else self._source_spec.name

    @property
    def frames(self) -> int:
        """Frames of 40 ms heard so far: as long as this grows, the listener hears."""
        return 0 if self._loaded is None else self._loaded[1].heard_samples // _FRAME_SAMPLES

    @property
    def heard_s(self) -> float:
        """Seconds of sound heard so far."""
        return 0.0 if self._loaded is None else self._loaded[1].heard_s

    @property
    def resting(self) -> bool:
        """Whether the encoders rest, because there is nothing to be heard."""
        return self._loaded is not None and self._loaded[1].hearing.resting

    @property
    def effort(self) -> Effort:
        """What this machine can do at the moment; less than all only when it is too slow for a live source."""
        return Effort.FULL if self._loaded is None else self._loaded[1].effort

    @property
    def state(self) -> str:
        """As in `Scene`."""
        if self._over.is_set():
            return "ended" if self._failure is None else "failed"
        if self._source is None:
            return "idle"
        return str(self._source.state.value) if isinstance(self._source, Reporting) else "playing"

    @property
    def state_text(self) -> str:
        """What the source last said about its state; empty for a recording."""
        return self._capture_text if self._failure is None else str(self._failure)

    @property
    def failure(self) -> BaseException | None:
        """Why the source failed; None while it did not."""
        return self._failure

    @property
    def scene(self) -> Scene:
        """What sounds now."""
        state = self.state
        if self._loaded is None:
            return Scene(0.0, state, ())
        latest, findings = self._loaded[1].latest, self._loaded[1].findings
        tracks = () if state in _DEAF else tuple(track for track in latest.tracks if track.active)
        return Scene(latest.time_s, state, tracks, findings)

    def load_figures(self) -> HearingLoad:
        """How long hearing takes."""
        return (LoadMeter() if self._loaded is None else self._loaded[1].meter).read()

    @property
    def answering(self) -> Answering:
        """The line of questions.

        Raises
        ------
        UsageError
            When nothing is loaded yet.
        """
        return self._parts()[2]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source has ended; False when it has not within `timeout_s`.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        over = self._over.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        return over

    def changes(self) -> Iterator[TrackChange]:
        """Sources that are new, move and end, as it happens, until the source ends.

        What is not fetched is kept up to 1,024 changes, then the oldest are lost.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        box: queue.Queue[TrackChange | End] = queue.Queue(_KEPT_CHANGES)

        def keep(happening: Happening) -> None:
            if isinstance(happening, (TrackChange, End)):
                while box.full():
                    box.get_nowait()
                box.put_nowait(happening)

        self.follow(keep)
        return self._fetch(box, keep)

    def _fetch(self, box: queue.Queue[TrackChange | End], keep: OnHappening) -> Iterator[TrackChange]:
        try:
            while not isinstance(found := box.get(), End):
                yield found
            if found.failure is not None:
                raise found.failure
        finally:
            self.unfollow(keep)

    def follow(self, on_happening: OnHappening) -> None:
        """Have a function called with everything that happens, in the thread that notices it.

        It must return at once and must not raise; one that raises is not called again. After the end it is called
        with `End` at once.
        """
        self._followers.add(on_happening)

    def unfollow(self, on_happening: OnHappening) -> None:
        """Call a function no more."""
        self._followers.remove(on_happening)

    @property
    def watches(self) -> dict[int, WatchRule]:
        """What is looked out for, by number."""
        return self._watcher.rules

    def watch(self, condition: str | WatchRule) -> tuple[int, str]:
        """Look out for something: an `Alert` happens when it is there.

        Parameters
        ----------
        condition : str or WatchRule
            "when a dog barks behind me", or a rule.

        Returns
        -------
        number : int
            For `unwatch`.
        note : str
            What has to be said about it, else empty.

        Raises
        ------
        UsageError
            When it cannot be understood, or when too much is watched for already.
        """
        rule, note = compile_watch(condition) if isinstance(condition, str) else (condition, "")
        if len(self._watcher.rules) >= MAX_WATCHES:
            raise UsageError(f"{MAX_WATCHES} watches are armed already; remove one first")
        return self._watcher.arm(rule), note

    def unwatch(self, number: int) -> bool:
        """Look out for something no more; False when there is no such number."""
        return self._watcher.disarm(number)

    def ask(
        self,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        on_text: OnText | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Ask about the last 10 seconds and wait for the answer.

        Parameters
        ----------
        question : str
        choices : sequence of str, optional
            2 to 8 options; the answer is then one of them.
        think : bool, optional
            Whether the model writes its evidence first; as the listener was made without it.
        on_text : callable, optional
            Called with pieces of text as they come; see `Answerer.answer`.
        timeout_s : float, optional
            How long to wait.

        Raises
        ------
        UsageError
            When question or choices cannot be asked.
        BusyError
            When too many questions wait.
        TimeoutError
            When it takes too long; the question is cancelled then.
        """
        return self._wait_for(self.submit(question, choices, think=think, on_text=on_text), timeout_s).answer

    def ask_file(
        self,
        audio: Path | str,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Ask about a recording, while live hearing goes on; parameters and errors as `ask`.

        Raises
        ------
        InputError
            When the recording cannot be used.
        """
        source = FileSource(audio, chunk_samples=FILE_CHUNK_SAMPLES)
        return self._wait_for(self.submit(question, choices, think=think, source=source), timeout_s)

    def _wait_for(self, question: Question, timeout_s: float | None) -> Reply:
        try:
            return question.result(timeout_s)
        except BaseException:  # time is up, or Ctrl-C: nobody waits any more
            self.cancel(question)
            raise

    def submit(
        self,
        question: str,
        choices: Sequence[str] | None = None,
        *,
        think: bool | None = None,
        on_text: OnText | None = None,
        source: AudioSource | None = None,
        longest_s: float | None = None,
    ) -> Question:
        """Ask without waiting; `Question.result` waits, `cancel` cancels.

        Parameters
        ----------
        question, choices, think, on_text
            As in `ask`.
        source : AudioSource, optional
            What it is about, not open; without it, the last 10 seconds.
        longest_s : float, optional
            A longer source is refused.

        Raises
        ------
        BusyError
            When too many questions wait, or this machine is too busy with hearing.
        """
        encoders, loop, answering = self._parts()
        if not loop.effort.answers:
            raise BusyError(REFUSAL)
        evidence = self._think if think is None else think
        if source is None:
            return answering.submit(QuestionNow(question, encoders, loop.hearing, choices, evidence, on_text))
        return answering.submit(QuestionOf(question, encoders, source, longest_s, choices, evidence, on_text))

    def cancel(self, question: Question) -> None:
        """Stop a question; one that is done stays done."""
        self._parts()[2].cancel(question)

    def _parts(self) -> tuple[Encoders, HearingLoop, Answering]:
        if self._loaded is None:
            raise UsageError("the listener is not loaded: call start(), or use it in a 'with' block")
        return self._loaded

    def _hear(self, source: AudioSource) -> None:
        """The hearing thread."""
        try:
            self._parts()[1].run(source)
        except BaseException as error:
            if not self._closed:
                self._failure = error
        self._over.set()
        self._followers.tell(End(self._failure))

    def _tell(self, happening: Happening) -> None:
        if isinstance(happening, TrackChange):
            self._past.take(happening)
        self._followers.tell(happening)

    def _note(self, text: str) -> None:
        self._tell(Note(text, self.heard_s))

    def _captured(self, event: CaptureEvent) -> None:
        """A live source is in another state; called from its own thread."""
        self._capture_text = event.text
        self._tell(event)
