"""Dynamic int8 for the matrix products of an encoder: which nodes are planned, and whether they became int8.

Convolutions stay float: ConvInteger is slower everywhere; with scales fixed beforehand they need not (`quantize_static.py`).
Whether a graph is fast and good enough is for `choose.py` and `gate.py` to say.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from earshot.export.onnx_export import cleaned
from earshot.export.targets import Recipe
from earshot.runtime.hearing.networks import open_network

Steps = Sequence[Mapping[str, NDArray[Any]]]

_QUANTIZED = ("_MatMul_quant", "_quant")
"""What the quantizer appends to the name of a Gemm and of a MatMul."""


def planned_nodes(path: Path, recipe: Recipe, static: bool = False) -> list[str]:
    """Names of the nodes of a float graph that a recipe turns into int8: those with constant weights, be they stored as halves.

    Stacks of matrices stay float: no kernel takes them with a scale for each column.
    """
    graph = onnx.load(path, load_external_data=False).graph
    stored = {value.name for value in graph.initializer if len(value.dims) != 3}
    weights = stored | {node.output[0] for node in graph.node if node.op_type == "Cast" and node.input[0] in stored}
    return [
        node.name
        for node in graph.node
        if recipe.is_planned(node.op_type, node.name, static) and len(node.input) > 1 and node.input[1] in weights
    ]


def quantize_products(source: Path, target: Path, recipe: Recipe, but: Collection[str] = ()) -> list[str]:
    """Write a graph with int8 matrix products.

    Parameters
    ----------
    source, target : Path
        Float graph; file to write.
    recipe : Recipe
    but : collection of str
        Planned nodes to leave float.

    Returns
    -------
    list of str
        Names of the float graph's nodes that became int8: all that were planned.

    Raises
    ------
    ValueError
        When nothing was planned, or fewer nodes became int8 than planned: then the file is not what its name says.
    """
    planned = [name for name in planned_nodes(source, recipe) if name not in but]
    if not planned:
        raise ValueError(f"{source.name}: no matrix product with fixed weights found, nothing to quantize")
    model = onnx.load(source, load_external_data=False)
    others = [node.name for node in model.graph.node if node.name not in planned]
    _run_quantizer(source, target, recipe, others)
    made = int8_nodes(target)
    missing = [name for name in planned if not any(name + ending in made for ending in _QUANTIZED)]
    if missing:
        raise ValueError(
            f"{source.name}: {len(planned) - len(missing)} of {len(planned)} planned nodes became int8; "
            f"still float: {', '.join(missing)}"
        )
    return planned


def int8_nodes(path: Path) -> list[str]:
    """Names of the int8 matrix products of a graph."""
    graph = onnx.load(path, load_external_data=False).graph
    return [node.name for node in graph.node if node.op_type == "MatMulInteger"]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the quantizer's advice to pre-process, which changes nothing here."""
    root = logging.getLogger()
    before, root.level = root.level, logging.ERROR
    try:
        yield
    finally:
        root.level = before


def _run_quantizer(source: Path, target: Path, recipe: Recipe, others: list[str]) -> None:
    with quiet():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(recipe.operators),
            nodes_to_exclude=[*others, *(f"{name}_MatMul" for name in others)],  # a Gemm is renamed before
            per_channel=True,
            reduce_range=recipe.reduce_range,
            weight_type=QuantType.QInt8,
        )
    graph = cleaned(onnx.load(target, load_external_data=False))
    target.write_bytes(graph.SerializeToString(deterministic=True))


def stream(path: Path, steps: Steps) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Run a graph over consecutive steps with its own state.

    Returns
    -------
    outputs : dict of ndarray
        Per output name the values of all steps, stacked.
    median_ms : float
        Median processor time of a step, one thread.
    """
    network = open_network(path)
    state = network.initial_state()
    collected: dict[str, list[NDArray[np.float32]]] = {}
    times_s = []
    for inputs in steps:
        start_s = time.thread_time()
        outputs, state = network.run(inputs, state)
        times_s.append(time.thread_time() - start_s)
        for name, value in outputs.items():
            collected.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in collected.items()}, 1e3 * float(np.median(times_s))


def worst_snr_db(expected: Mapping[str, NDArray[np.float32]], found: Mapping[str, NDArray[np.float32]]) -> float:
    """Signal-to-noise ratio in dB of the output that agrees least; the mean over time counts as no signal.

    Outputs that are equal to the last bit agree without end: so does one that never changes.
    """
    ratios = [float("inf")]
    for name, value in expected.items():
        if np.array_equal(value, found[name]):
            continue
        signal = np.square(value - value.mean(axis=0)).mean() + 1e-12
        noise = np.square(value - found[name]).mean() + 1e-12
        ratios.append(10 * np.log10(signal / noise))
    return float(min(ratios))
