"""Small networks with the interface of docs/architecture.md, real recurrent state and a little sense.

The semantic graph fires one class for sound in low, one in middle and one in high bands, blind to the ears.
The spatial graph points to the louder ear. The names graph, which a set may have, adds to the low class what is loud below
500 Hz and believes half of the semantic graph. Everything else is seeded noise. A set takes about 200 kB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LOW_CLASS, MIDDLE_CLASS, HIGH_CLASS = 7, 20, 33
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def write_tiny_networks(folder: Path, hidden: int = 32, seed: int = 0, names: bool = False) -> Path:
    """Write `semantic.onnx`, `spatial.onnx`, `projector.onnx` and perhaps `names.onnx`, and return the folder.

    Parameters
    ----------
    folder : Path
        Created when missing.
    hidden : int
        Width of the projector's embeddings.
    seed : int
        Of the random weights.
    names : bool
        Whether there is a names network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    graphs = {
        "semantic": semantic_graph(rng),
        "spatial": spatial_graph(),
        "projector": projector_graph(rng, hidden),
        **({"names": names_graph()} if names else {}),
    }
    for name, model in graphs.items():
        onnx.checker.check_model(model)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    return folder


class GraphBuilder:
    """Collects nodes and constants; every operator call returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant."""
        name = f"const_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add one node."""
        name = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, name: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
        """The finished model; an input or output is name -> (type, shape)."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, *value) for key, value in inputs.items()],
            [helper.make_tensor_value_info(key, *value) for key, value in outputs.items()],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def loudness(build: GraphBuilder) -> str:
    """Log power of both ears, 0 = silence, about 1 = noise of -20 dB: [1, 64]."""
    level = build.op("Gather", "features", build.const([0, 4], np.int64), axis=1)
    level = build.op("ReduceMean", level, axes=[1, 2], keepdims=0)
    level = build.op("Add", level, build.const(6.0))
    return build.op("Mul", level, build.const(1.0 / 6.0))


def class_weights() -> NDArray[np.float32]:
    """Weights [64, 61]: each of the three classes listens to a third of the bands."""
    weights = np.zeros((64, 61), np.float32)
    for label, bands in (
        (LOW_CLASS, slice(0, 20)),
        (MIDDLE_CLASS, slice(22, 42)),
        (HIGH_CLASS, slice(44, 64)),
    ):
        weights[bands, label] = 20.0 / 20
    return weights


def semantic_graph(rng: np.random.Generator) -> Any:
    """Class logits from band levels, and a leaky tanh cell as embedding."""
    build = GraphBuilder()
    level = loudness(build)
    drive = build.op("MatMul", level, build.const(rng.normal(0, 0.2, (64, 256))))
    past = build.op("Mul", "state.cell", build.const(0.6))
    cell = build.op("Tanh", build.op("Add", drive, past), output="next.cell")
    build.op("Identity", cell, output="embedding")
    classes = build.op("MatMul", level, build.const(class_weights()))
    build.op("Add", classes, build.const(np.full(61, -15.0)), output="logits")
    narrow = build.op(
        "Slice", cell, build.const([0], np.int64), build.const([96], np.int64), build.const([1], np.int64)
    )
    column = build.op("Reshape", narrow, build.const([1, 96, 1], np.int64))
    build.op("Mul", column, build.const(np.ones((1, 1, 8))), output="keys")
    cell_type = (FLOAT, [1, 256])
    return build.model(
        "semantic",
        {"features": (FLOAT, [1, 8, 1, 64]), "state.cell": cell_type},
        {
            "logits": (FLOAT, [1, 61]),
            "embedding": cell_type,
            "keys": (FLOAT, [1, 96, 8]),
            "next.cell": cell_type,
        },
    )


def spatial_graph() -> Any:
    """Each slot leans to the louder ear, slowly; its state is zeroed where `slot_keep` is 0."""
    build = GraphBuilder()
    level = build.op("ReduceMean", loudness(build), axes=[1], keepdims=1)
    ild = build.op("Gather", "features", build.const([1, 5], np.int64), axis=1)
    ild = build.op("Reshape", build.op("ReduceMean", ild, axes=[1, 2, 3], keepdims=0), build.const([1, 1], np.int64))
    kept = build.op("Mul", build.op("Mul", "state.side", "slot_keep"), build.const(0.8))
    side = build.op("Add", kept, build.op("Mul", ild, build.const(0.2)), output="next.side")
    _slot_outputs(build, side, level)
    narrow = build.op(
        "Slice",
        "semantic_embedding",
        build.const([0], np.int64),
        build.const([128], np.int64),
        build.const([1], np.int64),
    )
    build.op("Mul", narrow, level, output="scene_embedding")
    build.op("Reshape", build.op("Sub", level, build.const(2.0)), build.const([1], np.int64), output="room_log_t60")
    build.op("Mul", level, build.const([[0.0, 3.0, 1.0, 0.0, -1.0]]), output="count_logits")
    side_type = (FLOAT, [1, 4])
    return build.model("spatial", _spatial_inputs(side_type), _spatial_outputs(side_type))


def _slot_outputs(build: GraphBuilder, side: str, level: str) -> None:
    """Activity from the level, posterior and direction from the side [1, 4], distance from the level."""
    ones = build.const(np.ones((1, 4)))
    active = build.op("Mul", build.op("Sub", level, build.const(0.5)), build.const(20.0))
    build.op("Mul", ones, active, output="slot_activity")
    column = build.op("Reshape", side, build.const([1, 4, 1], np.int64))
    azimuth = np.deg2rad(-175.0 + 10.0 * np.arange(36))
    logits = build.op("Mul", column, build.const(12.0 * np.sin(azimuth)[None, None]))
    logits = build.op("Add", logits, build.const(6.0 * np.cos(azimuth)[None, None]))
    build.op("Softmax", logits, output="slot_azimuth", axis=-1)
    vector = build.op("Mul", column, build.const([[[0.0, 2.0, 0.0]]]))
    build.op("Add", vector, build.const([[[1.0, 0.0, 0.2]]]), output="slot_direction")
    build.op("Mul", ones, build.op("Sub", build.const(1.0), level), output="slot_log_distance")
    build.op("Mul", ones, build.op("Mul", build.const(10.0), level), output="slot_level")


def _spatial_inputs(side_type: tuple[int, list[int]]) -> dict[str, Any]:
    return {
        "features": (FLOAT, [1, 8, 1, 64]),
        "semantic_embedding": (FLOAT, [1, 256]),
        "semantic_keys": (FLOAT, [1, 96, 8]),
        "slot_class": (INT64, [1, 4]),
        "slot_keep": (FLOAT, [1, 4]),
        "state.side": side_type,
    }


def _spatial_outputs(side_type: tuple[int, list[int]]) -> dict[str, Any]:
    return {
        "slot_activity": (FLOAT, [1, 4]),
        "slot_azimuth": (FLOAT, [1, 4, 36]),
        "slot_direction": (FLOAT, [1, 4, 3]),
        "slot_log_distance": (FLOAT, [1, 4]),
        "slot_level": (FLOAT, [1, 4]),
        "scene_embedding": (FLOAT, [1, 128]),
        "room_log_t60": (FLOAT, [1]),
        "count_logits": (FLOAT, [1, 5]),
        "next.side": side_type,
    }


def projector_graph(rng: np.random.Generator, hidden: int) -> Any:
    """One random layer over moments and one over objects, any number of each."""
    build = GraphBuilder()
    moments = build.op("Concat", "semantic", "scene", axis=1)
    moments = build.op("MatMul", moments, build.const(rng.normal(0, 0.05, (451, hidden))))
    objects = build.op("MatMul", "objects", build.const(rng.normal(0, 0.05, (299, hidden))))
    layer = build.op("Concat", moments, objects, axis=0)
    build.op("Tanh", layer, output="embeddings")
    return build.model(
        "projector",
        {
            "semantic": (FLOAT, ["N", 317]),
            "scene": (FLOAT, ["N", 134]),
            "objects": (FLOAT, ["M", 299]),
        },
        {"embeddings": (FLOAT, ["T", hidden])},
    )


def names_graph(samples: int = 15_600) -> Any:
    """Logits of the low class: decades of power below 500 Hz over -60 dB; of the others none; trust 0.5."""
    build = GraphBuilder()
    blocks = build.op("Reshape", "samples", build.const([1, -1, 16], np.int64))
    low = build.op("ReduceMean", blocks, axes=[2], keepdims=0)
    power = build.op("ReduceMean", build.op("Mul", low, low), axes=[1], keepdims=1)
    decades = build.op("Mul", build.op("Log", build.op("Add", power, build.const(1e-8))), build.const(1 / np.log(10)))
    one = np.zeros((1, 61), np.float32)
    one[0, LOW_CLASS] = 1.0
    build.op("Mul", build.op("Add", decades, build.const(6.0)), build.const(one), output="logits")
    build.op("Identity", build.const([0.5]), output="trust")
    return build.model("names", {"samples": (FLOAT, [1, samples])}, {"logits": (FLOAT, [1, 61]), "trust": (FLOAT, [1])})
