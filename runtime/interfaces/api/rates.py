"""How often somebody may ask for something: token buckets, one per client, and never more than a fixed number."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

Clock = Callable[[], float]


class TokenBucket:
    """Lets through `burst` at once and `per_s` a second on the average.

    Parameters
    ----------
    per_s, burst : float
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, per_s: float, burst: float, clock: Clock = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._level, self._at_s = burst, clock()

    def take(self) -> bool:
        """Take one; False when there is none."""
        now_s = self._clock()
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True


class Rates:
    """A bucket for each address; the ones not seen for longest are forgotten first."""

    def __init__(self, per_s: float, burst: float, kept: int = 1024, clock: Clock = time.monotonic) -> None:
        self._per_s, self._burst, self._kept, self._clock = per_s, burst, kept, clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, address: str) -> bool:
        """Take one for an address; False when it asks too often."""
        if address not in self._buckets:
            self._buckets[address] = TokenBucket(self._per_s, self._burst, self._clock)
        self._buckets.move_to_end(address)
        while len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        return self._buckets[address].take()
