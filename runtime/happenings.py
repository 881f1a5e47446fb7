"""What a listener tells while it hears, and to whom."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from earshot.runtime.audio.capture import CaptureEvent
from earshot.runtime.hearing.effort import Effort
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.watching import Alert

_LOG = logging.getLogger(__name__)
_KEPT_CHANGES = 1024


@dataclass(frozen=True)
class Note:
    """Something else that a person should know; `time_s` since stream start."""

    text: str
    time_s: float


@dataclass(frozen=True)
class EffortChange:
    """More or less is done from now on, because the machine is faster or slower; `time_s` since stream start."""

    effort: Effort
    time_s: float

    @property
    def text(self) -> str:
        """One line for a person."""
        return self.effort.text


@dataclass(frozen=True)
class End:
    """Nothing more will be heard.

    Attributes
    ----------
    failure : BaseException or None
        Why, when the source did not end by itself.
    """

    failure: BaseException | None = None


Happening = SceneSnapshot | TrackChange | Alert | CaptureEvent | EffortChange | Note | End
OnHappening = Callable[[Happening], None]


class Followers:
    """Functions that are called with everything that happens; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: list[OnHappening] = []
        self._end: End | None = None

    def add(self, follower: OnHappening) -> None:
        """Call a function from now on; after the end, with `End` at once, and with notes that still come."""
        with self._lock:
            end = self._end
            self._followers.append(follower)
        if end is not None:
            follower(end)

    def remove(self, follower: OnHappening) -> None:
        """Call a function no more."""
        with self._lock:
            if follower in self._followers:
                self._followers.remove(follower)

    def changes(self) -> Iterator[TrackChange]:
        """Changes of the scene from now to the end; of what is not fetched the latest 1,024 are kept.

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

        self.add(keep)
        return self._fetch(box, keep)

    def _fetch(self, box: queue.Queue[TrackChange | End], keep: OnHappening) -> Iterator[TrackChange]:
        try:
            while not isinstance(found := box.get(), End):
                yield found
            if found.failure is not None:
                raise found.failure
        finally:
            self.remove(keep)

    def tell(self, happening: Happening) -> None:
        """Call all; one that fails is not called again, for whoever looks on must not stop the hearing."""
        with self._lock:
            followers = tuple(self._followers)
            if isinstance(happening, End):
                self._end = happening
        for follower in followers:
            try:
                follower(happening)
            except Exception:
                _LOG.exception("a follower failed and is not called again")
                self.remove(follower)
