"""Worker processes that do not outlive the work: whoever is interrupted does not wait for tasks that nobody wants any more."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any


@contextmanager
def worker_processes(
    workers: int,
    context: BaseContext | None = None,
    initializer: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes; after an error, Ctrl-C or SIGTERM they are ended at once, not when all tasks are done.

    Parameters
    ----------
    workers : int
    context : multiprocessing context, optional
    initializer : callable, optional
        Run once in every worker.
    arguments : tuple
        Those of the initializer.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, context, initializer, arguments)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.kill()  # what a task has not finished it begins anew the next time
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
