"""Where a device is found and what it speaks, read from one line such as ``tcp://192.168.4.1:9000?format=s16le``.

Only text and numbers; whether anybody answers there is for `earshot.runtime.audio.transports` to find out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf, isfinite
from typing import Literal
from urllib.parse import urlsplit

from earshot.runtime.audio import checks
from earshot.runtime.audio.endpoint_options import read_options
from earshot.runtime.errors import InputError, UsageError

Kind = Literal["tcp", "udp", "ws", "wss", "pty", "serial"]
WireFormat = Literal["packets", "s16le"]

KINDS: tuple[Kind, ...] = ("tcp", "udp", "ws", "wss", "pty", "serial")
MAX_CHANNELS = 8
_BAUD_RATES = (115_200, 230_400, 460_800, 500_000, 921_600, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000)


@dataclass(frozen=True)
class Wire:
    """What the bytes mean.

    Attributes
    ----------
    format : {"packets", "s16le"}
        The packets of docs/packet-format.md, or bare interleaved 16-bit samples as ODAS sends them.
    rate : int
        Sample rate of bare samples in Hz; packets carry their own.
    channels : int
        Interleaved channels of bare samples, 2 to 8; the first is the left ear, the second the right one.
    """

    format: WireFormat = "packets"
    rate: int = 16_000
    channels: int = 2


@dataclass(frozen=True)
class Endpoint:
    """A place to hear from.

    Attributes
    ----------
    text : str
        As the user wrote it; what messages call it.
    kind : {"tcp", "udp", "ws", "wss", "pty", "serial"}
    host, port, path
        Parts of the address; a serial line has only a path.
    wire : Wire
    listen : bool
        tcp: wait for the device to connect instead of connecting to it. udp always waits.
    baud : int
        Speed of a serial line; 0 leaves it as it is.
    reconnect_s : float
        How long to look for a device that went away; infinity by default, 0 ends the stream with it.
    """

    text: str
    kind: Kind
    host: str = ""
    port: int = 0
    path: str = ""
    wire: Wire = Wire()
    listen: bool = False
    baud: int = 0
    reconnect_s: float = inf


_OPTIONS = (*(field.name for field in fields(Wire)), "listen", "baud", "reconnect_s")


def is_endpoint(spec: str) -> bool:
    """Whether a source is written like an endpoint, right or wrong."""
    kind, colon, rest = spec.partition(":")
    return bool(colon) and kind in KINDS and (kind in ("pty", "serial") or rest.startswith("//"))


def parse_endpoint(spec: str) -> Endpoint:
    """Read an endpoint.

    Parameters
    ----------
    spec : str
        ``tcp://HOST:PORT``, ``udp://HOST:PORT`` (the address to receive at), ``ws://HOST:PORT/PATH``,
        ``pty:PATH`` or ``serial:PATH``, followed by options as in ``?format=s16le&rate=48000&channels=2``.
        Options: format, rate, channels, listen (tcp), baud (serial), reconnect_s.

    Raises
    ------
    UsageError
        When a part is missing, unknown or impossible.
    """
    if not is_endpoint(spec):
        raise UsageError(
            f"{spec!r} is no address of a device; tcp://HOST:PORT, udp://HOST:PORT, ws://HOST:PORT/PATH, pty:PATH and serial:PATH work"
        )
    kind = next(known for known in KINDS if known == spec.partition(":")[0])
    try:
        url = urlsplit(spec)
        port = url.port or 0
    except ValueError as error:
        raise UsageError(f"{spec}: {error}; write it as {kind}://HOST:PORT") from error
    options = read_options(spec, url, _OPTIONS)
    common = {
        "wire": _wire(spec, options),
        "listen": _flag(spec, "listen", options.get("listen", "0")),
        "baud": _baud(spec, options.get("baud", "0")),
        "reconnect_s": _seconds(spec, options.get("reconnect_s", "inf")),
    }
    if kind in ("pty", "serial"):
        if not url.path:
            raise UsageError(f"{spec}: no path; write it as {kind}:/dev/...")
        return Endpoint(spec, kind, path=url.path, **common)  # type: ignore[arg-type]
    if not port or (not url.hostname and kind != "udp"):
        raise UsageError(f"{spec}: a host and a port are needed; write it as {kind}://HOST:PORT")
    return Endpoint(spec, kind, url.hostname or "0.0.0.0", port, url.path, **common)  # type: ignore[arg-type]


def _wire(spec: str, options: dict[str, str]) -> Wire:
    form = options.get("format", "packets")
    if form not in ("packets", "s16le"):
        raise UsageError(f"{spec}: unknown format {form!r}; 'packets' and 's16le' work")
    if form == "packets" and {"rate", "channels"} & options.keys():
        raise UsageError(f"{spec}: packets carry rate and channels themselves; these options need format=s16le")
    wire = Wire(
        "s16le" if form == "s16le" else "packets",
        _whole(spec, "rate", options.get("rate", "16000")),
        _whole(spec, "channels", options.get("channels", "2")),
    )
    try:
        checks.check_rate(wire.rate, spec)
    except InputError as error:
        raise UsageError(str(error)) from error
    if not 2 <= wire.channels <= MAX_CHANNELS:
        raise UsageError(f"{spec}: {wire.channels} channels; a direction needs two ears, so 2 to {MAX_CHANNELS} work")
    return wire


def _whole(spec: str, name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UsageError(f"{spec}: {name}={text!r} is no whole number")
    return int(text)


def _flag(spec: str, name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise UsageError(f"{spec}: {name}={text!r}; use 0 or 1")
    return text == "1"


def _baud(spec: str, text: str) -> int:
    baud = _whole(spec, "baud", text)
    if baud and baud not in _BAUD_RATES:
        raise UsageError(f"{spec}: baud={baud}; {', '.join(map(str, _BAUD_RATES))} work")
    return baud


def _seconds(spec: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0 or not (isfinite(seconds) or seconds == inf):
        raise UsageError(f"{spec}: reconnect_s={text!r}; give seconds, 0 or more")
    return seconds
