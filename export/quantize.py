"""Dynamic int8 for the matrix products of an encoder, kept only where it pays.

Convolutions stay float: ConvInteger is slower everywhere, and static quantization of recurrent parts lost
25 dB although each layer alone was fine. On ARM cores without dot-product instructions int8 costs more
than float32. So nothing is taken for granted: both graphs are streamed over given features, and the float
one stays when int8 is slower or too far off.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from earshot.export.onnx_export import cleaned
from earshot.runtime.hearing.networks import open_network

Steps = Sequence[Mapping[str, NDArray[Any]]]
Policy = Literal["float", "int8", "auto"]

MIN_SNR_DB = 25.0
"""Least signal-to-noise ratio of every output, streamed, for int8 to be kept."""

_QUANTIZED_OPERATORS = ("MatMul", "Gemm")


@dataclass(frozen=True)
class QuantReport:
    """What became of one graph.

    Attributes
    ----------
    graph : str
        File stem.
    kept : "float32" or "int8"
    reason : str
        Why.
    quantized_nodes : int
        Matrix products in int8 (0 when float was kept).
    snr_db : float
        Worst output of int8 against float, streamed with its own state; infinite when not tried.
    float_ms, int8_ms : float
        Median time of one step on one thread; NaN when not tried.
    """

    graph: str
    kept: Literal["float32", "int8"]
    reason: str
    quantized_nodes: int
    snr_db: float
    float_ms: float
    int8_ms: float


def quantize_matrix_products(source: Path, target: Path) -> int:
    """Write a graph with dynamic int8 matrix products.

    Parameters
    ----------
    source, target : Path
        Float graph; file to write.

    Returns
    -------
    int
        Number of products that became int8.

    Raises
    ------
    ValueError
        When there is none: then nothing was quantized, whatever the file name says.
    """
    root = logging.getLogger()
    before, root.level = root.level, logging.ERROR  # it advises a pre-processing that changes nothing here
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(_QUANTIZED_OPERATORS),
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.level = before
    graph = cleaned(onnx.load(target, load_external_data=False))
    target.write_bytes(graph.SerializeToString(deterministic=True))
    count = len([node for node in graph.graph.node if node.op_type == "MatMulInteger"])
    if count == 0:
        raise ValueError(f"{source.name}: no matrix product with fixed weights found, nothing to quantize")
    return count


def quantize_graph(path: Path, steps: Steps, policy: Policy = "auto", min_snr_db: float = MIN_SNR_DB) -> QuantReport:
    """Make a graph int8 in place, if it is worth it.

    Parameters
    ----------
    path : Path
        Float graph of the runtime's interface; replaced when int8 is kept.
    steps : sequence of mappings
        Inputs (without state) of consecutive steps, from real features: the yardstick.
    policy : "float", "int8" or "auto"
        Never; whenever exact enough; when exact enough and not slower.
    min_snr_db : float
        What is exact enough.

    Returns
    -------
    QuantReport

    Raises
    ------
    ValueError
        When there is nothing to quantize.
    """
    if policy == "float":
        return QuantReport(path.stem, "float32", "as asked", 0, float("inf"), float("nan"), float("nan"))
    scratch = path.parent / f".int8-{path.stem}"
    scratch.mkdir()
    try:
        small = scratch / path.name  # the stem tells open_network which interface to check
        nodes = quantize_matrix_products(path, small)
        expected, float_ms = stream(path, steps)
        found, int8_ms = stream(small, steps)
        snr_db = worst_snr_db(expected, found)
        reason = _reason_for_float(snr_db, min_snr_db, float_ms, int8_ms, policy)
        if reason:
            return QuantReport(path.stem, "float32", reason, 0, snr_db, float_ms, int8_ms)
        small.replace(path)
        return QuantReport(path.stem, "int8", "exact enough", nodes, snr_db, float_ms, int8_ms)
    finally:
        shutil.rmtree(scratch)


def _reason_for_float(snr_db: float, min_snr_db: float, float_ms: float, int8_ms: float, policy: Policy) -> str | None:
    if snr_db < min_snr_db:
        return f"int8 reaches {snr_db:.1f} dB of {min_snr_db:.0f} dB"
    if policy == "auto" and int8_ms > float_ms:
        return "int8 is not faster"  # no figure: the card must not differ between two exports
    return None


def stream(path: Path, steps: Steps) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Run a graph over consecutive steps with its own state.

    Returns
    -------
    outputs : dict of ndarray
        Per output name the values of all steps, stacked.
    median_ms : float
        Median time of a step, one thread.
    """
    network = open_network(path)
    state = network.initial_state()
    collected: dict[str, list[NDArray[np.float32]]] = {}
    times_s = []
    for inputs in steps:
        start_s = time.perf_counter()
        outputs, state = network.run(inputs, state)
        times_s.append(time.perf_counter() - start_s)
        for name, value in outputs.items():
            collected.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in collected.items()}, 1e3 * float(np.median(times_s))


def worst_snr_db(expected: Mapping[str, NDArray[np.float32]], found: Mapping[str, NDArray[np.float32]]) -> float:
    """Signal-to-noise ratio in dB of the output that agrees least; the mean over time counts as no signal."""
    ratios = []
    for name, value in expected.items():
        signal = np.square(value - value.mean(axis=0)).mean() + 1e-12
        noise = np.square(value - found[name]).mean() + 1e-12
        ratios.append(10 * np.log10(signal / noise))
    return float(min(ratios))
