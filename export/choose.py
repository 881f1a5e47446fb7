"""Which number format each encoder gets: the faster one of those that pass the gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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
from earshot.export.gate_scenes import GateScene
from earshot.export.quantize import Steps, quantize_products, stream, worst_snr_db
from earshot.export.targets import Encoding, Recipe

ENCODERS = ("semantic", "spatial")
WORTHWHILE = 0.05
"""int8 must save this part of the cost: less is within the noise of timing, and two exports must agree."""
SEARCH_SCENES = 30
"""Scenes on which the costliest layer is looked for."""


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
    float_cost, int8_cost : float
        Of one step, in `unit`; NaN when not known.
    unit : str
        "ms" on this machine's processor, or "instructions" of the board's.
    """

    graph: str
    kept: Literal["float32", "int8"]
    reason: str
    quantized_nodes: int = 0
    snr_db: float = float("inf")
    float_cost: float = float("nan")
    int8_cost: float = float("nan")
    unit: str = ""


@dataclass(frozen=True)
class Costs:
    """What one step of each encoder costs.

    Attributes
    ----------
    float32, int8 : mapping of float
        By graph.
    unit : str
    """

    float32: Mapping[str, float]
    int8: Mapping[str, float]
    unit: str


Meter = Callable[[Path, Path], "Costs | None"]
"""Costs of the graphs in two folders, float and int8; None when they cannot be found out here."""


class Gate:
    """Hears the same scenes with float and with smaller encoders.

    Parameters
    ----------
    folder : Path
        The three float graphs.
    scenes : sequence of GateScene
    limits : mapping of Metric
    """

    def __init__(self, folder: Path, scenes: Sequence[GateScene], limits: Limits = METRICS) -> None:
        self.scenes, self.limits = scenes, limits
        self.float_encoders = load_encoders(folder)
        self.float_heard = hear(self.float_encoders, scenes)
        self.reference = score_hearing(self.float_heard)

    def loss(self, folder: Path, scenes: int | None = None) -> Figures:
        """How much worse the graphs of a folder hear (the first few scenes)."""
        found = score_hearing(hear(load_encoders(folder), self.scenes[:scenes]))
        return losses(score_hearing(self.float_heard[:scenes]), found)


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
    """Decides for each encoder by turns; the second one is judged together with what became of the first.

    Parameters
    ----------
    floats : Path
        Folder of the float graphs.
    scratch : Path
        Folder to work in.
    recipe : Recipe
    encoding : "auto", "float32" or "int8"
    """

    def __init__(self, floats: Path, scratch: Path, recipe: Recipe, encoding: Encoding) -> None:
        self._floats, self._recipe, self._encoding = floats, recipe, encoding
        self._int8, self._trial = scratch / "int8", scratch / "trial"
        self.chosen = scratch / "chosen"
        for folder in (self._int8, self._trial, self.chosen):
            shutil.copytree(floats, folder)
        self._nodes: dict[str, list[str]] = {}

    def choose(self, steps: Mapping[str, Steps], gate: Gate, meter: Meter) -> Choice:
        """Fill the folder `chosen`.

        Parameters
        ----------
        steps : mapping
            Inputs of each encoder, for the decibel figure.
        gate : Gate
        meter : callable

        Raises
        ------
        ValueError
            When fewer nodes became int8 than planned; when int8 was asked for and does not pass the gate.
        """
        if self._encoding == "float32":
            return Choice(tuple(QuantReport(name, "float32", "as asked") for name in ENCODERS), gate.reference)
        for name in ENCODERS:
            graph = f"{name}.onnx"
            self._nodes[name] = quantize_products(self._floats / graph, self._int8 / graph, self._recipe)
        costs = meter(self._floats, self._int8)
        figures = gate.reference
        reports = []
        for name in ENCODERS:
            report, figures = self._decide(name, steps[name], costs, gate, figures)
            reports.append(report)
        return Choice(tuple(reports), figures)

    def _decide(
        self, name: str, steps: Steps, costs: Costs | None, gate: Gate, figures: Figures
    ) -> tuple[QuantReport, Figures]:
        priced = _priced(name, costs)
        if self._encoding == "auto" and (reason := self._not_worth_it(name, costs)):
            return replace(priced, reason=reason), figures
        graph = f"{name}.onnx"
        expected, found = (stream(folder / graph, steps)[0] for folder in (self._floats, self._int8))
        priced = replace(priced, snr_db=worst_snr_db(expected, found))
        shutil.copyfile(self._int8 / graph, self._trial / graph)
        heard = score_hearing(hear(load_encoders(self._trial), gate.scenes))
        loss = losses(gate.reference, heard)
        if not (over := failed(loss, gate.limits)):
            shutil.copyfile(self._int8 / graph, self.chosen / graph)
            why = "passes the gate" if costs is None or self._encoding == "int8" else "faster, passes the gate"
            return replace(priced, kept="int8", reason=why, quantized_nodes=len(self._nodes[name])), heard
        reason = self._blame(name, over[0], loss[over[0]], gate)
        if self._encoding == "int8":
            raise ValueError(f"{graph} in int8: {reason}")
        shutil.copyfile(self._floats / graph, self._trial / graph)
        return replace(priced, reason=reason), figures

    def _not_worth_it(self, name: str, costs: Costs | None) -> str | None:
        """Why float stays, without a figure: the card must not differ between two exports."""
        if costs is None:
            return "its speed on the board is not known here" if self._recipe.uncounted == "float32" else None
        return None if costs.int8[name] <= (1 - WORTHWHILE) * costs.float32[name] else "int8 is not faster"

    def _blame(self, name: str, metric: str, loss: float, gate: Gate) -> str:
        """What was lost, and the layer that costs most of it."""
        graph = f"{name}.onnx"

        def loss_without(layer: str) -> float:
            quantize_products(self._floats / graph, self._trial / graph, self._recipe, (layer,))
            return gate.loss(self._trial, SEARCH_SCENES).get(metric, 0.0)

        layer, rest = costliest_layer(self._nodes[name], loss_without)
        return (
            f"{describe_loss(metric, loss, gate.limits)}; the layer that costs most is {layer} "
            f"(without it {rest:.3f} on {min(SEARCH_SCENES, len(gate.scenes))} scenes)"
        )


def _priced(name: str, costs: Costs | None) -> QuantReport:
    """A float graph with what both formats would cost."""
    report = QuantReport(name, "float32", "")
    if costs is None:
        return report
    return replace(report, float_cost=costs.float32[name], int8_cost=costs.int8[name], unit=costs.unit)
