"""Scales fixed by calibration: products and convolutions become int8, states stay float, and nothing is left out unsaid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from earshot.export.calibration import Calibration
from earshot.export.gate_scenes import GateScene, gate_scenes
from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import planned_nodes, stream, worst_snr_db
from earshot.export.quantize_static import check_int8, int8_kernels, quantize_calibrated, quantized_nodes
from earshot.export.targets import RECIPES
from earshot.runtime.hearing.networks import open_network

PI5 = RECIPES["pi5"]


@pytest.fixture(scope="module")
def calibration(float_graphs: Path) -> Calibration:
    audio = probe_audio(seed=1)[:, : 3 * 16000]
    return Calibration(float_graphs, [GateScene(audio, ()), *gate_scenes(None, 1, 1)])


@pytest.fixture(scope="module")
def quantized(float_graphs: Path, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    for name in ("semantic", "spatial"):
        quantize_calibrated(float_graphs / f"{name}.onnx", folder / f"{name}.onnx", PI5, calibration)
    return folder


@pytest.fixture(scope="module")
def steps(float_graphs: Path) -> dict[str, list[dict[str, np.ndarray]]]:
    return encoder_steps(float_graphs, probe_audio()[:, : 3 * 16000])


@pytest.mark.parametrize("name", ["semantic", "spatial"])
def test_products_and_convolutions_become_int8_and_heads_stay_float(
    name: str, float_graphs: Path, quantized: Path, steps: dict
) -> None:
    source, target = float_graphs / f"{name}.onnx", quantized / f"{name}.onnx"
    planned = planned_nodes(source, PI5, static=True)
    assert quantized_nodes(onnx.load(target).graph) == set(planned)
    assert sum("conv/Conv" in node for node in planned) >= 4 and sum("Gemm" in node for node in planned) >= 3
    assert not any("heads" in node or "classify" in node for node in planned)
    assert int8_kernels(target) >= len(planned)
    assert target.stat().st_size < 0.5 * source.stat().st_size
    # Random weights give nearly constant outputs, which rounding disturbs most; a wrong scale leaves nothing (0 dB).
    assert worst_snr_db(stream(source, steps[name])[0], stream(target, steps[name])[0]) > 3


@pytest.mark.parametrize("name", ["semantic", "spatial"])
def test_states_are_neither_rounded_nor_changed(name: str, float_graphs: Path, quantized: Path) -> None:
    """What is not int8 itself reads what it read before, but for what a convolution in int8 gives out."""
    before, after = (onnx.load(folder / f"{name}.onnx").graph for folder in (float_graphs, quantized))
    for value in (*after.input, *after.output):
        if value.name.startswith(("state.", "next.")):
            assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    changed = quantized_nodes(after)
    given_out = {node.output[0] for node in before.node if node.name in changed and node.op_type == "Conv"}
    reads = {node.name: list(node.input) for node in after.node}
    others = [node for node in before.node if node.name not in changed and not given_out & set(node.input)]
    assert any("state." in name for node in others for name in node.input)
    for node in others:
        assert reads[node.name] == list(node.input), node.name


def test_weights_have_a_scale_for_every_channel(quantized: Path) -> None:
    values = {value.name: value for value in onnx.load(quantized / "semantic.onnx").graph.initializer}
    weights = [value for value in values.values() if value.data_type == TensorProto.INT8 and value.dims]
    scales = [values[w.name.removesuffix("_quantized") + "_scale"].dims for w in weights if len(w.dims) > 1]
    assert sorted(size for (size,) in scales) == [32, 64, 96, 96, 256, 768, 768]


def test_scales_are_those_of_the_scenes(float_graphs: Path, quantized: Path, tmp_path: Path, steps: dict) -> None:
    """Scales from silence cut off all that is louder."""
    silence = Calibration(float_graphs, [GateScene(np.zeros((2, 16000), np.float32), ())])
    quantize_calibrated(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", PI5, silence)
    expected, found, cut = (
        stream(folder / "semantic.onnx", steps["semantic"])[0] for folder in (float_graphs, quantized, tmp_path)
    )
    assert worst_snr_db(expected, cut) < worst_snr_db(expected, found) - 3


def test_frames_are_those_of_a_stream_with_its_state(float_graphs: Path) -> None:
    scenes = gate_scenes(None, 2, 0)
    calibration = Calibration(float_graphs, scenes)
    network = open_network(float_graphs / "semantic.onnx")
    frames = list(calibration.frames(float_graphs / "semantic.onnx"))
    lengths = [len(encoder_steps(float_graphs, scene.audio)["semantic"]) for scene in scenes]
    assert len(frames) == sum(lengths)
    for number, frame in enumerate(frames):
        if number in (0, lengths[0]):
            state = network.initial_state()  # a scene begins without a past
        for name, value in state.items():
            np.testing.assert_array_equal(frame[name], value)
        state = network.run({"features": frame["features"]}, state)[1]
    few = list(calibration.frames(float_graphs / "semantic.onnx", count=10))
    assert 8 <= len(few) <= 10
    np.testing.assert_array_equal(few[1]["features"], frames[-(-len(frames) // 10)]["features"])


def test_the_same_scenes_give_the_same_bytes(
    float_graphs: Path, quantized: Path, calibration: Calibration, tmp_path: Path
) -> None:
    quantize_calibrated(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", PI5, calibration)
    assert (tmp_path / "semantic.onnx").read_bytes() == (quantized / "semantic.onnx").read_bytes()


def test_a_node_can_be_left_float(float_graphs: Path, calibration: Calibration, tmp_path: Path) -> None:
    graph = float_graphs / "semantic.onnx"
    planned = planned_nodes(graph, PI5, static=True)
    made = quantize_calibrated(graph, tmp_path / "semantic.onnx", PI5, calibration, but=planned[:1])
    assert made == planned[1:]
    assert quantized_nodes(onnx.load(tmp_path / "semantic.onnx").graph) == set(made)


def test_fewer_int8_nodes_than_planned_is_an_error(
    float_graphs: Path, calibration: Calibration, tmp_path: Path
) -> None:
    """A norm may be between int8 values, but no processor computes it so."""
    greedy = replace(PI5, calibrated=("MatMul", "Gemm", "Conv", "BatchNormalization"))
    with pytest.raises(ValueError, match="onnxruntime computes 7 of 8 planned nodes in int8"):
        quantize_calibrated(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", greedy, calibration)
    with pytest.raises(ValueError, match="0 of 1 planned nodes became int8; still float: /reduce/Gemm"):
        check_int8(float_graphs / "semantic.onnx", ["/reduce/Gemm"])


def test_a_graph_without_products_is_refused(float_graphs: Path, calibration: Calibration, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to quantize"):
        nothing = replace(PI5, calibrated=())
        quantize_calibrated(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", nothing, calibration)
