"""Ways in which bytes come from a device: TCP, UDP, serial line, WebSocket.

Nothing here waits longer than it is told, so that whoever listens can always be stopped from another thread.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Protocol

from earshot.runtime.audio.endpoint import Endpoint
from earshot.runtime.errors import DeviceError, UsageError

READ_BYTES = 65_536
CONNECT_LIMIT_S = 5.0
_SLICE_S = 0.05
_UDP_BUFFER_BYTES = 1 << 20
_UDP_SILENCE_S = 2.0
"""After so long without a word from the first device, another one may take its place."""
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)

Stopped = Callable[[], bool]


class Transport(Protocol):
    """One way to a device; used by one thread."""

    datagrams: bool
    """Whether each `read` is a message of its own, not a piece of a stream."""

    def connect(self, stopped: Stopped) -> bool:
        """Reach the device; False when stopped meanwhile or nobody has come yet.

        Raises
        ------
        DeviceError
            When it cannot be reached.
        """

    def read(self, timeout_s: float) -> bytes | None:
        """Bytes; none when nothing came in time; None when the device is gone."""

    def take_intruder(self) -> str | None:
        """Address of a second device that sends as well, once."""

    def disconnect(self) -> None:
        """Leave the device; may be called twice."""


def transport_for(endpoint: Endpoint) -> Transport:
    """The transport of an endpoint, not connected.

    Raises
    ------
    UsageError
        When a WebSocket is asked for and the package for it is missing, or serial lines do not work here.
    """
    if endpoint.kind == "tcp":
        return TcpListener(endpoint) if endpoint.listen else TcpClient(endpoint)
    if endpoint.kind == "udp":
        return UdpReceiver(endpoint)
    if endpoint.kind in ("ws", "wss"):
        return WebSocketClient(endpoint)
    return SerialLine(endpoint)


def _read_ready(readable: socket.socket | int, read: Callable[[int], bytes], timeout_s: float) -> bytes | None:
    """What came within the time: nothing yet is ``b""``, a closed or unplugged other end None."""
    try:
        if not select.select([readable], [], [], timeout_s)[0]:
            return b""
        return read(READ_BYTES) or None
    except BlockingIOError:
        return b""
    except (OSError, ValueError):
        return None


class _Socketed:
    """Common part of the transports that hold a socket."""

    datagrams = False

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._socket: socket.socket | None = None

    def read(self, timeout_s: float) -> bytes | None:
        """See `Transport`."""
        sock = self._socket
        return None if sock is None else _read_ready(sock, sock.recv, timeout_s)

    def take_intruder(self) -> str | None:
        """See `Transport`."""
        return None

    def disconnect(self) -> None:
        """See `Transport`."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()


class TcpClient(_Socketed):
    """Connects to a device that serves its sound."""

    def connect(self, stopped: Stopped) -> bool:
        """See `Transport`."""
        self.disconnect()
        failure: OSError | None = None
        for family, kind, protocol, _, address in _addresses(self._endpoint):
            sock = socket.socket(family, kind, protocol)
            try:
                if not _connect(sock, address, stopped):
                    sock.close()
                    return False
            except OSError as error:
                failure = error
                sock.close()
                continue
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = sock
            return True
        raise _unreachable(self._endpoint, failure)


