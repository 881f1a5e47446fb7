"""Open Sound Control 1.0 (Wright, 2002) as head trackers send it: a datagram in, messages with numbers out.

Reads only what is needed and trusts nothing: no length is followed outside the datagram, nothing is logged, and every
datagram ends in messages or in `OscError` after a time that its length bounds. (python-osc 1.10.2 loops for ever on a bundle
that gives the length of a part as -4, and logs what it does not know on the terminal.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_BYTES = 2048
"""Of a datagram; a longer one is none of a head tracker."""
_MOST_PARTS = 64
_MOST_ARGUMENTS = 32
_BUNDLE = b"#bundle\0"
_BUNDLE_HEAD = len(_BUNDLE) + 8  # and the time tag, which trackers leave at "immediately"
_NUMBERS = {"i": ">i", "f": ">f", "h": ">q", "d": ">d"}
_EMPTY = "TFNI"  # arguments of no bytes


class OscError(ValueError):
    """A datagram that is no OSC, or not such as a head tracker sends."""


@dataclass(frozen=True)
class OscMessage:
    """One message.

    Attributes
    ----------
    address : str
        Printable ASCII, begins with a slash.
    arguments : tuple of (float or None)
        Numbers as they came, not-a-number and infinity too; None for what is no number.
    """

    address: str
    arguments: tuple[float | None, ...]


def read_messages(datagram: bytes) -> list[OscMessage]:
    """All messages of a datagram, those within bundles too, in their order.

    Parameters
    ----------
    datagram : bytes
        At most `MOST_BYTES`.

    Raises
    ------
    OscError
        When any part of it cannot be read.
    """
    if len(datagram) > MOST_BYTES or len(datagram) % 4:
        raise OscError("no length of an OSC datagram")
    messages, waiting, parts = [], [datagram], 0
    while waiting:
        part, parts = waiting.pop(0), parts + 1
        if parts > _MOST_PARTS:
            raise OscError(f"more than {_MOST_PARTS} parts")
        if part.startswith(_BUNDLE):
            waiting[:0] = _elements(part)
        else:
            messages.append(_message(part))
    return messages


def _elements(bundle: bytes) -> list[bytes]:
    """Parts of a bundle, each with its length before it."""
    elements, at = [], _BUNDLE_HEAD
    if len(bundle) < at:
        raise OscError("a bundle without a time tag")
    while at < len(bundle):
        (size,) = struct.unpack_from(">i", bundle, at)
        at += 4
        if size <= 0 or size % 4 or size > len(bundle) - at:
            raise OscError(f"a part of {size} bytes in a bundle")
        elements.append(bundle[at : at + size])
        at += size
    return elements


def _message(part: bytes) -> OscMessage:
    address, at = _string(part, 0)
    if not address.startswith("/") or not address.isprintable():
        raise OscError("no address")
    if at == len(part):  # older senders leave out the tags when there are no arguments
        return OscMessage(address, ())
    tags, at = _string(part, at)
    if not tags.startswith(",") or len(tags) > 1 + _MOST_ARGUMENTS:
        raise OscError("no type tags")
    arguments: list[float | None] = []
    for tag in tags[1:]:
        value: float | None = None
        if tag in _NUMBERS:
            value, at = _number(part, at, _NUMBERS[tag])
        elif tag == "s":
            _, at = _string(part, at)
        elif tag not in _EMPTY:
            raise OscError(f"type {tag!r} is none of a head tracker")
        arguments.append(value)
    return OscMessage(address, tuple(arguments))


def _number(part: bytes, at: int, form: str) -> tuple[float, int]:
    try:
        (value,) = struct.unpack_from(form, part, at)
    except struct.error as error:
        raise OscError("an argument is cut off") from error
    return float(value), at + struct.calcsize(form)


def _string(part: bytes, at: int) -> tuple[str, int]:
    """A text that ends with zeros at a multiple of four, and the place after it."""
    end = part.find(b"\0", at)
    after = end + 4 - end % 4
    if end < 0 or after > len(part) or any(part[end:after]):
        raise OscError("a text without an end")
    try:
        return part[at:end].decode("ascii"), after
    except UnicodeDecodeError as error:
        raise OscError("a text that is not ASCII") from error
