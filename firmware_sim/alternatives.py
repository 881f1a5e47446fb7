"""What a user would pick instead of ours, timed beside ours in the same run: `earshot profile --alternatives`.

Speed only: the networks have random weights. Times are processor time of one thread, so that ratios hold on a
machine that is doing other things as well: medians, ours and theirs by turns.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray

from earshot.firmware_sim.salsa_lite import salsa_lite
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_S, FRAME_SAMPLES, FeatureExtractor
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.networks import graphs_in

CLIP_S = 10.0
VIT_MEMORY_MB = 2500.0
"""Memory that the largest network needs while it is made and loaded."""
NOTE = "speed only: random weights; processor time of one thread"
_MISSING = (
    '--alternatives needs the package onnx, which is not installed; install it with: pip install "earshot[export]"'
)
_PAST_SAMPLES = 192

Float32 = NDArray[np.float32]
Item = dict[str, Any]
Timer = Callable[[], float]
"""Measures once, milliseconds."""

ROUNDS = 3
_RERUNS = CLIP_S / 0.1
"""To tell where sounds are every 100 ms as ours does, a network for whole clips runs anew as often."""


def measure_alternatives(bundle: Path, samples: Float32, vit_layers: int = 12) -> dict[str, Any]:
    """Time ours and theirs.

    Parameters
    ----------
    bundle : Path
        Verified.
    samples : ndarray, float32 [2, n]
        At 16 kHz; at least 40 ms.
    vit_layers : int
        Layers of the ViT; 12 is ViT-Base, less is for trying the program.

    Returns
    -------
    dict
        ``items`` with name, ours_ms, theirs_ms, ratio (theirs over ours), per (what a time is for) and parameters; and
        ``int8`` with the times of our encoders in both number formats.

    Raises
    ------
    UsageError
        Without the package onnx.
    """
    try:
        from earshot.firmware_sim import alternative_graphs as graphs
    except ModuleNotFoundError as error:
        raise UsageError(_MISSING) from error
    encoders = Encoders()
    encoders.load(bundle)
    pieces = [samples[:, k : k + FRAME_SAMPLES] for k in range(0, samples.shape[1] - FRAME_SAMPLES + 1, FRAME_SAMPLES)]
    features, hearing = _features_timer(pieces), _hearing_timer(encoders, pieces)
    salsa = _graph_timer(graphs.salsa_lite_graph(), graphs.SALSA_SHAPE, 50)
    clip, parameters = graphs.seldnet()
    window, _ = graphs.seldnet(frames=graphs.WINDOW_FRAMES)
    whole = _graph_timer(clip, graphs.SELDNET_SHAPE, 3)
    again = _graph_timer(window, (*graphs.SELDNET_SHAPE[:2], graphs.WINDOW_FRAMES, graphs.SELDNET_SHAPE[3]), 5)
    return {
        "note": NOTE,
        "items": [
            _item("SALSA-Lite features, numpy", features, _salsa_timer(pieces), "40 ms, features only"),
            _item("SALSA-Lite features, ONNX", features, salsa, "40 ms, features only"),
            _item("SELDNet-size network, once", hearing, whole, "10 s clip at its end; ours as it comes", parameters),
            _item(
                "SELDNet-size network, live",
                hearing,
                _times(again, _RERUNS),
                "10 s, last 2 s anew each 0.1 s",
                parameters,
            ),
            _vit(graphs, hearing, vit_layers),
        ],
        "int8": time_int8(bundle, encoders, pieces),
    }


def _times(timer: Timer, factor: float) -> Timer:
    return lambda: factor * timer()


def _item(name: str, ours: Timer, theirs: Timer, per: str, parameters: int = 0) -> Item:
    """Both by turns, the best of a few rounds: other programs can only make a time longer."""
    rounds = [(ours(), theirs()) for _ in range(ROUNDS)]
    ours_ms, theirs_ms = (min(times) for times in zip(*rounds, strict=True))
    return {
        "name": name,
        "ours_ms": round(ours_ms, 4),
        "theirs_ms": round(theirs_ms, 4),
        "ratio": round(theirs_ms / ours_ms, 3),
        "per": per,
        "parameters": parameters,
    }


def _vit(graphs: Any, ours: Timer, layers: int) -> Item:
    name = "ViT-Base of Spatial-AST's shape" if layers == 12 else f"ViT of {layers} layers"
    free_mb = psutil.virtual_memory().available / 1e6
    if free_mb < VIT_MEMORY_MB:
        return {"name": name, "skipped": f"needs {VIT_MEMORY_MB:.0f} MB of memory, {free_mb:.0f} MB are free"}
    model, parameters = graphs.vit_base(layers=layers)
    theirs = _graph_timer(model, graphs.VIT_SHAPE, 1)
    return _item(name, ours, theirs, "10 s clip at its end; ours as it comes", parameters)


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median processor time of this thread for `work`, after one call that is not timed; milliseconds."""
    work()
    times_s = []
    for _ in range(repeats):
        start_s = time.thread_time()
        work()
        times_s.append(time.thread_time() - start_s)
    return 1e3 * float(np.median(times_s))


