"""Who may talk to the server: checks on every request, before anything of it is read.

- Host: a server on loopback answers only to its own names; otherwise a page could point a name of its own at this
  machine (DNS rebinding) and read along.
- Origin: a page of another site may neither post nor open the WebSocket. Programs send no origin and pass.
- Token: compared in constant time; `Authorization: Bearer TOKEN`, or for browsers, which cannot set headers on a
  WebSocket, the subprotocol `earshot.token.` followed by the token in base64url without padding.
- Rate: so many requests per address.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earshot.runtime.interfaces.api.rates import Rates
from earshot.runtime.interfaces.api.settings import ApiSettings, is_loopback

SUBPROTOCOL = "earshot"
TOKEN_PROTOCOL = "earshot.token."
_OPEN_PATHS = frozenset({"/", "/openapi.json"})
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    text: str


class Access:
    """ASGI middleware that lets through what may pass and adds the headers that keep a browser in bounds.

    Parameters
    ----------
    app : ASGI application
    settings : ApiSettings
    headers : dict
        Added to every response.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings, headers: dict[str, str]) -> None:
        self._app = app
        self._settings = settings
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._rates = Rates(settings.limits.requests_per_s, settings.limits.requests_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, self._with_headers(send))
            return
        await self._app(scope, receive, self._with_headers(send))

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        return sending

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        is_socket = scope["type"] == "websocket"
        if not self._known_host(host):
            return Refusal(403, "this server answers only to its own address")
        if (is_socket or scope["method"] not in _SAFE_METHODS) and not same_site(headers.get("origin"), host):
            return Refusal(403, "pages of other sites may not use this server")
        if scope["path"] in _OPEN_PATHS and not is_socket:
            return None
        if not self._rates.take(scope["client"][0] if scope.get("client") else ""):
            return Refusal(429, "too many requests; wait a second")
        if self._settings.token is not None and not token_matches(self._settings.token, headers):
            return Refusal(401, "the token is missing or wrong")
        return None

    def _known_host(self, host: str) -> bool:
        """Behind another address than loopback a name may be anything; the token protects there."""
        if not is_loopback(self._settings.host):
            return True
        return is_loopback(_hostname(host) or "")


def same_site(origin: str | None, host: str) -> bool:
    """Whether a page from `origin` was served by `host`; no origin means that no page asks."""
    if origin is None:
        return True
    try:
        return origin.startswith(("http://", "https://")) and urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


def token_matches(token: str, headers: Headers) -> bool:
    """Whether a request shows the token; takes the same time wherever a wrong one differs."""
    return any(hmac.compare_digest(shown, token.encode()) for shown in _shown_tokens(headers))


def _shown_tokens(headers: Headers) -> list[bytes]:
    shown = []
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        shown.append(value.strip().encode("latin-1", "replace"))
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        name = protocol.strip()
        if name.startswith(TOKEN_PROTOCOL):
            text = name.removeprefix(TOKEN_PROTOCOL)
            try:
                shown.append(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            except (binascii.Error, ValueError):
                continue
    return shown[:2]


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a status; Starlette's responses know how to refuse a WebSocket too."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {"Connection": "close"}
    headers |= {"Retry-After": "1"} if refusal.status == 429 else {}
    if scope["type"] == "websocket":
        await receive()  # the connect event
    await JSONResponse({"error": refusal.text}, refusal.status, headers)(scope, receive, send)
