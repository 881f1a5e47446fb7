"""The application: routes, access, and the hub's life in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute

from earshot.runtime.interfaces.api.access import Access
from earshot.runtime.interfaces.api.http import HttpApi
from earshot.runtime.interfaces.api.hub import Hub
from earshot.runtime.interfaces.api.live import LiveApi
from earshot.runtime.interfaces.api.page import security_headers
from earshot.runtime.interfaces.api.settings import ApiSettings
from earshot.runtime.listener import Listener

Task = Callable[[], Awaitable[None]]


def make_app(listener: Listener, hub: Hub, settings: ApiSettings, tasks: tuple[Task, ...] = ()) -> Starlette:
    """The ASGI application.

    Parameters
    ----------
    listener : Listener
        Loaded.
    hub : Hub
    settings : ApiSettings
    tasks : tuple of callables
        Coroutine functions that run as long as the server.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.start(asyncio.get_running_loop())
        running = [asyncio.ensure_future(task()) for task in (hub.send_health, *tasks)]
        try:
            yield
        finally:
            hub.stop()
            for task in running:
                task.cancel()

    http = HttpApi(listener, hub, settings.limits)
    live = LiveApi(listener, hub, settings.limits)
    return Starlette(
        routes=[*http.routes(), WebSocketRoute("/api/live", live.serve)],
        middleware=[Middleware(Access, settings=settings, headers=security_headers())],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in the form of all errors."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, dict(error.headers or {}))
