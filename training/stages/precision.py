"""Chooses the arithmetic: bfloat16 autocast is 2-4 times faster on CPUs that have it and 100 times slower on others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def autocast(precision: str) -> AbstractContextManager[Any]:
    """Context in which the forward pass runs: bf16 on the CPU, or nothing for fp32."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def faster_precision(loss: Callable[[], Tensor], repeats: int = 3) -> tuple[str, dict[str, float]]:
    """Time a forward and backward pass in both precisions on this machine.

    Parameters
    ----------
    loss : callable
        Runs the forward pass on a small batch and returns the loss; gradients are left for the caller to clear.
    repeats : int
        Passes per precision; the fastest counts.

    Returns
    -------
    (str, dict)
        `bf16` or `fp32`; seconds of each.
    """
    seconds = {precision: min(_pass_s(loss, precision) for _ in range(repeats)) for precision in ("fp32", "bf16")}
    return min(seconds, key=lambda name: seconds[name]), seconds


def _pass_s(loss: Callable[[], Tensor], precision: str) -> float:
    start = time.perf_counter()
    with autocast(precision):
        value = loss()
    value.backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start
