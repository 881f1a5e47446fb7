"""Static int8 for matrix products and convolutions of an encoder: scales of activations fixed beforehand by calibration.

The states of a step (recurrent layers, the past of convolutions) stay float. The library rounds a tensor for all that
read it, a recurrent layer's state and the past that a convolution hands on among them, so that the rounding of one step
is carried into the next: on the shipped encoders that cost 3.5 and 6.7 dB. So every planned node whose input others read too
is given a copy of it for itself before, and only this copy is rounded.

A ReLU behind a planned convolution is computed with it: what is rounded is what comes out of the ReLU, with the range of that alone.
One behind a convolution that is left float is written in another way: onnxruntime would see the convolution between int8 values and
round it when it loads, with one scale for all channels (its WeightBiasQuantization).
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from earshot.export.calibration import Calibration
from earshot.export.equalize import equalize
from earshot.export.graphs import readers, replace_nodes
from earshot.export.half_weights import halve_weights, whole_weights
from earshot.export.onnx_export import cleaned
from earshot.export.quantize import planned_nodes, quiet
from earshot.export.targets import Recipe

INT8_KERNELS = frozenset({"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat"})
"""What onnxruntime makes of a node between two changes of number format."""

_OWN = "/own"


def quantize_calibrated(
    source: Path, target: Path, recipe: Recipe, calibration: Calibration, but: Collection[str] = ()
) -> list[str]:
    """Write a graph with int8 products and convolutions whose scales are fixed.

    Parameters
    ----------
    source, target : Path
        Float graph, its stem says which encoder it is; file to write.
    recipe : Recipe
    calibration : Calibration
    but : collection of str
        Planned nodes to leave float.

    Returns
    -------
    list of str
        Names of the nodes that became int8: all that were planned.

    Raises
    ------
    ValueError
        When nothing was planned, or fewer nodes are computed in int8 than planned.
    """
    planned = [name for name in planned_nodes(source, recipe, static=True) if name not in but]
    if not planned:
        raise ValueError(f"{source.name}: no product or convolution with fixed weights found, nothing to quantize")
    model = onnx.load(source, load_external_data=False)
    halves = whole_weights(model)
    equalize(model, planned, calibration.frames(source))
    _give_own_inputs(model.graph, planned)
    _hide_relus_behind(model.graph, but)
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / source.name
        onnx.save(model, copied)
        nodes = [*planned, *_relus_behind(model.graph, planned)]
        _run_quantizer(copied, target, recipe, nodes, calibration.frames(source))
    graph = cleaned(_without_copies(onnx.load(target, load_external_data=False)))
    halve_weights(graph, halves)
    target.write_bytes(graph.SerializeToString(deterministic=True))
    check_int8(target, planned)
    return planned


def check_int8(path: Path, planned: list[str]) -> None:
    """Nothing when all planned nodes of a graph are computed in int8, else ValueError."""
    made = quantized_nodes(onnx.load(path, load_external_data=False).graph)
    missing = [name for name in planned if name not in made]
    if missing:
        raise ValueError(
            f"{path.name}: {len(planned) - len(missing)} of {len(planned)} planned nodes became int8; "
            f"still float: {', '.join(missing)}"
        )
    if (computed := int8_kernels(path)) < len(planned):
        raise ValueError(f"{path.name}: onnxruntime computes {computed} of {len(planned)} planned nodes in int8")


def quantized_nodes(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes whose input and weights are both read from int8."""
    converted = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return {node.name for node in graph.node if len(node.input) > 1 and set(node.input[:2]) <= converted}


def int8_kernels(path: Path) -> int:
    """How many nodes onnxruntime computes in int8 here: it may leave float what the file says is int8."""
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / path.name
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(optimized)
        options.log_severity_level = 3  # it warns that the optimized graph is for this machine: so it is
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(optimized).graph.node
    return sum(node.op_type in INT8_KERNELS for node in nodes)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Frames one by one, as the library asks for them."""

    def __init__(self, frames: Iterable[dict[str, NDArray[Any]]]) -> None:
        self._frames: Iterator[dict[str, NDArray[Any]]] = iter(frames)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next frame, or None."""
        return next(self._frames, None)


def _run_quantizer(
    source: Path, target: Path, recipe: Recipe, nodes: list[str], frames: Iterable[dict[str, NDArray[Any]]]
) -> None:
    with quiet():
        quantize_static(
            source,
            target,
            _Reader(frames),
            quant_format=QuantFormat.QDQ,  # QOperator took 12 and 13 % longer (semantic, spatial)
            op_types_to_quantize=[*recipe.calibrated, "Relu"],
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=recipe.reduce_range,
            activation_type=QuantType.QUInt8,  # signed ones took 1.8 and 1.3 times as long on x86
            weight_type=QuantType.QInt8,
            # The sums of a product are 32 bits wide: rounding them to 8 would only lose.
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]},
        )


def _relus_behind(graph: onnx.GraphProto, convolutions: Collection[str]) -> list[str]:
    """Names of the ReLUs that alone read what one of some convolutions gives out."""
    read = readers(graph)
    given_out = {node.output[0] for node in graph.node if node.name in convolutions and node.op_type == "Conv"}
    return [
        node.name
        for node in graph.node
        if node.op_type == "Relu" and node.input[0] in given_out and len(read[node.input[0]]) == 1
    ]


def _hide_relus_behind(graph: onnx.GraphProto, left: Collection[str]) -> None:
    """Write ReLUs that alone read what convolutions give out as the larger of it and zero (in place)."""
    for name in _relus_behind(graph, left):
        relu = next(node for node in graph.node if node.name == name)
        graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), f"{name}/zero"))
        relu.op_type = "Max"
        relu.input.append(f"{name}/zero")


def _give_own_inputs(graph: onnx.GraphProto, planned: Collection[str]) -> None:
    """Put a copy that nothing else reads before each planned node whose input others read too (in place)."""
    nodes, read = [], readers(graph)
    for node in graph.node:
        if node.name in planned and len(read[node.input[0]]) > 1:
            own = node.name + _OWN
            nodes.append(onnx.helper.make_node("Identity", [node.input[0]], [own], own))
            node.input[0] = own
        nodes.append(node)
    replace_nodes(graph, nodes)


def _without_copies(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without those copies."""
    copies = {node.output[0]: node.input[0] for node in model.graph.node if node.name.endswith(_OWN)}
    kept = [node for node in model.graph.node if not node.name.endswith(_OWN)]
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = copies.get(name, name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model
