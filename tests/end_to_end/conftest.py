"""The private sound world that the live tests run in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "virtual_mic.sh"
NEEDED = ("bash", "pulseaudio", "pactl", "pacat", "parec")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that want the processor for themselves."""
    config.addinivalue_line(
        "markers", "live_audio: hears a virtual microphone in true time; run it alone (-m live_audio)"
    )


@pytest.fixture(scope="session")
def sound_world() -> Iterator[dict[str, str]]:
    """Environment in which a virtual microphone exists; see tests/tools/virtual_mic.sh."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs a sound server of its own; not installed: {', '.join(missing)}")
    try:
        import sounddevice  # noqa: F401
    except OSError:
        pytest.skip("needs the system library PortAudio (libportaudio2)")
    world = subprocess.Popen(
        [str(SCRIPT), "sh", "-c", "env -0; echo; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert world.stdin is not None
    assert world.stdout is not None
    settings = world.stdout.readline().decode().rstrip("\n").split("\0")
    if len(settings) < 2:
        pytest.skip("the virtual microphone does not start on this machine")
    yield dict(setting.split("=", 1) for setting in settings if "=" in setting)
    world.stdin.close()
    world.wait(20)
