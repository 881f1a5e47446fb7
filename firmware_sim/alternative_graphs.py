"""Networks that one would take instead of ours, as ONNX graphs with seeded random weights: for timing only.

Shapes follow the papers; what they would say about a sound is noise. Needs the package onnx.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLIP_S = 10.0
STFT_FRAMES = 500
"""Frames of 20 ms in a clip of 10 s."""
WINDOW_FRAMES = 100
"""2 s, what a network that runs anew all the time is given to hear."""
SELDNET_SHAPE = (1, 7, STFT_FRAMES, 64)
SALSA_SHAPE = (2, 832)
"""Two STFT frames: 640 new samples and 192 of the past, both ears."""
VIT_SHAPE = (1, 4, 1024, 128)
"""Spatial-AST's input: 1024 frames of 128 mel bands of a 10 s clip; levels and phases of two ears."""

_OPSET = 17
_IR_VERSION = 9


class GraphBuilder:
    """Collects nodes and random weights; every method that adds a node returns the name of its output.

    Parameters
    ----------
    seed : int
        Of the weights.
    """

    def __init__(self, seed: int = 0) -> None:
        self.parameters = 0
        self._rng = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def weight(self, *shape: int) -> str:
        """A random weight, scaled by its fan-in so that values neither vanish nor explode."""
        self.parameters += int(np.prod(shape))
        scale = np.float32(1.0 / np.sqrt(max(1, int(np.prod(shape[1:])))))
        return self.constant(self._rng.standard_normal(shape, np.float32) * scale)

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """A fixed value that does not count as a parameter."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        """A fixed list of whole numbers."""
        return self.constant(np.asarray(values, np.int64))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One node."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """One node with several outputs."""
        names = [f"value_{len(self._nodes)}_{k}" for k in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def linear(self, value: str, width_in: int, width_out: int) -> str:
        """Matrix product with bias."""
        product = self.add("MatMul", value, self.weight(width_in, width_out))
        return self.add("Add", product, self.weight(width_out))

    def norm(self, value: str, width: int) -> str:
        """Layer normalization over the last axis."""
        return self.add("LayerNormalization", value, self.weight(width), self.weight(width), axis=-1)

    def model(self, shape: Sequence[int], result: str) -> Any:
        """The finished model with the input `input` and the output `output` of three dimensions."""
        self._nodes.append(helper.make_node("Identity", [result], ["output"]))
        graph = helper.make_graph(
            self._nodes,
            "alternative",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None] * 3)],
            self._constants,
        )
        opset = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)


def attention(build: GraphBuilder, value: str, width: int, heads: int) -> str:
    """Multi-head self-attention of [1, n, width] (Vaswani et al. 2017), without the residual."""
    apart = build.integers(0, 0, heads, width // heads)
    names = []
    for axes in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):  # query, key (transposed), value
        projected = build.add("Reshape", build.linear(value, width, width), apart)
        names.append(build.add("Transpose", projected, perm=axes))
    query, key, content = names
    scale = build.constant(np.float32((width // heads) ** -0.5))
    weights = build.add("Softmax", build.add("Mul", build.add("MatMul", query, key), scale), axis=-1)
    mixed = build.add("Transpose", build.add("MatMul", weights, content), perm=[0, 2, 1, 3])
    return build.linear(build.add("Reshape", mixed, build.integers(0, 0, width)), width, width)


def feed_forward(build: GraphBuilder, value: str, width: int, hidden: int) -> str:
    """Two layers with an exact GELU between them."""
    inner = build.linear(value, width, hidden)
    root = build.constant(np.float32(np.sqrt(0.5)))
    gate = build.add("Add", build.add("Erf", build.add("Mul", inner, root)), build.constant(np.float32(1.0)))
    active = build.add("Mul", build.add("Mul", inner, gate), build.constant(np.float32(0.5)))
    return build.linear(active, hidden, width)


def seldnet(seed: int = 0, frames: int = STFT_FRAMES) -> tuple[Any, int]:
    """A convolutional recurrent network with self-attention, of the size of a SELDNet: 0.885 M parameters.

    Three 3x3 convolutions of 64 filters with pooling, two bidirectional GRUs of 128, two attention blocks
    (after Adavanne et al. 2018 and the DCASE baselines, which process whole clips).

    Parameters
    ----------
    seed : int
        Of the weights.
    frames : int
        Frames of 20 ms that it hears at once, a multiple of 5.

    Returns
    -------
    model
        Input [1, 7, frames, 64]: seven feature channels; output [1, frames / 5, 156]: multi-ACCDOA every 100 ms.
    int
        Number of parameters.
    """
    build = GraphBuilder(seed)
    value, channels = "input", SELDNET_SHAPE[1]
    for pool in ((5, 4), (1, 4), (1, 2)):
        value = build.add("Conv", value, build.weight(64, channels, 3, 3), build.weight(64), pads=[1, 1, 1, 1])
        value = build.add("MaxPool", build.add("Relu", value), kernel_shape=list(pool), strides=list(pool))
        channels = 64
    steps = frames // 5
    value = build.add("Reshape", build.add("Transpose", value, perm=[2, 0, 1, 3]), build.integers(steps, 1, 128))
    for width in (128, 256):
        value = _both_ways(build, value, width, 128)
    value = build.linear(build.add("Transpose", value, perm=[1, 0, 2]), 256, 128)
    for _ in range(2):
        value = build.norm(build.add("Add", value, attention(build, value, 128, 8)), 128)
        value = build.norm(build.add("Add", value, feed_forward(build, value, 128, 245)), 128)
    shape = (*SELDNET_SHAPE[:2], frames, SELDNET_SHAPE[3])
    return build.model(shape, build.add("Tanh", build.linear(value, 128, 156))), build.parameters


def _both_ways(build: GraphBuilder, value: str, width: int, hidden: int) -> str:
    """A bidirectional GRU over [time, 1, width]: [time, 1, 2 hidden]."""
    weights = (build.weight(2, 3 * hidden, width), build.weight(2, 3 * hidden, hidden), build.weight(2, 6 * hidden))
    (found,) = build.add_many(
        "GRU", value, *weights, outputs=1, hidden_size=hidden, direction="bidirectional", linear_before_reset=1
    )
    return build.add("Reshape", build.add("Transpose", found, perm=[0, 2, 1, 3]), build.integers(0, 1, 2 * hidden))


def vit_base(seed: int = 0, layers: int = 12) -> tuple[Any, int]:
    """A ViT-Base encoder of Spatial-AST's shape (Zheng et al. 2024, BAT) for one clip of 10 s.

    Patches of 16 x 16 of a spectrogram of 1024 x 128: 512 tokens and 3 of its own, width 768, 12 layers, 12 heads,
    feed-forward 3072 (Dosovitskiy et al. 2021).

    Returns
    -------
    model
        Input [1, 4, 1024, 128], output [1, 515, 768].
    int
        Number of parameters, 86 million with 12 layers.
    """
    build = GraphBuilder(seed)
    patches = build.add("Conv", "input", build.weight(768, VIT_SHAPE[1], 16, 16), build.weight(768), strides=[16, 16])
    rows = build.add("Transpose", build.add("Reshape", patches, build.integers(1, 768, 512)), perm=[0, 2, 1])
    value = build.add("Add", build.add("Concat", build.weight(1, 3, 768), rows, axis=1), build.weight(1, 515, 768))
    for _ in range(layers):
        value = build.add("Add", value, attention(build, build.norm(value, 768), 768, 12))
        value = build.add("Add", value, feed_forward(build, build.norm(value, 768), 768, 3072))
    return build.model(VIT_SHAPE, build.norm(value, 768)), build.parameters


def salsa_lite_graph() -> Any:
    """SALSA-Lite features of one hop of 40 ms as a graph; see `alternatives.salsa_lite` for the formula.

    Returns
    -------
    model
        Input [2, 832] samples, output [3, 2, 256].
    """
    from earshot.firmware_sim.salsa_lite import HOP_SAMPLES, POWER_FLOOR, WINDOW_SAMPLES, phase_scale, window

    build = GraphBuilder()
    spectrum = build.add(
        "STFT",
        "input",
        build.constant(np.asarray(HOP_SAMPLES, np.int64)),
        build.constant(window()),
        build.constant(np.asarray(WINDOW_SAMPLES, np.int64)),
        onesided=1,
    )
    kept = build.add("Slice", spectrum, build.integers(1), build.integers(257), build.integers(2))
    real, imaginary = (
        build.add("Squeeze", part, build.integers(3)) for part in build.add_many("Split", kept, outputs=2, axis=3)
    )
    power = build.add("Add", build.add("Mul", real, real), build.add("Mul", imaginary, imaginary))
    level = build.add("Log", build.add("Add", power, build.constant(np.float32(POWER_FLOOR))))
    (real_left, real_right), (imag_left, imag_right) = (
        build.add_many("Split", part, outputs=2, axis=0) for part in (real, imaginary)
    )
    cross_real = build.add("Add", build.add("Mul", real_left, real_right), build.add("Mul", imag_left, imag_right))
    cross_imag = build.add("Sub", build.add("Mul", real_left, imag_right), build.add("Mul", imag_left, real_right))
    # ONNX has no two-argument arctangent; half the angle by |X| + Re X is exact but for the half plane's edge.
    length = build.add(
        "Sqrt", build.add("Add", build.add("Mul", cross_real, cross_real), build.add("Mul", cross_imag, cross_imag))
    )
    below = build.add("Add", build.add("Add", length, cross_real), build.constant(np.float32(1e-12)))
    angle = build.add("Mul", build.add("Atan", build.add("Div", cross_imag, below)), build.constant(np.float32(2.0)))
    scaled = build.add("Mul", angle, build.constant(phase_scale()))
    return build.model(SALSA_SHAPE, build.add("Concat", level, scaled, axis=0))


def check(model: Any) -> None:
    """Raise onnx's ValidationError when a graph is not well-formed."""
    onnx.checker.check_model(model)
