"""Conversations of Dialogue-bench, drawn like the questions of ASA-bench: unseen heads, rooms, recordings, wordings."""

from __future__ import annotations

import random
from collections.abc import Sequence

from earshot.runtime.errors import InputError
from earshot.training.benchmark.asa_clips import AsaClip
from earshot.training.benchmark.free_answers import judge_free
from earshot.training.questions.dialogues import KINDS, Conversation, converse
from earshot.training.questions.tasks_motion import view_moving_scene


def make_conversations(clips: Sequence[AsaClip], wanted: int, seed: int) -> list[Conversation]:
    """Draw conversations, kinds in even shares, from one clip after the other.

    Parameters
    ----------
    clips : sequence of AsaClip
    wanted : int
        How many, of all kinds together.
    seed : int

    Raises
    ------
    InputError
        The clips hold too few of a kind.
    """
    rng = random.Random(seed)
    found: list[Conversation] = []
    for number in range(wanted):
        found.append(_next(clips, KINDS[number % len(KINDS)], f"dialogue-{number:04d}", rng, found))
    return found


def _next(
    clips: Sequence[AsaClip], kind: str, name: str, rng: random.Random, found: Sequence[Conversation]
) -> Conversation:
    """A conversation of a kind about the clip that has been talked about least."""
    talked = [conversation.scene for conversation in found]
    for clip in sorted(clips, key=lambda clip: (talked.count(clip.id), rng.random())):
        conversation = converse(view_moving_scene(clip.scene), kind, name, rng, "paraphrase")
        if conversation is not None and _judgeable(conversation):
            return conversation
    raise InputError(f"{len(clips)} clips give no conversation of the kind {kind!r}; use more stems")


def _judgeable(conversation: Conversation) -> bool:
    """A free answer must be one that its own reference passes."""
    return all(judge_free(turn.item, turn.item.answer) for turn in conversation.turns)
