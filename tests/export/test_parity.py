"""A file that is not the network it came from is refused, and so is one that gives no numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from earshot.export.onnx_export import export_names, export_projector
from earshot.export.parity import check_graph, check_names, check_projector
from earshot.export.probe import probe_audio
from earshot.export.quantize import Steps
from tests.tiny import make_encoders, make_names, make_projector


@pytest.fixture
def steps() -> Steps:
    return [{"features": np.random.default_rng(0).standard_normal((1, 8, 1, 64), np.float32)} for _ in range(3)]


def without_numbers(network: nn.Module) -> nn.Module:
    """The network with a weight that is NaN, as after a step of training that went wrong."""
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    return network


def test_an_encoder_is_compared_with_its_own_graph(float_graphs: Path, steps: Steps) -> None:
    path = float_graphs / "semantic.onnx"
    assert check_graph(make_encoders()[0], path, steps) < 1e-4
    with pytest.raises(ValueError, match=r"semantic\.onnx differs from its network by \d"):
        check_graph(make_encoders(seed=1)[0], path, steps)


def test_an_encoder_without_numbers_is_refused(float_graphs: Path, steps: Steps) -> None:
    """Nothing is larger than NaN: it was taken for no error at all."""
    with pytest.raises(ValueError, match="by nan"):
        check_graph(without_numbers(make_encoders()[0]), float_graphs / "semantic.onnx", steps)


def test_the_projector_is_compared_with_its_own_graph(tmp_path: Path) -> None:
    export_projector(make_projector(hidden=64), tmp_path / "projector.onnx")
    assert check_projector(make_projector(hidden=64), tmp_path / "projector.onnx") < 1e-4
    with pytest.raises(ValueError, match=r"projector\.onnx differs from its network by \d"):
        check_projector(make_projector(hidden=64, seed=1), tmp_path / "projector.onnx")
    with pytest.raises(ValueError, match="by nan"):
        check_projector(without_numbers(make_projector(hidden=64)), tmp_path / "projector.onnx")


def test_a_names_network_without_numbers_is_refused(tmp_path: Path) -> None:
    export_names(make_names(), tmp_path / "names.onnx")
    with pytest.raises(ValueError, match="by nan"):
        check_names(without_numbers(make_names()), tmp_path / "names.onnx", probe_audio()[:, :16000])
