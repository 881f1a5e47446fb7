"""Running numbered tasks: one after another, in processes of this machine, or over a Ray cluster.

A task writes its own result and may be run again from the start, so that a worker that dies loses nothing: with Ray
its task is given to another worker. Which worker runs a task, and how many there are, must not change what it writes.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from earshot.runtime.errors import EarshotError, UsageError
from earshot.training.processes import worker_processes

Task = Callable[[int], None]

# How often the task of a dead worker is started again before the run is given up.
RETRIES = 5


def completed(task: Task, numbers: Sequence[int], workers: int = 1, on_ray: bool = False) -> Iterator[int]:
    """Run a task for every number and give the numbers in the order in which they are done.

    Parameters
    ----------
    task : callable
        Picklable; writes its own result.
    numbers : sequence of int
    workers : int
        Processes on this machine; of a local Ray cluster, if no other one is named in ``RAY_ADDRESS``.
    on_ray : bool
        Run on Ray. On a cluster of several machines the task must write to storage that they share.

    Raises
    ------
    UsageError
        Ray is wanted and not installed.
    EarshotError
        A task failed; the first failure ends the run, what is finished stays.
    """
    if not numbers:
        return
    if on_ray:
        yield from _on_ray(task, numbers, workers)
    elif workers <= 1:
        for number in numbers:
            task(number)
            yield number
    else:
        yield from _in_processes(task, numbers, workers)


def _in_processes(task: Task, numbers: Sequence[int], workers: int) -> Iterator[int]:
    try:
        with worker_processes(workers) as pool:
            for number, _ in zip(numbers, pool.map(task, numbers), strict=True):
                yield number
    except BrokenProcessPool as error:
        raise EarshotError(
            f"one of {workers} workers was ended from outside, perhaps for lack of memory; what is finished stays: "
            "run it again with fewer --workers"
        ) from error


def _on_ray(task: Task, numbers: Sequence[int], workers: int) -> Iterator[int]:
    ray = import_ray()
    with _cluster(ray, workers):
        remote = ray.remote(max_retries=RETRIES)(_run)
        pending = {remote.remote(task, number): number for number in numbers}
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            number = pending.pop(done)
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                # Ray wraps the error in a report of many lines; users want the line that says what is wrong.
                raise error.cause from None
            except ray.exceptions.RayError as error:
                reason = str(error).splitlines()[0]
                raise EarshotError(f"task {number}: its worker died {RETRIES + 1} times ({reason})") from error
            yield number


def _run(task: Task, number: int) -> None:
    task(number)


def import_ray() -> Any:
    """The package ray.

    Raises
    ------
    UsageError
        It is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(
            "--ray needs the package ray: pip install 'earshot[ray]' (without it, use --workers on this machine)"
        ) from error


@contextmanager
def _cluster(ray: Any, workers: int) -> Iterator[None]:
    """A connection to the running cluster, to the one of ``RAY_ADDRESS``, or to a local one made for this run."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    # Ray's future default: a GPU is not hidden from tasks that ask for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    local = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level="ERROR", **local)
    try:
        yield
    finally:
        ray.shutdown()
