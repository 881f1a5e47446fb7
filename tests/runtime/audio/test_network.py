"""NetworkSource over real sockets and terminals: hears, survives the other side, and can always be closed."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.audio.endpoint import parse_endpoint
from earshot.runtime.audio.network import NetworkSource
from earshot.runtime.audio.packets import encode
from earshot.runtime.audio.source import AudioSource
from earshot.runtime.errors import DeviceError, UsageError
from tests.runtime.audio.device import joined, noise, packets_of

X = noise(1.0)
STREAM = b"".join(encode(packet) for packet in packets_of(X))


@contextlib.contextmanager
def in_thread(target: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    yield thread
    thread.join(10)
    assert not thread.is_alive()


@contextlib.contextmanager
def tcp_device(serve: Callable[[socket.socket], None], connections: int = 1) -> Iterator[int]:
    """A device that serves each connection with a function and takes no more than promised; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for number in range(connections):
            connection, _ = server.accept()
            if number == connections - 1:
                server.close()
            with connection:
                serve(connection)

    with contextlib.closing(server):
        port = server.getsockname()[1]
        with in_thread(run):
            yield port


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def source(spec: str) -> NetworkSource:
    return NetworkSource(parse_endpoint(spec))


def test_it_is_an_audio_source() -> None:
    assert isinstance(source("tcp://h:1"), AudioSource)


def test_tcp_is_heard_bit_for_bit() -> None:
    with tcp_device(lambda c: c.sendall(STREAM)) as port, source(f"tcp://127.0.0.1:{port}?reconnect_s=0") as audio:
        assert np.array_equal(joined(audio), X)
        assert list(audio.findings) == []
        assert len(audio.poses) == 50


def test_bare_samples_from_a_tool_that_connects_to_us() -> None:
    port = free_port()
    with source(f"tcp://127.0.0.1:{port}?format=s16le&listen=1&reconnect_s=0") as audio:

        def send() -> None:
            deadline_s = time.monotonic() + 10
            while time.monotonic() < deadline_s:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)) as s:
                    s.sendall((X.T * 32_768).astype("<i2").tobytes())
                    return
                time.sleep(0.02)

        with in_thread(send):
            assert np.array_equal(joined(audio), X)


def test_udp_is_heard_and_a_second_sender_is_not() -> None:
    port = free_port(socket.SOCK_DGRAM)
    with source(f"udp://127.0.0.1:{port}") as audio:
        ours, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        with contextlib.closing(ours), contextlib.closing(other):
            for number, packet in enumerate(packets_of(X)):
                ours.sendto(encode(packet), ("127.0.0.1", port))
                if number == 10:
                    other.sendto(encode(packet), ("127.0.0.1", port))
                time.sleep(0.001)
            chunks = []
            for chunk in audio:
                chunks.append(chunk)
                if chunk.end_s >= 0.95:
                    break
    assert np.array_equal(joined(chunks), X[:, : joined(chunks).shape[1]])
    assert [finding.id for finding in audio.findings] == ["second-sender"]


def test_a_pseudo_terminal_is_read_raw() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    with source(f"pty:{path}?reconnect_s=0") as audio:
        os.close(slave)

        def send() -> None:
            with os.fdopen(master, "wb", buffering=0) as line:
                for at in range(0, len(STREAM), 1000):
                    line.write(STREAM[at : at + 1000])
                time.sleep(0.3)  # a terminal that is hung up forgets what was not read

        with in_thread(send):
            assert np.array_equal(joined(audio), X)


def test_a_websocket_is_heard() -> None:
    server_module = pytest.importorskip("websockets.sync.server", reason="needs the web extra")

    def serve(connection: object) -> None:
        for packet in packets_of(X):
            connection.send(encode(packet))  # type: ignore[attr-defined]
        connection.send("words are ignored")  # type: ignore[attr-defined]

    with server_module.serve(serve, "127.0.0.1", 0) as server:
        port = server.socket.getsockname()[1]
        with in_thread(server.serve_forever):
            with source(f"ws://127.0.0.1:{port}/sound?reconnect_s=0") as audio:
                assert np.array_equal(joined(audio), X)
            server.shutdown()


