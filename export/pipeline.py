"""From the networks of a checkpoint to a verified bundle: export, compare, quantize, describe, write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.export.bundle import BundleFacts, write_bundle
from earshot.export.card import model_card
from earshot.export.gguf_llm import GgufReport, write_gguf
from earshot.export.networks import Networks
from earshot.export.onnx_export import export_projector, export_semantic, export_spatial
from earshot.export.parity import check_graph, check_language
from earshot.export.probe import encoder_steps
from earshot.export.quantize import Policy, QuantReport, quantize_graph
from earshot.runtime.bundle.manifest import LLM_NAME, PROJECTOR_NAME, SEMANTIC_NAME, SPATIAL_NAME, Manifest

TARGETS: dict[str, Policy] = {
    "x86": "auto",
    "rk3588": "float",
    "pi5": "float",
    "pi4": "float",
    "zero2w": "float",
}
"""Board -> what the encoders become. Dynamic int8 costs 1.75 times the instructions of float32 on cores
without dot-product instructions (Pi 4, Zero 2 W) and gains nothing on those with them; only x86 is worth a
try."""

Say = Callable[[str], None]
_PROBE_VECTORS = 10
_PARITY_STEPS = 60


@dataclass(frozen=True)
class ExportSettings:
    """What to make.

    Attributes
    ----------
    llm_quantization : str
        One of `gguf_llm.QUANTIZATIONS`.
    target : str
        One of `TARGETS`.
    """

    llm_quantization: str = "Q8_0"
    target: str = "x86"


@dataclass(frozen=True)
class ExportReport:
    """What was made.

    Attributes
    ----------
    manifest : Manifest
    encoders : tuple of QuantReport
    llm : GgufReport
    graph_error : float
        Largest relative difference between the encoders and their float graphs.
    llm_correlation : float
        Of next-token logits, GGUF against network.
    """

    manifest: Manifest
    encoders: tuple[QuantReport, ...]
    llm: GgufReport
    graph_error: float
    llm_correlation: float


def export_bundle(
    networks: Networks,
    directory: Path,
    facts: BundleFacts,
    audio: NDArray[np.float32],
    settings: ExportSettings = ExportSettings(),
    say: Say = lambda text: None,
) -> ExportReport:
    """Make a bundle of trained networks.

    Parameters
    ----------
    networks : Networks
    directory : Path
        Bundle to write; only touched when every gate is passed.
    facts : BundleFacts
    audio : ndarray, float32 [2, samples]
        16 kHz; what graphs are judged on, see `probe.probe_audio`.
    settings : ExportSettings
    say : callable
        Told what is going on.

    Returns
    -------
    ExportReport

    Raises
    ------
    ValueError
        When a network does not fit the contract or a gate is not passed.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        say("encoders")
        error, encoders = _encoders(networks, scratch, audio, TARGETS[settings.target])
        export_projector(networks.projector, scratch / PROJECTOR_NAME)
        say(f"language model ({settings.llm_quantization})")
        llm, correlation = _language(networks, scratch, settings.llm_quantization, facts.name)
        say("bundle")
        graphs = {graph: scratch / graph for graph in (SEMANTIC_NAME, SPATIAL_NAME, PROJECTOR_NAME)}
        manifest = write_bundle(directory, graphs, llm, model_card(facts, llm, encoders), facts)
    return ExportReport(manifest, encoders, replace(llm, path=directory / LLM_NAME), error, correlation)


def _encoders(
    networks: Networks, scratch: Path, audio: NDArray[np.float32], policy: Policy
) -> tuple[float, tuple[QuantReport, ...]]:
    """Write both encoder graphs; returns the worst parity error and what became of each."""
    semantic, spatial = scratch / SEMANTIC_NAME, scratch / SPATIAL_NAME
    export_semantic(networks.semantic, semantic)
    export_spatial(networks.spatial, spatial)
    semantic_steps, spatial_steps = encoder_steps(semantic, audio)
    if not semantic_steps:
        raise ValueError("the probe audio is shorter than one frame of 40 ms")
    error = max(
        check_graph(networks.semantic, semantic, semantic_steps[:_PARITY_STEPS]),
        check_graph(networks.spatial, spatial, spatial_steps[:_PARITY_STEPS]),
    )
    reports = (
        quantize_graph(semantic, semantic_steps, policy),
        quantize_graph(spatial, spatial_steps, policy),
    )
    return error, reports


def _language(networks: Networks, scratch: Path, quantization: str, name: str) -> tuple[GgufReport, float]:
    llm: Any = networks.llm.eval()
    report = write_gguf(llm, networks.tokenizer_path, scratch / "llm.gguf", quantization, name)
    spread = float(llm.get_input_embeddings().weight.detach().std())
    vectors = np.random.default_rng(0).normal(0, spread, (_PROBE_VECTORS, report.hidden)).astype(np.float32)
    return report, check_language(llm, networks.tokenizer_path, report.path, quantization, vectors)
