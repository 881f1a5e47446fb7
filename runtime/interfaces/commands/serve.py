"""`earshot serve`: the listener for other software and for the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from earshot.runtime.interfaces.commands.live_options import (
    Bundle,
    ConfigFile,
    Device,
    Memory,
    Remember,
    Think,
    Threads,
    Yaw,
    asked_source,
    checked_yaw,
    memory_file,
)
from earshot.runtime.interfaces.config import read_config
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.web_extra import require_web, serve_source


def serve(
    source: Annotated[str | None, typer.Option(help="What to hear, as for 'earshot listen'.")] = None,
    device: Device = None,
    speed: Annotated[float, typer.Option(help="Factor on true time, for recordings.")] = 1.0,
    bundle: Bundle = None,
    think: Think = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="EARSHOT_TOKEN", show_envvar=True, help="What clients must show."),
    ] = None,
    remember: Remember = False,
    memory: Memory = None,
    yaw: Yaw = None,
    threads: Threads = None,
    config: ConfigFile = None,
) -> None:
    """Serve scene, events and answers over HTTP and WebSocket, and the web radar."""
    require_web("'serve'")
    settings = read_config(config).listen
    serve_source(
        open_source(asked_source(source, device, settings), speed),
        what="'serve'",
        bundle=bundle or settings.bundle,
        think=settings.think if think is None else think,
        memory=memory_file(remember, memory),
        host=host,
        port=port,
        token=token,
        yaw=checked_yaw(yaw or settings.yaw),
        threads=threads or settings.threads,
    )
