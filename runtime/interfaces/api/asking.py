"""Questions from the event loop: submitted to the listener's line, awaited without blocking, cancelled when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from earshot.runtime.interfaces.api.bodies import AskBody
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.questions import Question, Reply
from earshot.runtime.listener import Listener


async def reply_to(listener: Listener, question: Question, limit_s: float, gone: Awaitable[Any]) -> Reply:
    """Wait for an answer as long as anybody wants it.

    Parameters
    ----------
    listener : Listener
    question : Question
        Submitted.
    limit_s : float
        Longest wait, seconds.
    gone : awaitable
        Done when the asker has left.

    Raises
    ------
    TimeoutError
        When it takes too long; the question is cancelled then.
    CancelledError
        When the asker has left.
    EarshotError
        When the question cannot be answered.
    """
    answer = asyncio.wrap_future(question.future)
    leaving = asyncio.ensure_future(gone)
    try:
        await asyncio.wait({answer, leaving}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if leaving.done():
            raise CancelledError("the asker has left")
        raise TimeoutError(f"no answer within {limit_s:g} s")
    finally:
        leaving.cancel()
        if not question.future.done():
            listener.cancel(question)
        answer.add_done_callback(_look)


def _look(answer: asyncio.Future[Reply]) -> None:
    """Look at an outcome that nobody waits for, so that asyncio does not complain."""
    if not answer.cancelled():
        answer.exception()


def keywords(body: AskBody) -> dict[str, Any]:
    """What `Listener.submit` takes."""
    return {"question": body.question.strip(), "choices": body.choices, "think": body.think}
