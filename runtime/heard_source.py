"""The source of a listener and the thread that hears it: from opening it to its end, and in which state that is."""

from __future__ import annotations

import threading

from earshot.runtime.audio.capture import CaptureEvent, Reporting
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.happenings import End, OnHappening
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.loop import HearingLoop


class HeardSource:
    """One source, heard once.

    Parameters
    ----------
    source : str or AudioSource
        What `earshot listen --source` takes, or a source.
    speed : float
        Factor on true time for recordings that are named.
    tell : callable
        Called with changes of the state of a live source and with the `End`, from the threads that notice them.
    """

    def __init__(self, source: str | AudioSource, speed: float, tell: OnHappening) -> None:
        self._spec, self._speed = source, speed
        self._tell = tell
        self._source: AudioSource | None = None
        self._opened = False
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._closed = False
        self._text = ""
        self.failure: BaseException | None = None

    @property
    def used(self) -> bool:
        """Whether it has been heard or closed, so that it cannot be heard any more."""
        return self._thread is not None or self._closed

    @property
    def name(self) -> str:
        """What messages call it."""
        source = self._source or self._spec
        return source if isinstance(source, str) else source.name

    @property
    def state(self) -> str:
        """As in `Scene`."""
        if self._over.is_set():
            return "ended" if self.failure is None else "failed"
        if not self._opened:
            return "idle"
        return str(self._source.state.value) if isinstance(self._source, Reporting) else "playing"

    @property
    def state_text(self) -> str:
        """What the source last said about its state; empty for a recording."""
        return self._text if self.failure is None else str(self.failure)

    def find(self) -> None:
        """Find out what is meant, without opening it.

        Raises
        ------
        UsageError
            When it means nothing.
        """
        self._source = open_source(self._spec, self._speed) if isinstance(self._spec, str) else self._spec

    def open(self) -> None:
        """Open what was found.

        Raises
        ------
        EarshotError
            When it cannot be used.
        """
        assert self._source is not None, "find() first"
        if isinstance(self._source, Reporting):
            self._source.on_event = self._captured
        self._source.open()
        self._opened = True

    def hear(self, loop: HearingLoop) -> None:
        """Hear it to its end in a thread of its own."""
        self._thread = threading.Thread(target=self._hear, args=(loop,), name="hearing", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for the end; False when it has not come within `timeout_s`.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        over = self._over.wait(timeout_s)
        if self.failure is not None:
            raise self.failure
        return over

    def close(self) -> None:
        """End the source and the thread; may be called twice and from any thread."""
        self._closed = True
        if self._source is not None and self._opened:
            self._source.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def finish(self) -> None:
        """Nothing more will be heard, also when nothing ever was."""
        self._over.set()

    def _hear(self, loop: HearingLoop) -> None:
        assert self._source is not None
        try:
            loop.run(self._source)
        except BaseException as error:
            if not self._closed:
                self.failure = error
        self._over.set()
        self._tell(End(self.failure))

    def _captured(self, event: CaptureEvent) -> None:
        """A live source is in another state; called from its own thread."""
        self._text = event.text
        self._tell(event)
