"""Which number format each graph that hears gets: the fastest one of those that pass the gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from earshot.export.calibration import Calibration
from earshot.export.gate import (
    METRICS,
    Figures,
    Limits,
    costliest_layer,
    describe_loss,
    failed,
    hear,
    load_encoders,
    losses,
    score_hearing,
)
from earshot.export.gate_scenes import GateScene, spread
from earshot.export.quantize import Steps, quantize_products, stream, worst_snr_db
from earshot.export.quantize_static import quantize_calibrated
from earshot.export.targets import QUANTIZED_AS, Encoding, Format, Recipe

QUANTIZED: tuple[Format, ...] = ("int8", "int8-static")
WORTHWHILE = 0.05
"""int8 must save this part of the cost: less is within the noise of timing, and two exports must agree."""
SEARCH_SCENES = 30
"""Scenes on which the costliest layer is looked for."""
_STORED = {"names": ("weights stored in 16 bits",)}
"""What is to be said of a graph that stays float."""


@dataclass(frozen=True)
class QuantReport:
    """What became of one graph.

    Attributes
    ----------
    graph : str
        File stem.
    kept : Format
    reason : str
        Why.
    quantized_nodes : int
        Products (and convolutions) in int8; 0 when float was kept.
    snr_db : float
        Worst output of the int8 graph that was tried last, against float, streamed with its own state; infinite when
        none was tried.
    costs : mapping of float
        Of one step, by format, in `unit`; empty when not known.
    unit : str
        "ms" on this machine's processor, or "instructions" of the board's.
    """

    graph: str
    kept: Format
    reason: str
    quantized_nodes: int = 0
    snr_db: float = float("inf")
    costs: Mapping[Format, float] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True)
class Costs:
    """What one step of each graph costs; of the names network, each time that it hears.

    Attributes
    ----------
    steps : mapping
        By format, then by graph.
    unit : str
    """

    steps: Mapping[Format, Mapping[str, float]]
    unit: str

    def of(self, graph: str) -> dict[Format, float]:
        """What the formats of a graph cost."""
        return {encoding: by_graph[graph] for encoding, by_graph in self.steps.items() if graph in by_graph}


Meter = Callable[[Mapping[Format, Path]], "Costs | None"]
"""Costs of the graphs in a folder of each format; None when they cannot be found out here."""


class Gate:
    """Hears the same scenes with float and with smaller encoders.

    Parameters
    ----------
    folder : Path
        The float graphs.
    scenes : sequence of GateScene
    limits : mapping of Metric
    """

    def __init__(self, folder: Path, scenes: Sequence[GateScene], limits: Limits = METRICS) -> None:
        self.scenes, self.limits = scenes, limits
        self.float_encoders = load_encoders(folder)
        self.float_heard = hear(self.float_encoders, scenes)
        self.reference = score_hearing(self.float_heard)

    def loss_of_few(self, folder: Path, count: int) -> Figures:
        """How much worse the graphs of a folder hear a few of the scenes, of which as large a part is pairs as of all."""
        found = score_hearing(hear(load_encoders(folder), spread(self.scenes, count)))
        return losses(score_hearing(spread(self.float_heard, count)), found)


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    reports : tuple of QuantReport
    figures : dict of float
        How the chosen encoders hear the gate's scenes.
    """

    reports: tuple[QuantReport, ...]
    figures: Figures


