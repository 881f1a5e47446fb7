"""The past of a conversation: keeps what happens if asked to, and answers what the language model cannot have heard."""

from __future__ import annotations

import time
from collections.abc import Callable

from earshot.runtime.errors import EarshotError
from earshot.runtime.language.answerer import Answer
from earshot.runtime.scene.changes import TrackChange
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.recall import Recall, answer_recall, parse_recall
from earshot.runtime.scene.remembering import Rememberer

NOT_REMEMBERED = "only the last 10 seconds are kept in mind; start with --remember to ask about the past"


class Past:
    """What was, for one stream.

    Parameters
    ----------
    memory : SceneMemory or None
        Not open; None when nothing is to be kept.
    tell : callable
        Called with a line about the memory itself, from any thread.
    clock : callable, optional
        Wall clock, seconds since 1970.
    """

    def __init__(
        self, memory: SceneMemory | None, tell: Callable[[str], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._hears = True
        self._rememberer = None if memory is None else Rememberer(memory, tell, clock)

    def start(self) -> None:
        """Begin to keep; a memory that cannot be opened is told and tried again later."""
        if self._rememberer is not None:
            self._rememberer.start()

    def take(self, change: TrackChange) -> None:
        """Keep a change; never waits."""
        if self._rememberer is not None:
            self._rememberer.take(change)

    def listening(self, hears: bool) -> None:
        """Say whether sound arrives: while it does not, nobody has listened. Never waits."""
        self._hears = hears
        if self._rememberer is not None:
            self._rememberer.listening(hears)

    def answer(self, question: str) -> Answer | None:
        """Answer a question about the past from memory.

        Returns
        -------
        Answer or None
            None for the language model's: about now, or about a past that was not kept (which is told).
        """
        start_s = time.perf_counter()
        recall = parse_recall(question, self._clock(), remembers=self._rememberer is not None)
        if recall is None:
            return None
        text = self._recalled(recall)
        elapsed_s = time.perf_counter() - start_s
        return None if text is None else Answer(text, None, "", elapsed_s, elapsed_s, 0)

    def close(self) -> None:
        """Keep what waits, then close the memory."""
        if self._rememberer is not None:
            self._rememberer.close()

    def _recalled(self, recall: Recall) -> str | None:
        if self._rememberer is None:
            self._tell(NOT_REMEMBERED)
            return None
        self._rememberer.settle()
        try:
            return answer_recall(recall, self._rememberer.memory, self._clock(), listening=self._hears)
        except EarshotError as error:
            self._tell(f"memory: {error}")
            return None
