"""What the graphs that hear meet in use: the inputs and states of real steps, from which static int8 takes its scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from earshot.export.gate_scenes import GateScene
from earshot.export.probe import encoder_steps
from earshot.export.quantize import Steps
from earshot.runtime.hearing.networks import open_network

Frame = dict[str, NDArray[Any]]

FRAMES = 500
"""Steps from which ranges are taken, spread over all scenes."""


class Calibration:
    """Scenes as the encoders and the names network hear them, step by step.

    Parameters
    ----------
    graphs : Path
        Folder of the float graphs: what `semantic.onnx` and `names.onnx` say decides what the spatial encoder is asked.
    scenes : sequence of GateScene
        Not those of the gate: a scale that fits them would flatter the figure.
    """

    def __init__(self, graphs: Path, scenes: Sequence[GateScene]) -> None:
        self._graphs, self._scenes = graphs, scenes

    @cached_property
    def _steps(self) -> dict[str, list[Steps]]:
        """By graph, then by scene; only made when static int8 is asked for."""
        heard = [encoder_steps(self._graphs, scene.audio) for scene in self._scenes]
        return {graph: [steps[graph] for steps in heard] for graph in heard[0]} if heard else {}

    def frames(self, graph: Path, count: int = FRAMES) -> Iterator[Frame]:
        """Inputs and state of some steps, as the float graph has them while it hears.

        Parameters
        ----------
        graph : Path
            Float; its stem says which one it is. Every scene begins with an empty state.
        count : int
            How many at most, evenly spread.
        """
        network = open_network(graph)
        steps = self._steps[graph.stem]
        every = max(1, -(-sum(map(len, steps)) // count))
        number = 0
        for scene in steps:
            state = network.initial_state()
            for inputs in scene:
                if number % every == 0:
                    yield {**inputs, **state}
                number += 1
                _, state = network.run(inputs, state)
