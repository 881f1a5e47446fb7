"""What a step of an encoder costs: processor time here, or instructions of a board's core under emulation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.export.choose import ENCODERS, Costs, Meter
from earshot.export.quantize import Steps, stream
from earshot.export.targets import HOST_BOARDS, Format
from earshot.runtime.interfaces import profile_added

ROUNDS = 5
TIMED_STEPS = 100


def meter_for(board: str, steps: Mapping[str, Steps], samples: NDArray[np.float32]) -> Meter:
    """How to find out the costs for a board.

    Parameters
    ----------
    board : str
    steps : mapping
        Inputs of each encoder.
    samples : ndarray, float32 [2, n]
        At 16 kHz; what the emulated board hears.
    """
    if board in HOST_BOARDS:
        return lambda folders: time_here(folders, steps)
    return lambda folders: count_there(board, folders, samples)


def time_here(folders: Mapping[Format, Path], steps: Mapping[str, Steps]) -> Costs:
    """Milliseconds of processor time of a step, all formats by turns, the best of a few rounds.

    Other programs can only make a time longer.
    """
    best: dict[Format, dict[str, float]] = {encoding: {} for encoding in folders}
    for _ in range(ROUNDS):
        for encoding, folder in folders.items():
            for name in ENCODERS:
                _, ms = stream(folder / f"{name}.onnx", steps[name][:TIMED_STEPS])
                best[encoding][name] = min(ms, best[encoding].get(name, np.inf))
    return Costs(best, "ms")


def count_there(board: str, folders: Mapping[Format, Path], samples: NDArray[np.float32]) -> Costs | None:
    """Instructions of a step on the board's core; None where no emulator is set up."""
    try:
        counted = {e: _instructions(profile_added.estimate(board, folder, samples)) for e, folder in folders.items()}
    except profile_added.NotSetUpError:
        return None
    return Costs(counted, "instructions")


def _instructions(document: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(document["stages"][name]["instructions"]) for name in ENCODERS}
