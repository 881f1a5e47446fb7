"""The WebSocket: snapshot, events, questions, cancel; and clients that do everything wrong."""

from __future__ import annotations

import base64
import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from earshot.runtime.interfaces.api.settings import ApiSettings, Limits
from earshot.runtime.listener import Note
from tests.runtime.interfaces.api.conftest import Served, command, event, serving, until


def test_first_the_snapshot_then_what_happens(served: Served) -> None:
    with served.connect() as socket_:
        first = json.loads(socket_.recv(timeout=60))
        assert first["event"] == "snapshot"
        assert set(first["data"]) == {"scene", "health", "history", "names", "recent"}
        new = event(socket_, "new")
        assert {"track", "name", "heard_as", "classes", "place", "azimuth_deg", "time_s"} <= set(new)
        scene = event(socket_, "scene")
        assert {"time_s", "yaw_deg", "tracks", "event"} == set(scene)
        assert event(socket_, "ended")["track"] >= 1
        assert event(socket_, "health")["clients"] >= 1
        sides = set()
        while len(sides) < 2:
            tracks = event(socket_, "scene")["tracks"]
            sides |= {track["azimuth_deg"] > 0 for track in tracks}
            assert all(track["uncertainty"]["across_m"] > 0 for track in tracks)
    with served.connect() as late:
        snapshot = event(late, "snapshot")
        assert snapshot["history"]
        assert set(snapshot["names"]) == {str(track) for _, track, _ in snapshot["history"]}


def test_silence_sends_no_scenes(served: Served) -> None:
    """What is told of an empty scene after the first time is nothing."""
    with served.connect() as socket_:
        event(socket_, "ended")
        empty = 0
        while (message := json.loads(socket_.recv(timeout=60)))["event"] != "new":
            empty += message["event"] == "scene" and not message["data"]["tracks"]
        assert empty <= 2


def test_a_follow_up_need_not_wait_for_the_answer(served: Served) -> None:
    with served.connect() as asker:
        command(asker, "ask", question="Where is the dog?", id="q1")
        command(asker, "ask", question="and how far is it?", id="q2")
        assert event(asker, "asked")["question"] == "Where is the dog?"
        assert event(asker, "asked")["question"] == "How far is the dog?"
        event(asker, "answer", id_="q2")


def test_a_question_is_answered_in_pieces_to_whoever_asked(served: Served) -> None:
    with served.connect() as asker, served.connect() as other:
        command(asker, "ask", question="What can you hear?", id="q1")
        assert event(asker, "asked", "text")["event"] == "asked"
        pieces: dict[str, str] = {"reasoning": "", "answer": ""}
        while (told := event(asker, "text", "answer", id_="q1"))["event"] == "text":
            pieces[told["part"]] += told["text"]
        assert pieces["answer"].strip() == told["answer"]
        assert pieces["reasoning"].strip() == told["reasoning"]
        assert told["question"] == "What can you hear?"
        assert told["timing"]["answer_s"] >= told["timing"]["first_token_s"]
        command(other, "cancel")
        while True:
            message = json.loads(other.recv(timeout=60))
            assert message["event"] not in ("asked", "text", "answer")
            if message["event"] == "health":
                break


def test_a_choice_is_answered_with_one_of_the_options(served: Served) -> None:
    with served.connect() as socket_:
        command(socket_, "ask", question="Which?", choices=["the dog", "the tap"], think=False)
        answer = event(socket_, "answer")
        assert answer["choice"] in (0, 1)
        assert answer["id"] == "1"


def test_a_question_is_cancelled(served: Served) -> None:
    with served.connect() as socket_:
        for number in range(4):
            command(socket_, "ask", question="What can you hear?", id=f"q{number}")
        command(socket_, "ask", question="One more?", id="q4")
        command(socket_, "cancel", id="q3")
        command(socket_, "cancel")
        ends = {event(socket_, "answer", "cancelled", "error", id_=f"q{n}")["event"] for n in (3,)}
        assert ends == {"cancelled"}
        command(socket_, "ask", question="And now?", id="last")
        assert event(socket_, "answer", "error", id_="last")["event"] in ("answer", "error")
    assert served.hears_on()


def test_questions_of_whoever_leaves_are_cancelled(served: Served) -> None:
    with served.connect() as socket_:
        for number in range(4):
            command(socket_, "ask", question="What can you hear?", id=str(number))
        event(socket_, "asked")
    assert until(lambda: served.listener.answering.waiting == 0)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "no json"),
        ("{", "no json"),
        ("[]", "an object"),
        ("null", "an object"),
        ('{"command":"format"}', "'ask', 'cancel', 'watch.add'"),
        ('{"command":"ask"}', "question: field required"),
        ('{"command":"ask","data":{"question":""}}', "at least 1"),
        ('{"command":"ask","data":{"question":"x","choices":["one"]}}', "at least 2"),
        ('{"command":"ask","data":{"question":"x","more":1}}', "more: extra"),
        ('{"command":"ask","data":{"question":"' + "x" * 301 + '"}}', "at most 300"),
        ('{"command":"cancel","data":{"id":1}}', "valid string"),
        ('{"command":"ask","data":' + "[" * 5000 + "]" * 5000 + "}", ""),
        (b"\x00\x01", "not bytes"),
    ],
)
def test_a_malformed_command_is_answered_with_one_line(message: str | bytes, words: str, served: Served) -> None:
    with served.connect() as socket_:
        socket_.send(message)
        error = event(socket_, "error")
        assert words in error["text"].lower()
        assert "\n" not in error["text"]
        command(socket_, "ask", question="Still there?", think=False)
        event(socket_, "answer")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(min_size=1, max_size=300))
