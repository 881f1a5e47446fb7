"""The HTTP side: scene, health, questions about now or about a recording that is sent along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.runtime.errors import EarshotError, InputError
from earshot.runtime.interfaces.api import documents
from earshot.runtime.interfaces.api.asking import keywords, reply_to
from earshot.runtime.interfaces.api.bodies import AskBody
from earshot.runtime.interfaces.api.hub import Hub
from earshot.runtime.interfaces.api.openapi import openapi_document
from earshot.runtime.interfaces.api.page import page_html
from earshot.runtime.interfaces.api.settings import Limits
from earshot.runtime.interfaces.api.upload import UploadSource
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.questions import BusyError, Question
from earshot.runtime.listener import Listener

Endpoint = Callable[[Request], Awaitable[Response]]


class Problem(Exception):
    """Something that ends a request with a status and one line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HttpApi:
    """The endpoints.

    Parameters
    ----------
    listener : Listener
    hub : Hub
    limits : Limits
    """

    def __init__(self, listener: Listener, hub: Hub, limits: Limits) -> None:
        self._listener, self._hub, self._limits = listener, hub, limits
        self._uploads = 0

    def routes(self) -> list[Route]:
        """For Starlette."""
        return [
            Route("/", _page),
            Route("/openapi.json", _openapi),
            Route("/api/scene", self.scene),
            Route("/api/health", self.health),
            Route("/api/ask", _guarded(self.ask), methods=["POST"]),
            Route("/api/ask-file", _guarded(self.ask_file), methods=["POST"]),
            Route("/api/live", _not_upgraded),
        ]

    async def scene(self, request: Request) -> Response:
        """What sounds now."""
        return JSONResponse(documents.scene_document(self._listener.scene))

    async def health(self, request: Request) -> Response:
        """Whether it hears."""
        return JSONResponse(self._hub.health())

    async def ask(self, request: Request) -> Response:
        """Answer about the last 10 seconds."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem(415, "send the question as application/json")
        body = validated(AskBody, await self._read(request, self._limits.body_bytes))
        return await self._answer(request, self._listener.submit(**keywords(body)))

    async def ask_file(self, request: Request) -> Response:
        """Answer about the recording in the body."""
        query = request.query_params
        fields: dict[str, Any] = {"question": query.get("question", ""), "choices": query.getlist("choices") or None}
        if "think" in query:
            fields["think"] = {"true": True, "false": False}.get(query["think"], query["think"])
        unknown = set(query) - {"question", "choices", "think"}
        if unknown:
            raise Problem(422, f"unknown parameter {sorted(unknown)[0]!r}; known are: question, choices, think")
        body = validated(AskBody, fields)
        if self._uploads >= self._limits.uploads:
            raise Problem(503, "other recordings are being answered; send it again in a moment")
        self._uploads += 1
        try:
            data = await self._read(request, self._limits.upload_bytes)
            source = UploadSource(data, self._limits.upload_audio_s)
            submit = self._listener.submit
            question = submit(**keywords(body), source=source, longest_s=self._limits.upload_audio_s)
            return await self._answer(request, question)
        finally:
            self._uploads -= 1

    async def _answer(self, request: Request, question: Question) -> Response:
        reply = await reply_to(self._listener, question, self._limits.answer_s, _gone(request))
        return JSONResponse(documents.answer_document("", reply))

    async def _read(self, request: Request, limit: int) -> bytes:
        """The body, if it is small enough and comes in time."""
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > limit:
            raise Problem(413, f"too large; {limit} bytes are the most")
        try:
            return await asyncio.wait_for(_body(request, limit), self._limits.receive_s)
        except asyncio.TimeoutError as error:
            raise Problem(408, f"the body did not come within {self._limits.receive_s:g} s") from error


def validated(model: type[Any], data: bytes | dict[str, Any]) -> Any:
    """A body as its model.

    Raises
    ------
    Problem
        400 for what is no JSON, 422 for what is no such body.
    """
    try:
        return model.model_validate_json(data) if isinstance(data, bytes) else model.model_validate(data)
    except ValidationError as error:
        raise Problem(*explained(error)) from error


def explained(error: ValidationError) -> tuple[int, str]:
    """Status and one line for what a model refused."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return 400, "the body is no JSON"
    place = ".".join(str(part) for part in first["loc"])
    return 422, f"{place}: {first['msg'].lower()}"[:300] if place else first["msg"].lower()[:300]


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Every way to fail is a status and one line."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, EarshotError, TimeoutError, ClientDisconnect) as error:
            status = _status_of(error)
            return _error(status, str(error) or "gone")

    return guarded


def _status_of(error: Exception) -> int:
    if isinstance(error, Problem):
        return error.status
    if isinstance(error, (BusyError, CancelledError)):
        return 503
    if isinstance(error, TimeoutError):
        return 504
    if isinstance(error, ClientDisconnect):
        return 400  # nobody reads it
    return 422 if isinstance(error, InputError) else 400


def _error(status: int, text: str) -> Response:
    """What is left of the body is not wanted, so the connection ends."""
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
    return JSONResponse({"error": " ".join(text.split())}, status, headers)


async def _body(request: Request, limit: int) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise Problem(413, f"too large; {limit} bytes are the most")
    return bytes(data)


async def _gone(request: Request) -> None:
    """Returns when the asker has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _page(request: Request) -> Response:
    return Response(page_html(), media_type="text/html; charset=utf-8")


async def _not_upgraded(request: Request) -> Response:
    return JSONResponse({"error": "this is a WebSocket; connect to it as one"}, 426, {"Upgrade": "websocket"})


async def _openapi(request: Request) -> Response:
    return JSONResponse(openapi_document())
