"""Where the yaw of the head comes to and what it looks like, read from one line such as ``osc://127.0.0.1:9000/head/yaw``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from math import isfinite
from urllib.parse import urlsplit

from earshot.runtime.audio.endpoint_options import read_options
from earshot.runtime.audio.osc import OscMessage
from earshot.runtime.audio.osc_yaw import FORMS, Form, YawForm, address_key
from earshot.runtime.errors import UsageError

LOOPBACK = "127.0.0.1"
LASTS_S = 0.5
"""A head may have turned away when no yaw has come for this long."""
_OPTIONS = ("positive", "unit", "argument", "lasts_s")
_WORKS = "write it as osc://127.0.0.1:9000 or osc://127.0.0.1:9000/head/yaw"


@dataclass(frozen=True)
class YawEndpoint:
    """A place to receive the yaw of the head at.

    Attributes
    ----------
    text : str
        As the user wrote it; what messages call it.
    host : str
        Number of one of this machine's addresses; loopback when none is named.
    port : int
    forms : dict of str to Form
        What is taken, by address in small letters.
    lasts_s : float
        A yaw holds for so long, seconds.
    """

    text: str
    host: str
    port: int
    forms: dict[str, Form]
    lasts_s: float = LASTS_S

    def yaw_deg(self, message: OscMessage) -> float | None:
        """Yaw that a message tells, degrees in (-180, 180], positive = left; None when it tells none."""
        form = self.forms.get(address_key(message.address))
        return None if form is None else form.yaw_deg(message)

    def knows(self, message: OscMessage) -> bool:
        """Whether a message comes with an address that is taken, whatever it holds."""
        return address_key(message.address) in self.forms


def parse_yaw(spec: str) -> YawEndpoint:
    """Read an endpoint.

    Parameters
    ----------
    spec : str
        ``osc://HOST:PORT`` for every address in `FORMS`, ``osc://HOST:PORT/ADDRESS`` for this one alone. HOST is a number or
        "localhost". Options, as in ``/tracker?positive=right&unit=rad&argument=2``: to which side it counts, in what, which
        number of the message it is (1 = the first), and for how long a yaw holds (lasts_s).

    Raises
    ------
    UsageError
        When a part is missing, unknown or impossible.
    """
    try:
        url = urlsplit(spec)
        port = url.port or 0
    except ValueError as error:
        raise UsageError(f"{spec}: {error}; {_WORKS}") from error
    if url.scheme != "osc" or not port:
        raise UsageError(f"{spec!r} is no place for OSC messages to come to; {_WORKS}")
    options = read_options(spec, url, _OPTIONS)
    return YawEndpoint(spec, _host(spec, url.hostname), port, _forms(spec, url.path, options), _lasts_s(spec, options))


def _host(spec: str, name: str | None) -> str:
    """An address of this machine; names are not looked up."""
    if name in (None, "", "localhost"):
        return LOOPBACK
    try:
        return str(ipaddress.ip_address(str(name)))
    except ValueError as error:
        raise UsageError(f"{spec}: {name!r} is no number of this machine; {_WORKS}") from error


def _forms(spec: str, path: str, options: dict[str, str]) -> dict[str, Form]:
    key = address_key(path)
    described = {name for name in ("positive", "unit", "argument") if name in options}
    if not key:
        if described:
            raise UsageError(
                f"{spec}: {sorted(described)[0]} describes one address; name it: osc://127.0.0.1:9000/ADDRESS"
            )
        return FORMS
    known = FORMS.get(key)
    if known is not None and not described:
        return {key: known}
    base = known if isinstance(known, YawForm) else YawForm(arguments=None)
    return {
        key: YawForm(
            _argument(spec, options["argument"]) if "argument" in options else base.argument,
            None,
            _one_of(spec, options, "positive", "left", "right") if "positive" in options else base.left,
            _one_of(spec, options, "unit", "deg", "rad") if "unit" in options else base.degrees,
        )
    }


def _argument(spec: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 32):
        raise UsageError(f"{spec}: argument={text!r}; give the number of the yaw in the message, 1 for the first")
    return int(text[:4]) - 1


def _one_of(spec: str, options: dict[str, str], name: str, yes: str, no: str) -> bool:
    if options[name] not in (yes, no):
        raise UsageError(f"{spec}: {name}={options[name]!r}; {yes!r} and {no!r} work")
    return options[name] == yes


def _lasts_s(spec: str, options: dict[str, str]) -> float:
    text = options.get("lasts_s", str(LASTS_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and 0.05 <= seconds <= 3600.0):
        raise UsageError(f"{spec}: lasts_s={text!r}; give seconds, 0.05 to 3600")
    return seconds
