"""What several steps of the export ask of an ONNX graph: who reads a tensor, what it holds, other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray


def readers(graph: onnx.GraphProto) -> dict[str, list[str]]:
    """By tensor the names of the nodes that read it; outputs of the graph are read by ``""``."""
    found: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node.name)
    for output in graph.output:
        found.setdefault(output.name, []).append("")
    return found


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """By tensor the node that makes it."""
    return {name: node for node in graph.node for name in node.output}


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give a graph other nodes, which may be some of its own."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def without_unread(graph: onnx.GraphProto) -> None:
    """Leave out nodes that no output depends on (in place)."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed.update(node.input)
    replace_nodes(graph, reversed(kept))


def values_in(
    model: onnx.ModelProto, tensors: Sequence[str], frames: Iterable[Mapping[str, NDArray[Any]]]
) -> Iterator[list[NDArray[Any]]]:
    """What some inner tensors hold, frame by frame.

    Parameters
    ----------
    model : onnx.ModelProto
        Not changed.
    tensors : sequence of str
    frames : iterable of mapping
        All inputs, states included.
    """
    opened = onnx.ModelProto.FromString(model.SerializeToString())
    given = {output.name for output in opened.graph.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in given)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for frame in frames:
        yield session.run(list(tensors), dict(frame))


def zeros_for(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Zeros for every input of a graph with fixed shapes."""
    return {
        value.name: np.zeros(
            [size.dim_value for size in value.type.tensor_type.shape.dim],
            onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type),
        )
        for value in model.graph.input
    }
