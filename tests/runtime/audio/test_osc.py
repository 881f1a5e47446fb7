"""OSC datagrams: read as another implementation writes them, and nothing in them is trusted."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from earshot.runtime.audio.osc import MOST_BYTES, OscError, OscMessage, read_messages

BUNDLE = b"#bundle\0" + bytes(8)


def message(address: str, *arguments: object) -> OscMessageBuilder:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)  # type: ignore[arg-type]
    return builder


@given(
    address=st.text("abcXYZ_019/", min_size=1, max_size=60),
    numbers=st.lists(st.one_of(st.floats(width=32), st.integers(-(2**31), 2**31 - 1)), max_size=8),
)
def test_what_another_implementation_writes_is_read(address: str, numbers: list[float]) -> None:
    (read,) = read_messages(message(f"/{address}", *numbers).build().dgram)
    assert read.address == f"/{address}"
    assert read.arguments == pytest.approx(numbers, nan_ok=True)


def test_what_is_no_number_keeps_its_place() -> None:
    (read,) = read_messages(message("/head_pose", "left ear", 2.5, True, None, 7).build().dgram)
    assert read.arguments == (None, 2.5, None, None, 7.0)


def test_bundles_within_bundles_are_read_in_order() -> None:
    inner, outer = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(IMMEDIATELY)
    inner.add_content(message("/pitch", 1.0).build())
    inner.add_content(message("/roll", 2.0).build())
    for content in (message("/yaw", 3.0).build(), inner.build(), message("/end").build()):
        outer.add_content(content)
    read = read_messages(outer.build().dgram)
    assert [one.address for one in read] == ["/yaw", "/pitch", "/roll", "/end"]


def test_old_senders_leave_the_tags_out_when_there_is_nothing_to_tag() -> None:
    assert read_messages(b"/go\0") == [OscMessage("/go", ())]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"/yaw",
        b"yaw\0",
        b"/yaw\0\0\0\0,f\0\0",
        b"/yaw\0\0\0\0,f\0\0\0\0",
        b"/yaw\0\0\0\0f\0\0\0" + bytes(4),
        b"/yaw\0\0\0\0,b\0\0" + struct.pack(">i", -1),
        b"/yaw\0\0x\0,f\0\0" + bytes(4),
        b"/\xff\xff\0,f\0\0" + bytes(4),
        b"/\x1b[2",
        b"#bundle\0",
        BUNDLE + struct.pack(">i", -4),  # python-osc 1.10.2 never comes back from this one
        BUNDLE + struct.pack(">i", 0),
        BUNDLE + struct.pack(">i", 2**31 - 1),
        BUNDLE + struct.pack(">i", 6) + bytes(8),
        bytes(MOST_BYTES + 4),
        BUNDLE + (struct.pack(">i", 4) + b"/a\0\0") * 200,
    ],
)
def test_what_is_damaged_is_refused(datagram: bytes) -> None:
    with pytest.raises(OscError):
        read_messages(datagram)


def test_bundles_in_bundles_in_bundles_end() -> None:
    datagram = BUNDLE
    while len(datagram) < MOST_BYTES - 40:
        datagram = BUNDLE + struct.pack(">i", len(datagram)) + datagram
    with pytest.raises(OscError, match="parts"):
        read_messages(datagram)


@given(
    st.binary(max_size=200).map(lambda data: data[: len(data) // 4 * 4]),
    st.sampled_from([b"", BUNDLE, b"/yaw\0\0\0\0,"]),
)
def test_any_bytes_end_in_messages_or_in_one_error(data: bytes, before: bytes) -> None:
    try:
        read = read_messages(before + data)
    except OscError:
        return
    assert all(one.address.startswith("/") and one.address.isprintable() for one in read)


def test_not_a_number_is_handed_on_for_others_to_judge() -> None:
    (read,) = read_messages(message("/yaw", math.nan).build().dgram)
    assert math.isnan(read.arguments[0] or 0.0)
