"""`earshot service`: the listener as a systemd user service that is started again when it goes deaf."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.file import FileSource
from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.commands.live_options import checked_yaw, source_spec
from earshot.runtime.interfaces.config import default_path, read_config
from earshot.runtime.interfaces.sources import open_source
from earshot.runtime.interfaces.systemd import (
    TOKEN_FILE,
    UNIT_NAME,
    Service,
    command_of,
    unit_path,
    unit_text,
    write_unit,
)
from earshot.runtime.interfaces.web_extra import require_web
from earshot.runtime.scene.memory import default_memory_path

service = typer.Typer(help="Run the listener as a systemd user service.", no_args_is_help=True)


@service.command()
def install(
    source: Annotated[str | None, typer.Option(help="What to hear, as for 'earshot serve'.")] = None,
    device: Annotated[str | None, typer.Option(help="Name of the microphone.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    yaw: Annotated[str | None, typer.Option(help="Where a head tracker sends to, as for 'earshot serve'.")] = None,
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep what happens on disk, as 'earshot serve'.")
    ] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the unit file and write nothing.")] = False,
) -> None:
    """Write the unit file; starting it is left to you."""
    require_web("the service")
    if device is not None:
        source_spec(source, device)  # refuses a device for another source
    read_config(config)
    if bundle is not None:
        verified_bundle(bundle)
    options: dict[str, object] = {
        "--source": _from_anywhere(source),
        "--device": device,
        "--host": host,
        "--port": port,
    }
    options |= {"--yaw": checked_yaw(yaw), "--bundle": _absolute(bundle), "--config": _absolute(config)}
    given = tuple(part for name, value in options.items() if value is not None for part in (name, str(value)))
    state = default_memory_path().parent
    kept = Service(arguments=(*given, "--remember"), writable=(state,)) if remember else Service(arguments=given)
    text = unit_text(kept)
    if show:
        typer.echo(text, nl=False)
        return
    if remember:
        make_state_folder(state)
    path = unit_path()
    typer.echo(f"{'Written' if write_unit(path, text) else 'There already'}: {path}")
    if host is not None:
        _tell_of_token(host)
    typer.echo("Start it now and at every login with:")
    typer.echo(f"  systemctl --user daemon-reload && systemctl --user enable --now {UNIT_NAME}")


def make_state_folder(folder: Path) -> None:
    """Make the folder of the memory: the sandbox opens only what is there when the service starts.

    Raises
    ------
    UsageError
        When it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror})") from error


@service.command()
def status() -> None:
    """Tell whether the service is installed and runs."""
    path = unit_path()
    if not path.is_file():
        raise UsageError(f"{path}: no such file; write it with 'earshot service install'")
    command = command_of(path.read_text(encoding="utf-8"))
    typer.echo(f"installed  {path}")
    typer.echo(f"runs       {' '.join(command)}")
    if command and not Path(command[0]).exists():
        typer.echo(f"problem    {command[0]} is gone; run 'earshot service install' again")
    typer.echo(f"state      {_state()}")


def _state() -> str:
    """What systemd says, in one line."""
    program = shutil.which("systemctl")
    if program is None:
        return "unknown (no systemctl here)"
    asked = [program, "--user", "show", UNIT_NAME, "--property=ActiveState,SubState,StatusText,NRestarts"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        return f"unknown ({(done.stderr.strip().splitlines() or ['systemd does not answer'])[0]})"
    said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    text = f" ({said['StatusText']})" if said.get("StatusText") else ""
    return f"{said.get('ActiveState', '?')}/{said.get('SubState', '?')}{text}, restarts {said.get('NRestarts', '?')}"


def _tell_of_token(host: str) -> None:
    """Say what an address that others can reach needs before the service starts."""
    from earshot.runtime.interfaces.api.settings import is_loopback

    if not is_loopback(host):
        place = default_path().with_name(TOKEN_FILE)
        typer.echo(f"Others can reach {host}: before you start it, write the line EARSHOT_TOKEN=... into {place}")


def _from_anywhere(source: str | None) -> str | None:
    """The source, with the whole path when it is a file; errors as `open_source`."""
    if source is None or not isinstance(open_source(source, 1.0), FileSource):
        return source
    return str(_absolute(Path(source)))


def _absolute(path: Path | None) -> Path | None:
    """A service does not start where its unit was written."""
    return None if path is None else path.absolute()
