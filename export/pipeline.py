"""From the networks of a checkpoint to verified bundles: export, compare, quantize, gate, describe, write.

What does not depend on the board is made once (`Exporter.prepare`); a bundle for each board then costs what differs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.export.bundle import BundleFacts, write_bundle
from earshot.export.calibration import Calibration
from earshot.export.card import model_card
from earshot.export.choose import SEARCH_SCENES, Choice, Chooser, Gate, QuantReport
from earshot.export.gate import (
    Figures,
    Limits,
    costliest_layer,
    describe_loss,
    failed,
    hear,
    limits_for,
    load_encoders,
    losses,
    score_answers,
)
from earshot.export.gate_scenes import GateScene, gate_scenes, spread
from earshot.export.gguf_llm import GgufReport, layers_of, requantize, write_gguf
from earshot.export.meters import meter_for
from earshot.export.networks import Networks, names_of
from earshot.export.onnx_export import export_names, export_projector, export_semantic, export_spatial
from earshot.export.parity import check_graph, check_language, check_names, check_projector
from earshot.export.probe import encoder_steps
from earshot.export.quantize import Steps
from earshot.export.targets import RECIPES, Encoding
from earshot.runtime.bundle.manifest import LLM_NAME, NAMES_NAME, PROJECTOR_NAME, SEMANTIC_NAME, SPATIAL_NAME, Manifest

Say = Callable[[str], None]

EXACT = ("F32", "F16")
"""Formats of the language model that are compared with nothing: they are the yardstick."""
MADE_SINGLES, MADE_PAIRS = 12, 6
CALIBRATION_SINGLES, CALIBRATION_PAIRS = 32, 16
_PROBE_VECTORS = 10
_PARITY_STEPS = 60
_GRAPHS = (SEMANTIC_NAME, SPATIAL_NAME, PROJECTOR_NAME, NAMES_NAME)


def _made_scenes() -> tuple[GateScene, ...]:
    return tuple(gate_scenes(None, MADE_SINGLES, MADE_PAIRS))


def _made_calibration() -> tuple[GateScene, ...]:
    return tuple(gate_scenes(None, CALIBRATION_SINGLES, CALIBRATION_PAIRS))


@dataclass(frozen=True)
class ExportSettings:
    """What to make.

    Attributes
    ----------
    llm_quantization : str
        One of `gguf_llm.QUANTIZATIONS`.
    target : str
        Key of `RECIPES`.
    encoding : Encoding
        Of the encoders and the names network.
    scenes : sequence of GateScene
        What the gates hear.
    calibration : sequence of GateScene
        What static int8 takes its scales from: other scenes than the gate's.
    limits : mapping of Metric, optional
        How much worse than float a bundle may be; `limits_for` these scenes when not given.
    """

    llm_quantization: str = "Q8_0"
    target: str = "x86"
    encoding: Encoding = "auto"
    scenes: Sequence[GateScene] = field(default_factory=_made_scenes)
    calibration: Sequence[GateScene] = field(default_factory=_made_calibration)
    limits: Limits | None = None

    @property
    def allowed(self) -> Limits:
        """How much worse than float a bundle may be."""
        return limits_for(len(self.scenes)) if self.limits is None else self.limits


@dataclass(frozen=True)
class ExportReport:
    """What was made.

    Attributes
    ----------
    manifest : Manifest
    encoders : tuple of QuantReport
        Of the names network as well, where there is one.
    llm : GgufReport
    graph_error : float
        Largest relative difference between the encoders and their float graphs.
    names_error : float or None
        The same of the names network, whose weights are rounded to 16 bits; None where the checkpoint has none.
    llm_correlation : float
        Of next-token logits, GGUF against network.
    reference, figures : dict of float
        The gate's figures of the float model and of the bundle.
    """

    manifest: Manifest
    encoders: tuple[QuantReport, ...]
    llm: GgufReport
    graph_error: float
    llm_correlation: float
    reference: Figures
    figures: Figures
    names_error: float | None = None


class Exporter:
    """Makes bundles of one checkpoint.

    Parameters
    ----------
    networks : Networks
    scratch : Path
        Empty folder.
    audio : ndarray, float32 [2, samples]
        16 kHz; what graphs are compared and timed on, see `probe.probe_audio`.
    settings : ExportSettings
        `target` is not looked at.
    say : callable
        Told what is going on.
    """

    def __init__(
        self,
        networks: Networks,
        scratch: Path,
        audio: NDArray[np.float32],
        settings: ExportSettings,
        say: Say = lambda text: None,
    ) -> None:
        self._networks, self._scratch, self._audio = networks, scratch, audio
        self._settings, self._say = settings, say
        self._floats, self._yardstick = scratch / "float", scratch / "yardstick"
        self._float: Figures | None = None

    def prepare(self, name: str) -> None:
        """Everything that is the same for all boards: float graphs, language model, what the float model can do.

        Raises
        ------
        ValueError
            When a network does not fit the contract, or a file is not its network.
        """
        self._say("encoders")
        self._names_error = self._names()
        self._steps, self._graph_error = self._encoders()
        export_projector(self._networks.projector, self._floats / PROJECTOR_NAME)
        check_projector(self._networks.projector, self._floats / PROJECTOR_NAME)
        self._say(f"language model ({self._settings.llm_quantization})")
        self._llm, self._correlation = self._language(name)
        self._calibration = Calibration(self._floats, self._settings.calibration)
        self._say(f"gate ({len(self._settings.scenes)} scenes)")
        self._gate = Gate(self._floats, self._settings.scenes, self._settings.allowed)
        answers = score_answers(self._yardstick, self._gate.float_encoders, self._gate.float_heard)
        self.reference = {**self._gate.reference, **answers}

    def bundle(self, board: str, directory: Path, facts: BundleFacts) -> ExportReport:
        """Make the bundle of a board.

        Parameters
        ----------
        board : str
            Key of `RECIPES`.
        directory : Path
            Only touched when every gate is passed.
        facts : BundleFacts

        Raises
        ------
        ValueError
            When a gate is not passed.
        """
        self._say(f"{board}: encoders")
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            encoding, calibration = self._settings.encoding, self._calibration
            chooser = Chooser(self._floats, Path(name), RECIPES[board], encoding, calibration)
            choice = chooser.choose(self._steps, self._gate, meter_for(board, self._steps, self._audio))
            self._say(f"{board}: answers")
            figures = {**choice.figures, **self._answers(chooser.chosen, choice)}
            scenes, allowed = len(self._settings.scenes), self._settings.allowed
            card = model_card(facts, self._llm, choice.reports, self.reference, figures, scenes, allowed)
            graphs = {graph: chooser.chosen / graph for graph in _GRAPHS if (chooser.chosen / graph).is_file()}
            manifest = write_bundle(directory, graphs, self._llm, card, facts)
        llm = replace(self._llm, path=directory / LLM_NAME)
        return ExportReport(
            manifest,
            choice.reports,
            llm,
            self._graph_error,
            self._correlation,
            self.reference,
            figures,
            self._names_error,
        )

    def _encoders(self) -> tuple[dict[str, Steps], float]:
        """Write both float graphs; returns what all that hear are fed with, and the worst parity error."""
        semantic, spatial = self._floats / SEMANTIC_NAME, self._floats / SPATIAL_NAME
        export_semantic(self._networks.semantic, semantic)
        export_spatial(self._networks.spatial, spatial)
        steps = encoder_steps(self._floats, self._audio)
        if not all(steps.values()):
            raise ValueError("the probe audio is too short: 0.04 s are needed, 0.4 s for a names network")
        error = max(
            check_graph(self._networks.semantic, semantic, steps["semantic"][:_PARITY_STEPS]),
            check_graph(self._networks.spatial, spatial, steps["spatial"][:_PARITY_STEPS]),
        )
        return dict(steps), error

    def _names(self) -> float | None:
        """Write the names network where there is one; returns how far the graph is from it."""
        network = names_of(self._networks)
        if network is None:
            return None
        export_names(network, self._floats / NAMES_NAME)
        return check_names(network, self._floats / NAMES_NAME, self._audio)

    def _language(self, name: str) -> tuple[GgufReport, float]:
        """Write the language model, and in F16 beside it what its answers are compared with."""
        llm: Any = self._networks.llm.eval()
        tokenizer, quantization = self._networks.tokenizer_path, self._settings.llm_quantization
        report = write_gguf(llm, tokenizer, self._scratch / LLM_NAME, quantization, name)
        exact = quantization if quantization in EXACT else "F16"
        write_gguf(llm, tokenizer, self._yardstick / LLM_NAME, exact, name)
        spread = float(llm.get_input_embeddings().weight.detach().std())
        vectors = np.random.default_rng(0).normal(0, spread, (_PROBE_VECTORS, report.hidden)).astype(np.float32)
        return report, check_language(llm, tokenizer, report.path, quantization, vectors)

    def _answers(self, chosen: Path, choice: Choice) -> Figures:
        """Answers of the bundle, or ValueError when too many became wrong."""
        all_float = all(report.kept == "float32" for report in choice.reports)
        found = self._float_answers() if all_float else self._answers_of(chosen)
        loss = losses(self.reference, found)
        if failed(loss, self._settings.allowed):
            said = describe_loss("answers", loss["answers"], self._settings.allowed)
            raise ValueError(f"{self._blamed(all_float)}: {said}; try --llm-quant F16 or --encoders float32")
        return found

    def _blamed(self, all_float: bool) -> str:
        """Which parts are smaller than they were, and the layer of the language model that costs most."""
        quantization = self._settings.llm_quantization
        if quantization in EXACT:
            return "int8 encoders"
        heard = spread(self._gate.float_heard, SEARCH_SCENES)
        encoders, trial = self._gate.float_encoders, self._scratch / "without"
        trial.mkdir(exist_ok=True)
        exact = score_answers(self._yardstick, encoders, heard)

        def loss_without(layer: str) -> float:
            requantize(self._yardstick / LLM_NAME, trial / LLM_NAME, quantization, (layer,))
            return losses(exact, score_answers(trial, encoders, heard))["answers"]

        layer, rest = costliest_layer(layers_of(self._yardstick / LLM_NAME), loss_without)
        parts = quantization if all_float else f"int8 encoders and {quantization}"
        return (
            f"{parts} (of the language model {layer} costs most: {rest:.3f} is lost without it on {len(heard)} scenes)"
        )

    def _float_answers(self) -> Figures:
        """Answers of the smaller language model to what the float encoders hear: the same for all boards."""
        if self._settings.llm_quantization in EXACT:
            return {name: self.reference[name] for name in ("answers",) if name in self.reference}
        if self._float is None:
            self._float = score_answers(self._scratch, self._gate.float_encoders, self._gate.float_heard)
        return self._float

    def _answers_of(self, chosen: Path) -> Figures:
        encoders = load_encoders(chosen)
        return score_answers(self._scratch, encoders, hear(encoders, self._settings.scenes))


def export_bundle(
    networks: Networks,
    directory: Path,
    facts: BundleFacts,
    audio: NDArray[np.float32],
    settings: ExportSettings | None = None,
    say: Say = lambda text: None,
) -> ExportReport:
    """Make one bundle of trained networks; see `Exporter`.

    Raises
    ------
    ValueError
        When a network does not fit the contract or a gate is not passed; then `directory` is not touched.
    """
    settings = settings or ExportSettings()
    with tempfile.TemporaryDirectory() as name:
        exporter = Exporter(networks, Path(name), audio, settings, say)
        exporter.prepare(facts.name)
        return exporter.bundle(settings.target, directory, facts)
