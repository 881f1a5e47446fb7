"""Zeros that are put around a convolution's input become the convolution's own padding.

torch pads a convolution alike on both sides; padding of TensorFlow ("same", at stride 2 behind only) is a node of its own, which
copies the input, and in int8 has it rounded once more.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from earshot.export.graphs import producers, readers, replace_nodes, values_in, without_unread, zeros_for


def fold_pads(model: onnx.ModelProto) -> int:
    """Move zeros around images into the convolutions that alone read them (in place).

    Parameters
    ----------
    model : onnx.ModelProto
        With fixed shapes.

    Returns
    -------
    int
        How many were moved.
    """
    graph, read = model.graph, readers(model.graph)
    made = producers(graph)
    found = [
        (node, made[node.input[0]])
        for node in graph.node
        if node.op_type == "Conv" and node.input[0] in made and _pads_alone(made[node.input[0]], read)
    ]
    if not found:
        return 0
    (amounts,) = values_in(model, [pad.input[1] for _, pad in found], [zeros_for(model)])
    moved = 0
    for (node, pad), amount in zip(found, amounts, strict=True):
        moved += _take_over(node, pad, [int(n) for n in amount])
    replace_nodes(graph, graph.node)
    without_unread(graph)
    return moved


def _pads_alone(node: onnx.NodeProto, read: dict[str, list[str]]) -> bool:
    """Whether a node pads with zeros, and one node reads it."""
    mode = [a.s for a in node.attribute if a.name == "mode"]
    zeros = len(node.input) < 3 or not node.input[2]
    return node.op_type == "Pad" and mode in ([], [b"constant"]) and zeros and len(read[node.output[0]]) == 1


def _take_over(node: onnx.NodeProto, pad: onnx.NodeProto, amount: Sequence[int]) -> bool:
    """Pad in the convolution; not where batch or channels are padded, or anything is cut off."""
    half = len(amount) // 2
    if min(amount) < 0 or any((*amount[:2], *amount[half : half + 2])):
        return False
    own = next((list(a.ints) for a in node.attribute if a.name == "pads"), [0] * (len(amount) - 4))
    more = [*amount[2:half], *amount[half + 2 :]]
    kept = [a for a in node.attribute if a.name not in ("pads", "auto_pad")]
    padded = helper.make_attribute("pads", [a + b for a, b in zip(own, more, strict=True)])
    attributes = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in (*kept, padded)]
    del node.attribute[:]
    node.attribute.extend(attributes)
    node.input[0] = pad.input[0]
    return True
