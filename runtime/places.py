"""Where files of a user's own lie when no place is named."""

from __future__ import annotations

import os
from pathlib import Path

from earshot.runtime.errors import UsageError


def user_folder(variable: str, fallback: str) -> Path:
    """A folder that the environment names, or else its usual place.

    Parameters
    ----------
    variable : str
        Names the folder; a relative one is to be ignored (XDG base directory specification).
    fallback : str
        Its usual place in the home directory.

    Raises
    ------
    UsageError
        When there is no home directory: in a container, or for a number without an entry in the user database.
    """
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / fallback
    except RuntimeError as error:
        raise UsageError(f"there is no home directory; set HOME or {variable} to a folder") from error