def _graph_timer(model: Any, shape: tuple[int, ...], repeats: int) -> Timer:
    data = model.SerializeToString()
    session = ort.InferenceSession(data, _one_thread(), providers=["CPUExecutionProvider"])
    value = np.random.default_rng(0).standard_normal(shape, np.float32)
    return lambda: median_ms(lambda: session.run(None, {"input": value}), repeats)


def _one_thread() -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _features_timer(pieces: list[Float32]) -> Timer:
    def run() -> float:
        extractor, queue = FeatureExtractor(), iter(pieces)
        return median_ms(lambda: extractor.process(next(queue)), len(pieces) - 1)

    return run


def _salsa_timer(pieces: list[Float32]) -> Timer:
    def run() -> float:
        past, queue = np.zeros((2, _PAST_SAMPLES), np.float32), iter(pieces)

        def step() -> None:
            nonlocal past
            block = np.concatenate([past, next(queue)], axis=1)
            salsa_lite(block)
            past = block[:, -_PAST_SAMPLES:]

        return median_ms(step, len(pieces) - 1)

    return run


def _hearing_timer(encoders: Encoders, pieces: list[Float32]) -> Timer:
    """All of our hearing for 10 s of sound."""

    def run() -> float:
        hearing, chunks = Hearing(encoders), enumerate(pieces)

        def step() -> None:
            number, piece = next(chunks)
            hearing.process(AudioChunk(piece, number * FRAME_SAMPLES))

        return median_ms(step, len(pieces) - 1) * CLIP_S / FRAME_S

    return run


def time_int8(bundle: Path, encoders: Encoders, pieces: list[Float32]) -> dict[str, float]:
    """One step of both encoders as they are, and with dynamic int8 matrix products; accuracy is not looked at."""
    with tempfile.TemporaryDirectory() as folder:
        small = Encoders(encoders.slot_settings)
        _quantize(bundle, Path(folder))
        small.load(folder)
        rounds = [(_time_steps(encoders, pieces), _time_steps(small, pieces)) for _ in range(ROUNDS)]
    float_ms, int8_ms = (min(times) for times in zip(*rounds, strict=True))
    return {"float32_ms": round(float_ms, 4), "int8_ms": round(int8_ms, 4), "ratio": round(int8_ms / float_ms, 3)}


def _quantize(bundle: Path, folder: Path) -> None:
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    before, root.level = root.level, logging.ERROR  # it advises a pre-processing that changes nothing here
    try:
        for name in ("semantic", "spatial"):
            source, target = bundle / f"{name}.onnx", folder / f"{name}.onnx"
            products = _products(source)
            quantize_dynamic(source, target, nodes_to_quantize=products, per_channel=True, weight_type=QuantType.QInt8)
    finally:
        root.level = before
    for name in graphs_in(bundle):
        if name not in ("semantic", "spatial"):
            shutil.copyfile(bundle / f"{name}.onnx", folder / f"{name}.onnx")


def _products(path: Path) -> list[str]:
    """Names of the matrix products of a graph whose weights are one matrix: no kernel takes a stack with a scale for each column."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    matrices = {value.name for value in graph.initializer if len(value.dims) == 2}
    return [node.name for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in matrices]


def _time_steps(encoders: Encoders, pieces: list[Float32]) -> float:
    extractor, stream = FeatureExtractor(), encoders.open_stream()
    frames = iter([frame for piece in pieces for frame in extractor.process(piece)])
    return median_ms(lambda: stream.step(next(frames)), len(pieces) - 1)
