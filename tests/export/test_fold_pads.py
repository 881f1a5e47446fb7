"""Zeros before a convolution become its own padding; what is computed stays the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from earshot.export.fold_pads import fold_pads

IMAGE = np.random.default_rng(0).normal(size=(1, 3, 7, 6)).astype(np.float32)


def graph_with(
    pads: list[int], own: list[int], value: float | None = None, read_twice: bool = False
) -> onnx.ModelProto:
    """Pad, then a convolution of stride 2; the amounts are computed, as the exporter of torch does it."""
    weights = np.random.default_rng(1).normal(size=(4, pads[1] + 3 + pads[5], 3, 3)).astype(np.float32)
    stored = [
        numpy_helper.from_array(weights, "weight"),
        numpy_helper.from_array(np.array(pads[:4], np.int64), "before"),
        numpy_helper.from_array(np.array(pads[4:], np.int64), "behind"),
    ]
    inputs = ["image", "amounts"]
    if value is not None:
        stored.append(numpy_helper.from_array(np.array(value, np.float32), "value"))
        inputs.append("value")
    nodes = [
        helper.make_node("Concat", ["before", "behind"], ["amounts"], "concat", axis=0),
        helper.make_node("Pad", inputs, ["padded"], "pad", mode="constant"),
        helper.make_node("Conv", ["padded", "weight"], ["out"], "conv", strides=[2, 2], pads=own),
    ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    if read_twice:
        outputs.append(helper.make_tensor_value_info("padded", TensorProto.FLOAT, None))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE.shape)
    graph = helper.make_graph(nodes, "test", [image], outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def computed(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    out: np.ndarray = session.run(["out"], {"image": IMAGE})[0]
    return out


def test_padding_moves_into_the_convolution_and_adds_to_its_own() -> None:
    model = graph_with([0, 0, 0, 0, 0, 0, 1, 2], [1, 0, 0, 1])
    expected = computed(model)
    assert fold_pads(model) == 1
    assert [node.op_type for node in model.graph.node] == ["Conv"], "what computed the amounts is gone too"
    (pads,) = (list(a.ints) for a in model.graph.node[0].attribute if a.name == "pads")
    assert pads == [1, 0, 1, 3]
    np.testing.assert_allclose(computed(model), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pads", "value", "read_twice"),
    [
        ([0, 0, 0, 0, 0, 0, 1, 1], 0.5, False),
        ([0, 1, 0, 0, 0, 0, 1, 1], None, False),
        ([0, 0, -1, 0, 0, 0, 1, 1], None, False),
        ([0, 0, 0, 0, 0, 0, 1, 1], None, True),
    ],
    ids=["not zeros", "channels", "cut off", "read by others"],
)
def test_other_padding_stays(pads: list[int], value: float | None, read_twice: bool) -> None:
    model = graph_with(pads, [0, 0, 0, 0], value, read_twice)
    expected = computed(model)
    assert fold_pads(model) == 0
    assert "Pad" in [node.op_type for node in model.graph.node]
    np.testing.assert_array_equal(computed(model), expected)


def test_the_exported_names_graph_has_none_left(tmp_path: Path) -> None:
    from earshot.export.onnx_export import export_names
    from tests.tiny import make_names

    export_names(make_names(), tmp_path / "names.onnx")
    assert "Pad" not in {node.op_type for node in onnx.load(tmp_path / "names.onnx").graph.node}
