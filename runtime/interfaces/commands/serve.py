"""`earshot serve`: the listener for other software and for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.hearing.effort import MOST_THREADS
from earshot.runtime.interfaces.commands.listen import checked_yaw, source_spec
from earshot.runtime.interfaces.config import read_config
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.web_extra import require_web, serve_source
from earshot.runtime.scene.memory import default_memory_path


def serve(
    source: Annotated[str | None, typer.Option(help="What to hear, as for 'earshot listen'.")] = None,
    device: Annotated[str | None, typer.Option(help="Name of the microphone, see 'earshot devices'.")] = None,
    speed: Annotated[float, typer.Option(help="Factor on true time, for recordings.")] = 1.0,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    think: Annotated[
        bool | None, typer.Option("--think/--no-think", help="Let the model write its evidence before it answers.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="EARSHOT_TOKEN", show_envvar=True, help="What clients must show."),
    ] = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep what happens on disk (never sound), to be asked about the past.")
    ] = False,
    memory: Annotated[
        Path | None, typer.Option(help="File to remember in, see 'earshot memory'; goes with --remember.")
    ] = None,
    yaw: Annotated[
        str | None,
        typer.Option(help="Where a head tracker sends the yaw of the head to: osc://127.0.0.1:9000[/ADDRESS]."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_THREADS, help="For the encoders; a self-test at the start chooses without it."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file, see 'earshot init'.")] = None,
) -> None:
    """Serve scene, events and answers over HTTP and WebSocket, and the web radar."""
    require_web("'serve'")
    settings = read_config(config).listen
    if source is None and device is None:
        source, device = settings.source, settings.device if settings.source in (None, "mic") else None
    serve_source(
        open_source(source_spec(source, device), speed),
        what="'serve'",
        bundle=bundle or settings.bundle,
        think=settings.think if think is None else think,
        memory=(memory or default_memory_path()) if remember or memory else None,
        host=host,
        port=port,
        token=token,
        yaw=checked_yaw(yaw or settings.yaw),
        threads=threads or settings.threads,
    )
