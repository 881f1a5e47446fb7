"""`earshot listen`: follow a stream, tell what is new, moves and ends, and answer questions meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.yaw_endpoint import parse_yaw
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.effort import MOST_THREADS
from earshot.runtime.interfaces.config import Ui, read_config
from earshot.runtime.interfaces.conversation import Conversation
from earshot.runtime.interfaces.front import open_front
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.web_extra import serve_source
from earshot.runtime.listener import Listener
from earshot.runtime.scene.memory import default_memory_path


def listen(
    source: Annotated[
        str | None, typer.Option(help="A WAV, FLAC or OGG file to hear as if it were live; the microphone by default.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Name of the microphone, see 'earshot devices'.")] = None,
    speed: Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")] = 1.0,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    think: Annotated[
        bool | None, typer.Option("--think/--no-think", help="Let the model write its evidence before it answers.")
    ] = None,
    ui: Annotated[
        Ui | None, typer.Option(help="A moving radar on the terminal or in the browser, or plain lines.")
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
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep what happens on disk (never sound), to be asked about the past.")
    ] = False,
    memory: Annotated[
        Path | None, typer.Option(help="File to remember in, see 'earshot memory'; goes with --remember.")
    ] = None,
) -> None:
    """Listen, tell what happens, and answer questions typed meanwhile (one per line)."""
    settings = read_config(config).listen
    if source is None and device is None:
        source, device = settings.source, settings.device if settings.source in (None, "mic") else None
    audio = open_source(source_spec(source, device), speed)
    model, thinks = bundle or settings.bundle, settings.think if think is None else think
    kept = (memory or default_memory_path()) if remember or memory else None
    head, threads = checked_yaw(yaw or settings.yaw), threads or settings.threads
    if (ui or settings.ui) is Ui.WEB and not json:
        serve_source(audio, what="'--ui web'", bundle=model, think=thinks, memory=kept, yaw=head, threads=threads)
        return
    listener = Listener(audio, bundle=model, think=thinks, memory=kept, yaw=head, threads=threads)
    try:
        listener.load()  # before the screen changes: what is wrong with a bundle is told in one line
        with open_front(ui or settings.ui, json, audio.name) as (teller, questions):
            Conversation(listener, teller, thinks).run(questions)
    finally:
        listener.close()


def checked_yaw(spec: str | None) -> str | None:
    """The same, when it means something or nothing is asked for.

    Raises
    ------
    UsageError
        When it means nothing; told before anything is loaded.
    """
    if spec is not None:
        parse_yaw(spec)
    return spec


def source_spec(source: str | None, device: str | None) -> str:
    """What `--source` and `--device` mean together: "mic", "mic:NAME" or the source.

    Raises
    ------
    UsageError
        When a device is named for another source than the microphone.
    """
    if device is None:
        return source or "mic"
    if source not in (None, "mic"):
        raise UsageError(f"--device names a microphone and --source {source} is another source; leave one out")
    return f"mic:{device}"
