"""Can this machine keep up? Hears a few seconds of noise and prints one JSON document.

Run as a program of its own by `earshot doctor`, so that a native library that crashes is a finding and not the end:

    python -m earshot.runtime.interfaces.selftest BUNDLE_DIRECTORY
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from earshot.runtime.audio.source import SAMPLE_RATE_HZ, AudioChunk
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing

_CHUNK_SAMPLES = 640
_WARM_UP_CHUNKS = 10


def realtime_factor(encoders: Encoders, duration_s: float = 4.0) -> float:
    """Processing time of hearing over audio time, in the middle of the hops: 0.03 = 3 %.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    duration_s : float
        Of the noise that is heard.
    """
    hearing = Hearing(encoders)
    rng = np.random.default_rng(0)
    times_s = []
    for number in range(round(duration_s * SAMPLE_RATE_HZ / _CHUNK_SAMPLES)):
        noise = 0.05 * rng.standard_normal((2, _CHUNK_SAMPLES)).astype(np.float32)
        start_s = time.perf_counter()
        hearing.process(AudioChunk(noise, number * _CHUNK_SAMPLES))
        times_s.append(time.perf_counter() - start_s)
    return float(np.median(times_s[_WARM_UP_CHUNKS:])) * SAMPLE_RATE_HZ / _CHUNK_SAMPLES


def main(arguments: list[str]) -> None:
    """Load a bundle, time it and print the figures."""
    encoders = Encoders()
    start_s = time.perf_counter()
    encoders.load(Path(arguments[0]))
    load_s = time.perf_counter() - start_s
    figures = {"load_s": round(load_s, 3), "realtime_factor": round(realtime_factor(encoders), 4)}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
