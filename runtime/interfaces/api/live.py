"""The WebSocket side: a snapshot, then events as they happen; commands in between.

Out: `{"event": NAME, "data": {...}}`, the first one `snapshot`. In: `{"command": NAME, "data": {...}}` with ask, cancel,
watch.add, watch.list or watch.remove. What a client asks is answered to that client alone; when it leaves, its questions
are cancelled. Watches belong to the listener: every client is told of them, and they stay.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from earshot.runtime.errors import EarshotError
from earshot.runtime.interfaces.api import documents
from earshot.runtime.interfaces.api.access import SUBPROTOCOL
from earshot.runtime.interfaces.api.asking import keywords
from earshot.runtime.interfaces.api.bodies import (
    AskCommand,
    CancelCommand,
    Command,
    WatchAddCommand,
    WatchListCommand,
    WatchRemoveCommand,
)
from earshot.runtime.interfaces.api.http import explained
from earshot.runtime.interfaces.api.hub import Client, Hub
from earshot.runtime.interfaces.api.protocols import ABORT
from earshot.runtime.interfaces.api.rates import TokenBucket
from earshot.runtime.interfaces.api.settings import Limits
from earshot.runtime.language.dialogue import Dialogue
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.prompt import THINK_END
from earshot.runtime.language.questions import Question
from earshot.runtime.listener import Listener

_PATIENCE_S = 2.0
"""For a polite close; then the connection is cut off."""
_POLICY = 1008


class TooManyErrors(Exception):
    """A client that does not stop making mistakes."""


class LiveApi:
    """The endpoint `/api/live`.

    Parameters
    ----------
    listener : Listener
    hub : Hub
    limits : Limits
    """

    def __init__(self, listener: Listener, hub: Hub, limits: Limits) -> None:
        self._listener, self._hub, self._limits = listener, hub, limits

    async def serve(self, socket: WebSocket) -> None:
        """Serve one client until it leaves or has to."""
        if self._hub.full:
            refusal = JSONResponse({"error": "too many clients; try again later"}, 503, {"Retry-After": "5"})
            await socket.send_denial_response(refusal)
            return
        cut_off = socket.scope.get("extensions", {}).get(ABORT, lambda: None)
        client = Client(self._limits.client_events, cut_off)
        talk = Talk(self._listener, client, self._limits)
        self._hub.join(client)
        sending: asyncio.Future[None] | None = None
        try:
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
            sending = asyncio.ensure_future(_send_all(socket, client))
            await self._receive_all(socket, talk, sending)
        finally:
            self._hub.leave(client)
            talk.cancel_all()
            if sending is not None:
                sending.cancel()
            asyncio.get_running_loop().call_later(_PATIENCE_S, cut_off)

    async def _receive_all(self, socket: WebSocket, talk: Talk, sending: asyncio.Future[None]) -> None:
        with suppress(WebSocketDisconnect):
            try:
                while True:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    talk.take(message.get("text"))
            except TooManyErrors:
                sending.cancel()
                await socket.close(_POLICY, "too many mistakes")


class Talk:
    """What one client asks.

    Parameters
    ----------
    listener : Listener
    client : Client
    limits : Limits
    """

    def __init__(self, listener: Listener, client: Client, limits: Limits) -> None:
        self._listener, self._client, self._limits = listener, client, limits
        self._loop = asyncio.get_running_loop()
        self._rate = TokenBucket(limits.requests_per_s, limits.requests_burst)
        self._numbers = itertools.count(1)
        self._asked: dict[str, Question] = {}
        self._dialogue = Dialogue()
        self._errors = 0

    def take(self, text: str | None) -> None:
        """Obey one message.

        Raises
        ------
        TooManyErrors
            When it is one mistake too many.
        """
        if not self._rate.take():
            self._mistake("too many commands; wait a second")
            return
        if text is None:
            self._mistake("commands are text, not bytes")
            return
        try:
            command = Command.model_validate_json(text)
            self._obey(command)
        except ValidationError as error:
            self._mistake(explained(error)[1].replace("the body", "the message"))

    def _obey(self, command: Command) -> None:
        if command.command == "ask":
            self._ask(AskCommand.model_validate(command.data))
        elif command.command == "cancel":
            self._cancel(CancelCommand.model_validate(command.data))
        elif command.command == "watch.add":
            self._watch(WatchAddCommand.model_validate(command.data))
        elif command.command == "watch.remove":
            self._unwatch(WatchRemoveCommand.model_validate(command.data))
        else:
            WatchListCommand.model_validate(command.data)
            self._tell_watches()

    def cancel_all(self) -> None:
        """Nobody waits for the answers any more."""
        for question in list(self._asked.values()):
            self._listener.cancel(question)

    def _ask(self, command: AskCommand) -> None:
        id_ = command.id or str(next(self._numbers))
        if id_ in self._asked:
            self._mistake(f"question {id_!r} is on its way already", id_)
            return
        if len(self._asked) >= self._limits.client_questions:
            self._error(f"{self._limits.client_questions} questions are on their way; wait for an answer", id_)
            return
        asked = keywords(command)
        if command.choices is None:
            asked["question"] = self._dialogue.complete(asked["question"])
        try:
            on_text = partial(self._from_thread, self._text, id_, Part())
            question = self._listener.submit(**asked, on_text=on_text)
        except EarshotError as error:
            self._error(str(error), id_)
            return
        self._asked[id_] = question
        self._dialogue.answered(question.text, "")  # the next may lean on it before its answer is there
        self._offer("asked", {"id": id_, "question": question.text})
        question.future.add_done_callback(lambda _: self._from_thread(self._done, id_, question.text))

    def _cancel(self, command: CancelCommand) -> None:
        if command.id is None:
            self.cancel_all()
        elif command.id in self._asked:
            self._listener.cancel(self._asked[command.id])

    def _watch(self, command: WatchAddCommand) -> None:
        try:
            _, note = self._listener.watch(command.text)
        except EarshotError as error:
            self._error(str(error))
            return
        self._tell_watches(note)

    def _unwatch(self, command: WatchRemoveCommand) -> None:
        if self._listener.unwatch(command.watch):
            self._tell_watches()
        else:
            self._error(f"there is no watch {command.watch}; watch.list tells which there are")

    def _tell_watches(self, note: str = "") -> None:
        watches = documents.watches_document(self._listener.watches)
        self._offer("watches", {"watches": watches, **({"note": note} if note else {})})

    def _from_thread(self, function: Any, *arguments: Any) -> None:
        """Call in the event loop, which may have ended meanwhile."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _text(self, id_: str, part: Part, text: str) -> None:
        if text == THINK_END:
            part.name = "answer"
        elif text:
            self._offer("text", {"id": id_, "part": part.name, "text": text})

    def _done(self, id_: str, text: str) -> None:
        question = self._asked.pop(id_)
        error = question.future.exception()
        if error is None:
            reply = question.future.result()
            heard_s = round(reply.matter.end_s, 1)
            document = {"time_s": heard_s, "question": text, **documents.answer_document(id_, reply)}
            self._offer("answer", document)
            self._dialogue.answered(text, reply.answer.text)
        elif isinstance(error, CancelledError):
            self._offer("cancelled", {"id": id_})
        else:
            self._error(str(error) if isinstance(error, EarshotError) else "the answer failed", id_)

    def _mistake(self, text: str, id_: str | None = None) -> None:
        self._errors += 1
        if self._errors > self._limits.client_errors:
            raise TooManyErrors
        self._error(text, id_)

    def _error(self, text: str, id_: str | None = None) -> None:
        self._offer("error", {"id": id_, "text": text})

    def _offer(self, name: str, data: dict[str, Any]) -> None:
        self._client.offer(documents.event(name, data))


class Part:
    """Which part of an answer is being written."""

    name = "reasoning"


async def _send_all(socket: WebSocket, client: Client) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.send_text(await client.next())
