"""The system library PortAudio: loading it, what inputs it knows, and finding one of them by name."""

from __future__ import annotations

import atexit
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from earshot.runtime.errors import DeviceError

PREFERRED_RATES_HZ = (48_000, 44_100, 96_000, 32_000, 16_000)
"""48 kHz first: what most devices run at, and three samples make one of ours."""

_REMEDIES = {
    "Linux": "install libportaudio2 with your package manager, for example: sudo apt install libportaudio2",
    "Darwin": "install it with: brew install portaudio",
    "Windows": "install sounddevice again with: pip install --force-reinstall sounddevice",
}
_WITHOUT_READING = frozenset({"Windows DirectSound", "Windows WDM-KS"})
"""Parts of PortAudio that know callbacks only. Every device has a listing under another one, too."""
_CARD_NUMBER = re.compile(r"\s*\(hw:\d+,\d+\)")
_stderr_lock = threading.Lock()


@dataclass(frozen=True)
class InputDevice:
    """An audio input as PortAudio lists it; the index holds only until PortAudio is started again."""

    index: int
    name: str
    host: str
    channels: int
    sample_rate_hz: int
    default: bool


def load_sounddevice() -> Any:
    """Import sounddevice, which needs the system library PortAudio.

    Raises
    ------
    DeviceError
        When either is missing, with the remedy for this system.
    """
    try:
        with quiet_stderr():
            import sounddevice
    except OSError as error:  # "PortAudio library not found"
        remedy = _REMEDIES.get(platform.system(), "install PortAudio")
        raise DeviceError(f"the system library PortAudio is missing, live sound needs it; {remedy}") from error
    except ModuleNotFoundError as error:
        raise DeviceError("the package sounddevice is missing; install it with: pip install sounddevice") from error
    return sounddevice


def list_inputs(sounddevice: Any) -> list[InputDevice]:
    """Ask PortAudio for the inputs it knew when it was started, but for those that cannot be read from.

    Raises
    ------
    DeviceError
        When the audio system does not answer.
    """
    try:
        found, hosts = sounddevice.query_devices(), sounddevice.query_hostapis()
        default = sounddevice.default.device[0]
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"the audio system does not answer ({error}); check that it is running") from error
    return [
        InputDevice(
            index=index,
            name=device["name"],
            host=hosts[device["hostapi"]]["name"],
            channels=int(device["max_input_channels"]),
            sample_rate_hz=round(device["default_samplerate"]),
            default=index == default,
        )
        for index, device in enumerate(found)
        if device["max_input_channels"] > 0 and hosts[device["hostapi"]]["name"] not in _WITHOUT_READING
    ]


def find_input(devices: Sequence[InputDevice], name: str | None) -> InputDevice:
    """The input that a name means, with room for two ears.

    Parameters
    ----------
    devices : sequence of InputDevice
    name : str or None
        The whole name or a part that only one has, in any case; card numbers do not count, since they change
        when a device is plugged in again. None means the default input.

    Raises
    ------
    DeviceError
        When there is none, when several fit, or when it has one channel only.
    """
    if not devices:
        raise DeviceError("no audio input found; connect a microphone or a sound card and run 'earshot devices'")
    device = _default(devices) if name is None else _named(devices, name)
    if device.channels < 2:
        raise DeviceError(
            f"{device.name}: one channel only; a direction needs two ears, so choose a stereo input ('earshot devices')"
        )
    return device


def usable_rates(sounddevice: Any, device: InputDevice) -> list[int]:
    """Sample rates in hertz at which the device gives two channels now, the best one first."""
    if device.channels < 2:
        return []
    rates_hz = dict.fromkeys((*PREFERRED_RATES_HZ, device.sample_rate_hz))
    return [rate_hz for rate_hz in rates_hz if _refusal(sounddevice, device, rate_hz) is None]


def choose_rate(sounddevice: Any, device: InputDevice) -> int:
    """The best sample rate in hertz at which the device gives two channels.

    Raises
    ------
    DeviceError
        When it takes none of the usual rates, nor its own default.
    """
    refusal: Exception | None = None
    for rate_hz in dict.fromkeys((*PREFERRED_RATES_HZ, device.sample_rate_hz)):
        refusal = _refusal(sounddevice, device, rate_hz)
        if refusal is None:
            return rate_hz
    raise DeviceError(f"{device.name}: cannot be opened ({refusal}); check that no other program holds it")


def restart(sounddevice: Any) -> None:
    """Start PortAudio again, so that it sees what was plugged in since; ends every stream of this process."""
    with quiet_stderr():
        with suppress(sounddevice.PortAudioError):
            sounddevice._terminate()
        sounddevice._initialize()


def abandon() -> None:
    """Leave a PortAudio that hangs alone: without this the interpreter would wait for it when it ends."""
    sounddevice = sys.modules.get("sounddevice")
    if sounddevice is not None:
        atexit.unregister(sounddevice._exit_handler)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what ALSA and PortAudio write to file descriptor 2 by themselves off the terminal meanwhile."""
    with _stderr_lock:
        try:
            kept = os.dup(2)
        except OSError:  # no standard error at all
            yield
            return
        try:
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _refusal(sounddevice: Any, device: InputDevice, rate_hz: int) -> Exception | None:
    """Why the device does not take a rate; None when it does."""
    try:
        with quiet_stderr():
            sounddevice.check_input_settings(device=device.index, channels=2, dtype="float32", samplerate=rate_hz)
    except (sounddevice.PortAudioError, ValueError) as error:
        refusal: Exception = error
        return refusal
    return None


def _default(devices: Sequence[InputDevice]) -> InputDevice:
    for device in devices:
        if device.default:
            return device
    raise DeviceError(f"no default audio input; name one with --device: {_listed(devices)}")


def _named(devices: Sequence[InputDevice], name: str) -> InputDevice:
    wanted = _plain(name)
    fitting = [d for d in devices if _plain(d.name) == wanted] or [d for d in devices if wanted in _plain(d.name)]
    if not fitting:
        raise DeviceError(f"no audio input is called {name!r}; there are: {_listed(devices)}")
    if len({_plain(d.name) for d in fitting}) > 1:
        raise DeviceError(f"{name!r} fits several audio inputs: {_listed(fitting)}; give more of the name")
    return max(fitting, key=lambda d: d.channels >= 2)  # one device may be listed once per host system


def _plain(name: str) -> str:
    return " ".join(_CARD_NUMBER.sub("", name).casefold().split())


def _listed(devices: Sequence[InputDevice]) -> str:
    return ", ".join(dict.fromkeys(repr(device.name) for device in devices))
