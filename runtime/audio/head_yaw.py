"""The yaw of the head from a tracker that sends it over OSC: a socket of its own, opened only because somebody asked for it.

One thread receives; the thread that hears asks where the head was. A tracker that falls silent, sends nonsense or floods takes
nothing from the listener but the yaw: directions are then those beside the head, and that is said.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import Self

from earshot.runtime.audio.device_state import HeadPose, yaw_among
from earshot.runtime.audio.health import Finding
from earshot.runtime.audio.osc import MOST_BYTES, OscError, read_messages
from earshot.runtime.audio.stream_clock import StreamClock
from earshot.runtime.audio.yaw_endpoint import YawEndpoint, parse_yaw
from earshot.runtime.errors import DeviceError

SILENT_S = 3.0
"""So long without a yaw is told ..."""
REPEAT_S = 10.0
"""... and not again before this has passed, however often the tracker comes and goes."""
SILENT_ID, COMES_ID = "head-yaw-silent", "head-yaw"
_KEPT_POSES = 2048
_POSE_STEP_S = 0.005
_LOOK_S, _REST_S = 0.1, 0.01
_MOST_DRAINED, _MOST_SENDERS, _MOST_OF_ONE = 256, 16, 4
"""Of all that waits in the socket only the latest of each sender are read, a hundred times a second: no flood costs more."""
_OWNER_S = 2.0
"""After so long without a yaw from the first machine, another one may take its place."""


@dataclass(frozen=True)
class YawCounts:
    """What became of the datagrams: `yaws` held a yaw, `unusable` did not, `passed_over` were not read."""

    yaws: int = 0
    unusable: int = 0
    passed_over: int = 0


class HeadYaw:
    """Receives the yaw of the head.

    Parameters
    ----------
    spec : str
        See `parse_yaw`.

    Attributes
    ----------
    counts : YawCounts
    active : tuple of Finding
        What is wrong at the moment.
    """

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()  # of the poses and of what else the receiving thread writes
        self._poses: deque[HeadPose] = deque(maxlen=_KEPT_POSES)
        self._owner = ""
        self._last_s = self._said_s = self._told_s = float("-inf")
        self._other = ""
        self._clock = StreamClock(live=True)
        self._found: list[Finding] = []
        self.counts = YawCounts()
        self.active: tuple[Finding, ...] = ()

    def open(self) -> None:
        """Take the address and begin to receive.

        Raises
        ------
        UsageError
            When it means nothing.
        DeviceError
            When the address cannot be taken.
        """
        self.close()
        endpoint = parse_yaw(self._spec)
        self._endpoint, self._socket = endpoint, _bound(endpoint)
        self._closing = threading.Event()
        self._opened_s = time.monotonic()
        arguments = (self._socket, self._closing)
        self._thread = threading.Thread(target=self._receive, args=arguments, name="head yaw", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the address; may be called twice and from any thread."""
        self._closing.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def begin(self, live: bool) -> None:
        """A stream begins: whether it runs by itself."""
        self._clock = StreamClock(live)

    def heard(self, end_s: float, now_s: float | None = None) -> None:
        """A chunk has come that ends at `end_s` of the stream; from the thread that hears, before it asks for the yaw."""
        now_s = time.monotonic() if now_s is None else now_s
        self._clock.process(end_s, now_s)
        self._judge(end_s, now_s)

    def yaw_at(self, time_s: float) -> float | None:
        """Yaw at a time of the stream, degrees in (-180, 180], positive = left; None where it is not known."""
        at_s = self._clock.machine_s(time_s)
        with self._lock:
            return yaw_among(self._poses, at_s, self._endpoint.lasts_s)

    def take_findings(self) -> list[Finding]:
        """What was found out since the last call, in order."""
        found, self._found = self._found, []
        return found

    def _judge(self, stream_s: float, now_s: float) -> None:
        with self._lock:
            last_s = self._last_s
        silent = now_s - max(last_s, self._opened_s) > SILENT_S
        if silent and not self.active and now_s - self._told_s >= REPEAT_S:
            self._told_s = now_s
            self.active = (Finding(SILENT_ID, self._silence(), stream_s),)
            self._found.extend(self.active)
        elif not silent and last_s > self._said_s and (self.active or self._said_s == float("-inf")):
            self.active = ()
            text = f"the yaw of the head comes to {self._spec}; directions are kept in the room while it turns"
            self._found.append(Finding(COMES_ID, text, stream_s))
        self._said_s = max(self._said_s, last_s)

    def _silence(self) -> str:
        beside = "directions are those beside the head until it does"
        if not self._other:
            return f"no yaw of the head comes to {self._spec}; {beside}"
        return (
            f"no yaw of the head comes to {self._spec}, but messages of {self._other} do; name the address they come with, as "
            f"in osc://127.0.0.1:9000/ADDRESS; {beside}"
        )

    def _receive(self, sock: socket.socket, closing: threading.Event) -> None:
        while not closing.is_set():
            try:
                if not select.select([sock], [], [], _LOOK_S)[0]:
                    continue
            except (OSError, ValueError):
                return
            self._take(_drained(sock), time.monotonic())
            closing.wait(_REST_S)

    def _take(self, waiting: dict[Any, deque[bytes]], now_s: float) -> None:
        for sender, datagrams in waiting.items():
            host = str(sender[0])
            if host != self._owner and now_s - self._last_s < _OWNER_S:
                self._count(passed_over=len(datagrams))
                continue
            for datagram in datagrams:
                self._read(datagram, host, now_s)

    def _read(self, datagram: bytes, host: str, now_s: float) -> None:
        try:
            messages = read_messages(datagram)
        except OscError:
            self._count(unusable=1)
            return
        yaws = [yaw for yaw in map(self._endpoint.yaw_deg, messages) if yaw is not None]
        if not yaws:
            other = [message.address for message in messages if not self._endpoint.knows(message)]
            # A tracker whose yaw was understood may send much else; its address is right.
            self._other = other[-1][:40] if other and not self._owner else ""
            self._count(unusable=1)
            return
        self._count(yaws=1)
        with self._lock:
            self._owner, self._last_s = host, now_s
            if self._poses and now_s - self._poses[-1].time_s < _POSE_STEP_S:
                self._poses[-1] = replace(self._poses[-1], yaw_deg=yaws[-1])
            else:
                self._poses.append(HeadPose(now_s, yaws[-1]))

    def _count(self, yaws: int = 0, unusable: int = 0, passed_over: int = 0) -> None:
        now = self.counts
        self.counts = YawCounts(now.yaws + yaws, now.unusable + unusable, now.passed_over + passed_over)


