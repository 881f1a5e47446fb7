"""`earshot listen`: follow a stream, tell what is new, moves and ends, and answer questions meanwhile."""

from __future__ import annotations

from typing import Annotated

import typer

from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.commands.live_options import (
    Bundle,
    ConfigFile,
    Device,
    Json,
    Memory,
    Remember,
    Speed,
    Think,
    Threads,
    Yaw,
    asked_source,
    checked_yaw,
    memory_file,
)
from earshot.runtime.interfaces.config import Ui, read_config
from earshot.runtime.interfaces.conversation import Conversation
from earshot.runtime.interfaces.front import open_front
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.web_extra import serve_source
from earshot.runtime.listener import Listener


def listen(
    source: Annotated[
        str | None, typer.Option(help="A WAV, FLAC or OGG file to hear as if it were live; the microphone by default.")
    ] = None,
    device: Device = None,
    speed: Speed = 1.0,
    bundle: Bundle = None,
    think: Think = None,
    ui: Annotated[
        Ui | None, typer.Option(help="A moving radar on the terminal or in the browser, or plain lines.")
    ] = None,
    yaw: Yaw = None,
    threads: Threads = None,
    config: ConfigFile = None,
    json: Json = False,
    remember: Remember = False,
    memory: Memory = None,
) -> None:
    """Listen, tell what happens, and answer questions typed meanwhile (one per line)."""
    if json and ui is Ui.WEB:
        raise UsageError("--json and --ui web: one listener tells either a program or a browser; give one of them")
    settings = read_config(config).listen
    audio = open_source(asked_source(source, device, settings), speed)
    model, thinks = bundle or settings.bundle, settings.think if think is None else think
    kept = memory_file(remember, memory)
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
