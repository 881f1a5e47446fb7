"""Channels between two convolutions are brought to one range; what is computed stays the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from earshot.export.equalize import equalize
from earshot.export.graphs import values_in

FRAMES = [{"image": np.random.default_rng(k).normal(size=(1, 3, 8, 8)).astype(np.float32)} for k in range(4)]
NAMES = ("first", "depthwise", "dense")


def chain(activation: str = "Relu", also: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Three convolutions with an activation between them, the channels of the first up to three hundred times apart."""
    rng = np.random.default_rng(0)
    apart = np.logspace(-2.5, 0, 16).astype(np.float32)
    weights = {
        "first.w": rng.normal(size=(16, 3, 3, 3)) * apart[:, None, None, None],
        "first.b": rng.uniform(0, 1, 16) * apart,
        "depthwise.w": rng.normal(size=(16, 1, 3, 3)),
        "depthwise.b": rng.uniform(0, 1, 16) * apart,
        "dense.w": rng.normal(size=(5, 16, 1, 1)) / apart[None, :, None, None],
        "dense.b": rng.normal(size=5),
    }
    nodes, read = [], "image"
    for name in NAMES:
        groups = 16 if name == "depthwise" else 1
        nodes.append(helper.make_node("Conv", [read, f"{name}.w", f"{name}.b"], [f"{name}.out"], name, group=groups))
        nodes.append(helper.make_node(activation, [f"{name}.out"], [f"{name}.act"], f"{name}/{activation}"))
        read = f"{name}.act"
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("dense.out", *also)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def peaks(model: onnx.ModelProto, tensor: str) -> np.ndarray:
    out: np.ndarray = np.max([value.max(axis=(0, 2, 3)) for (value,) in values_in(model, [tensor], FRAMES)], axis=0)
    return out


def test_channels_have_one_range_and_the_output_is_the_same() -> None:
    model = chain()
    expected = [value for (value,) in values_in(model, ["dense.out"], FRAMES)]
    before = peaks(model, "first.act")
    assert before.max() / before.min() > 100
    assert equalize(model, NAMES, FRAMES) == 2
    after = peaks(model, "first.act")
    assert after.max() / after.min() < 1.01, "weights of a depthwise convolution make up for any factor"
    shared = peaks(model, "depthwise.act")
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    reading = np.abs(weights["dense.w"]).max(axis=(0, 2, 3))
    assert shared.max() / shared.min() < 40 and reading.max() / reading.min() < 40, "shared out: 300 before"
    for (value,), wanted in zip(values_in(model, ["dense.out"], FRAMES), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


def test_a_channel_that_the_scenes_do_not_move_is_not_blown_up() -> None:
    model = chain()
    (weight, bias) = (next(w for w in model.graph.initializer if w.name == n) for n in ("first.w", "first.b"))
    still = numpy_helper.to_array(weight).copy()
    still[7] = 1e-6
    weight.CopyFrom(numpy_helper.from_array(still, weight.name))
    bias.CopyFrom(numpy_helper.from_array(np.full(16, -1e-4, np.float32), bias.name))
    equalize(model, NAMES, FRAMES)
    found = numpy_helper.to_array(next(w for w in model.graph.initializer if w.name == "first.w"))
    assert np.abs(found[7]).max() <= 1.001e-6 * 1000


@pytest.mark.parametrize(
    ("model", "planned", "changed"),
    [
        (chain("Sigmoid"), NAMES, 0),
        (chain(also=("first.act",)), NAMES, 1),
        (chain(also=("first.out",)), NAMES, 1),
        (chain(), (), 0),
        (chain(), ("first",), 1),
        (chain(), ("depthwise",), 2),
    ],
    ids=["no ReLU", "others read it", "others read what the ReLU reads", "nothing planned", "first", "middle"],
)
def test_only_what_may_change_and_helps_is_changed(
    model: onnx.ModelProto, planned: tuple[str, ...], changed: int
) -> None:
    before = {w.name: w.raw_data for w in model.graph.initializer}
    assert equalize(model, planned, FRAMES) == changed
    assert sum(w.raw_data != before[w.name] for w in model.graph.initializer) == {0: 0, 1: 3, 2: 5}[changed]