class TcpListener(_Socketed):
    """Waits for a device (or ODAS) to connect; one at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._server: socket.socket | None = None

    def connect(self, stopped: Stopped) -> bool:
        """Wait for a moment; see `Transport`."""
        super().disconnect()
        if self._server is None:
            self._server = _bound(self._endpoint, socket.SOCK_STREAM)
            self._server.listen(1)
        if stopped() or not select.select([self._server], [], [], _SLICE_S)[0]:
            return False
        self._socket, _ = self._server.accept()
        self._socket.setblocking(False)
        return True

    def disconnect(self) -> None:
        """Leave the device and the address."""
        super().disconnect()
        server, self._server = self._server, None
        if server is not None:
            server.close()


class UdpReceiver(_Socketed):
    """Receives datagrams of the first device that sends any."""

    datagrams = True

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._sender: Any = None
        self._heard_at_s = 0.0
        self._intruder: str | None = None
        self._told: set[str] = set()

    def connect(self, stopped: Stopped) -> bool:
        """Take the address; see `Transport`."""
        if self._socket is None:
            self._socket = _bound(self._endpoint, socket.SOCK_DGRAM)
            with suppress(OSError):  # as much as the system allows
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER_BYTES)
        return not stopped()

    def read(self, timeout_s: float) -> bytes | None:
        """See `Transport`; the silence of a device is no end."""
        sock = self._socket
        if sock is None:
            return None
        try:
            if not select.select([sock], [], [], timeout_s)[0]:
                return b""
            data, sender = sock.recvfrom(READ_BYTES)
        except (BlockingIOError, ConnectionError):
            return b""
        except (OSError, ValueError):
            return None
        return data if self._is_ours(sender) else b""

    def take_intruder(self) -> str | None:
        """See `Transport`."""
        intruder, self._intruder = self._intruder, None
        return intruder

    def _is_ours(self, sender: Any) -> bool:
        now_s = time.monotonic()
        if sender == self._sender or now_s - self._heard_at_s > _UDP_SILENCE_S:
            self._sender, self._heard_at_s = sender, now_s
            return True
        if str(sender[0]) not in self._told and len(self._told) < 16:
            self._told.add(str(sender[0]))
            self._intruder = str(sender[0])
        return False


class SerialLine:
    """Reads a serial port or pseudo-terminal in raw mode (Linux and macOS)."""

    datagrams = False

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            import termios  # noqa: F401
        except ModuleNotFoundError as error:
            raise UsageError(f"{endpoint.text}: serial lines need Linux or macOS; use tcp:// or udp://") from error
        self._endpoint = endpoint
        self._line: int | None = None

    def connect(self, stopped: Stopped) -> bool:
        """See `Transport`."""
        self.disconnect()
        try:
            line = os.open(self._endpoint.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise _unreachable(self._endpoint, error) from error
        try:
            _check_terminal(line, self._endpoint)
            _make_raw(line, self._endpoint)
        except BaseException:
            os.close(line)
            raise
        self._line = line
        return not stopped()

    def read(self, timeout_s: float) -> bytes | None:
        """See `Transport`."""
        line = self._line
        return None if line is None else _read_ready(line, partial(os.read, line), timeout_s)

    def take_intruder(self) -> str | None:
        """See `Transport`."""
        return None

    def disconnect(self) -> None:
        """See `Transport`."""
        line, self._line = self._line, None
        if line is not None:
            os.close(line)


class WebSocketClient:
    """Receives binary messages, one packet or more in each."""

    datagrams = True

    def __init__(self, endpoint: Endpoint) -> None:
        try:
            from websockets.sync.client import connect
        except ModuleNotFoundError as error:
            remedy = 'install it with: pip install "earshot[web]"'
            raise UsageError(f"{endpoint.text}: WebSockets need the package websockets; {remedy}") from error
        self._endpoint, self._connect = endpoint, connect
        self._open = ExitStack()
        self._connection: Any = None

    def connect(self, stopped: Stopped) -> bool:
        """See `Transport`."""
        from websockets.exceptions import WebSocketException

        self.disconnect()
        address = self._endpoint.text.partition("?")[0]
        try:
            client = self._connect(
                address, max_size=2 * READ_BYTES, open_timeout=CONNECT_LIMIT_S, close_timeout=0.5, proxy=None
            )
            self._connection = self._open.enter_context(client)
        except (OSError, WebSocketException) as error:
            raise _unreachable(self._endpoint, error) from error
        return not stopped()

    def read(self, timeout_s: float) -> bytes | None:
        """See `Transport`; text messages are none of ours."""
        from websockets.exceptions import WebSocketException

        if self._connection is None:
            return None
        try:
            message = self._connection.recv(timeout=timeout_s)
        except TimeoutError:
            return b""
        except (OSError, WebSocketException):
            return None
        return message if isinstance(message, bytes) else b""

    def take_intruder(self) -> str | None:
        """See `Transport`."""
        return None

    def disconnect(self) -> None:
        """See `Transport`."""
        self._connection = None
        with suppress(Exception):  # whatever a dying connection says
            self._open.close()


def _addresses(endpoint: Endpoint) -> list[Any]:
    try:
        return socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _unreachable(endpoint, error) from error


def _connect(sock: socket.socket, address: Any, stopped: Stopped) -> bool:
    """Connect within the limit; False when stopped meanwhile.

    Raises
    ------
    OSError
        When nobody answers.
    """
    sock.setblocking(False)
    code = sock.connect_ex(address)
    deadline_s = time.monotonic() + CONNECT_LIMIT_S
    while code in _UNDER_WAY:
        if stopped():
            return False
        if time.monotonic() > deadline_s:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if select.select([], [sock], [], _SLICE_S)[1]:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            break
    if code:
        raise OSError(code, os.strerror(code))
    return True


def _bound(endpoint: Endpoint, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((endpoint.host, endpoint.port))
    except OSError as error:
        sock.close()
        reason = _reason(error)
        raise DeviceError(f"{endpoint.text}: this address cannot be taken ({reason}); choose another port") from error
    sock.setblocking(False)
    return sock


def _check_terminal(line: int, endpoint: Endpoint) -> None:
    if not os.isatty(line):
        raise DeviceError(
            f"{endpoint.text}: is no terminal; a serial line as /dev/ttyACM0 and a pseudo-terminal as /dev/pts/3 work"
        )


def _make_raw(line: int, endpoint: Endpoint) -> None:
    """No echo, no line editing, eight bits, and the speed asked for."""
    import termios
    import tty

    try:
        tty.setraw(line)
        if endpoint.baud:
            settings = termios.tcgetattr(line)
            settings[4] = settings[5] = getattr(termios, f"B{endpoint.baud}")
            termios.tcsetattr(line, termios.TCSANOW, settings)
    except (termios.error, AttributeError) as error:
        raise DeviceError(
            f"{endpoint.text}: cannot be set up as a serial line ({error}); check path and baud"
        ) from error


def _unreachable(endpoint: Endpoint, error: Exception | None) -> DeviceError:
    what = "check the path" if endpoint.kind in ("pty", "serial") else "check that the device is on and sends there"
    return DeviceError(f"{endpoint.text}: not reachable ({_reason(error)}); {what}")


def _reason(error: Exception | None) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")
