"""Remixes by the number of a step, made in a thread while the step before is learned from."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from earshot.training.stages.remix import Batch, Remixer, collate


class RemixedBatches:
    """Step -> batch; a batch depends on nothing but the seed and the step, so that a run can be resumed anywhere.

    Parameters
    ----------
    remixer : Remixer
    size : int
        Mixtures per batch.
    seed : int
    ahead : int
        Batches prepared beyond the one asked for (numpy releases the interpreter while it mixes).
    """

    def __init__(self, remixer: Remixer, size: int, seed: int, ahead: int = 3) -> None:
        self._remixer, self._size, self._seed, self._ahead = remixer, size, seed, ahead
        self._pool = ThreadPoolExecutor(1, "remix")
        self._made: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of a step; steps before it are forgotten."""
        wanted = range(step, step + 1 + self._ahead)
        self._made = {number: self._made.get(number) or self._pool.submit(self._mix, number) for number in wanted}
        return self._made[step].result()

    def _mix(self, step: int) -> Batch:
        rng = np.random.default_rng([self._seed, step])
        return collate([self._remixer.example(rng) for _ in range(self._size)])

    def close(self) -> None:
        """Prepare nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
