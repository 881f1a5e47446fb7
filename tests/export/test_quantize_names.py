"""The names network in static int8: its inner convolutions are rounded, spectrum, first convolution and head are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from earshot.export.calibration import Calibration
from earshot.export.gate_scenes import GateScene, gate_scenes
from earshot.export.onnx_export import export_names, export_semantic, export_spatial
from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import planned_nodes, stream, worst_snr_db
from earshot.export.quantize_static import int8_kernels, quantize_calibrated, quantized_nodes
from earshot.export.targets import RECIPES
from earshot.runtime.hearing.networks import open_network
from tests.tiny import make_encoders, make_names

PI5 = RECIPES["pi5"]
LAYERS = [f"/network/trunk/layers/layers.{k}/convolution/Conv" for k in range(1, 5)]


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names-float")
    semantic, spatial = make_encoders()
    export_semantic(semantic, folder / "semantic.onnx")
    export_spatial(spatial, folder / "spatial.onnx")
    export_names(make_names(), folder / "names.onnx")
    return folder


@pytest.fixture(scope="module")
def calibration(floats: Path) -> Calibration:
    return Calibration(floats, [GateScene(probe_audio(seed=1)[:, : 4 * 16000], ()), *gate_scenes(None, 1, 1)])


@pytest.fixture(scope="module")
def quantized(floats: Path, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("names-static") / "names.onnx"
    assert quantize_calibrated(floats / "names.onnx", target, PI5, calibration) == LAYERS
    return target


@pytest.fixture(scope="module")
def heard(floats: Path) -> list[dict[str, np.ndarray]]:
    return encoder_steps(floats, probe_audio()[:, : 6 * 16000])["names"]


def test_inner_convolutions_become_int8_and_the_rest_stays_float(floats: Path, quantized: Path, heard: list) -> None:
    assert planned_nodes(floats / "names.onnx", PI5, static=True) == LAYERS
    assert planned_nodes(floats / "names.onnx", PI5) == [], "no products are left for scales of each step"
    assert quantized_nodes(onnx.load(quantized).graph) == set(LAYERS)
    assert int8_kernels(quantized) == len(LAYERS)
    open_network(quantized)  # the interface is that of the runtime
    assert worst_snr_db(stream(floats / "names.onnx", heard)[0], stream(quantized, heard)[0]) > 15


def test_each_channel_by_channel_weight_has_its_own_scale(quantized: Path) -> None:
    values = {value.name: value for value in onnx.load(quantized).graph.initializer}
    weights = [v for v in values.values() if v.data_type == TensorProto.INT8 and len(v.dims) > 1]
    assert {tuple(w.dims): values[w.name.removesuffix("_quantized") + "_scale"].dims[0] for w in weights} == {
        (16, 1, 3, 3): 16,
        (64, 16, 1, 1): 64,
        (64, 1, 3, 3): 64,
        (256, 64, 1, 1): 256,
    }


def test_what_stays_float_stays_in_16_bits(quantized: Path) -> None:
    graph = onnx.load(quantized).graph
    large = {tuple(v.dims): v.data_type for v in graph.initializer if np.prod(v.dims) >= 1000}
    kinds = TensorProto.FLOAT16, TensorProto.INT8
    assert large == {(66, 1, 64): kinds[0], (61, 256): kinds[0], (64, 16, 1, 1): kinds[1], (256, 64, 1, 1): kinds[1]}


def test_a_relu_is_computed_with_its_convolution(quantized: Path) -> None:
    """Rounded before it, half of the range would go to what the ReLU takes away."""
    relus = [node.name for node in onnx.load(quantized).graph.node if node.op_type == "Relu"]
    assert relus == ["/network/trunk/layers/layers.0/Relu"]


@pytest.mark.parametrize("left", LAYERS)
def test_a_layer_that_is_left_float_is_not_rounded_when_the_graph_is_opened(
    left: str, floats: Path, calibration: Calibration, tmp_path: Path
) -> None:
    """Onnxruntime rounds a float convolution between int8 ones by itself, with one scale for all channels."""
    made = quantize_calibrated(floats / "names.onnx", tmp_path / "names.onnx", PI5, calibration, but=(left,))
    assert made == [layer for layer in LAYERS if layer != left]
    assert int8_kernels(tmp_path / "names.onnx") == len(made)


def test_quiet_channels_are_not_lost(tmp_path: Path, floats: Path, heard: list) -> None:
    """Channels by channels a thousand times apart, which the next layer makes up for: one scale would leave most of them nothing."""
    names = make_names()
    with torch.no_grad():
        for first, second in zip(names.trunk.layers[:-1], list(names.trunk.layers)[1:], strict=True):
            factor = torch.logspace(-3, 0, len(first.convolution.bias))
            first.convolution.weight *= factor[:, None, None, None]
            first.convolution.bias *= factor
            depthwise = second.convolution.groups > 1
            second.convolution.weight /= factor[:, None, None, None] if depthwise else factor[None, :, None, None]
    graphs = tmp_path / "float"
    graphs.mkdir()
    for name in ("semantic", "spatial"):
        (graphs / f"{name}.onnx").write_bytes((floats / f"{name}.onnx").read_bytes())
    export_names(names, graphs / "names.onnx")
    calibration = Calibration(graphs, [GateScene(probe_audio(seed=1)[:, : 4 * 16000], ())])
    quantize_calibrated(graphs / "names.onnx", tmp_path / "names.onnx", PI5, calibration)
    expected, found = stream(graphs / "names.onnx", heard)[0], stream(tmp_path / "names.onnx", heard)[0]
    assert worst_snr_db(expected, found) > 10


def test_the_same_scenes_give_the_same_bytes(
    floats: Path, calibration: Calibration, quantized: Path, tmp_path: Path
) -> None:
    quantize_calibrated(floats / "names.onnx", tmp_path / "names.onnx", PI5, calibration)
    assert (tmp_path / "names.onnx").read_bytes() == quantized.read_bytes()
