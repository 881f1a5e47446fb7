"""Puts packets back in order, within bounds: a lost packet holds up the sound for 80 ms at most.

Sequence numbers count modulo 2**32 (docs/packet-format.md). A restarted device is recognised by its new stream
id, or by two packets in a row from a part of the count where no late packet can come from.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from earshot.runtime.audio.packets import Packet

PATIENCE_S = 0.08
"""How long a missing packet is waited for; four packets of 20 ms."""
MAX_WAITING = 16
"""Packets held at most; with more, the missing one is given up at once."""
LATE_SPAN = 1024
"""A sequence number further away than this from the expected one is no late packet but a restart."""
LATE_US = 2_000_000
"""Nor is a packet whose device time lies so far before the latest one."""
_FORMER_STREAMS = 4


@dataclass(frozen=True)
class ReorderCounts:
    """What the buffer has seen: packets given on, found late or twice, out of order, lost; restarts."""

    given: int = 0
    duplicates: int = 0
    late: int = 0
    reordered: int = 0
    lost: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class Ordered:
    """A packet in its turn.

    Attributes
    ----------
    packet : Packet
    arrival_s : float
        When it came.
    restarted : bool
        Whether it is the first one since the device started anew.
    lost : int
        Packets given up just before it.
    """

    packet: Packet
    arrival_s: float
    restarted: bool = False
    lost: int = 0


class ReorderBuffer:
    """Stage: packets as they come in, packets in order out."""

    latency_s = PATIENCE_S

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything; equals a fresh object."""
        self.counts = ReorderCounts()
        self._waiting: dict[int, Ordered] = {}
        self._expected: int | None = None
        self._stream_id = 0
        self._former: deque[int] = deque(maxlen=_FORMER_STREAMS)
        self._stray: int | None = None
        self._latest_us = 0
        self._given: deque[int] = deque(maxlen=LATE_SPAN)

    def __len__(self) -> int:
        return len(self._waiting)

    def process(self, packet: Packet, arrival_s: float) -> list[Ordered]:
        """Take a packet; return those whose turn it is now."""
        header = packet.header
        if self._expected is None or (header.stream_id != self._stream_id and header.stream_id not in self._former):
            return self._restart(packet, arrival_s)
        if header.stream_id != self._stream_id:  # a straggler from before a restart
            self._count(late=1)
            return []
        ahead = _distance(self._expected, header.sequence)
        if abs(ahead) > LATE_SPAN or (ahead < 0 and self._latest_us - header.device_time_us > LATE_US):
            return self._take_stray(packet, arrival_s)
        self._stray = None
        return self._place(packet, arrival_s, ahead) + self.poll(arrival_s)

    def poll(self, now_s: float) -> list[Ordered]:
        """Give up what was waited for too long; return the packets behind it."""
        ready: list[Ordered] = []
        while self._waiting and (
            len(self._waiting) > MAX_WAITING
            or now_s - min(item.arrival_s for item in self._waiting.values()) >= PATIENCE_S
        ):
            ready += self._skip_to_next()
        return ready

    def flush(self) -> list[Ordered]:
        """Give out all that is held; the stream has ended."""
        ready: list[Ordered] = []
        while self._waiting:
            ready += self._skip_to_next()
        return ready

    def _place(self, packet: Packet, arrival_s: float, ahead: int) -> list[Ordered]:
        sequence = packet.header.sequence
        if sequence in self._waiting or (ahead < 0 and sequence in self._given):
            self._count(duplicates=1)
            return []
        if ahead < 0:
            self._count(late=1)
            return []
        self._waiting[sequence] = Ordered(packet, arrival_s)
        if ahead == 0 and len(self._waiting) > 1:
            self._count(reordered=1)
        return self._run()

    def _run(self) -> list[Ordered]:
        """Packets from the expected one on, without a hole."""
        ready: list[Ordered] = []
        while self._expected in self._waiting:
            ready.append(self._waiting.pop(self._expected))
            self._latest_us = ready[-1].packet.header.device_time_us
            self._given.append(self._expected)
            self._expected = (self._expected + 1) % 2**32
        self._count(given=len(ready))
        return ready

    def _skip_to_next(self) -> list[Ordered]:
        expected = self._expected or 0
        missing = min(_distance(expected, sequence) for sequence in self._waiting)
        self._count(lost=missing)
        self._expected = (expected + missing) % 2**32
        first, *rest = self._run()
        return [replace(first, lost=missing), *rest]

    def _take_stray(self, packet: Packet, arrival_s: float) -> list[Ordered]:
        """A count far from the expected one: the second of its kind in a row proves a restart."""
        previous, self._stray = self._stray, packet.header.sequence
        if previous is not None and _distance(previous, packet.header.sequence) == 1:
            return self._restart(packet, arrival_s)
        self._count(late=1)
        return []

    def _restart(self, packet: Packet, arrival_s: float) -> list[Ordered]:
        first = self._expected is None
        ready = self.flush()
        if packet.header.stream_id != self._stream_id and not first:
            self._former.append(self._stream_id)
        self._stream_id, self._stray = packet.header.stream_id, None
        self._expected = (packet.header.sequence + 1) % 2**32
        self._latest_us = packet.header.device_time_us
        self._given.clear()
        self._given.append(packet.header.sequence)
        self._count(given=1, restarts=0 if first else 1)
        return [*ready, Ordered(packet, arrival_s, restarted=not first)]

    def _count(self, **more: int) -> None:
        now = {name: getattr(self.counts, name) + count for name, count in more.items()}
        self.counts = replace(self.counts, **now)


def _distance(expected: int, sequence: int) -> int:
    """How far a sequence number is ahead (negative: behind), modulo 2**32."""
    return (sequence - expected + 2**31) % 2**32 - 2**31
