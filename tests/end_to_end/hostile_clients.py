"""What hostile clients do to a running `earshot serve`: each attack for itself, with figures, and the listener beside it.

    python -m tests.end_to_end.hostile_clients [--bundle DIR] [--attack NAME ...]

The server is a process of its own that hears a scene in true time; somebody well-behaved keeps the radar open meanwhile
and asks a question after each attack. Prints a table, and as its last line one JSON document. Exit code 1 when the
listener lost a frame, the well-behaved client was cut off, or a question stayed without an answer.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import soundfile
import typer
from rich.console import Console
from rich.table import Table
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from earshot.runtime.demo.scene import render_demo

TOKEN = "a token that nobody guesses"
SCENE_S = 1800
FRAMES_PER_S = 25
LATE_FRAMES = 50
"""Two seconds of sound may be under way between two looks at the health, which is told once a second."""
GIGABYTE = 1 << 30
Attack = Callable[["Target"], Counter[str]]


@dataclass
class Target:
    """The server under attack."""

    port: int

    def raw(self, receive_bytes: int = 0) -> socket.socket:
        """A connection that has said nothing yet."""
        link = socket.socket()
        if receive_bytes:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        link.settimeout(20)
        link.connect(("127.0.0.1", self.port))
        return link

    def request(self, head: str, body: bytes = b"", token: str | None = TOKEN) -> str:
        """Status of one request, or how it ended."""
        shown = "" if token is None else f"Authorization: Bearer {token}\r\n"
        try:
            with self.raw() as link:
                link.sendall(f"{head}\r\nHost: 127.0.0.1:{self.port}\r\n{shown}\r\n".encode() + body)
                return status_of(link.recv(64))
        except OSError as error:
            return type(error).__name__

    def upgraded(self, receive_bytes: int = 0, token: str = TOKEN, origin: str = "") -> tuple[str, socket.socket]:
        """Status of a WebSocket handshake, and its connection."""
        link = self.raw(receive_bytes)
        key = base64.b64encode(os.urandom(16)).decode()
        link.sendall(
            (
                f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Authorization: Bearer {token}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n"
            ).encode()
        )
        try:
            return status_of(link.recv(12)), link
        except OSError as error:
            return type(error).__name__, link


def status_of(reply: bytes) -> str:
    """The status in the first bytes of a response."""
    return reply[9:12].decode("ascii", "replace") if reply.startswith(b"HTTP/1.1 ") else "closed"


def malformed_frames(target: Target) -> Counter[str]:
    """WebSocket frames that break the protocol in five ways, and a gigabyte that is declared only."""
    frames = (
        b"\x81\xff" + GIGABYTE.to_bytes(8, "big") + b"mask",
        b"\xf1\x80mask",
        b"\x81\x05hello",
        b"\x81\x82\0\0\0\0\xc3\x28",
        b"\x83\x80mask",
        os.urandom(300),
    )
    outcomes: Counter[str] = Counter()
    for frame in frames * 5:
        status, link = target.upgraded()
        with link:
            if status != "101":
                outcomes[status] += 1
                continue
            with suppress(OSError):
                link.sendall(frame)
                rest = b"".join(iter(lambda link=link: link.recv(65536), b""))  # type: ignore[misc]
                codes = [str(code) for code in (1002, 1007, 1009) if code.to_bytes(2, "big") in rest[-130:]]
                outcomes[f"closed {codes[0]}" if codes else "closed"] += 1
        time.sleep(0.06)  # below the rate, so that what is tried is the protocol and not the rate
    return outcomes


def a_gigabyte(target: Target) -> Counter[str]:
    """A message, a question and a recording of a gigabyte, really sent for as long as somebody takes it."""
    outcomes: Counter[str] = Counter()
    sent = 0
    chunk = bytes(1 << 16)
    _, link = target.upgraded()
    with link, suppress(OSError):
        link.sendall(b"\x81\xff" + GIGABYTE.to_bytes(8, "big") + b"mask")
        while sent < GIGABYTE:
            sent += link.send(chunk)
    outcomes[f"message: {sent >> 20} of 1024 MiB taken"] += 1
    for path in ("/api/ask", "/api/ask-file?question=x"):
        kind = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n"
        outcomes[f"declared: {target.request(f'{kind}Content-Length: {GIGABYTE}')}"] += 1
        with target.raw() as link:
            head = f"{kind}Host: 127.0.0.1:{target.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            link.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            taken = 0
            with suppress(OSError):
                while taken < GIGABYTE:
                    link.sendall(b"10000\r\n" + chunk + b"\r\n")
                    taken += len(chunk)
            outcomes[f"undeclared: {taken >> 20} of 1024 MiB taken"] += 1
    return outcomes


def five_hundred_connections(target: Target) -> Counter[str]:
    """500 that say nothing, then 500 that want the WebSocket."""
    outcomes: Counter[str] = Counter()
    mute = []
    for _ in range(500):
        try:
            mute.append(target.raw())
        except OSError as error:
            outcomes[f"mute: {type(error).__name__}"] += 1
    outcomes["mute: connected"] += len(mute)
    time.sleep(12)  # longer than a first request may take
    outcomes["mute: ended by the server"] += sum(_is_ended(link) for link in mute)
    for link in mute:
        link.close()
    tried = [target.upgraded() for _ in range(500)]
    outcomes.update(f"WebSocket: {status}" for status, _ in tried)
    for _, link in tried:
        link.close()
    return outcomes


def _is_ended(link: socket.socket) -> bool:
    link.settimeout(0.01)
    try:
        return link.recv(1) == b""
    except (TimeoutError, OSError) as error:
        return not isinstance(error, TimeoutError)


def slow_readers(target: Target) -> Counter[str]:
    """20 clients that never read."""
    outcomes: Counter[str] = Counter()
    links = []
    for number in range(20):
        status, link = target.upgraded(receive_bytes=2048)
        outcomes[status] += 1
        links.append(link)
        time.sleep(0.06 if number < 19 else 20.0)
    for link in links:
        link.close()
    return outcomes


def wrong_tokens(target: Target) -> Counter[str]:
    """1,000 guesses, over HTTP and the WebSocket."""
    outcomes: Counter[str] = Counter()
    for number in range(1000):
        guess = secrets.token_urlsafe(20)
        if number % 2:
            outcomes[target.request("GET /api/scene HTTP/1.1", token=guess)] += 1
        else:
            status, link = target.upgraded(token=guess)
            link.close()
            outcomes[status] += 1
    return outcomes


def other_origins(target: Target) -> Counter[str]:
    """500 requests of pages of another site, with the right token, and of a page under a name of its own."""
    outcomes: Counter[str] = Counter()
    for number in range(500):
        if number % 2:
            head = "POST /api/ask HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            outcomes[target.request(f"{head}Origin: https://evil.example", b"{}")] += 1
        else:
            status, link = target.upgraded(origin="Origin: https://evil.example\r\n")
            link.close()
            outcomes[status] += 1
    return outcomes


def a_flood_of_questions(target: Target) -> Counter[str]:
    """One client that asks as fast as it can."""
    outcomes: Counter[str] = Counter()
    with suppress(ConnectionClosed, TimeoutError), _client(target.port) as link:
        for number in range(300):
            link.send(json.dumps({"command": "ask", "data": {"question": "What is that?", "id": str(number)}}))
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            message = json.loads(link.recv(timeout=5))
            if message["event"] in ("asked", "answer", "error", "cancelled"):
                outcomes[message["event"]] += 1
    outcomes["closed by the server"] += outcomes.total() < 300
    return outcomes


ATTACKS: dict[str, Attack] = {
    "malformed-frames": malformed_frames,
    "gigabyte": a_gigabyte,
    "500-connections": five_hundred_connections,
    "slow-readers": slow_readers,
    "wrong-tokens": wrong_tokens,
    "other-origins": other_origins,
    "question-flood": a_flood_of_questions,
}


def _client(port: int) -> Any:
    return connect(
        f"ws://127.0.0.1:{port}/api/live",
        subprotocols=["earshot"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        max_size=None,
    )


class Witness:
    """A well-behaved client: the health once a second, and answers to its questions."""

    def __init__(self, port: int) -> None:
        self._stack = ExitStack()
        self._link = self._stack.enter_context(_client(port))
        self.health: dict[str, Any] = {}
        self.at_s = 0.0
        self.pauses_s: list[float] = []
        self.cut_off = False
        self._answers: dict[str, str] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for text in self._link:
                self._take(json.loads(text))
        except ConnectionClosed:
            pass
        self.cut_off = True

    def _take(self, message: dict[str, Any]) -> None:
        with self._news:
            if message["event"] == "health":
                now_s = time.monotonic()
                self.pauses_s += [now_s - self.at_s] if self.at_s else []
                self.health, self.at_s = message["data"], now_s
            elif message["event"] in ("answer", "error"):
                self._answers[str(message["data"]["id"])] = message["event"]
            self._news.notify_all()

    def close(self) -> None:
        """Leave."""
        self._stack.close()

    def fresh(self) -> dict[str, Any]:
        """The health as it is told next."""
        with self._news:
            before_s = self.at_s
            self._news.wait_for(lambda: self.at_s > before_s or self.cut_off, 30)
            return self.health

    def asks(self, id_: str) -> str:
        """What becomes of a question: "answer", "error", or nothing within a minute."""
        self._link.send(json.dumps({"command": "ask", "data": {"question": "What can you hear?", "id": id_}}))
        with self._news:
            self._news.wait_for(lambda: id_ in self._answers, 60)
            return self._answers.get(id_, "nothing")


@contextmanager
def server(bundle: Path | None) -> Iterator[tuple[psutil.Process, int]]:
    """`earshot serve` on a free port."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.flac"
        soundfile.write(scene, np.tile(render_demo(), (1, SCENE_S // 8)).T, 16_000)
        command = [
            sys.executable,
            "-m",
            "earshot.runtime.interfaces.cli",
            "serve",
            "--source",
            str(scene),
            "--port",
            "0",
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "EARSHOT_TOKEN": TOKEN}
        more = [] if bundle is None else ["--bundle", str(bundle)]
        with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True, env=environment) as program:
            assert program.stdout is not None
            found = re.search(r":(\d+)/", program.stdout.readline())
            assert found is not None
            try:
                yield psutil.Process(program.pid), int(found[1])
            finally:
                program.terminate()


def attacked(name: str, target: Target, witness: Witness, process: psutil.Process) -> dict[str, Any]:
    """One attack, and what it did."""
    before, began_s = witness.fresh(), time.monotonic()
    memory_mb = process.memory_info().rss / 1e6
    witness.pauses_s.clear()
    outcomes = ATTACKS[name](target)
    after, took_s = witness.fresh(), time.monotonic() - began_s
    due = round(took_s * FRAMES_PER_S)
    return {
        "attack": name,
        "seconds": round(took_s, 1),
        "outcomes": dict(outcomes),
        "frames_due": due,
        "frames_heard": after["frames"] - before["frames"],
        "longest_pause_s": round(max(witness.pauses_s, default=0.0), 2),
        "hearing_load": after["hearing"]["load"],
        "memory_mb": [round(memory_mb, 1), round(process.memory_info().rss / 1e6, 1)],
        "events_lost": after["events_lost"] - before["events_lost"],
        "clients_dropped": after["clients_dropped"] - before["clients_dropped"],
        "question_after": witness.asks(name),
    }


def held(figures: dict[str, Any], witness: Witness) -> bool:
    """Whether the listener was left alone."""
    heard = abs(figures["frames_heard"] - figures["frames_due"]) <= LATE_FRAMES
    return heard and not witness.cut_off and not figures["events_lost"] and figures["question_after"] == "answer"


def table_of(found: list[dict[str, Any]]) -> Table:
    """The figures for people."""
    table = Table("attack", "what became of it", "frames heard / due", "memory MB", "longest pause", "answers after")
    for row in found:
        outcomes = ", ".join(f"{name} x{count}" for name, count in row["outcomes"].items())
        memory = " to ".join(map(str, row["memory_mb"]))
        frames = f"{row['frames_heard']} / {row['frames_due']}"
        table.add_row(row["attack"], outcomes, frames, memory, f"{row['longest_pause_s']} s", row["question_after"])
    return table


def main(
    bundle: Annotated[Path | None, typer.Option(help="Model bundle; the built-in one by default.")] = None,
    attack: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(ATTACKS)}; all by default.")] = None,
) -> None:
    """Attack a server of our own."""
    found, fine = [], True
    with server(bundle) as (process, port):
        witness = Witness(port)
        for name in attack or ATTACKS:
            figures = attacked(name, Target(port), witness, process)
            fine = fine and held(figures, witness)
            found.append(figures)
            time.sleep(4)  # the rate of this address recovers
        witness.close()
    Console(width=150).print(table_of(found))
    typer.echo(json.dumps({"kind": "hostile-clients", "attacks": found, "held": fine}))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    typer.run(main)
