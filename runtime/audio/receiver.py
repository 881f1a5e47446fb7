"""From the bytes of a device to chunks of sound: packets in order, true time, and a line for all that went wrong.

Knows no sockets and reads no clock: whoever calls it says when the bytes came, so that an hour of bad radio can
be heard in a minute and twice the same. Memory is bounded whatever comes in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.audio import checks
from earshot.runtime.audio.device_state import DeviceState, DeviceWatch, HeadPose
from earshot.runtime.audio.drift import ClockState
from earshot.runtime.audio.ear_order import EarOrder
from earshot.runtime.audio.endpoint import Wire
from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.packets import MAGIC, Flags, Kind, PacketDecoder
from earshot.runtime.audio.reorder import Ordered, ReorderBuffer, ReorderCounts
from earshot.runtime.audio.reporting import Reporter
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.audio.timeline import Timeline

Samples = NDArray[np.float32]

STALL_S = 0.7
"""Longer without any sound is said."""
JITTER_S = 0.05
"""Some packets come so much later than others; said after two such seconds."""
_NO_PACKETS_BYTES = 32_768
_DRIFT_PPM = 30.0
"""A clock that differs so much from what was last said of it is said."""
_DRIFT_SETTLED_S = 60.0
_MOST_POSES = 2048
_DECODER_FINDINGS = (
    ("bad_payloads", "damaged-packets"),
    ("bad_headers", "damaged-packets"),
    ("unsupported", "unsupported-packets"),
)
_ORDER_FINDINGS = (
    ("lost", "packet-loss"),
    ("duplicates", "duplicate-packets"),
    ("late", "late-packets"),
    ("reordered", "reordered-packets"),
    ("restarts", "reboot"),
)


@dataclass(frozen=True)
class ReceiverCounts:
    """Totals since the start.

    Attributes
    ----------
    order : ReorderCounts
        Packets given on, lost, late, twice, out of order; restarts.
    packets, damaged, unsupported : int
        As the decoder saw them.
    missing_s : float
        Sound that never came.
    """

    order: ReorderCounts
    packets: int
    damaged: int
    unsupported: int
    missing_s: float


class Receiver:
    """Stage: bytes as they arrive in, `AudioChunk`s out; findings through `take_findings()`.

    Parameters
    ----------
    wire : Wire
        What the bytes mean.
    name : str
        What messages call the device.
    datagrams : bool
        Whether each piece of bytes stands for itself (UDP, WebSocket) or they are one stream.
    """

    def __init__(self, wire: Wire | None = None, name: str = "device", datagrams: bool = False) -> None:
        self._wire, self._name, self._datagrams = wire or Wire(), name, datagrams
        self._decoder, self._order = PacketDecoder(), ReorderBuffer()
        self._timeline, self._reporter = Timeline(), Reporter()
        self._watch, self._ears = DeviceWatch(self._reporter), EarOrder()
        self.reset()

    def reset(self) -> None:
        """Forget the stream; equals a fresh object."""
        for stage in (self._decoder, self._order, self._timeline, self._reporter, self._watch, self._ears):
            stage.reset()
        self.poses: deque[HeadPose] = deque(maxlen=_MOST_POSES)
        self._rest = b""
        self._bytes_in = 0
        self._reported: dict[str, int] = {}
        self._told_mismatch_hz: float | None = None
        self._told_drift_ppm = 0.0
        self._told_live = True
        self._engaged_at_s: float | None = None
        self._heard_at_s: float | None = None
        self._stalled = False
        self._late_second, self._late_seconds, self._late_s = -1, 0, (0.0, 0.0)
        self._excused = False  # whether lost packets or a restart explain the next gap

    @property
    def clock(self) -> ClockState:
        """What is known about the device's clock."""
        return self._timeline.clock

    @property
    def device(self) -> DeviceState:
        """What the device last said about itself."""
        return self._watch.state

    @property
    def end_s(self) -> float:
        """Stream time that the received sound reaches to."""
        return self._timeline.end_s

    @property
    def waiting(self) -> int:
        """Packets that wait for one before them; bounded."""
        return len(self._order)

    @property
    def counts(self) -> ReceiverCounts:
        """Totals so far."""
        seen = self._decoder.counts
        damaged = seen.bad_headers + seen.bad_payloads
        return ReceiverCounts(self._order.counts, seen.packets, damaged, seen.unsupported, self._timeline.missing_s)

    def take_findings(self) -> list[Finding]:
        """What went wrong since the last call."""
        return self._reporter.take() + self._ears.take_findings()

    def note(self, id_: str, now_s: float, **values: Any) -> None:
        """Let whoever owns the connection say something in the same way."""
        self._reporter.say(id_, now_s, self.end_s, **values)

    def process(self, data: bytes, arrival_s: float) -> list[AudioChunk]:
        """Take bytes as they come.

        Parameters
        ----------
        data : bytes
            Of any length; for datagrams exactly one.
        arrival_s : float
            When they came, seconds on any clock that runs steadily.

        Returns
        -------
        list of AudioChunk
            In order; a jump in `start_sample` is sound that never came.

        Raises
        ------
        InputError
            When the device sends one channel only.
        """
        self._bytes_in += len(data)
        take = self._bare if self._wire.format == "s16le" else self._packets
        chunks = take(data, arrival_s)
        self._tell(arrival_s)
        return self._in_place(chunks)

    def poll(self, now_s: float) -> list[AudioChunk]:
        """Let time pass without bytes: lost packets are given up, stalls noticed."""
        chunks = self._hear(self._order.poll(now_s))
        if self._heard_at_s is not None and not self._stalled and now_s - self._heard_at_s > STALL_S:
            self._stalled = True
            self.note("stall", now_s, amount=now_s - self._heard_at_s)
        self._tell(now_s)
        return self._in_place(chunks)

    def disconnected(self) -> list[AudioChunk]:
        """The connection has ended; with the next bytes the device begins anew."""
        self._decoder.flush()
        self._rest = b""
        chunks = self._hear(self._order.flush()) + self._timeline.flush()
        self._timeline.restart()
        self._excused = True
        return self._in_place(chunks)

    def flush(self) -> list[AudioChunk]:
        """Give what is held back and say what is left to say; the stream has ended."""
        chunks = self.disconnected()
        self._reporter.flush()
        return chunks

    def _in_place(self, chunks: list[AudioChunk]) -> list[AudioChunk]:
        """The same chunks, their channels put back where those have changed places."""
        return [self._ears.process(chunk) for chunk in chunks]

    def _packets(self, data: bytes, arrival_s: float) -> list[AudioChunk]:
        found = self._decoder.feed(data)
        if self._datagrams:
            found += self._decoder.flush()
        chunks: list[AudioChunk] = []
        for packet in found:
            chunks += self._hear(self._order.process(packet, arrival_s))
        if not found:
            chunks += self._hear(self._order.poll(arrival_s))
        if self._bytes_in > _NO_PACKETS_BYTES and not self._decoder.counts.packets:
            self._bytes_in = 0
            self.note("no-packets", arrival_s)
        return chunks

    def _hear(self, packets: list[Ordered]) -> list[AudioChunk]:
        chunks: list[AudioChunk] = []
        for item in packets:
            if item.restarted:
                self._timeline.restart()
            self._excused = self._excused or item.restarted or item.lost > 0
            header, now_s = item.packet.header, item.arrival_s
            self._watch.header(header, now_s, self.end_s)
            if header.kind == Kind.AUDIO:
                chunks += self._audio(item)
            elif header.kind == Kind.HELLO:
                self._watch.hello(item.packet.hello())
            elif header.kind == Kind.STATUS:
                self._watch.status(item.packet.status(), now_s, self.end_s)
        return chunks

    def _audio(self, item: Ordered) -> list[AudioChunk]:
        header, now_s = item.packet.header, item.arrival_s
        if header.channels == 1:
            checks.check_channels(1, self._name)
        low, high = checks.RATE_RANGE_HZ
        if not low <= header.sample_rate_hz <= high:
            why = f"a sample rate of {header.sample_rate_hz} Hz"
            self._reporter.say("unusable-packets", now_s, self.end_s, why=why)
            return []
        self._resume(now_s)
        begin_s = self.end_s
        missing_before_s = self._timeline.missing_s
        samples = item.packet.audio()[:2]
        place = (header.sample_index, header.device_time_us)
        chunks = self._timeline.process(samples, header.sample_rate_hz, now_s, *place)
        missing_s = self._timeline.missing_s - missing_before_s
        if missing_s > 0 and not self._excused:
            self._reporter.say("missing-sound", now_s, begin_s, amount=missing_s)
        self._excused = False
        self._watch_jitter(now_s)
        if header.flags & Flags.POSE_VALID:
            pose = HeadPose(begin_s + missing_s, header.yaw_deg, header.pitch_cdeg / 100, header.roll_cdeg / 100)
            self.poses.append(pose)
        return chunks

    def _bare(self, data: bytes, arrival_s: float) -> list[AudioChunk]:
        """Interleaved 16-bit samples, cut anywhere."""
        if self._bytes_in == len(data) and data.startswith(MAGIC):
            self.note("packets-as-samples", arrival_s)
        joined = self._rest + data
        frame = 2 * self._wire.channels
        whole = len(joined) - len(joined) % frame
        self._rest = joined[whole:] if not self._datagrams else b""
        if not whole:
            return []
        self._resume(arrival_s)
        values = np.frombuffer(joined[:whole], "<i2").reshape(-1, self._wire.channels)[:, :2]
        samples = np.ascontiguousarray(values.T, np.float32) / np.float32(32_768)
        return self._timeline.process(samples, self._wire.rate, arrival_s)

    def _watch_jitter(self, now_s: float) -> None:
        """Compare the most and the least late packet of each second."""
        second, late_s = int(now_s), self._timeline.lateness_s(now_s)
        if second != self._late_second:
            spread_s = self._late_s[1] - self._late_s[0]
            self._late_seconds = self._late_seconds + 1 if spread_s > JITTER_S else 0
            if self._late_seconds >= 2:
                self.note("jitter", now_s, ms=1000 * spread_s)
            self._late_second, self._late_s = second, (late_s, late_s)
        self._late_s = (min(self._late_s[0], late_s), max(self._late_s[1], late_s))

    def _resume(self, now_s: float) -> None:
        """Sound has come; say so if it had been missed."""
        before_s, self._heard_at_s = self._heard_at_s, now_s
        silent_s = 0.0 if before_s is None else now_s - before_s
        if silent_s > STALL_S:
            if not self._stalled:
                self.note("stall", now_s, amount=silent_s)
            self.note("resumed", now_s, amount=silent_s)
        self._stalled = False

    def _tell(self, now_s: float) -> None:
        """Turn what the stages have counted into findings."""
        for counts, table in ((self._decoder.counts, _DECODER_FINDINGS), (self._order.counts, _ORDER_FINDINGS)):
            for field, id_ in table:
                total = int(getattr(counts, field))
                new = total - self._reported.get(field, 0)
                if new > 0:
                    self._reported[field] = total
                    self._reporter.say(id_, now_s, self.end_s, amount=new)
        self._tell_clock(now_s)
        self._reporter.poll(now_s)

    def _tell_clock(self, now_s: float) -> None:
        rate_hz, clock = self._timeline.true_rate_hz, self.clock
        if rate_hz is not None and rate_hz != self._told_mismatch_hz:
            self.note("rate-mismatch", now_s, says=self._timeline.nominal_hz, does=rate_hz)
        self._told_mismatch_hz = rate_hz
        if not clock.live and self._told_live:
            self.note("pace", now_s, speed=clock.speed)
        self._told_live = clock.live
        if not clock.ppm:
            return
        if self._engaged_at_s is None:
            self._engaged_at_s = now_s
        news = abs(clock.drift_ppm - self._told_drift_ppm) > _DRIFT_PPM
        if now_s - self._engaged_at_s > _DRIFT_SETTLED_S and news:
            self._engaged_at_s, self._told_drift_ppm = now_s, clock.drift_ppm
            self.note("clock-drift", now_s, ppm=abs(clock.drift_ppm), way="fast" if clock.drift_ppm > 0 else "slow")
