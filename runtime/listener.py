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

from collections.abc import Iterator, Sequence
from pathlib import Path

from typing_extensions import Self

from earshot.runtime.audio.capture import CaptureEvent, CaptureState
from earshot.runtime.audio.head_yaw import HeadYaw
from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioSource
from earshot.runtime.errors import UsageError
from earshot.runtime.happenings import EffortChange, End, Followers, Happening, Note, OnHappening
from earshot.runtime.heard_source import HeardSource
from earshot.runtime.hearing.effort import Effort
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S
from earshot.runtime.hearing.holding import Holding
from earshot.runtime.hearing.load import HearingLoad, LoadMeter
from earshot.runtime.inquiry import Inquiry
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.past import Past
from earshot.runtime.language.answerer import Answer, Answerer
from earshot.runtime.language.questions import Answering, Question, Reply
from earshot.runtime.loop import HearingLoop
from earshot.runtime.matters import Answers
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.now import Scene
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watches import WatchRule
from earshot.runtime.scene.watching import Watcher

__all__ = ["Answer", "EffortChange", "End", "Happening", "Listener", "Note", "Question", "Reply", "Scene"]

MAX_WATCHES = 64
_FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE_HZ)
_DEAF = (CaptureState.DEAF, CaptureState.RECONNECTING)
_DEAF_STATES = tuple(state.value for state in _DEAF)


class Listener(Inquiry):
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
    yaw : str, optional
        Where a head tracker sends the yaw of the head to: "osc://127.0.0.1:9000", see `parse_yaw`.
    threads : int, optional
        For the encoders; a live source finds out by itself how many it needs.
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
        yaw: str | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(think)
        self._bundle = None if bundle is None else Path(bundle)
        self._heard = HeardSource(source, speed, self._tell)
        self._past = Past(None if memory is None else SceneMemory(Path(memory)), self._note)
        self._watcher = Watcher(watches)
        self._yaw = None if yaw is None else HeadYaw(yaw)
        self._threads = threads
        self._loaded: tuple[Encoders, HearingLoop, Answering] | None = None
        self._followers = Followers()

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
        loop = HearingLoop(encoders, self._tell, self._watcher, yaw=self._yaw, threads=self._threads)
        self._loaded = encoders, loop, answering

    def start(self) -> None:
        """Open the source and begin to hear.

        Raises
        ------
        UsageError
            When it has been started before, or the source means nothing.
        EarshotError
            When bundle or source cannot be used.
        """
        if self._heard.used:
            raise UsageError("a listener can be started once; make another one")
        self._heard.find()
        if self._yaw is not None:
            self._yaw.open()
        self.load()
        self._heard.open()
        self._past.start()
        self._heard.hear(self._parts()[1])

    def close(self) -> None:
        """Stop hearing and answering and free everything; may be called twice and from any thread."""
        self._heard.close()
        if self._loaded is not None:
            self._loaded[2].close()
        if self._yaw is not None:
            self._yaw.close()
        self._past.close()
        self._heard.finish()

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
        return self._heard.name

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
    def holding(self) -> Holding | None:
        """What the self-test at the start found that this machine can hold; None before it, and for a recording."""
        return None if self._loaded is None else self._loaded[1].holding

    @property
    def state(self) -> str:
        """As in `Scene`."""
        return self._heard.state

    @property
    def state_text(self) -> str:
        """What the source last said about its state; empty for a recording."""
        return self._heard.state_text

    @property
    def failure(self) -> BaseException | None:
        """Why the source failed; None while it did not."""
        return self._heard.failure

    @property
    def scene(self) -> Scene:
        """What sounds now."""
        state = self.state
        if self._loaded is None:
            return Scene(0.0, state, ())
        loop = self._loaded[1]
        latest, findings, ellipses = loop.latest, loop.findings, loop.ellipses
        tracks = () if state in _DEAF_STATES else tuple(track for track in latest.tracks if track.active)
        return Scene(latest.time_s, state, tracks, findings, ellipses, latest.yaw_deg)

    def load_figures(self) -> HearingLoad:
        """How long hearing takes."""
        return (LoadMeter() if self._loaded is None else self._loaded[1].meter).read()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source has ended; False when it has not within `timeout_s`.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        return self._heard.wait(timeout_s)

    def changes(self) -> Iterator[TrackChange]:
        """Sources that are new, move and end, as it happens, until the source ends.

        What is not fetched is kept up to 1,024 changes, then the oldest are lost.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        return self._followers.changes()

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

    def _parts(self) -> tuple[Encoders, HearingLoop, Answering]:
        if self._loaded is None:
            raise UsageError("the listener is not loaded: call start(), or use it in a 'with' block")
        return self._loaded

    def _tell(self, happening: Happening) -> None:
        """Called by the threads that hear and capture."""
        if isinstance(happening, TrackChange):
            self._past.take(happening)
        elif isinstance(happening, CaptureEvent):
            self._past.listening(happening.state not in _DEAF)
        elif isinstance(happening, End):
            self._past.listening(False)
        self._followers.tell(happening)

    def _note(self, text: str) -> None:
        self._tell(Note(text, self.heard_s))
