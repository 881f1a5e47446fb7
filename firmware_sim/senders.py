"""Ways in which the simulated hearable gives its bytes away; the same addresses as the listener's, other end.

What the listener connects to is served here (tcp, ws, pty), what it waits for is connected to (udp, tcp with
``listen=1``). Nobody there means that bytes are lost, as with a real device.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from earshot.runtime.audio.endpoint import Endpoint
from earshot.runtime.errors import DeviceError, UsageError

Stopped = Callable[[], bool]

_SLICE_S = 0.05
_SEND_LIMIT_S = 2.0
_LINE_LIMIT_S = 0.5
_QUEUE_MESSAGES = 256


class Sender(Protocol):
    """One way out; used by one thread."""

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """Wait until somebody can hear; False when stopped meanwhile."""

    def send(self, data: bytes) -> bool:
        """Give bytes away; False when nobody was there to take them."""

    def close(self) -> None:
        """Leave; may be called twice."""


def sender_for(endpoint: Endpoint) -> Sender:
    """The sender of an endpoint, ready to be waited on.

    Raises
    ------
    DeviceError
        When the address cannot be taken.
    UsageError
        When a package is missing.
    """
    if endpoint.kind == "tcp":
        return TcpCaller(endpoint) if endpoint.listen else TcpServer(endpoint)
    if endpoint.kind == "udp":
        return UdpSender(endpoint)
    if endpoint.kind == "ws":
        return WebSocketServer(endpoint)
    if endpoint.kind == "pty":
        return PseudoTerminal(endpoint)
    raise UsageError(f"{endpoint.text}: a simulated device cannot send there; tcp, udp, ws and pty work")


class _TcpConnection:
    """Bytes into one TCP connection; a listener that has left is forgotten."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def send(self, data: bytes) -> bool:
        """See `Sender`."""
        if self._socket is None:
            return False
        try:
            self._socket.sendall(data)
        except OSError:
            self._hang_up()
            return False
        return True

    def _hang_up(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def _talk_to(self, sock: socket.socket) -> None:
        self._hang_up()
        sock.settimeout(_SEND_LIMIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock


class TcpServer(_TcpConnection):
    """Serves one listener at a time; the newest one wins."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        try:
            family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
            self._server = socket.create_server((endpoint.host, endpoint.port), family=family)
        except OSError as error:
            raise _taken(endpoint, error) from error

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """See `Sender`."""
        while not stopped():
            if self._accept(_SLICE_S):
                return True
        return False

    def send(self, data: bytes) -> bool:
        """See `Sender`."""
        self._accept(0.0)
        return super().send(data)

    def close(self) -> None:
        """See `Sender`."""
        self._hang_up()
        self._server.close()

    def _accept(self, timeout_s: float) -> bool:
        if select.select([self._server], [], [], timeout_s)[0]:
            self._talk_to(self._server.accept()[0])
            return True
        return False


class TcpCaller(_TcpConnection):
    """Connects to a listener that waits (``listen=1``)."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._address = (endpoint.host, endpoint.port)

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """See `Sender`."""
        pause = threading.Event()
        while not stopped():
            with suppress(OSError):
                self._talk_to(socket.create_connection(self._address, timeout=_SEND_LIMIT_S))
                return True
            pause.wait(_SLICE_S)
        return False

    def close(self) -> None:
        """See `Sender`."""
        self._hang_up()


class UdpSender:
    """Sends datagrams whether anybody hears them or not."""

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise DeviceError(f"{endpoint.text}: no such host ({error.strerror}); check its name") from error
        self._address: tuple[Any, ...] = found[0][4]
        self._socket = socket.socket(found[0][0], socket.SOCK_DGRAM)

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """See `Sender`."""
        return not stopped()

    def send(self, data: bytes) -> bool:
        """See `Sender`."""
        try:
            return self._socket.sendto(data, self._address) == len(data)
        except OSError:
            return False

    def close(self) -> None:
        """See `Sender`."""
        self._socket.close()


class PseudoTerminal:
    """A serial line that is none; the path of the endpoint becomes a link to it."""

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import tty
        except ModuleNotFoundError as error:
            raise UsageError(f"{endpoint.text}: pseudo-terminals need Linux or macOS; use tcp:// or udp://") from error
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._link = Path(endpoint.path)
        try:
            self._link.symlink_to(os.ttyname(self._slave))
        except OSError as error:
            os.close(self._master)
            os.close(self._slave)
            raise _taken(endpoint, error) from error
        self._open, self._full = True, False

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """See `Sender`; a terminal does not know who reads it."""
        return not stopped()

    def send(self, data: bytes) -> bool:
        """See `Sender`; a full line loses what does not fit, like a serial port without flow control."""
        rest = memoryview(data)
        # A line that was full already has no reader; then nothing is waited for.
        while rest and select.select([], [self._master], [], 0.0 if self._full else _LINE_LIMIT_S)[1]:
            try:
                rest = rest[os.write(self._master, rest) :]
                self._full = False
            except BlockingIOError:
                break
        self._full = self._full or bool(rest)
        return not rest

    def close(self) -> None:
        """See `Sender`."""
        if self._open:
            self._open = False
            self._link.unlink(missing_ok=True)
            os.close(self._slave)
            os.close(self._master)


class WebSocketServer:
    """Serves every listener that connects, each with a bounded queue of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            from websockets.sync.server import serve
        except ModuleNotFoundError as error:
            remedy = 'install it with: pip install "earshot[web]"'
            raise UsageError(f"{endpoint.text}: WebSockets need the package websockets; {remedy}") from error
        self._queues: list[queue.Queue[bytes | None]] = []
        self._arrived = threading.Event()
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        try:
            self._server = serve(self._serve, endpoint.host, endpoint.port)
        except OSError as error:
            raise _taken(endpoint, error) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="websocket", daemon=True)
        self._thread.start()

    def wait_for_listener(self, stopped: Stopped) -> bool:
        """See `Sender`."""
        while not stopped():
            if self._arrived.wait(_SLICE_S):
                return True
        return False

    def send(self, data: bytes) -> bool:
        """See `Sender`; a listener too slow for two seconds loses messages."""
        with self._lock:
            waiting = list(self._queues)
        for messages in waiting:
            with suppress(queue.Full):
                messages.put(data, timeout=_SEND_LIMIT_S)
        return bool(waiting)

    def close(self) -> None:
        """See `Sender`; waits a moment for what is still queued."""
        with self._lock:
            waiting = list(self._queues)
        for messages in waiting:
            with suppress(queue.Full):
                messages.put(None, timeout=_SEND_LIMIT_S)
        with self._left:  # a server that shuts down cuts its connections off
            self._left.wait_for(lambda: not self._queues, _SEND_LIMIT_S)
        self._server.shutdown()
        self._thread.join(_SEND_LIMIT_S)

    def _serve(self, connection: Any) -> None:
        """The thread of one listener."""
        messages: queue.Queue[bytes | None] = queue.Queue(_QUEUE_MESSAGES)
        with self._lock:
            self._queues.append(messages)
        self._arrived.set()
        try:
            while (message := messages.get()) is not None:
                connection.send(message)
        except Exception:  # whatever a leaving listener causes; the device goes on
            return
        finally:
            with self._left:
                self._queues.remove(messages)
                self._left.notify_all()


def _taken(endpoint: Endpoint, error: OSError) -> DeviceError:
    reason = error.strerror or str(error)
    what = "choose another path" if endpoint.kind == "pty" else "choose another port"
    return DeviceError(f"{endpoint.text}: cannot be taken ({reason}); {what}")
