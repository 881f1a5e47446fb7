"""Who may talk to the server: tokens, origins, names, addresses."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus

from earshot.runtime.audio.source import ArraySource
from earshot.runtime.errors import UsageError
from earshot.runtime.interfaces.api.access import SUBPROTOCOL, TOKEN_PROTOCOL, same_site, token_matches
from earshot.runtime.interfaces.api.rates import Rates, TokenBucket
from earshot.runtime.interfaces.api.serving import ApiServer
from earshot.runtime.interfaces.api.settings import ApiSettings, is_loopback
from earshot.runtime.listener import Listener
from tests.runtime.hearing.sounds import noise
from tests.runtime.interfaces.api.conftest import TOKEN, Served, event, serving

QUESTION = {"question": "Where?"}


def protocol(token: str) -> str:
    return TOKEN_PROTOCOL + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def guarded(whole_bundle: Path) -> Iterator[Served]:
    with serving(whole_bundle, ApiSettings(host="0.0.0.0", port=0, token=TOKEN)) as served:
        yield served


@pytest.mark.parametrize("shown", [None, "wrong", TOKEN[1:], TOKEN + "x", TOKEN.upper()])
def test_without_the_token_there_is_nothing_to_see(shown: str | None, guarded: Served) -> None:
    local = f"http://127.0.0.1:{guarded.port}"
    headers = {} if shown is None else bearer(shown)
    assert httpx.get(f"{local}/api/scene", headers=headers).status_code == 401
    assert httpx.post(f"{local}/api/ask", json=QUESTION, headers=headers).status_code == 401
    protocols = [SUBPROTOCOL, protocol(shown or "none")]
    with pytest.raises(InvalidStatus) as refused, guarded.connect(subprotocols=protocols):
        pass
    assert refused.value.response.status_code == 401
    assert guarded.hears_on()


def test_with_the_token_everything_works(guarded: Served) -> None:
    local = f"http://127.0.0.1:{guarded.port}"
    assert httpx.get(f"{local}/").status_code == 200, "the page holds no secret and asks for the token itself"
    assert httpx.get(f"{local}/api/scene", headers=bearer(TOKEN)).status_code == 200
    with guarded.connect(subprotocols=[SUBPROTOCOL, protocol(TOKEN)]) as browser:
        assert browser.subprotocol == SUBPROTOCOL, "the token is not sent back"
        event(browser, "snapshot")
    with guarded.connect(additional_headers={"Authorization": f"Bearer {TOKEN}"}) as program:
        event(program, "snapshot")


@settings(max_examples=40, deadline=None)
@given(shown=st.text(max_size=40))
def test_only_the_token_matches(shown: str) -> None:
    headers = Headers(raw=[(b"authorization", b"Bearer " + shown.strip().encode())])
    assert token_matches(TOKEN, headers) is (shown.strip() == TOKEN)
    headers = Headers({"sec-websocket-protocol": f"earshot, {protocol(shown)}"})
    assert token_matches(TOKEN, headers) is (shown == TOKEN)
    assert not token_matches(TOKEN, Headers({"sec-websocket-protocol": TOKEN_PROTOCOL + "not base64!"}))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
def test_a_page_of_another_site_may_not_use_it(origin: str, served: Served) -> None:
    headers = {"Origin": origin}
    assert httpx.post(f"{served.url}/api/ask", json=QUESTION, headers=headers).status_code == 403
    assert httpx.post(f"{served.url}/api/ask-file", content=b"", headers=headers).status_code == 403
    with pytest.raises(InvalidStatus) as refused, served.connect(origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert served.hears_on()


def test_its_own_page_may(served: Served) -> None:
    assert httpx.post(f"{served.url}/api/ask", json=QUESTION, headers={"Origin": served.url}).status_code == 200
    with served.connect(origin=served.url) as own:
        event(own, "snapshot")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", ""])
def test_a_foreign_name_for_this_machine_is_refused(host: str, served: Served) -> None:
    """DNS rebinding: the name of a page's own server, pointed at 127.0.0.1."""
    response = httpx.get(f"{served.url}/api/scene", headers={"Host": host})
    assert response.status_code == 403


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "[::1]:{}", "LOCALHOST:{}"])
def test_its_own_names_are_known(host: str, served: Served) -> None:
    response = httpx.get(f"{served.url}/api/scene", headers={"Host": host.format(served.port)})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_only_loopback_needs_no_token(host: str, local: bool) -> None:
    assert is_loopback(host) is local
    server = ApiServer(Listener("missing.wav"), ApiSettings(host=host, port=0))
    if not local:
        with pytest.raises(UsageError, match="EARSHOT_TOKEN"):
            server.bind()
    for bad in ("short", "", "a space at the end ", "not ASCII, but long enough: ü", "two\nlines, long enough"):
        with pytest.raises(UsageError, match="16 printable ASCII"):
            ApiSettings(host, token=bad).check()
    ApiSettings(host, token=TOKEN).check()
    assert TOKEN not in repr(ApiSettings(host, token=TOKEN))


def test_an_address_in_use_is_said_before_anything_is_loaded(served: Served) -> None:
    with pytest.raises(UsageError, match=f":{served.port}: cannot listen there"):
        ApiServer(Listener("missing.wav"), ApiSettings(port=served.port)).bind()


def test_ready_means_that_connections_are_taken(whole_bundle: Path) -> None:
    """It was said before the address listened; whoever connected at once was refused."""
    listener = Listener(ArraySource(noise(1.0)), bundle=whole_bundle)
    server = ApiServer(listener, ApiSettings(port=0))
    server.bind()
    statuses = []

    def ready(url: str) -> None:
        with socket.create_connection(("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))) as link:
            statuses.append(link.getpeername()[0])
        server.stop()

    with listener:
        server.run(ready)
    assert statuses == ["127.0.0.1"]


def test_the_same_site_is_the_same_host_and_port() -> None:
    assert same_site(None, "a:1")
    assert same_site("https://a:1", "a:1"), "a proxy may speak TLS for us"
    assert not same_site("http://a:2", "a:1")
    assert not same_site("file://a:1", "a:1")
    assert not same_site("http://[", "a:1"), "what is no address is no address of ours"


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.floats(0, 3), max_size=60), per_s=st.floats(0.1, 10), burst=st.floats(1, 20))
def test_a_bucket_never_lets_through_more_than_burst_and_rate(steps: list[float], per_s: float, burst: float) -> None:
    now_s = [0.0]
    bucket = TokenBucket(per_s, burst, lambda: now_s[0])
    passed = 0
    for step in steps:
        now_s[0] += step
        passed += bucket.take()
        assert passed <= burst + per_s * now_s[0] + 1e-6


def test_addresses_have_buckets_of_their_own_and_old_ones_are_forgotten() -> None:
    rates = Rates(0.0, 1.0, kept=2)
    assert rates.take("a")
    assert not rates.take("a")
    assert rates.take("b")
    assert rates.take("c")
    assert len(rates) == 2
