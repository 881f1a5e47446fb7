"""A whole tiny bundle and a recording, shared by the tests of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from tests.runtime.hearing.sounds import bursts
from tests.runtime.whole_bundle import write_whole_bundle


@pytest.fixture(scope="session")
def whole_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_bundle(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds: noise on the left, 3 s of silence, noise on the right."""
    path = tmp_path_factory.mktemp("audio") / "bursts.wav"
    soundfile.write(path, bursts().T, 16_000, subtype="FLOAT")
    return path
