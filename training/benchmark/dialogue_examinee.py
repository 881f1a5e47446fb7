"""A bundle is talked to: each turn leans on the questions before it and on what the bundle itself answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.language.dialogue import Dialogue
from earshot.training.benchmark.asa_clips import AsaClip, mix, to_float
from earshot.training.benchmark.loaded_bundle import load_bundle
from earshot.training.questions.dialogues import Conversation
from earshot.training.synthesis.dataset import Shard

Line = dict[str, Any]
IN_FULL, BLIND = "in_full", "question_only"


class Partner:
    """A loaded bundle that is talked to.

    Parameters
    ----------
    bundle : Path or None
        None for the built-in one.
    shards : sequence of Shard
        Stems that the clips are mixed from.
    think : bool
        Whether it writes its evidence before it answers.
    controls : bool
        Whether follow-ups are also asked in full, and all without audio.

    Raises
    ------
    BundleError
        The bundle is missing or refused.
    """

    def __init__(self, bundle: Path | None, shards: Sequence[Shard], think: bool = True, controls: bool = True) -> None:
        self._bundle = load_bundle(bundle)
        self._shards = shards
        self._think = think
        self._controls = controls

    def talk(self, conversation: Conversation, clip: AsaClip) -> Iterator[Line]:
        """Answer lines (``id``, ``question`` as it was completed, ``answer``) of all turns and controls."""
        heard = self._bundle.hear(to_float(mix(self._shards, clip)))
        yield from self._turns(conversation, heard, "")
        if self._controls:
            for turn in conversation.turns:
                if turn.follows_up:
                    yield self._line(f"{turn.item.id}@{IN_FULL}", turn.in_full, heard)
            yield from self._turns(conversation, None, f"@{BLIND}")

    def _turns(self, conversation: Conversation, heard: HearingWindow | None, condition: str) -> Iterator[Line]:
        dialogue = Dialogue()
        for turn in conversation.turns:
            question = dialogue.complete(turn.item.question)
            line = self._line(turn.item.id + condition, question, heard)
            dialogue.answered(question, line["answer"])
            yield line

    def _line(self, name: str, question: str, heard: HearingWindow | None) -> Line:
        told = self._bundle.embed(heard, question)
        return {
            "id": name,
            "question": question,
            "answer": self._bundle.answerer.answer(question, told, None, self._think).text,
        }
