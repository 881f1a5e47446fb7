"""Lines to standard output from several threads: whole, at once, and not the end of the listener when they cannot be written.

A log on a disk that is full must not make the listener stop or fall silent for ever: what cannot be written is counted and said
on standard error, and the next line is tried again. A reader that has left is another thing: nobody wants more.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import typer

OnTrouble = Callable[[str], None]


def printable(text: str) -> str:
    """Text without power over a terminal: what cannot be printed, line breaks too, is written out as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(text: str) -> None:
    """Say something on standard error; one that is gone as well is nobody's loss."""
    try:
        typer.echo(f"earshot: {text}", err=True)
    except OSError:
        return


class Lines:
    """Whole lines, each flushed at once.

    Parameters
    ----------
    target : text stream
    on_trouble : callable, optional
        Called with a line when the target cannot be written, and when it can again.
    """

    def __init__(self, target: TextIO, on_trouble: OnTrouble = complain) -> None:
        self._target = target
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._late = 0

    def write(self, line: str) -> None:
        """Write one line.

        Raises
        ------
        BrokenPipeError
            When the reader has left.
        """
        with self._lock:
            try:
                self._put(line + "\n")
            except BrokenPipeError:
                raise
            except OSError as error:
                self._fail(error.strerror or str(error))
            else:
                self._recover()

    def _put(self, text: str) -> None:
        """Write past Python's buffer: what it could not hand on would stay in it, to be tried and complained of again at the end."""
        try:
            descriptor = self._target.fileno()
        except (OSError, ValueError, AttributeError):  # no real file
            self._target.write(text)
            self._target.flush()
            return
        self._target.flush()
        rest = memoryview(text.encode(self._target.encoding or "utf-8", self._target.errors or "strict"))
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def _fail(self, why: str) -> None:
        if not self._late:
            self._on_trouble(f"the output cannot be written ({why}); listening goes on, lines are lost meanwhile")
        self._late += 1

    def _recover(self) -> None:
        if self._late:
            self._on_trouble(f"the output can be written again; up to {self._late} lines were lost")
        self._late = 0


def never_without_output() -> None:
    """Let a standard output or error that was closed (`>&-`) go nowhere: Python has None in its place, which nobody can write to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process runs


def never_refuse_characters() -> None:
    """Let standard output write a character that its encoding lacks as an escape, as standard error does, not raise an error."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def let_go_of_stdout() -> None:
    """Point standard output nowhere, so that Python's last flush does not complain about what cannot be written."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # stdout is no real file
        sys.stdout = None  # type: ignore[assignment]
