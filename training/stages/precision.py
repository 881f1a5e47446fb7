"""Chooses the arithmetic: bfloat16 autocast is 2-4 times faster on CPUs that have it and 100 times slower on others."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor


def time_step(step: Callable[[], Tensor], enabled: bool, repeats: int = 2) -> float:
    """Median-free quick timing of a forward and backward pass, seconds (one warm-up run is not counted)."""
    best = float("inf")
    for number in range(repeats + 1):
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            loss = step()
        loss.backward()  # type: ignore[no-untyped-call]
        if number:
            best = min(best, time.perf_counter() - begin)
    return best


def choose_bfloat16(step: Callable[[], Tensor]) -> tuple[bool, float, float]:
    """Time one training step in float32 and bfloat16 autocast.

    Parameters
    ----------
    step : callable
        Runs the forward pass on a small batch and returns the loss.

    Returns
    -------
    (bool, float, float)
        Whether bfloat16 is faster; seconds in float32 and in bfloat16.
    """
    full = time_step(step, enabled=False, repeats=1)
    half = time_step(step, enabled=True, repeats=1)
    return half < 0.9 * full, full, half
