"""SIGTERM and a hang-up end the program as Ctrl-C does: the terminal is put back, the memory closed, no file is left half written.

Afterwards the process dies of that signal, so that whoever sent it (systemd, a scheduler, a shell) sees what it
expects. A second one ends it at once. Signals that are ignored already (`nohup`) stay so.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_NAMES = ("SIGTERM", "SIGHUP")


class Termination:
    """Takes the signals that ask this process to end."""

    def __init__(self) -> None:
        self._taken: int | None = None

    def watch(self) -> None:
        """Begin; without effect beside the main thread, to which alone Python gives signals."""
        if threading.current_thread() is not threading.main_thread():
            return
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, self._take)

    def finish(self) -> None:
        """Die of the signal that was taken, if one was."""
        if self._taken is not None:
            signal.raise_signal(self._taken)

    def _take(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._taken = number
        raise KeyboardInterrupt
