"""What stands behind the "?" of an endpoint, as in ``?format=s16le&rate=48000``."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl

from earshot.runtime.errors import UsageError


def read_options(spec: str, url: SplitResult, known: Sequence[str]) -> dict[str, str]:
    """Options by name; of several with one name the last.

    Parameters
    ----------
    spec : str
        What messages call the endpoint.
    url : SplitResult
        The same, taken apart.
    known : sequence of str
        Names that mean something.

    Raises
    ------
    UsageError
        When another is given.
    """
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise UsageError(f"{spec}: unknown option {name!r}; {hint}")
    return options
