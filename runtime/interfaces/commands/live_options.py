"""Options that the commands of a live listener share, and what they mean together with the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.yaw_endpoint import parse_yaw
from earshot.runtime.errors import UsageError
from earshot.runtime.hearing.effort import MOST_THREADS
from earshot.runtime.interfaces.config import ListenConfig
from earshot.runtime.scene.memory import default_memory_path

Device = Annotated[str | None, typer.Option(help="Name of the microphone, see 'earshot devices'.")]
Speed = Annotated[float, typer.Option(help="Factor on true time: 4 plays four times as fast.")]
Bundle = Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")]
Think = Annotated[
    bool | None, typer.Option("--think/--no-think", help="Let the model write its evidence before it answers.")
]
Yaw = Annotated[
    str | None,
    typer.Option(
        help="Where a head tracker sends the yaw of the head to: osc://127.0.0.1:9000, or osc://127.0.0.1:9000/ADDRESS."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_THREADS, help="For the encoders; a self-test at the start chooses without it."),
]
ConfigFile = Annotated[Path | None, typer.Option(help="Configuration file, see 'earshot init'.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Remember = Annotated[
    bool, typer.Option("--remember", help="Keep what happens on disk (never sound), to be asked about the past.")
]
Memory = Annotated[Path | None, typer.Option(help="File to remember in, see 'earshot memory'; goes with --remember.")]


def asked_source(source: str | None, device: str | None, settings: ListenConfig) -> str:
    """What to hear: as the options say, or as the configuration does when there are none.

    Raises
    ------
    UsageError
        When a device is named for another source than the microphone.
    """
    if source is None and device is None:
        source, device = settings.source, settings.device if settings.source in (None, "mic") else None
    return source_spec(source, device)


def source_spec(source: str | None, device: str | None) -> str:
    """What `--source` and `--device` mean together: "mic", "mic:NAME" or the source.

    Raises
    ------
    UsageError
        When a device is named for another source than the microphone, or a name is empty: a variable of a script that
        was never set must not open the microphone.
    """
    for option, name in (("--source", source), ("--device", device)):
        if name == "":
            raise UsageError(f"{option} is empty; name one, or leave it out")
    if device is None:
        return source or "mic"
    if source not in (None, "mic"):
        raise UsageError(f"--device names a microphone and --source {source} is another source; leave one out")
    return f"mic:{device}"


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


def memory_file(remember: bool, memory: Path | None) -> Path | None:
    """Where to remember, if at all: a file that is named is asked for."""
    return (memory or default_memory_path()) if remember or memory else None
