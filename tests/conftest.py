"""Fixtures that all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import earshot.runtime  # noqa: F401 - forbids the telemetry of ONNX Runtime before that is first imported

# A busy machine is no finding.
settings.register_profile("earshot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("earshot")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program they start as well;
# some tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings, heads and rooms; absent on a user's machine."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the shared recordings (../shared/data), which are not part of the project")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete bundle with random weights, accepted by the runtime; not to be changed by a test."""
    pytest.importorskip("torch", reason="the bundle is made with the exporter")
    from tests.bundles import make_tiny_bundle

    folder = tmp_path_factory.mktemp("tiny_bundle")
    return make_tiny_bundle(folder / "bundle", folder / "scratch")
