"""`earshot init`: checks the microphones and writes a configuration that `earshot listen` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.audio.portaudio import find_input, list_inputs, load_sounddevice
from earshot.runtime.errors import DeviceError, UsageError
from earshot.runtime.interfaces.commands.doctor import Check, examine_audio
from earshot.runtime.interfaces.config import Config, ListenConfig, default_path, write_config


def init(
    device: Annotated[str | None, typer.Option(help="Name of the microphone; the default input without it.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where to write; the user's configuration folder.")] = None,
    check: Annotated[bool, typer.Option(help="Check both ears for three seconds first.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Check the microphones and write a configuration file."""
    place = path or default_path()
    if place.exists() and not force:
        raise UsageError(f"{place}: exists already; use --force to replace it, or name another with --path")
    name = find_input(list_inputs(load_sounddevice()), device).name if check or device else None
    findings = list(_told(name)) if check else []
    write_config(place, Config(listen=ListenConfig(device=name)), overwrite=force)
    typer.echo(f"Written: {place}")
    if any(finding.verdict == "problem" for finding in findings):
        typer.echo("The ears need attention first; check them again with: earshot doctor --audio")
        raise typer.Exit(DeviceError.exit_code)


def _told(device: str | None) -> list[Check]:
    """The findings about the ears, each said as it comes."""
    findings = []
    for finding in examine_audio(device, None):
        typer.echo(f"{finding.verdict:<9}{finding.name:<15} {finding.text}")
        findings.append(finding)
    return findings
