"""Sound from a device elsewhere: a source that connects, hears, and finds the device again when it goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from earshot.runtime.audio.capture import OnCaptureEvent
from earshot.runtime.audio.device_source import DeviceSource
from earshot.runtime.audio.endpoint import Endpoint
from earshot.runtime.audio.receiver import Receiver
from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.audio.transports import Transport, transport_for
from earshot.runtime.errors import DeviceError, UsageError

_READ_S = 0.04
"""Longest wait for bytes: how soon lost packets are given up, stalls seen and `close()` obeyed."""
_CLOSE_LIMIT_S = 0.5
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 8.0


class NetworkSource(DeviceSource):
    """Sound from a socket or serial line.

    Everything happens in the thread that iterates; waiting bytes are held (and at last refused) by the
    operating system, so memory is bounded however slow the listener is.

    Parameters
    ----------
    endpoint : Endpoint
        See `earshot.runtime.audio.endpoint.parse_endpoint`.
    on_event : callable, optional
        See `LinkEvents`.
    """

    def __init__(self, endpoint: Endpoint, *, on_event: OnCaptureEvent | None = None) -> None:
        super().__init__(Receiver(endpoint.wire, endpoint.text), on_event)
        self._endpoint = endpoint
        self._transport: Transport | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()  # of the transport: held while reading (40 ms at most) and connecting
        self._connected = False
        self._wait_s = 0.0

    @property
    def name(self) -> str:
        """The address as it was given."""
        return self._endpoint.text

    @property
    def duration_s(self) -> float | None:
        """Nobody knows."""
        return None

    def open(self) -> None:
        """Reach the device or take the address; an open source is closed first.

        Raises
        ------
        DeviceError
            When the device cannot be reached or the address is taken.
        UsageError
            When a package is missing.
        """
        self.close()
        transport = transport_for(self._endpoint)
        self._closing = threading.Event()  # a new one: an iteration that is ending must not be revived
        self.receiver = Receiver(self._endpoint.wire, self.name, transport.datagrams)
        self._start_telling()
        self._connected = transport.connect(self._closing.is_set)
        self._transport = transport

    def close(self) -> None:
        """End the iteration and leave the device; may be called twice and from any thread."""
        self._closing.set()
        transport, self._transport = self._transport, None
        # While the iterating thread is stuck in connecting, the lock is not to be had; then it leaves by itself.
        if transport is not None and self._lock.acquire(timeout=_CLOSE_LIMIT_S):
            transport.disconnect()
            self._lock.release()

    def __iter__(self) -> Iterator[AudioChunk]:
        """Yield chunks until `close()`, or until the device is gone for good (`reconnect_s`).

        Raises
        ------
        UsageError
            When the source is not open.
        DeviceError
            When the device did not come back in time.
        InputError
            When its sound has one channel only.
        """
        transport, closing = self._transport, self._closing
        if transport is None:
            raise UsageError(f"{self.name}: not open; call open() first or use it in a 'with' block")
        while self._connected or self._reconnect(transport, closing):
            yield from self._one_connection(transport, closing)
            self._connected = False
            if closing.is_set() or self._endpoint.reconnect_s == 0:
                break
            self._say("disconnected", why=f"{self.name} is gone")
        yield from self.receiver.flush()
        self._tell(self.receiver.take_findings())

    def _one_connection(self, transport: Transport, closing: threading.Event) -> Iterator[AudioChunk]:
        """Chunks until the device goes away."""
        while not closing.is_set():
            with self._lock:
                data = transport.read(_READ_S)
            now_s = time.monotonic()
            if data is None:
                break
            chunks = self.receiver.process(data, now_s) if data else self.receiver.poll(now_s)
            if data:
                self._wait_s = 0.0
            intruder = transport.take_intruder()
            if intruder is not None:
                self.receiver.note("second-sender", now_s, why=intruder)
            self._tell(self.receiver.take_findings())
            if chunks:
                self._tell_heard(self.name, chunks[0].start_s)
            yield from chunks
        yield from self.receiver.disconnected()
        self._tell(self.receiver.take_findings())

    def _reconnect(self, transport: Transport, closing: threading.Event) -> bool:
        """Look for the device with growing patience; False when closed meanwhile.

        Raises
        ------
        DeviceError
            When the time for it is over.
        """
        began_s = time.monotonic()
        while not closing.wait(self._wait_s):
            try:
                if self._try_to_connect(transport, closing):
                    # A device that answers and says nothing is not asked again at once.
                    self._wait_s = max(_FIRST_WAIT_S, self._wait_s)
                    return True
                failure = DeviceError(f"{self.name}: nobody came within {self._endpoint.reconnect_s:g} s")
            except DeviceError as error:
                failure = error
                self._wait_s = min(max(_FIRST_WAIT_S, 2 * self._wait_s), _LONGEST_WAIT_S)
            if time.monotonic() - began_s > self._endpoint.reconnect_s and self.receiver.end_s > 0:
                raise failure
        return False

    def _try_to_connect(self, transport: Transport, closing: threading.Event) -> bool:
        with self._lock:
            connected = transport.connect(closing.is_set)
            if closing.is_set():
                transport.disconnect()
                return False
        if connected and self.receiver.end_s > 0:
            self._say("reconnected")
        return connected

    def _say(self, id_: str, **values: Any) -> None:
        self.receiver.note(id_, time.monotonic(), **values)
        self._tell(self.receiver.take_findings())
