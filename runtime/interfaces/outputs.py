"""Files that commands write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from earshot.runtime.errors import UsageError


@contextmanager
def replacing(out: Path) -> Iterator[TextIO]:
    """A text file to write that takes its place when it is complete; what stood there before stays until then.

    Pipes and devices are written straight. After a failure what was written so far is kept beside it, and that is told.

    Parameters
    ----------
    out : Path
        Links are followed.

    Raises
    ------
    UsageError
        When it cannot be written.
    """
    whole = Path(os.path.realpath(out))  # unlike Path.resolve it takes links that lead nowhere
    straight = whole.exists() and not whole.is_file()
    partial = whole if straight else whole.with_name(f"{whole.name}.partial")
    try:
        if whole.is_file():
            whole.open("a").close()  # what may not be written must not be replaced either
        file = partial.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); name another file") from error
    try:
        with file:
            yield file
    except BaseException:
        if not straight:
            _keep(partial)
        raise
    if not straight:
        partial.replace(whole)


def _keep(partial: Path) -> None:
    """Leave what there is of a file, and say where; nothing is kept of nothing."""
    if partial.stat().st_size == 0:
        partial.unlink()
    else:
        typer.echo(f"earshot: what there was until then is in {partial}", err=True)


def check_out(out: Path, read: Path) -> None:
    """Require that a file to write is not the one that is read: a recording is gone before it is heard.

    Raises
    ------
    UsageError
        When they are one file, by name or by a link.
    """
    try:
        same = out.samefile(read)
    except (OSError, ValueError):  # one of them is not there; whoever opens it says so
        return
    if same:
        raise UsageError(f"--out {out}: this is what is read; name another file")
