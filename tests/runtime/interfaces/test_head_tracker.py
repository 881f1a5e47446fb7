"""A head tracker beside what is heard: `--yaw` of `listen`, `watch` and `serve`, with real datagrams."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pythonosc.udp_client import SimpleUDPClient

from earshot.runtime import Listener
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.api.bodies import SceneBody
from earshot.runtime.interfaces.api.documents import scene_document
from tests.runtime.audio.test_network import free_port

YAW_DEG = 40.0


@pytest.fixture(autouse=True)
def nobody_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b""), encoding="utf-8"))


@contextmanager
def looking_left() -> Iterator[str]:
    """A tracker that says fifty times a second that the head is turned to the left; gives where it sends to."""
    port, over = free_port(socket.SOCK_DGRAM), threading.Event()

    def send() -> None:
        client = SimpleUDPClient("127.0.0.1", port)
        while not over.wait(0.02):
            client.send_message("/head/ypr", [YAW_DEG, 1.0, 2.0])

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield f"osc://127.0.0.1:{port}?lasts_s=30"
    finally:
        over.set()
        thread.join()


def events(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    code = cli.run([*arguments, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return [json.loads(line) for line in captured.out.splitlines()]


@pytest.mark.parametrize("command", [["listen"], ["watch", "when any sound appears"]])
def test_directions_are_those_in_the_room_too(
    command: list[str], whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with looking_left() as spec:
        options = ["--source", str(recording), "--speed", "8", "--bundle", str(whole_bundle), "--yaw", spec]
        told = events([*command, *options, "--threads", "1"], capsys)
    assert any(f"the yaw of the head comes to {spec}" in event.get("text", "") for event in told)
    last = [event for event in told if "room_azimuth_deg" in event][-1]
    away_deg = (last["room_azimuth_deg"] - last["azimuth_deg"] - YAW_DEG) % 360.0
    assert min(away_deg, 360.0 - away_deg) < 0.2


def test_the_scene_tells_where_the_head_looks(whole_bundle: Path, recording: Path) -> None:
    with looking_left() as spec, Listener(str(recording), bundle=whole_bundle, speed=8, yaw=spec) as listener:
        assert listener.wait(60)
        assert listener.scene.yaw_deg == pytest.approx(YAW_DEG)
        document = scene_document(listener.scene)
    assert SceneBody.model_validate(document).yaw_deg == pytest.approx(YAW_DEG)


def test_a_configuration_names_the_tracker(
    whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    with looking_left() as spec:
        config.write_text(f'[listen]\nbundle = "{whole_bundle}"\nyaw = "{spec}"\nthreads = 1\n')
        told = events(["listen", "--config", str(config), "--source", str(recording), "--speed", "8"], capsys)
    assert any("room_azimuth_deg" in event for event in told)


@pytest.mark.parametrize("command", [["listen"], ["watch", "when any sound appears"], ["serve"]])
def test_a_tracker_that_means_nothing_is_refused_before_anything_is_loaded(
    command: list[str], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.run([*command, "--source", str(recording), "--yaw", "osc://9000", "--bundle", "/nowhere"])
    assert code == 2
    assert "write it as osc://127.0.0.1:9000" in capsys.readouterr().err


def test_an_address_that_is_taken_is_a_device_problem(
    whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        spec = f"osc://127.0.0.1:{taken.getsockname()[1]}"
        code = cli.run(["listen", "--source", str(recording), "--bundle", str(whole_bundle), "--yaw", spec])
    assert code == 5
    assert "choose another" in capsys.readouterr().err
