"""Questions that are typed while something else goes on: whole lines, or key by key beside a moving picture.

Everything is read from the file descriptor: a thread that waits inside Python's buffered standard input makes the
interpreter abort when the program ends. A program in the background of a shell may not read the terminal; it waits until
it is in the foreground again.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

from typing_extensions import Self

_READ_BYTES = 4096
_BACKGROUND_S = 0.5
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)", re.DOTALL)
_HALF_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_ERASE, _ERASE_LINE, _ERASE_WORD = "\x7f\b", "\x15", "\x17"
MAX_LINE = 500


def in_background(descriptor: int) -> bool:
    """Whether a terminal belongs to another job of its shell at the moment; False for what is no terminal."""
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except (OSError, AttributeError):  # no terminal, a terminal that has gone, Windows
        return False


def read_lines(stream: TextIO | None) -> Iterator[str]:
    """Lines of a stream as they come, without line breaks and without what arrow keys leave in them.

    Parameters
    ----------
    stream : text stream or None
        Standard input; one without a file descriptor is read as it is. None has no lines.
    """
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        yield from (line.rstrip("\r\n") for line in stream)
        return
    rest = ""
    for text in _texts(descriptor):
        *lines, rest = (rest + text).split("\n")
        yield from map(_printable, lines)
        rest = rest[:MAX_LINE]  # too long for a question already; more would fill the memory
    if rest:
        yield _printable(rest)


def _printable(line: str) -> str:
    """A line without the codes of keys that move or colour."""
    return "".join(letter for letter in _ESCAPES.sub("", line).replace("\t", " ") if letter.isprintable())


def _texts(descriptor: int) -> Iterator[str]:
    """Decoded pieces until the end; what is no UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        while in_background(descriptor):
            time.sleep(_BACKGROUND_S)
        try:
            data = os.read(descriptor, _READ_BYTES)
        except OSError:
            if in_background(descriptor):  # put there while it waited for a line
                continue
            return  # a terminal that has gone
        if not data:
            return
        yield decoder.decode(data)


class LineEditor:
    """Makes lines of keys: printable ones, backspace, Ctrl-U and Ctrl-W; arrow keys and the like are ignored."""

    def __init__(self) -> None:
        self.text = ""
        self._pending = ""

    def feed(self, keys: str) -> list[str]:
        """Take keys; returns the lines that they complete."""
        keys = self._pending + keys
        half = _HALF_ESCAPE.search(keys)
        self._pending = half.group() if half else ""
        keys = _ESCAPES.sub("", keys[: half.start()] if half else keys)
        lines = []
        for key in keys:
            if key in "\r\n":
                lines.append(self.text)
                self.text = ""
            else:
                self._edit(key)
        return lines

    def _edit(self, key: str) -> None:
        if key in _ERASE:
            self.text = self.text[:-1]
        elif key == _ERASE_LINE:
            self.text = ""
        elif key == _ERASE_WORD:
            before, space, _ = self.text.rstrip().rpartition(" ")
            self.text = before + space
        elif key.isprintable() and len(self.text) < MAX_LINE:
            self.text += key


class KeyLines:
    """Lines typed on a terminal that does not echo them, for a program that draws them itself; iterate once.

    Parameters
    ----------
    stream : text stream
        A terminal, used as a context: its mode is put back at the end.
    on_change : callable
        Called after every key, from the thread that iterates.
    """

    def __init__(self, stream: TextIO, on_change: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._on_change = on_change
        self._editor = LineEditor()
        self._kept: Any = None

    @property
    def text(self) -> str:
        """The line so far."""
        return self._editor.text

    def __enter__(self) -> Self:
        try:
            import termios
            import tty

            self._kept = termios.tcgetattr(self._stream.fileno())
            tty.setcbreak(self._stream.fileno())  # keys at once, without echo; Ctrl-C still interrupts
        except (ImportError, OSError, ValueError, io.UnsupportedOperation):  # Windows, or no terminal
            self._kept = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept is not None:
            import termios

            with suppress(termios.error):  # a terminal that is gone
                termios.tcsetattr(self._stream.fileno(), termios.TCSADRAIN, self._kept)
            self._kept = None

    def __iter__(self) -> Iterator[str]:
        for keys in _texts(self._stream.fileno()):
            lines = self._editor.feed(keys)
            self._on_change()
            yield from lines
