"""Can this machine keep up? Hears a few seconds of noise and prints one JSON document.

Run as a program of its own by `earshot doctor`, so that a native library that crashes is a finding and not the end:

    python -m earshot.runtime.interfaces.selftest BUNDLE_DIRECTORY
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.holding import time_hops

_HOPS = 100
"""Four seconds of sound."""


def main(arguments: list[str]) -> None:
    """Load a bundle, time it and print the figures."""
    encoders = Encoders()
    start_s = time.perf_counter()
    encoders.load(Path(arguments[0]))
    load_s = time.perf_counter() - start_s
    factor = time_hops(encoders, budget_s=math.inf, most_hops=_HOPS)
    figures = {"load_s": round(load_s, 3), "realtime_factor": round(factor, 4)}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
