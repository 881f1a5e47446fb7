"""Addresses of devices: what works is read, what does not is answered with what would."""

from __future__ import annotations

from contextlib import suppress
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.audio.endpoint import Endpoint, Wire, is_endpoint, parse_endpoint
from earshot.runtime.errors import UsageError


def test_a_plain_address_speaks_packets_and_reconnects_for_ever() -> None:
    endpoint = parse_endpoint("tcp://192.168.4.1:9000")
    assert (endpoint.kind, endpoint.host, endpoint.port) == ("tcp", "192.168.4.1", 9000)
    assert endpoint.wire == Wire("packets")
    assert endpoint.reconnect_s == inf


def test_odas_sockets_are_bare_samples_that_come_to_us() -> None:
    endpoint = parse_endpoint("tcp://0.0.0.0:9001?format=s16le&rate=48000&channels=4&listen=1&reconnect_s=0")
    assert endpoint.wire == Wire("s16le", 48_000, 4)
    assert endpoint.listen
    assert endpoint.reconnect_s == 0


@pytest.mark.parametrize(
    ("spec", "host", "port", "path"),
    [
        ("udp://:9000", "0.0.0.0", 9000, ""),
        ("tcp://[::1]:9000", "::1", 9000, ""),
        ("ws://pi.local:80/sound", "pi.local", 80, "/sound"),
        ("pty:/dev/pts/3", "", 0, "/dev/pts/3"),
        ("serial:/dev/ttyACM0?baud=921600", "", 0, "/dev/ttyACM0"),
    ],
)
def test_all_kinds_are_read(spec: str, host: str, port: int, path: str) -> None:
    endpoint = parse_endpoint(spec)
    assert (endpoint.host, endpoint.port, endpoint.path) == (host, port, path)


@pytest.mark.parametrize(
    ("spec", "help_"),
    [
        ("tcp://host", "a port are needed"),
        ("tcp://host:99999", "write it as tcp://HOST:PORT"),
        ("tcp://:9000", "a host and a port"),
        ("tcp://h:1?fromat=s16le", "did you mean 'format'"),
        ("tcp://h:1?format=wav", "'packets' and 's16le' work"),
        ("tcp://h:1?rate=48000", "need format=s16le"),
        ("tcp://h:1?format=s16le&rate=fast", "no whole number"),
        ("tcp://h:1?format=s16le&rate=7", "a sample rate of 7 Hz"),
        ("tcp://h:1?format=s16le&channels=1", "two ears"),
        ("tcp://h:1?listen=yes", "use 0 or 1"),
        ("tcp://h:1?reconnect_s=-1", "0 or more"),
        ("tcp://h:1?reconnect_s=nan", "0 or more"),
        ("serial:/dev/x?baud=1234", "115200"),
        ("pty:", "no path"),
        ("quic://h:1", "tcp://HOST:PORT"),
    ],
)
def test_mistakes_are_answered_with_what_would_work(spec: str, help_: str) -> None:
    with pytest.raises(UsageError, match=help_) as caught:
        parse_endpoint(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["recording.wav", "C:\\sound.wav", "mic", "sim:kitchen", "tcp.wav", "udp:9000.wav"])
def test_files_and_other_sources_are_no_endpoints(spec: str) -> None:
    assert not is_endpoint(spec)


@given(st.sampled_from(["tcp://", "udp://", "ws://", "pty:", "serial:", ""]), st.text(max_size=40))
def test_any_text_is_an_endpoint_or_one_line_of_usage_error(kind: str, rest: str) -> None:
    with suppress(UsageError):
        assert isinstance(parse_endpoint(kind + rest), Endpoint)
