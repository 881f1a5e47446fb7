"""`earshot watch "tell me when a car approaches from behind"`: rules are shown, then armed, then alerts are told."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.capture import CaptureEvent, Reporting
from earshot.runtime.audio.head_yaw import HeadYaw, opened_yaw
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import UsageError
from earshot.runtime.happenings import EffortChange, Happening, Note
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.interfaces.alerting import (
    AlertTeller,
    JsonAlerts,
    NotificationCommand,
    PlainAlerts,
    split_command,
)
from earshot.runtime.interfaces.commands.live_options import (
    Bundle,
    ConfigFile,
    Device,
    Json,
    Speed,
    Threads,
    Yaw,
    asked_source,
    checked_yaw,
)
from earshot.runtime.interfaces.config import read_config
from earshot.runtime.interfaces.loading import open_encoders
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.loop import HearingLoop
from earshot.runtime.scene.watch_language import WORKS, compile_watch
from earshot.runtime.scene.watches import WatchRule, read_rules, rules_to_toml
from earshot.runtime.scene.watching import Alert, Watcher


def watch(
    text: Annotated[list[str] | None, typer.Argument(help='What to watch for: "when a dog barks behind me".')] = None,
    rules: Annotated[Path | None, typer.Option(help="File of rules, as --show writes them.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Write the rules as TOML, to be edited, and end.")] = False,
    source: Annotated[
        str | None, typer.Option(help="A file, mic, a device or sim:SCENARIO; the microphone by default.")
    ] = None,
    device: Device = None,
    speed: Speed = 1.0,
    bundle: Bundle = None,
    run: Annotated[
        str | None, typer.Option(help="Command for each alert, without a shell: 'notify-send Earshot {text}'.")
    ] = None,
    quiet: Annotated[str | None, typer.Option(help="No alerts in these hours, for all rules: 22:00-07:00.")] = None,
    yaw: Yaw = None,
    threads: Threads = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Wait for what was asked for, and tell it."""
    armed, notes = gather_rules(text or [], rules, quiet)
    if show:
        typer.echo(rules_to_toml(armed), nl=False)
        for note in notes:
            typer.echo(f"# {note}")
        return
    settings = read_config(config).listen
    audio, tracker = open_source(asked_source(source, device, settings), speed), checked_yaw(yaw or settings.yaw)
    stdout = typer.get_text_stream("stdout", errors=None)
    teller: AlertTeller = JsonAlerts(stdout) if json else PlainAlerts(stdout)
    for line in [*(f"watching {rule.words}" for rule in armed), *notes]:
        teller.note(line, 0.0)
    with ExitStack() as stack:
        watcher = Watcher(armed)
        if run is not None:
            command = NotificationCommand(split_command(run), lambda line: teller.note(line, 0.0))
            stack.callback(command.close)
            watcher = Watcher(armed, on_alert=command)
        head = stack.enter_context(opened_yaw(tracker))
        _, encoders = open_encoders(bundle or settings.bundle)
        keep_watch(audio, encoders, watcher, teller, head, threads or settings.threads)


def gather_rules(texts: list[str], path: Path | None, quiet: str | None = None) -> tuple[list[WatchRule], list[str]]:
    """Rules of a file and of sentences, and what has to be said about them.

    Raises
    ------
    UsageError
        When there is none, or one cannot be understood.
    """
    compiled = [compile_watch(text) for text in texts]
    found = ([] if path is None else read_rules(path)) + [rule for rule, _ in compiled]
    if not found:
        raise UsageError(f"nothing to watch for; {WORKS}")
    if quiet is not None:
        try:
            found = [WatchRule.model_validate({**rule.model_dump(), "quiet_hours": quiet}) for rule in found]
        except ValueError as error:
            raise UsageError(f'--quiet {quiet}: no time of day; write "22:00-07:00"') from error
    return found, [note for _, note in compiled if note]


def keep_watch(
    source: AudioSource,
    encoders: Encoders,
    watcher: Watcher,
    teller: AlertTeller,
    yaw: HeadYaw | None = None,
    threads: int | None = None,
) -> None:
    """Hear a source to its end and tell the alerts.

    Parameters
    ----------
    source : AudioSource
        Not open.
    encoders : Encoders
        Loaded.
    watcher : Watcher
    teller : AlertTeller
    yaw : HeadYaw, optional
        Open.
    threads : int, optional
        For the encoders.

    Raises
    ------
    EarshotError
        When the source fails.
    """

    def tell(happening: Happening) -> None:
        if isinstance(happening, Alert):
            teller.alert(happening)
        elif isinstance(happening, CaptureEvent):
            teller.note(f"{happening.state.value}: {happening.text}", happening.time_s)
        elif isinstance(happening, (Note, EffortChange)):
            teller.note(happening.text, happening.time_s)

    if isinstance(source, Reporting):
        source.on_event = tell
    loop = HearingLoop(encoders, tell, watcher, yaw=yaw, threads=threads)
    with source:
        loop.run(source)
    if watcher.quieted or watcher.limited:
        teller.note(f"held back: {watcher.quieted} in quiet hours, {watcher.limited} beyond the rate", loop.heard_s)
