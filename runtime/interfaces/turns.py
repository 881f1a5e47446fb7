"""Whose turn it is: questions in the order in which they were typed, and how to stop them from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from earshot.runtime.language.llm import CancelledError

STOP_WORDS = ("", "stop", "stop!", "cancel")


class Turns:
    """Numbers of questions. One thread types, another answers.

    An empty line ends the answer that has begun to appear; "stop" ends it wherever it is, and what waits behind it.

    Parameters
    ----------
    cancel : callable
        Makes the computation under way end soon; called from the thread that types.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._lock = threading.Lock()
        self._last = self._taken = self._stopped = 0
        self._begun = False

    def is_stop(self, line: str) -> bool:
        """Whether a stripped line asks to stop."""
        return line.lower() in STOP_WORDS

    def next(self) -> int:
        """A number for a new question."""
        with self._lock:
            self._last += 1
            return self._last

    def stop(self, all_waiting: bool) -> None:
        """Stop the question being answered, or all that were asked so far."""
        with self._lock:
            if not self._taken and not all_waiting:
                return
            if self._taken and (self._begun or all_waiting):
                self._stopped = max(self._stopped, self._taken)
                self._cancel()
            if all_waiting:
                self._stopped = self._last

    @contextmanager
    def taken(self, number: int) -> Iterator[bool]:
        """While a question is being answered; yields whether it is still wanted."""
        with self._lock:
            self._taken, self._begun = number, False
            wanted = number > self._stopped
        try:
            yield wanted
        finally:
            with self._lock:
                self._taken = 0

    def check(self) -> None:
        """Called with every piece of text that is written.

        Raises
        ------
        CancelledError
            When the question has been stopped.
        """
        with self._lock:
            self._begun = True
            if self._taken <= self._stopped:
                raise CancelledError("stopped")
