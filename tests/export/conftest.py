"""Float graphs that the tests of quantization begin with."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def float_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`semantic.onnx` and `spatial.onnx` of small random encoders; not to be changed by a test."""
    # Slow to import, and not all tests here need it.
    from earshot.export.onnx_export import export_semantic, export_spatial
    from tests.tiny import make_encoders

    folder = tmp_path_factory.mktemp("float")
    semantic, spatial = make_encoders()
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    return folder