def test_a_websocket_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "websockets.sync.client", None)
    with pytest.raises(UsageError, match=r"pip install \"earshot\[web\]\""):
        source("ws://127.0.0.1:1/").open()


def test_the_device_goes_away_in_the_middle_of_a_packet_and_comes_back() -> None:
    count = iter(range(2))

    def serve(connection: socket.socket) -> None:
        if next(count) == 0:
            connection.sendall(STREAM[:30_000])
        else:
            connection.sendall(b"".join(encode(p) for p in packets_of(X, stream_id=9)))

    told: list[str] = []
    with tcp_device(serve, connections=2) as port, source(f"tcp://127.0.0.1:{port}") as audio:
        audio.on_finding = lambda finding: told.append(finding.id)
        heard = 0
        for chunk in audio:
            heard += chunk.samples.shape[1]
            if heard >= 16_000 + 22 * 320:
                break
    assert told[:2] == ["disconnected", "reconnected"]
    assert "reboot" in told


def test_it_gives_up_after_the_time_asked_for() -> None:
    with tcp_device(lambda c: c.sendall(STREAM)) as port, source(f"tcp://127.0.0.1:{port}?reconnect_s=0.3") as audio:
        with pytest.raises(DeviceError, match="not reachable"):
            for _ in audio:
                pass
        assert [finding.id for finding in audio.findings] == ["disconnected"]


@pytest.mark.parametrize("spec", ["tcp://127.0.0.1:{port}", "pty:/nowhere/tty"])
def test_a_device_that_is_not_there_is_one_line(spec: str) -> None:
    with pytest.raises(DeviceError, match="not reachable") as caught:
        source(spec.format(port=free_port())).open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pty", "serial"])
def test_what_is_no_terminal_is_refused(kind: str, tmp_path: Path) -> None:
    """It was opened, and looked for for ever."""
    (tmp_path / "short.wav").write_bytes(bytes(1000))
    for path in ("/dev/null", tmp_path / "short.wav"):
        with pytest.raises(DeviceError, match="is no terminal") as caught:
            source(f"{kind}:{path}").open()
        assert "\n" not in str(caught.value)


def test_an_address_in_use_is_one_line() -> None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(DeviceError, match="choose another port"):
            source(f"udp://127.0.0.1:{taken.getsockname()[1]}").open()


def test_iterating_before_open_is_refused() -> None:
    with pytest.raises(UsageError, match="not open"):
        next(iter(source("tcp://127.0.0.1:1")))


def closed_from_outside(audio: NetworkSource) -> None:
    """Iterate in a thread, close from here, and require that the iteration ends."""
    ended = threading.Event()

    def hear() -> None:
        for _ in audio:
            pass
        ended.set()

    with in_thread(hear):
        time.sleep(0.1)
        audio.close()
        audio.close()
        assert ended.wait(10)


@pytest.mark.parametrize("sent", [b"", STREAM, b"EARS" * 10, os.urandom(100_000)])
def test_close_from_another_thread_always_ends_the_iteration(sent: bytes) -> None:
    stay = threading.Event()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        stay.wait(10)

    with tcp_device(serve) as port:
        audio = source(f"tcp://127.0.0.1:{port}")
        audio.open()
        closed_from_outside(audio)
        stay.set()


@pytest.mark.parametrize("spec", ["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}?listen=1"])
def test_close_ends_waiting_for_a_device_that_never_comes(spec: str) -> None:
    audio = source(spec.format(port=free_port(socket.SOCK_DGRAM)))
    audio.open()
    closed_from_outside(audio)


def test_close_ends_looking_for_a_lost_device() -> None:
    with tcp_device(lambda c: c.sendall(STREAM)) as port:
        audio = source(f"tcp://127.0.0.1:{port}")
        audio.open()
    closed_from_outside(audio)


def test_it_can_be_opened_again() -> None:
    with tcp_device(lambda c: c.sendall(STREAM), connections=2) as port:
        audio = source(f"tcp://127.0.0.1:{port}?reconnect_s=0")
        for _ in range(2):
            with audio:
                assert np.array_equal(joined(audio), X)


def test_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    test_tcp_is_heard_bit_for_bit()
    assert list(tmp_path.iterdir()) == []
