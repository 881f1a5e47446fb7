"""What somebody sits in front of while `earshot listen` runs: who is told, and where questions come from."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

import typer
from rich.console import Console

from earshot.runtime.interfaces.config import Ui
from earshot.runtime.interfaces.line_entry import KeyLines, in_background, read_lines
from earshot.runtime.interfaces.live_radar import LiveRadar, can_show
from earshot.runtime.interfaces.telling import JsonTeller, PlainTeller, Teller


@contextmanager
def open_front(ui: Ui, json: bool, name: str) -> Iterator[tuple[Teller, Iterable[str]]]:
    """Choose what fits: JSON lines, a moving radar, or plain lines where no terminal could show one.

    Parameters
    ----------
    ui : Ui
    json : bool
        Whether programs are to read it; goes before `ui`.
    name : str
        What is heard.

    Yields
    ------
    teller : Teller
    questions : iterable of str
        Typed lines.
    """
    stdin = None if sys.stdin is None else typer.get_text_stream("stdin")  # None where it was closed before the start
    stdout = typer.get_text_stream("stdout", errors=None)
    console = Console(highlight=False)
    _be_refused_instead_of_stopped()
    if json or ui is Ui.NONE or not can_show(console) or _behind_a_shell(stdin):
        yield JsonTeller(stdout) if json else PlainTeller(stdout), read_lines(stdin)
        return
    radar = LiveRadar(console, name)
    if stdin is None or not stdin.isatty():
        with radar:
            yield radar, read_lines(stdin)
        return
    keys = KeyLines(stdin, lambda: radar.type(keys.text))
    with keys, radar:
        yield radar, keys


def _be_refused_instead_of_stopped() -> None:
    """Have the system refuse to read a terminal from the background, which by default stops the whole program."""
    if hasattr(signal, "SIGTTIN"):  # not on Windows
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)


def _behind_a_shell(stdin: TextIO | None) -> bool:
    """Whether this was started in the background: a moving picture would be drawn over what is typed there."""
    return stdin is not None and stdin.isatty() and in_background(stdin.fileno())
