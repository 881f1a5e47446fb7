"""Which source `--source` names: a file, a microphone, a device on the network, or one that another package adds.

Sources of other packages come from the entry point group `earshot.sources`, so that the runtime knows of a
simulator without importing one: an entry `sim` answers to ``sim:REST`` and is called with REST and the speed.
"""

from __future__ import annotations

import os
from importlib import metadata

from earshot.runtime.audio.endpoint import is_endpoint, parse_endpoint
from earshot.runtime.audio.file import FileSource
from earshot.runtime.audio.network import NetworkSource
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import UsageError

ENTRY_POINT_GROUP = "earshot.sources"
_KNOWN = "a file, mic, mic:NAME, tcp://, udp://, ws://, wss://, pty:, serial: and sim:SCENARIO"


def open_source(spec: str, speed: float) -> AudioSource:
    """The source that `--source` names, not opened yet.

    Parameters
    ----------
    spec : str
        Path of a file; ``mic`` or ``mic:NAME``; ``tcp://``, ``udp://``, ``ws://``, ``pty:`` or ``serial:``; or
        ``sim:SCENARIO`` where the simulator is installed.
    speed : float
        Factor on true time for files and simulated devices.

    Raises
    ------
    UsageError
        For a kind of source that nobody knows, or that cannot be heard here.
    """
    kind, colon, rest = spec.partition(":")
    if kind == "mic" and (colon or not rest):
        return _microphone(spec, rest or None)
    if is_endpoint(spec):
        return NetworkSource(parse_endpoint(spec))
    if colon and (added := _added(kind, rest, speed)):
        return added
    if kind == "sim" and colon:
        raise UsageError(f"--source {spec}: the simulator is not installed; give a WAV, FLAC or OGG file")
    if rest.startswith("//") and not os.path.exists(spec):  # noqa: PTH110
        raise UsageError(f"--source {spec}: unknown kind of source {kind!r}; {_KNOWN} work")
    return FileSource(spec, pace="real", speed=speed)


def _microphone(spec: str, device: str | None) -> AudioSource:
    try:
        from earshot.runtime.audio.microphone import MicrophoneSource
    except ModuleNotFoundError as error:
        raise UsageError(f"--source {spec}: not in this version; give a WAV, FLAC or OGG file") from error
    return MicrophoneSource(device)


def _added(kind: str, rest: str, speed: float) -> AudioSource | None:
    """A source of another package."""
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == kind:
            source: AudioSource = entry.load()(rest, speed)
            return source
    return None
