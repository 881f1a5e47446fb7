"""`earshot devices`: the audio inputs that `earshot listen --device` can name."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated, Any

import typer

from earshot.runtime.audio.portaudio import list_inputs, load_sounddevice, usable_rates
from earshot.runtime.errors import DeviceError


def devices(json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the audio inputs; a binaural one needs two channels."""
    inputs = input_devices()
    if json:
        typer.echo(json_module.dumps({"inputs": inputs}))
        return
    if not inputs:
        raise DeviceError("no audio input found; connect a microphone or a sound card and run 'earshot devices' again")
    for item in inputs:
        typer.echo(_line(item))


def input_devices() -> list[dict[str, Any]]:
    """Ask PortAudio for the inputs.

    Returns
    -------
    list of dict
        `name`, `host`, `channels`, `sample_rate_hz` (the device's own), `two_ear_rates_hz`, `default`.

    Raises
    ------
    DeviceError
        When PortAudio is missing or fails.
    """
    sounddevice = load_sounddevice()
    return [
        {
            **{key: value for key, value in asdict(device).items() if key != "index"},
            "two_ear_rates_hz": usable_rates(sounddevice, device),
        }
        for device in list_inputs(sounddevice)
    ]


def _line(item: dict[str, Any]) -> str:
    rates = ", ".join(f"{rate_hz / 1000:g}" for rate_hz in item["two_ear_rates_hz"])
    if item["channels"] < 2:
        ears = "one channel, no directions"
    else:
        ears = f"two ears at {rates} kHz" if rates else "two ears, but busy or at no usual rate"
    return f"{'*' if item['default'] else ' '} {item['name']}  ({item['host']}, {item['sample_rate_hz']} Hz, {ears})"
