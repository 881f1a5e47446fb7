"""HTTP: scene, health, questions, files, and the OpenAPI document that tells the truth about them."""

from __future__ import annotations

import io
import json
import socket
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.runtime.hearing.sounds import bursts, noise
from tests.runtime.interfaces.api.conftest import Served


def encoded(samples: Any = None, kind: str = "WAV", rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, (bursts() if samples is None else samples).T, rate_hz, format=kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return client.get("/openapi.json").raise_for_status().json()


def conforms(document: dict[str, Any], response: httpx.Response, path: str) -> None:
    """A response is one that the document promises, with a body of the promised form."""
    operation = document["paths"][path][response.request.method.lower()]
    promised = operation["responses"]
    assert str(response.status_code) in promised, (response.status_code, response.text)
    schema = promised[str(response.status_code)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(response.json())
    if "error" in response.json():
        assert "\n" not in response.json()["error"]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="openapi-spec-validator is not installed")
    validator.validate(document)
    assert document["openapi"].startswith("3.1")


def test_scene_and_health_are_as_promised(served: Served, client: httpx.Client, document: dict[str, Any]) -> None:
    for path in ("/api/scene", "/api/health"):
        response = client.get(path)
        assert response.status_code == 200
        conforms(document, response, path)
    before = client.get("/api/health").json()
    assert served.hears_on()
    after = client.get("/api/health").json()
    assert after["frames"] > before["frames"]
    assert after["status"] == "ok"
    assert after["hearing"]["load"] > 0


def test_a_question_about_now_is_answered(client: httpx.Client, document: dict[str, Any]) -> None:
    body = {"question": "Where is it?", "choices": ["on the left", "on the right"]}
    response = client.post("/api/ask", json=body)
    assert response.status_code == 200
    conforms(document, response, "/api/ask")
    answer = response.json()
    assert answer["answer"].endswith(body["choices"][answer["choice"]])
    open_answer = client.post("/api/ask", json={"question": "What?", "think": False}).json()
    assert open_answer["reasoning"] == ""
    assert open_answer["choice"] is None


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_a_question_about_a_recording_is_answered(kind: str, client: httpx.Client, document: dict[str, Any]) -> None:
    response = client.post(
        "/api/ask-file",
        params={"question": "Where?", "choices": ["left", "right"], "think": "false"},
        content=encoded(kind=kind),
    )
    assert response.status_code == 200, response.text
    conforms(document, response, "/api/ask-file")
    answer = response.json()
    assert answer["choice"] in (0, 1)
    assert answer["timing"]["audio_s"] == pytest.approx(7.0, abs=0.1)
    left = [source["azimuth_deg"] > 0 for source in answer["sources"]]
    assert left == sorted(left, reverse=True)
    assert set(left) == {True, False}


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "cannot be read"),
        (b"RIFF" + bytes(100), 422, "cannot be read"),
        (encoded(noise(1.0)[:1]), 422, "mono"),
        (encoded(np.zeros((2, 10), np.float32)), 422, "20 ms"),
        (encoded(kind="AIFF"), 422, "AIFF is not read"),
        (encoded(np.zeros((2, 16_000 * 601), np.float32), "FLAC"), 422, "longer than 600 s"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused_in_one_line(
    content: bytes, status: int, words: str, client: httpx.Client, document: dict[str, Any]
) -> None:
    response = client.post("/api/ask-file?question=Where", content=content)
    assert response.status_code == status
    assert words in response.json()["error"]
    conforms(document, response, "/api/ask-file")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
odd_bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {}, optional={"question": json_values, "choices": json_values, "think": json_values, "x": json_values}
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=odd_bodies)
def test_whatever_is_posted_gets_a_promised_response(
    body: bytes, client: httpx.Client, document: dict[str, Any]
) -> None:
    response = client.post("/api/ask", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (200, 400, 422)
    conforms(document, response, "/api/ask")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.dictionaries(st.sampled_from(["question", "choices", "think", "x"]), st.text(max_size=9)),
    body=st.binary(max_size=60),
)
def test_whatever_is_uploaded_gets_a_promised_response(
    params: dict[str, str], body: bytes, client: httpx.Client, document: dict[str, Any]
) -> None:
    response = client.post("/api/ask-file", params=params, content=body)
    assert response.status_code == 422
    conforms(document, response, "/api/ask-file")


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_recording_that_came_cut_is_not_taken_for_a_shorter_one(kept: float, client: httpx.Client) -> None:
    content = encoded()
    response = client.post("/api/ask-file?question=Where", content=content[: round(kept * len(content))])
    assert response.status_code == 422
    assert "truncated" in response.json()["error"]


@pytest.mark.parametrize(("path", "limit"), [("/api/ask", 64 * 1024), ("/api/ask-file?question=x", 32 * 1024 * 1024)])
def test_a_body_of_a_gigabyte_is_refused_by_its_declaration(path: str, limit: int, served: Served) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode() + bytes(1000))
        reply = b"".join(iter(lambda: raw.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 413")
    assert str(limit).encode() in reply
    assert served.hears_on()


def test_a_body_that_does_not_say_its_size_is_cut_at_the_limit(client: httpx.Client, document: dict[str, Any]) -> None:
    try:
        response = client.post(
            "/api/ask", content=iter([bytes(16384)] * 8), headers={"Content-Type": "application/json"}
        )
    except httpx.WriteError:  # the server had closed already
        return
    assert response.status_code == 413
    conforms(document, response, "/api/ask")


def test_what_is_not_there_is_said_in_json(client: httpx.Client) -> None:
    for method, path, status in (("GET", "/api/nothing", 404), ("GET", "/api/ask", 405), ("POST", "/", 405)):
        response = client.request(method, path)
        assert response.status_code == status
        assert response.json()["error"]
    response = client.post("/api/ask", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


def test_the_websocket_asked_for_without_an_upgrade_says_what_it_is(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    response = client.get("/api/live")
    assert response.status_code == 426
    assert response.headers["upgrade"] == "websocket"
    conforms(document, response, "/api/live")


@pytest.mark.parametrize("length", [300, 301])
def test_the_document_promises_no_longer_question_than_is_understood(
    length: int, client: httpx.Client, document: dict[str, Any]
) -> None:
    """It once promised 2,000 characters, of which the language model refused all beyond 300."""
    question = "x" * length
    schema = {"$ref": "#/components/schemas/AskBody", "components": document["components"]}
    promised = jsonschema.Draft202012Validator(schema).is_valid({"question": question})
    assert promised is (client.post("/api/ask", json={"question": question, "think": False}).status_code == 200)


def test_whoever_leaves_is_not_answered(served: Served) -> None:
    before = served.listener.answering.answered
    body = json.dumps({"question": "What is that?"}).encode()
    head = f"POST /api/ask HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert httpx.post(f"{served.url}/api/ask", json={"question": "And that?"}, timeout=60).status_code == 200
    assert served.listener.answering.answered >= before + 1


def test_every_response_keeps_a_browser_in_bounds(client: httpx.Client) -> None:
    for path in ("/", "/api/health", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_the_page_asks_nobody_else_and_makes_no_markup_of_text(client: httpx.Client) -> None:
    page = client.get("/").text
    outside = page.replace("http://www.w3.org/2000/svg", "")
    for forbidden in ("http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in outside, forbidden
    assert 'aria-live="polite"' in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
