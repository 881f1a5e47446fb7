"""The one place that knows that the server is an extra: gives it, or says in one line how to get it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import typer

from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import UsageError

_PACKAGES = ("starlette", "uvicorn", "websockets")


def require_web(what: str) -> None:
    """Require the packages of the extra `web`.

    Raises
    ------
    UsageError
        When one is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(f'{what} needs the package {missing[0]}; install it with: pip install "earshot[web]"')


def serve_source(
    source: AudioSource,
    *,
    what: str,
    bundle: Path | None,
    think: bool,
    memory: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    token: str | None = None,
    yaw: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = typer.echo,
) -> None:
    """Hear a source and serve it until told to stop; the address is taken first, so that a wrong one fails at once.

    Parameters
    ----------
    source : AudioSource
        Not open.
    what : str
        Command that asks, for messages.
    bundle : Path or None
    think : bool
    memory : Path or None
        File to remember in; None to keep nothing.
    host, port, token
        See `ApiSettings`; None for its defaults.
    yaw, threads
        See `Listener`.
    say : callable
        Called with the line that names the page.

    Raises
    ------
    EarshotError
        When the extra is missing, or address, bundle or source cannot be used.
    """
    require_web(what)
    from earshot.runtime.interfaces.api.serving import ApiServer
    from earshot.runtime.interfaces.api.settings import DEFAULT_PORT, ApiSettings
    from earshot.runtime.interfaces.watchdog import Watchdog
    from earshot.runtime.listener import Listener

    settings = ApiSettings(host or "127.0.0.1", DEFAULT_PORT if port is None else port, token or None)
    listener = Listener(source, bundle=bundle, think=think, memory=memory, yaw=yaw, threads=threads)
    server = ApiServer(listener, settings, Watchdog.from_environment())
    server.bind()
    with listener:
        server.run(
            lambda url: say(f"Listening to {listener.name}; the radar is at {url}{'#token=...' if token else ''}")
        )
