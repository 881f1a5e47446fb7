"""Real servers on free ports, with a real listener behind them that hears in true time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from earshot.runtime.audio.source import ArraySource
from earshot.runtime.interfaces.api.serving import ApiServer
from earshot.runtime.interfaces.api.settings import ApiSettings, Limits
from earshot.runtime.listener import Listener
from tests.runtime.hearing.sounds import bursts

TOKEN = "correct horse battery staple"


@dataclass
class Served:
    """A running server."""

    server: ApiServer
    listener: Listener

    @property
    def url(self) -> str:
        return self.server.url.rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connect(self, **options: Any) -> ClientConnection:
        client: ClientConnection = connect(
            f"ws://127.0.0.1:{self.port}/api/live", **{"subprotocols": ["earshot"], "close_timeout": 1, **options}
        )
        return client

    def hears_on(self) -> bool:
        """Whether frames flow from this moment on."""
        before = self.listener.frames
        return until(lambda: self.listener.frames >= before + 5)


def until(condition: Callable[[], bool], limit_s: float = 60.0) -> bool:
    """Wait for something; False when it does not come."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def event(socket: ClientConnection, *names: str, id_: str | None = None) -> dict[str, Any]:
    """The next event of one of some names; others are passed over."""
    while True:
        message = json.loads(socket.recv(timeout=60))
        assert set(message) == {"event", "data"}
        if message["event"] in names and (id_ is None or message["data"].get("id") == id_):
            return {"event": message["event"], **message["data"]}


def command(socket: ClientConnection, name: str, **data: Any) -> None:
    socket.send(json.dumps({"command": name, "data": data}))


@contextmanager
def serving(bundle: Path, settings: ApiSettings | None = None, speed: float = 4.0) -> Iterator[Served]:
    """Noise on the left, a pause, noise on the right, again and again."""
    sound = np.tile(bursts(), (1, 60))
    with (
        Listener(ArraySource(sound, pace="real", speed=speed), bundle=bundle) as listener,
        running(listener, settings or ApiSettings(port=0)) as served,
    ):
        yield served


@contextmanager
def running(listener: Listener, settings: ApiSettings) -> Iterator[Served]:
    server = ApiServer(listener, settings)
    server.bind()
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(lambda url: ready.set(),), name="server")
    thread.start()
    try:
        assert ready.wait(60)
        yield Served(server, listener)
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def served(whole_bundle: Path) -> Iterator[Served]:
    """One server for the tests of a module; many requests are allowed, so that they do not disturb each other."""
    limits = replace(Limits(), requests_per_s=1000.0, requests_burst=1000.0)
    with serving(whole_bundle, ApiSettings(port=0, limits=limits)) as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60) as client:
        yield client
