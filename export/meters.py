"""What a step of a graph costs: processor time here, or instructions of a board's core under emulation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.export.choose import Costs, Meter
from earshot.export.quantize import Steps, stream
from earshot.export.targets import HOST_BOARDS, QUANTIZED_AS, Format
from earshot.runtime.interfaces import profile_added

ROUNDS = 5
TIMED_STEPS = 100


def meter_for(board: str, steps: Mapping[str, Steps], samples: NDArray[np.float32]) -> Meter:
    """How to find out the costs for a board.

    Parameters
    ----------
    board : str
    steps : mapping
        Inputs of each graph.
    samples : ndarray, float32 [2, n]
        At 16 kHz; what the emulated board hears.
    """
    if board in HOST_BOARDS:
        return lambda folders: time_here(folders, steps)
    return lambda folders: count_there(board, folders, samples, tuple(steps))


def time_here(folders: Mapping[Format, Path], steps: Mapping[str, Steps]) -> Costs:
    """Milliseconds of processor time of a step, all formats by turns, the best of a few rounds.

    Other programs can only make a time longer.
    """
    best: dict[Format, dict[str, float]] = {encoding: {} for encoding in folders}
    for _ in range(ROUNDS):
        for encoding, folder in folders.items():
            for name in _made_in(encoding, steps):
                _, ms = stream(folder / f"{name}.onnx", steps[name][:TIMED_STEPS])
                best[encoding][name] = min(ms, best[encoding].get(name, np.inf))
    return Costs(best, "ms")


def count_there(
    board: str, folders: Mapping[Format, Path], samples: NDArray[np.float32], graphs: Collection[str]
) -> Costs | None:
    """Instructions of a step of some graphs on the board's core; None where no emulator is set up."""
    counted = {}
    try:
        for encoding, folder in folders.items():
            document = profile_added.estimate(board, folder, samples)
            counted[encoding] = _instructions(document, _made_in(encoding, graphs))
    except profile_added.NotSetUpError:
        return None
    return Costs(counted, "instructions")


def _instructions(document: Mapping[str, Any], graphs: Collection[str]) -> dict[str, float]:
    return {name: float(document["stages"][name]["instructions"]) for name in graphs}


def _made_in(encoding: Format, graphs: Iterable[str]) -> list[str]:
    """Those of the graphs that are made in a format."""
    return [name for name in graphs if encoding in ("float32", *QUANTIZED_AS[name])]
