"""`earshot devices`: the audio inputs that `earshot listen --device` can name."""

from __future__ import annotations

import json as json_module
import platform
from typing import Annotated, Any

import typer

from earshot.runtime.errors import DeviceError

_REMEDIES = {
    "Linux": "install it with your package manager, for example: sudo apt install libportaudio2",
    "Darwin": "install it with: brew install portaudio",
    "Windows": "install sounddevice again with: pip install --force-reinstall sounddevice",
}


def devices(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the audio inputs; a binaural one needs two channels."""
    inputs = input_devices()
    if json:
        typer.echo(json_module.dumps({"inputs": inputs}))
        return
    if not inputs:
        raise DeviceError("no audio input found; connect a microphone or a sound card and run 'earshot devices' again")
    for item in inputs:
        ears = "two ears" if item["channels"] >= 2 else "one channel, no directions"
        mark = "*" if item["default"] else " "
        typer.echo(f"{mark} {item['name']}  ({item['host']}, {item['sample_rate_hz']} Hz, {ears})")


def input_devices() -> list[dict[str, Any]]:
    """Ask PortAudio for the inputs.

    Returns
    -------
    list of dict
        `name`, `host`, `channels`, `sample_rate_hz`, `default`.

    Raises
    ------
    DeviceError
        When PortAudio is missing or fails.
    """
    sounddevice = load_sounddevice()
    try:
        found, hosts, default = (
            sounddevice.query_devices(),
            sounddevice.query_hostapis(),
            sounddevice.default.device[0],
        )
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"the audio system does not answer ({error}); check that it is running") from error
    return [
        {
            "name": device["name"],
            "host": hosts[device["hostapi"]]["name"],
            "channels": int(device["max_input_channels"]),
            "sample_rate_hz": round(device["default_samplerate"]),
            "default": index == default,
        }
        for index, device in enumerate(found)
        if device["max_input_channels"] > 0
    ]


def load_sounddevice() -> Any:
    """Import sounddevice, which needs the system library PortAudio.

    Raises
    ------
    DeviceError
        When either is missing, with the remedy for this system.
    """
    try:
        import sounddevice
    except OSError as error:  # "PortAudio library not found"
        remedy = _REMEDIES.get(platform.system(), "install PortAudio")
        raise DeviceError(f"the system library PortAudio is missing, live sound needs it; {remedy}") from error
    except ModuleNotFoundError as error:
        raise DeviceError("the package sounddevice is missing; install it with: pip install sounddevice") from error
    return sounddevice