class Chooser:
    """Decides for each graph that hears by turns; each is judged together with what became of those before.

    Parameters
    ----------
    floats : Path
        Folder of the float graphs; the projector stays as it is.
    scratch : Path
        Folder to work in.
    recipe : Recipe
    encoding : Encoding
    calibration : Calibration
        For static int8.
    """

    def __init__(
        self, floats: Path, scratch: Path, recipe: Recipe, encoding: Encoding, calibration: Calibration
    ) -> None:
        self._recipe, self._encoding, self._calibration = recipe, encoding, calibration
        self._folders: dict[Format, Path] = {"float32": floats}
        self._graphs = [name for name in QUANTIZED_AS if (floats / f"{name}.onnx").is_file()]
        self._trial, self.chosen = scratch / "trial", scratch / "chosen"
        for quantized in self._tried():
            self._folders[quantized] = scratch / quantized
        for folder in (*(self._folders[name] for name in self._tried()), self._trial, self.chosen):
            shutil.copytree(floats, folder)
        self._nodes: dict[tuple[Format, str], list[str]] = {}

    def choose(self, steps: Mapping[str, Steps], gate: Gate, meter: Meter) -> Choice:
        """Fill the folder `chosen`.

        Parameters
        ----------
        steps : mapping
            Inputs of each graph, for the decibel figure.
        gate : Gate
        meter : callable

        Raises
        ------
        ValueError
            When fewer nodes became int8 than planned; when an int8 format was asked for and does not pass the gate.
        """
        if self._encoding == "float32":
            asked = tuple(_as_float(_priced(name, None), ["as asked"]) for name in self._graphs)
            return Choice(asked, gate.reference)
        for name in self._graphs:
            for quantized in self._tried(name):
                self._nodes[quantized, name] = self._quantize(quantized, name, self._folders[quantized])
        costs = meter(self._folders)
        figures = gate.reference
        reports = []
        for name in self._graphs:
            report, figures = self._decide(name, steps[name], costs, gate, figures)
            reports.append(report)
        return Choice(tuple(reports), figures)

    def _tried(self, graph: str | None = None) -> tuple[Format, ...]:
        """The formats that are tried, of all graphs or of one."""
        made = QUANTIZED if graph is None else QUANTIZED_AS[graph]
        return tuple(name for name in made if self._encoding in ("auto", name))

    def _quantize(self, encoding: Format, name: str, folder: Path, but: Collection[str] = ()) -> list[str]:
        graph = f"{name}.onnx"
        source, target = self._folders["float32"] / graph, folder / graph
        if encoding == "int8-static":
            return quantize_calibrated(source, target, self._recipe, self._calibration, but)
        return quantize_products(source, target, self._recipe, but)

    def _decide(
        self, name: str, steps: Steps, costs: Costs | None, gate: Gate, figures: Figures
    ) -> tuple[QuantReport, Figures]:
        """The cheapest format that passes; float32 when none does."""
        report = _priced(name, costs)
        candidates, reasons = self._candidates(name, costs)
        for candidate in candidates:
            report = replace(report, snr_db=self._noise_db(candidate, name, steps))
            heard, why_not = self._judge(candidate, name, gate)
            if why_not is None:
                why = "faster, passes the gate" if self._encoding == "auto" and costs else "passes the gate"
                nodes = len(self._nodes[candidate, name])
                why = "; ".join([why, *reasons])
                return replace(report, kept=candidate, reason=why, quantized_nodes=nodes), heard
            if self._encoding != "auto":
                raise ValueError(f"{name}.onnx in {candidate}: {why_not}")
            reasons.append(f"{candidate}: {why_not}")
        return _as_float(report, reasons), figures

    def _candidates(self, name: str, costs: Costs | None) -> tuple[list[Format], list[str]]:
        """Formats to try, the cheapest first, and why others are not tried.

        Without a figure, for the card must not differ between two exports.
        """
        if self._encoding != "auto":
            tried = list(self._tried(name))
            return tried, [] if tried else [f"it has no {self._encoding}"]
        if costs is None:
            if self._recipe.uncounted in self._tried(name):
                return [self._recipe.uncounted], []
            return [], ["its speed on the board is not known here"]
        cost = costs.of(name)
        most = (1 - WORTHWHILE) * cost["float32"]
        slow = [quantized for quantized in self._tried(name) if cost[quantized] > most]
        tried = sorted((q for q in self._tried(name) if q not in slow), key=lambda q: cost[q])
        return tried, [f"{quantized} is not faster" for quantized in slow]

    def _noise_db(self, candidate: Format, name: str, steps: Steps) -> float:
        graph = f"{name}.onnx"
        expected, found = (stream(self._folders[f] / graph, steps)[0] for f in ("float32", candidate))
        return worst_snr_db(expected, found)

    def _judge(self, candidate: Format, name: str, gate: Gate) -> tuple[Figures, str | None]:
        """How a candidate hears, and why it may not be kept; what may be is copied to `chosen`."""
        graph = f"{name}.onnx"
        shutil.copyfile(self._folders[candidate] / graph, self._trial / graph)
        heard = score_hearing(hear(load_encoders(self._trial), gate.scenes))
        loss = losses(gate.reference, heard)
        if over := failed(loss, gate.limits):
            reason = self._blame(candidate, name, over[0], loss[over[0]], gate)
            shutil.copyfile(self._folders["float32"] / graph, self._trial / graph)
            return heard, reason
        shutil.copyfile(self._folders[candidate] / graph, self.chosen / graph)
        return heard, None

    def _blame(self, candidate: Format, name: str, metric: str, loss: float, gate: Gate) -> str:
        """What was lost, and the layer that costs most of it."""

        def loss_without(layer: str) -> float:
            self._quantize(candidate, name, self._trial, (layer,))
            return gate.loss_of_few(self._trial, SEARCH_SCENES).get(metric, 0.0)

        layer, rest = costliest_layer(self._nodes[candidate, name], loss_without)
        return (
            f"{describe_loss(metric, loss, gate.limits)}; the layer that costs most is {layer} "
            f"(without it {rest:.3f} on {min(SEARCH_SCENES, len(gate.scenes))} scenes)"
        )


def _as_float(report: QuantReport, reasons: Sequence[str]) -> QuantReport:
    """What stays float, and why."""
    return replace(report, reason="; ".join((*_STORED.get(report.graph, ()), *reasons)))


def _priced(name: str, costs: Costs | None) -> QuantReport:
    """A float graph with what every format would cost."""
    report = QuantReport(name, "float32", "")
    return report if costs is None else replace(report, costs=costs.of(name), unit=costs.unit)
