"""Bounds on connections below HTTP: how many, how long without a request, and how one is cut off.

uvicorn counts connections only when a request has come; a peer that connects and says nothing would be kept for
ever, and one that reads nothing would keep its connection through any polite way of closing it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from earshot.runtime.interfaces.api.settings import Limits

ABORT = "earshot.abort"
"""Name in the scope's extensions of the function that cuts a WebSocket off at once."""
_SEND_BUFFER_BYTES = 64 * 1024
"""In the kernel, per connection; a slow reader is noticed sooner."""


def bounded_http(limits: Limits) -> type[H11Protocol]:
    """An HTTP protocol that refuses connections beyond the limit and ends those that outstay their time."""

    class BoundedHttp(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.connections) >= limits.connections:
                self.transport = transport
                transport.abort()
                return
            _shorten_send_buffer(transport)
            super().connection_made(transport)
            self.loop.call_later(limits.first_request_s, self._end_unless_asked)
            self.loop.call_later(limits.connection_s, self._end)

        def _end_unless_asked(self) -> None:
            if self.cycle is None:
                self._end()

        def _end(self) -> None:
            """Cut off, unless it has become a WebSocket."""
            if self.transport.get_protocol() is self:
                self.transport.abort()

    return BoundedHttp


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose application can cut it off."""

    def handle_connect(self, event: Request) -> None:
        """Offer the way to cut off along with the request."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast("dict[str, Any]", self.scope["extensions"])
            extensions[ABORT] = self.transport.abort


def _shorten_send_buffer(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
