"""Channels that will share one scale are brought to one range first; what is computed stays the same.

In int8 all channels of a tensor share the scale of the loudest, and one that is a hundred times as quiet keeps two values of 256. Where only a
ReLU lies between two convolutions a channel may be divided by any positive number that the weights reading it are multiplied by
(cross-layer equalization: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"). A depthwise
convolution has a scale for each channel's weights, so all its channels may have one range; other convolutions read all channels
with weights of one scale, and the factor is shared out between channel and weights.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from earshot.export.graphs import producers, readers, values_in

Float64 = NDArray[np.float64]

QUIETEST = 1e-3
"""Of the loudest channel: quieter ones count as so loud, for the calibration scenes may have missed what they tell of."""
_LEAST = 1e-12


@dataclass(frozen=True)
class _Pair:
    """Two convolutions with nothing but a ReLU between them: their names, weights and bias of the first, weights of the second."""

    first: str
    second: str
    weight: str
    bias: str
    between: str
    reading: str
    depthwise: bool


def equalize(model: onnx.ModelProto, planned: Collection[str], frames: Iterable[Mapping[str, NDArray[Any]]]) -> int:
    """Bring channels to one range (in place).

    Parameters
    ----------
    model : onnx.ModelProto
    planned : collection of str
        Names of the nodes that are to become int8; only what they read or give out is changed.
    frames : iterable of mapping
        All inputs of some steps, states included, from which the ranges are taken.

    Returns
    -------
    int
        How many tensors were changed.
    """
    pairs = _pairs(model.graph, set(planned))
    if not pairs:
        return 0
    peaks = _peaks(model, pairs, frames)
    stored = {value.name: value for value in model.graph.initializer}
    for pair, peak in zip(pairs, peaks, strict=True):
        weight, bias, reading = (_values(stored[name]) for name in (pair.weight, pair.bias, pair.reading))
        factor = _factors(peak, reading, pair.depthwise)
        _store(stored[pair.weight], weight / factor.reshape(-1, *[1] * (weight.ndim - 1)))
        _store(stored[pair.bias], bias / factor)
        axis = 0 if pair.depthwise else 1
        _store(stored[pair.reading], reading * np.expand_dims(factor, [k for k in range(reading.ndim) if k != axis]))
    return len(pairs)


def _pairs(graph: onnx.GraphProto, planned: set[str]) -> list[_Pair]:
    """All that may be changed, in the order of the graph."""
    made, read = producers(graph), readers(graph)
    found = (_pair(node, made, read, graph) for node in graph.node if node.op_type == "Conv")
    return [pair for pair in found if pair is not None and planned & {pair.first, pair.second}]


def _pair(
    node: onnx.NodeProto, made: Mapping[str, onnx.NodeProto], read: Mapping[str, list[str]], graph: onnx.GraphProto
) -> _Pair | None:
    sizes = {value.name: list(value.dims) for value in graph.initializer}
    relu = made.get(node.input[0])
    if relu is None or relu.op_type != "Relu" or read[relu.output[0]] != [node.name]:
        return None
    before = made.get(relu.input[0])
    if before is None or before.op_type != "Conv" or read[before.output[0]] != [relu.name] or len(before.input) < 3:
        return None
    weights = (before.input[1], before.input[2], node.input[1])
    if any(name not in sizes or len(read[name]) > 1 for name in weights):
        return None
    channels, groups = sizes[before.input[1]][0], _groups(node)
    depthwise = groups == channels == sizes[node.input[1]][0]
    if groups > 1 and not depthwise:
        return None
    return _Pair(before.name, node.name, before.input[1], before.input[2], relu.output[0], node.input[1], depthwise)


def _groups(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _peaks(model: onnx.ModelProto, pairs: list[_Pair], frames: Iterable[Mapping[str, NDArray[Any]]]) -> list[Float64]:
    """The largest value of each channel between the convolutions of each pair."""
    peaks: list[Float64] = []
    for values in values_in(model, [pair.between for pair in pairs], frames):
        largest = [value.max(axis=(0, *range(2, value.ndim))).astype(np.float64) for value in values]
        peaks = [np.maximum(a, b) for a, b in zip(peaks, largest, strict=True)] if peaks else largest
    return peaks


def _factors(peak: Float64, reading: Float64, depthwise: bool) -> Float64:
    """What each channel is divided by; 1 at most, so that the loudest stays as it is."""
    loud = np.maximum(peak, max(QUIETEST * float(peak.max()), _LEAST))
    if not depthwise:
        weights = np.abs(reading).max(axis=(0, *range(2, reading.ndim)))
        loud = np.sqrt(loud / np.maximum(weights, max(QUIETEST * float(weights.max()), _LEAST)))
    factor: Float64 = loud / loud.max()
    return factor


def _values(stored: onnx.TensorProto) -> Float64:
    values: Float64 = numpy_helper.to_array(stored).astype(np.float64)
    return values


def _store(stored: onnx.TensorProto, values: Float64) -> None:
    stored.CopyFrom(numpy_helper.from_array(values.astype(np.float32), stored.name))
