"""The way from the device to the listener: late, lost, twice, out of order, damaged. Everything drawn from a seed."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from earshot.firmware_sim.faults import Kind, Schedule
from earshot.firmware_sim.hearable import Sent
from earshot.firmware_sim.scenario import Link

_OVERTAKEN_S = 0.03
"""How much later an overtaken packet comes: one and a half packets of 20 ms."""
_BURST_PACKETS = 5.0
_BAD_STATE_LOSS = 0.9


@dataclass(frozen=True, order=True)
class Arrival:
    """Bytes as they reach the listener.

    Attributes
    ----------
    time_s : float
        True time.
    number : int
        Tells apart what comes at the same time.
    data : bytes
    """

    time_s: float
    number: int
    data: bytes


class Radio:
    """Takes the packets of a device to the listener.

    Loss comes in bursts (two states after Gilbert and Elliott; the bad one lasts five packets in the mean, or longer where
    three of four packets and more are lost).

    Parameters
    ----------
    link : Link
    schedule : Schedule
    seed : int

    Attributes
    ----------
    done : Counter
        What was done to packets: sent, lost, duplicate, reorder, bit_errors.
    """

    def __init__(self, link: Link, schedule: Schedule, seed: int) -> None:
        self._link, self._schedule = link, schedule
        self._rng = np.random.default_rng([seed, 0x4AD10])
        self._bad = False
        self._number = 0
        self._not_before_s = 0.0
        self.done: Counter[str] = Counter()

    def carry(self, packets: Iterable[Sent]) -> Iterator[Arrival]:
        """Arrivals in the order of their time; holds only what is on its way."""
        under_way: list[Arrival] = []
        for sent in packets:
            for arrival in self._copies(sent):
                heapq.heappush(under_way, arrival)
            while under_way and under_way[0].time_s <= sent.time_s + self._link.latency_ms / 1000:
                yield heapq.heappop(under_way)
        while under_way:
            yield heapq.heappop(under_way)

    def _copies(self, sent: Sent) -> Iterator[Arrival]:
        """None, one or two arrivals of a packet."""
        self.done["sent"] += 1
        if self._lost(sent.time_s):
            self.done["lost"] += 1
            return
        data = self._damaged(sent.data, sent.time_s)
        yield self._arrival(sent.time_s, data)
        if self._hit("duplicate", sent.time_s):
            self.done["duplicate"] += 1
            yield self._arrival(sent.time_s, data)

    def _arrival(self, time_s: float, data: bytes) -> Arrival:
        link = self._link
        jitter_ms = link.jitter_ms + (self._schedule.value("jitter", time_s) or 0.0)
        at_s = time_s + (link.latency_ms + self._rng.exponential(1.0) * jitter_ms) / 1000
        if self._schedule.holds("stall", time_s):
            at_s = max(at_s, self._schedule.end_of("stall", time_s))
        # A packet waits for those before it; only the fault lets it be overtaken.
        at_s = self._not_before_s = max(at_s, self._not_before_s)
        if self._hit("reorder", time_s):
            self.done["reorder"] += 1
            at_s += _OVERTAKEN_S
        self._number += 1
        return Arrival(at_s, self._number, data)

    def _lost(self, time_s: float) -> bool:
        """One step of the two states; the share of lost packets is that of the fault."""
        share = self._schedule.value("loss", time_s)
        if share is None:
            self._bad = False
            return bool(self._rng.random() < self._link.loss)
        bad_loss = max(_BAD_STATE_LOSS, share)
        good_to_bad = (
            (bad_loss - share) / share if share > 0 else math.inf
        )  # good packets for each one in the bad state
        leave = min(1 / _BURST_PACKETS, good_to_bad)  # of very lossy links bursts are longer
        enter = leave / good_to_bad if good_to_bad > 0 else 1.0
        self._bad = bool(self._rng.random() < (1 - leave if self._bad else enter))
        return self._bad and bool(self._rng.random() < bad_loss)

    def _damaged(self, data: bytes, time_s: float) -> bytes:
        if not self._hit("bit_errors", time_s):
            return data
        self.done["bit_errors"] += 1
        hurt, bit = bytearray(data), int(self._rng.integers(8 * len(data)))
        hurt[bit // 8] ^= 1 << bit % 8
        return bytes(hurt)

    def _hit(self, kind: Kind, time_s: float) -> bool:
        value = self._schedule.value(kind, time_s)
        return value is not None and bool(self._rng.random() < value)