def test_random_bytes_after_the_handshake_hurt_nobody(noise: bytes, served: Served) -> None:
    with upgraded(served) as raw:
        raw.sendall(noise)
    assert served.listener.failure is None


def upgraded(served: Served, receive_bytes: int = 0) -> socket.socket:
    """A socket after the WebSocket handshake, to send anything on."""
    raw = handshake(served, receive_bytes)
    assert raw.recv(12) == b"HTTP/1.1 101"
    return raw


def handshake(served: Served, receive_bytes: int = 0) -> socket.socket:
    """A socket that has asked for the WebSocket."""
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(60)
    raw.connect(("127.0.0.1", served.port))
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        (
            f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    return raw


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\xff" + (1 << 30).to_bytes(8, "big") + b"mask", 1009),  # a gigabyte, declared only
        (b"\xf1\x80mask", 1002),  # reserved bits
        (b"\x81\x05hello", 1002),  # not masked
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),  # no UTF-8
        (b"\x83\x80mask", 1002),  # unknown kind
    ],
)
def test_a_malformed_frame_ends_that_client_alone(frame: bytes, code: int, served: Served) -> None:
    with served.connect() as other, upgraded(served) as raw:
        raw.sendall(frame)
        received = b"".join(iter(lambda: raw.recv(65536), b""))
        assert code.to_bytes(2, "big") in received[-130:]
        event(other, "scene", "health")
    assert served.hears_on()


def test_a_message_beyond_the_limit_is_refused(served: Served) -> None:
    with served.connect() as socket_, pytest.raises(ConnectionClosed) as closed:
        socket_.send("x" * 20_000)
        while True:
            socket_.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_whoever_does_not_stop_making_mistakes_is_closed(served: Served) -> None:
    with served.connect() as socket_, pytest.raises(ConnectionClosed) as closed:
        for _ in range(40):
            socket_.send("nonsense")
        while True:
            socket_.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert served.hears_on()


def test_commands_have_a_rate(whole_bundle: Path) -> None:
    limits = replace(Limits(), requests_per_s=0.001, requests_burst=3.0)
    with serving(whole_bundle, ApiSettings(port=0, limits=limits)) as served:
        with served.connect() as socket_:
            for _ in range(4):
                command(socket_, "cancel")
            assert "too many commands" in event(socket_, "error")["text"]
        for _ in range(2):
            with served.connect():
                pass
        with pytest.raises(InvalidStatus) as refused, served.connect():
            pass
        assert refused.value.response.status_code == 429
        assert served.hears_on()


def test_a_slow_reader_is_cut_off_and_nobody_waits_for_it(whole_bundle: Path) -> None:
    limits = replace(Limits(), client_events=64)
    with serving(whole_bundle, ApiSettings(port=0, limits=limits)) as served:
        with served.connect() as reader, upgraded(served, receive_bytes=4096):
            assert until(lambda: served.server.hub.clients == 2)
            note = Note("x" * 20_000, 0.0)

            def flood() -> bool:
                served.server.hub.tell(note)
                event(reader, "note")  # this one reads
                return served.server.hub.clients_dropped == 1

            assert until(flood)
            assert served.server.hub.clients == 1
            assert event(reader, "scene")["tracks"] is not None
        assert served.hears_on()
        assert until(lambda: not served.server._server.server_state.connections)  # type: ignore[union-attr]


def test_five_hundred_connections_leave_the_listener_alone(whole_bundle: Path) -> None:
    """Mute ones, and 500 that want the WebSocket; those beyond the limits are refused, the first go on."""
    limits = replace(Limits(), connections=20, clients=8, first_request_s=1.0, requests_per_s=1e4, requests_burst=1e4)
    with serving(whole_bundle, ApiSettings(port=0, limits=limits)) as served, served.connect() as first:
        event(first, "snapshot")
        mute = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(500)]
        state = served.server._server.server_state  # type: ignore[union-attr]
        assert served.hears_on()
        assert len(state.connections) <= limits.connections
        event(first, "scene")
        assert until(lambda: len(state.connections) == 1), "the mute ones are ended"
        for connection in mute:
            connection.close()
        outcomes = [attempt(served) for _ in range(500)]
        statuses = [status for status, _ in outcomes]
        assert statuses.count(101) == limits.clients - 1
        assert statuses.count(503) == 500 - statuses.count(101)
        event(first, "scene")
        assert served.hears_on()
        for _, connection in outcomes:
            connection.close()


def attempt(served: Served) -> tuple[int, socket.socket]:
    """Status of one more handshake."""
    raw = handshake(served)
    return int(raw.recv(12).split()[1]), raw
