"""Products become int8 as planned, heads and convolutions stay float, and nothing is silently left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from earshot.export.probe import encoder_steps, probe_audio
from earshot.export.quantize import int8_nodes, planned_nodes, quantize_products, stream, worst_snr_db
from earshot.export.targets import RECIPES

PI5 = RECIPES["pi5"]


@pytest.fixture(scope="module")
def steps(float_graphs: Path) -> dict[str, list[dict[str, np.ndarray]]]:
    return encoder_steps(float_graphs, probe_audio()[:, : 3 * 16000])


@pytest.mark.parametrize("name", ["semantic", "spatial"])
def test_planned_products_become_int8_and_nothing_else(
    name: str, float_graphs: Path, steps: dict, tmp_path: Path
) -> None:
    source, target = float_graphs / f"{name}.onnx", tmp_path / f"{name}.onnx"
    made = quantize_products(source, target, PI5)
    assert len(made) == len(int8_nodes(target)) >= 3
    assert not any("heads" in node or "classify" in node for node in made)
    operators = [node.op_type for node in onnx.load(target).graph.node]
    assert "ConvInteger" not in operators and "Conv" in operators
    assert target.stat().st_size < 0.75 * source.stat().st_size
    # Random weights give nearly constant outputs, which rounding disturbs most; a wrong scale leaves nothing (0 dB).
    assert worst_snr_db(stream(source, steps[name])[0], stream(target, steps[name])[0]) > 8


def test_weights_have_a_scale_for_every_channel(float_graphs: Path, tmp_path: Path) -> None:
    quantize_products(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", PI5)
    values = {value.name: value for value in onnx.load(tmp_path / "semantic.onnx").graph.initializer}
    scales = [value.dims[0] for name, value in values.items() if "weight" in name and name.endswith("_scale")]
    assert sorted(scales) == [256, 768, 768]


def test_a_node_can_be_left_float(float_graphs: Path, tmp_path: Path) -> None:
    graph = float_graphs / "semantic.onnx"
    planned = planned_nodes(graph, PI5)
    made = quantize_products(graph, tmp_path / "semantic.onnx", PI5, but=planned[:1])
    assert made == planned[1:]
    assert len(int8_nodes(tmp_path / "semantic.onnx")) == len(planned) - 1


def test_fewer_int8_nodes_than_planned_is_an_error(float_graphs: Path, tmp_path: Path) -> None:
    """Convolutions do not become integer products: a plan with them is not kept."""
    greedy = replace(PI5, operators=("MatMul", "Gemm", "Conv"))
    with pytest.raises(ValueError, match=r"of 7 planned nodes became int8; still float: .*conv"):
        quantize_products(float_graphs / "semantic.onnx", tmp_path / "semantic.onnx", greedy)


def test_a_graph_without_products_is_refused(tmp_path: Path) -> None:
    shape = [1, 4]
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        tmp_path / "a.onnx",
    )
    with pytest.raises(ValueError, match="nothing to quantize"):
        quantize_products(tmp_path / "a.onnx", tmp_path / "b.onnx", PI5)


def test_snr_takes_the_worst_output_and_knows_identity() -> None:
    value = np.random.default_rng(0).normal(0, 1, (100, 3)).astype(np.float32)
    assert worst_snr_db({"a": value}, {"a": value}) > 100
    assert worst_snr_db({"a": value, "b": value}, {"a": value, "b": value + 0.1}) == pytest.approx(20, abs=1)
