"""Cold starts: a process of its own for each, from its creation to the first frame that it heard.

Measured inside a process that has already loaded everything, a start would look far too short; at its end, far too
long. Run as a program (`python -m earshot.runtime.interfaces.profile_cold [BUNDLE]`) it prints its own figure.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import BundleError
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.loading import open_encoders

LIMIT_S = 120.0
_FRAMES = 3


def cold_start_s(bundle: Path | None) -> float:
    """Seconds from the creation of a new process to its first heard frame: Python, imports, verifying, loading.

    Raises
    ------
    BundleError
        When the new process could not start listening.
    """
    command = [sys.executable, "-m", __name__, *([str(bundle)] if bundle else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BundleError(f"{bundle or 'built-in bundle'}: a new process could not load it ({error})") from error
    return float(done.stdout.split()[-1])


def main() -> None:
    """Start listening, then say how long it took."""
    _, encoders = open_encoders(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    Hearing(encoders).process(AudioChunk(np.zeros((2, _FRAMES * FRAME_SAMPLES), np.float32), 0))
    sys.stdout.write(f"{time.time() - psutil.Process().create_time():.3f}\n")


if __name__ == "__main__":
    main()