@contextmanager
def opened_yaw(spec: str | None) -> Iterator[HeadYaw | None]:
    """A `HeadYaw` that is open, or nothing when none is asked for.

    Raises
    ------
    EarshotError
        As `HeadYaw.open`.
    """
    if spec is None:
        yield None
        return
    with HeadYaw(spec) as yaw:
        yield yaw


def _drained(sock: socket.socket) -> dict[Any, deque[bytes]]:
    """The latest datagrams of each sender, of all that waits."""
    waiting: dict[Any, deque[bytes]] = {}
    for _ in range(_MOST_DRAINED):
        try:
            datagram, sender = sock.recvfrom(MOST_BYTES + 1)
        except BlockingIOError:
            break
        except OSError:  # a peer that is gone; the socket itself lasts until it is closed
            continue
        if sender in waiting or len(waiting) < _MOST_SENDERS:
            waiting.setdefault(sender, deque(maxlen=_MOST_OF_ONE)).append(datagram)
    return waiting


def _bound(endpoint: YawEndpoint) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((endpoint.host, endpoint.port))
    except OSError as error:
        sock.close()
        raise DeviceError(
            f"{endpoint.text}: this address cannot be taken ({error.strerror}); choose another"
        ) from error
    sock.setblocking(False)
    return sock
