"""Large weights stored in 16 bits, each with a cast to float32 that ONNX Runtime does once when it loads, and back."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from earshot.export.graphs import replace_nodes

LEAST_HALVED = 1_000
"""Weights of fewer numbers stay float32: they are biases and scales, and save nothing."""


def halve_weights(model: onnx.ModelProto, only: Collection[str] | None = None) -> None:
    """Store float32 weights of 1,000 numbers or more as float16, each with a cast back to float32 (in place).

    Parameters
    ----------
    model : onnx.ModelProto
    only : collection of str, optional
        Names of the weights to store so; all that are large enough when not given.

    Raises
    ------
    ValueError
        When a weight is not finite in 16 bits.
    """
    _constants_to_weights(model.graph)
    casts = []
    for weight in model.graph.initializer:
        asked = only is None or weight.name in only
        if asked and weight.data_type == TensorProto.FLOAT and _count(weight) >= LEAST_HALVED:
            name, short = weight.name, f"{weight.name}.float16"
            weight.CopyFrom(numpy_helper.from_array(_halves(weight), short))
            casts.append(helper.make_node("Cast", [short], [name], f"{name}/Cast", to=TensorProto.FLOAT))
    replace_nodes(model.graph, [*casts, *model.graph.node])


def whole_weights(model: onnx.ModelProto) -> set[str]:
    """Undo `halve_weights` (in place), but for the rounding; returns the names of the weights that were halves."""
    weights = {weight.name: weight for weight in model.graph.initializer}
    kept, whole = [], set()
    for node in model.graph.node:
        weight = weights.get(node.input[0]) if node.op_type == "Cast" else None
        if weight is None or weight.data_type != TensorProto.FLOAT16:
            kept.append(node)
            continue
        values = numpy_helper.to_array(weight).astype(np.float32)
        weight.CopyFrom(numpy_helper.from_array(values, node.output[0]))
        whole.add(weight.name)
    replace_nodes(model.graph, kept)
    return whole


def _halves(weight: onnx.TensorProto) -> NDArray[np.float16]:
    values = numpy_helper.to_array(weight)
    with np.errstate(over="ignore"):
        halves: NDArray[np.float16] = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise ValueError(f"{weight.name}: a weight of {np.abs(values).max():g}, 65504 is the most that 16 bits hold")
    return halves


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    """Large constants among the nodes become weights, as tables that a network does not save are exported."""
    kept = []
    for node in graph.node:
        values = [a.t for a in node.attribute if a.name == "value"] if node.op_type == "Constant" else []
        if values and _count(values[0]) >= LEAST_HALVED:
            graph.initializer.add().CopyFrom(values[0])
            graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def _count(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims))
