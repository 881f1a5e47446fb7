"""The bounded queue of samples between the thread that fetches sound and the one that hears.

The writer must never wait, so a full ring loses its OLDEST sound and counts it: late answers about what is
happening beat punctual ones about what was.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class RingBuffer:
    """Float32 [2, n] samples, first in first out; safe between one writer and one reader thread.

    Parameters
    ----------
    capacity_samples : int
        Most samples per ear that are held; at least 1.
    """

    def __init__(self, capacity_samples: int) -> None:
        self._store = np.zeros((2, max(1, capacity_samples)), dtype=np.float32)
        self._lock = threading.Lock()
        self._grown = threading.Condition(self._lock)
        self._written = 0  # samples since reset, dropped ones included
        self._held = 0
        self._dropped = 0
        self._closed = False

    def __len__(self) -> int:
        with self._lock:
            return self._held

    @property
    def capacity_samples(self) -> int:
        """Most samples per ear that are held."""
        return int(self._store.shape[1])

    @property
    def dropped_samples(self) -> int:
        """Samples per ear lost since the last reset."""
        with self._lock:
            return self._dropped

    @property
    def closed(self) -> bool:
        """Whether the writer has said that no more comes."""
        with self._lock:
            return self._closed

    def reset(self) -> None:
        """Forget everything and open again; equals a fresh object."""
        with self._lock:
            self._written = self._held = self._dropped = 0
            self._closed = False

    def close(self) -> None:
        """Say that no more comes; wakes a waiting reader, which still gets what is held."""
        with self._lock:
            self._closed = True
            self._grown.notify_all()

    def write(self, samples: Samples) -> int:
        """Append a copy; never waits.

        Parameters
        ----------
        samples : ndarray of float32, shape [2, n]

        Returns
        -------
        int
            How many of the oldest samples were lost to make room.
        """
        count, capacity = int(samples.shape[1]), self.capacity_samples
        with self._lock:
            kept = samples[:, max(0, count - capacity) :]
            self._written += count
            self._place(kept, self._written - kept.shape[1])
            lost = max(0, self._held + count - capacity)
            self._held += count - lost
            self._dropped += lost
            self._grown.notify()
        return lost

    def skip(self, count: int) -> None:
        """Leave room in the count for samples that never came; they are lost, and what is still held with them."""
        with self._lock:
            self._written += count
            self._dropped += self._held + count
            self._held = 0

    def read(self, max_samples: int, timeout_s: float | None = 0.0) -> tuple[int, Samples]:
        """Take the oldest samples.

        Parameters
        ----------
        max_samples : int
        timeout_s : float or None
            How long to wait while nothing is held: 0 not at all, None until something comes or `close()`.

        Returns
        -------
        start_sample : int
            Place of the first sample since reset; it jumps where sound was lost.
        samples : ndarray of float32, shape [2, n]
            A copy; n is 0 when nothing came.
        """
        with self._lock:
            self._grown.wait_for(lambda: self._held or self._closed, timeout_s)
            start_sample = self._written - self._held
            count = min(max_samples, self._held)
            self._held -= count
            return start_sample, self._copy(start_sample, count)

    def _place(self, samples: Samples, start_sample: int) -> None:
        at = start_sample % self.capacity_samples
        head = min(samples.shape[1], self.capacity_samples - at)
        self._store[:, at : at + head] = samples[:, :head]
        self._store[:, : samples.shape[1] - head] = samples[:, head:]

    def _copy(self, start_sample: int, count: int) -> Samples:
        at = start_sample % self.capacity_samples
        head = self._store[:, at : at + count]
        return np.concatenate([head, self._store[:, : count - head.shape[1]]], axis=1)
