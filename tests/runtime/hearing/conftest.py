"""Tiny networks and sounds shared by the tests of hearing."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.runtime.hearing.encoders import Encoders
from tests.runtime.tiny_bundle import write_tiny_networks


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_networks(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def encoders(tiny_bundle: Path) -> Encoders:
    loaded = Encoders()
    loaded.load(tiny_bundle)
    return loaded


@pytest.fixture(scope="session")
def named_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a names network."""
    return write_tiny_networks(tmp_path_factory.mktemp("named"), names=True)


@pytest.fixture(scope="session")
def named_encoders(named_bundle: Path) -> Encoders:
    loaded = Encoders()
    loaded.load(named_bundle)
    return loaded


@pytest.fixture(scope="session", params=["encoders", "named_encoders"])
def any_encoders(request: pytest.FixtureRequest) -> Encoders:
    """Without and with a names network."""
    found: Encoders = request.getfixturevalue(request.param)
    return found
