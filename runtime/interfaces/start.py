"""Where the `earshot` script begins: it imports next to nothing, so that Ctrl-C is met while everything else is being loaded."""

from __future__ import annotations

import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> NoReturn:
    """Entry point of the console script; always ends in `SystemExit`."""
    try:
        from earshot.runtime.interfaces import cli
    except KeyboardInterrupt:
        sys.stderr.write("earshot: interrupted\n")
        sys.exit(_INTERRUPTED)
    cli.main()
