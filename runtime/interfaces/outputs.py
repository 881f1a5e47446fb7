"""Files that commands write."""

from __future__ import annotations

from pathlib import Path

from earshot.runtime.errors import UsageError


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
