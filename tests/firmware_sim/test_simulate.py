"""`earshot simulate` into `earshot listen`'s source, over real sockets and terminals."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from earshot.firmware_sim.command import simulate
from earshot.firmware_sim.senders import TcpServer, sender_for
from earshot.runtime.audio.endpoint import parse_endpoint
from earshot.runtime.audio.network import NetworkSource
from earshot.runtime.errors import DeviceError
from earshot.runtime.interfaces import cli
from tests.firmware_sim.scenes import hear, scene

SCENARIO = """
duration_s = 1.5
[[sources]]
label = "rain"
level_db = -25.0
path = [{ azimuth_deg = 60.0, distance_m = 1.5 }]
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "rain.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    return str(path)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def streamed(scenario: str, spec: str, listener_first: bool, enough_s: float = 1.4, speed: float = 20.0) -> np.ndarray:
    """Simulate in a thread, hear here; the stream up to `enough_s`."""
    audio = NetworkSource(parse_endpoint(spec))
    device = threading.Thread(target=simulate, args=(scenario, spec), kwargs={"speed": speed}, daemon=True)
    if listener_first:
        audio.open()
        device.start()
    else:
        device.start()
        _open_when_there(audio)
    parts = []
    for chunk in audio:
        parts.append(chunk.samples)
        if chunk.end_s >= enough_s:
            break
    audio.close()
    device.join(20)
    assert not device.is_alive()
    return np.concatenate(parts, axis=1)


def _open_when_there(audio: NetworkSource) -> None:
    pause = threading.Event()
    for _ in range(400):
        try:
            audio.open()
            return
        except DeviceError:
            pause.wait(0.02)
    raise AssertionError("the simulator never came")


@pytest.mark.parametrize(
    ("spec", "listener_first"),
    [
        ("tcp://127.0.0.1:{port}", False),
        ("tcp://127.0.0.1:{port}?listen=1", True),
        ("tcp://127.0.0.1:{port}?format=s16le", False),
        ("udp://127.0.0.1:{port}", True),
        ("ws://127.0.0.1:{port}/", False),
    ],
)
def test_what_is_simulated_is_heard_bit_for_bit(
    spec: str, listener_first: bool, scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if spec.startswith("ws"):
        pytest.importorskip("websockets", reason="needs the web extra")
    port = free_port(socket.SOCK_DGRAM if spec.startswith("udp") else socket.SOCK_STREAM)
    heard = streamed(scenario, spec.format(port=port), listener_first)
    expected, _, _ = hear(scene(1.5))
    assert np.array_equal(heard, expected[:, : heard.shape[1]])
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["sent"] == 77


def test_a_pseudo_terminal_is_heard_from_where_it_is_opened(scenario: str, tmp_path: Path) -> None:
    heard = streamed(scenario, f"pty:{tmp_path}/line", listener_first=False, enough_s=0.5, speed=2.0)
    expected, _, _ = hear(scene(1.5))
    piece = heard[:, -3200:]
    assert any(np.array_equal(expected[:, k : k + 3200], piece) for k in range(expected.shape[1] - 3199))


def test_a_listener_that_leaves_is_missed_and_the_next_one_served() -> None:
    port = free_port()
    server = TcpServer(parse_endpoint(f"tcp://127.0.0.1:{port}"))
    with socket.create_connection(("127.0.0.1", port)):
        assert server.wait_for_listener(lambda: False)
        assert server.send(b"x")
    while server.send(b"x" * 1000):
        pass
    with socket.create_connection(("127.0.0.1", port)) as second:
        assert server.wait_for_listener(lambda: False)
        assert server.send(b"hello")
        assert second.recv(5) == b"hello"
    server.close()


def test_a_websocket_that_closes_gives_away_what_is_queued_first() -> None:
    """A listener that reads late: more messages than the sockets hold are still queued when the device ends."""
    client = pytest.importorskip("websockets.sync.client", reason="needs the web extra")
    port = free_port()
    server = sender_for(parse_endpoint(f"ws://127.0.0.1:{port}/"))
    with client.connect(f"ws://127.0.0.1:{port}/", proxy=None) as listener:
        assert server.wait_for_listener(lambda: False)
        assert all(server.send(bytes([number]) * 100_000) for number in range(100))
        ending = threading.Thread(target=server.close)
        ending.start()
        ending.join(0.2)
        heard = [message[0] for message in listener]
    ending.join()
    assert heard == list(range(100))


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_an_address_in_use_is_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "line").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        spec = f"pty:{tmp_path}/line" if kind == "pty" else f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DeviceError, match="cannot be taken"):
            sender_for(parse_endpoint(spec))


def test_a_host_that_is_not_there_is_one_line_and_not_sent_to_for_ever() -> None:
    with pytest.raises(DeviceError, match="no such host"):
        sender_for(parse_endpoint("udp://nobody.invalid:9000"))


def test_the_link_of_a_pseudo_terminal_is_taken_away_again(tmp_path: Path) -> None:
    sender = sender_for(parse_endpoint(f"pty:{tmp_path}/line"))
    assert (tmp_path / "line").is_symlink()
    sender.close()
    sender.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "help_"),
    [
        ([], "which scenario?"),
        (["kitchen"], "where to?"),
        (["kichen", "--to", "udp://127.0.0.1:9"], "did you mean 'kitchen'"),
        (["kitchen", "--check"], "--check is only for --board"),
        (["kitchen", "--profile", "p.json", "--show"], "--profile is only for --board"),
        (["--board", "pi9"], "--board pi9: not known; one of host, zero2w"),
        (["kitchen", "--to", "udp://"], "a host and a port"),
        (["kitchen", "--to", "serial:/dev/x"], "cannot send there"),
        (["kitchen", "--to", "udp://127.0.0.1:9?format=s16le&rate=48000"], "write rate=16000"),
        (["kitchen", "--to", "tcp://127.0.0.1:9?format=s16le&rate=48000"], "write rate=16000"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], help_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["simulate", *arguments]) == 2
    assert help_ in capsys.readouterr().err.splitlines()[-1]


def test_only_the_beginning_is_shown_and_sent_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["simulate", "kitchen", "--minutes", "0.01", "--fast", "--to", "udp://127.0.0.1:9"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["duration_s"] == pytest.approx(0.6)
    assert cli.run(["simulate", "kitchen", "--show", "--minutes", "99"]) == 2
    assert "--minutes 99: this scenario has 1" in capsys.readouterr().err


def test_the_shipped_scenarios_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["simulate", "--list"]) == 0
    assert "street_crossing" in capsys.readouterr().out
    assert cli.run(["simulate", "worst_day", "--show"]) == 0
    assert "rate_mismatch" in capsys.readouterr().out
