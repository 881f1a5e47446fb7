"""The server's life: takes the address before anything is loaded, runs until it is told to stop or the source fails."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.api.app import make_app
from earshot.runtime.interfaces.api.hub import Hub
from earshot.runtime.interfaces.api.protocols import AbortableWebSocket, bounded_http
from earshot.runtime.interfaces.api.settings import ApiSettings
from earshot.runtime.interfaces.watchdog import Watchdog
from earshot.runtime.listener import Listener

_BACKLOG = 1024
_GRACE_S = 3
_LOOK_S = 0.5
_START_STEP_S = 0.01
_STRANGERS = ("Invalid UTF-8 sequence", "ASGI callable returned without completing handshake")


class ApiServer:
    """One server for one listener.

    Parameters
    ----------
    listener : Listener
        Loaded and started by `run`, unless it was before; closed by whoever made it.
    settings : ApiSettings
    watchdog : Watchdog, optional
        Told that frames flow.
    """

    def __init__(self, listener: Listener, settings: ApiSettings, watchdog: Watchdog | None = None) -> None:
        self._listener = listener
        self._settings = settings
        self._watchdog = watchdog or Watchdog(None)
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self.hub = Hub(listener, settings.limits)

    @property
    def url(self) -> str:
        """Address of the page, once bound."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def bind(self) -> None:
        """Take the address.

        Raises
        ------
        UsageError
            When the settings are unsafe, or the address cannot be had.
        """
        self._settings.check()
        host, port = self._settings.host.strip("[]"), self._settings.port
        try:
            family, kind, number, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = socket.socket(family, kind, number)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"{host}:{port}: cannot listen there ({reason}); choose another --host or --port"
            ) from error
        self._socket = bound

    def run(self, on_ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve until `stop()` or a signal.

        Parameters
        ----------
        on_ready : callable
            Called with the page's address once connections are taken.

        Raises
        ------
        EarshotError
            When the source failed.
        """
        assert self._socket is not None, "bind() first"

        async def ready() -> None:
            while self._server is None or not self._server.started:  # until then the address refuses
                await asyncio.sleep(_START_STEP_S)
            on_ready(self.url)

        app = make_app(self._listener, self.hub, self._settings, (ready, self._end_with_source, self._feed))
        self._server = uvicorn.Server(self._config(app))
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._watchdog.stopping()
            self._socket.close()
        if self._listener.failure is not None:
            raise self._listener.failure

    def stop(self) -> None:
        """End `run`, from any thread."""
        if self._server is not None:
            self._server.should_exit = True

    def _config(self, app: object) -> uvicorn.Config:
        limits = self._settings.limits
        logger = logging.getLogger("uvicorn.error")
        logger.setLevel(logging.ERROR)  # strangers' mistakes are no news
        logger.addFilter(_is_ours)
        return uvicorn.Config(
            app,  # type: ignore[arg-type]
            loop="asyncio",
            http=bounded_http(limits),
            ws=AbortableWebSocket,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            ws_max_size=limits.message_bytes,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=_GRACE_S,
        )

    async def _end_with_source(self) -> None:
        """A source that failed ends the server; one that came to its end leaves it, for questions."""
        while self._listener.failure is None:
            await asyncio.sleep(_LOOK_S)
        self.stop()

    async def _feed(self) -> None:
        """Tell the watchdog of frames; a hanging event loop or a deaf listener starves it."""
        while True:
            self._watchdog.frames(self._listener.frames)
            await asyncio.sleep(self._watchdog.step_s)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a log line tells of a fault of our own, not of a peer's bytes or of a WebSocket that was refused."""
    return not record.getMessage().startswith(_STRANGERS)
