"""Dialogue-bench from the stems to the report: build, check against what is frozen, talk or read answers, score."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from earshot.training.benchmark.answers import demand_places, read_answers, save_answers
from earshot.training.benchmark.asa_clips import AsaClip, draw_clips, mix
from earshot.training.benchmark.dialogue_examinee import BLIND, IN_FULL, Line, Partner
from earshot.training.benchmark.dialogue_items import make_conversations
from earshot.training.benchmark.free_answers import judge_free
from earshot.training.benchmark.frozen import MANIFEST, Contents, Verdict, check, contents_of, freeze_all, load_manifest
from earshot.training.benchmark.statistics import accuracy, interval
from earshot.training.benchmark.stems import open_stems
from earshot.training.questions.dialogues import KINDS, Conversation, Turn
from earshot.training.synthesis.dataset import Shard

NAME = "dialogue"
BOOTSTRAP = 1000
Lines = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class DialogueBench:
    """All conversations of one size on one set of stems."""

    size: str
    shards: list[Shard]
    clips: list[AsaClip]
    conversations: list[Conversation]
    contents: Contents


@dataclass(frozen=True)
class DialogueRequest:
    """What is to be done; see `asa_run.AsaRequest`."""

    data: Path
    size: str = "full"
    bundle: Path | None = None
    predictions: Path | None = None
    think: bool = True
    controls: bool = True
    answers: Path | None = None
    manifest: Path = MANIFEST


def build_dialogue(data: Path, size: str = "full", manifest: Path = MANIFEST) -> DialogueBench:
    """Make the conversations from stems; the same stems give the same ones, sample for sample."""
    definition = load_manifest(manifest)[NAME]
    sizes, seed = definition["sizes"][size], int(definition["seed"])
    shards = open_stems(data)
    clips = draw_clips(shards, sizes["clips"], seed)
    conversations = make_conversations(clips, sizes["conversations"], seed)
    audio = (mix(shards, clip) for clip in track(clips, description="clips", console=Console(stderr=True)))
    documents = [*(clip.scene for clip in clips), *map(_document, conversations)]
    return DialogueBench(size, shards, clips, conversations, contents_of(shards, documents, audio))


def freeze_dialogue(data: Path, manifest: Path = MANIFEST) -> list[Verdict]:
    """Write the hashes of all sizes into the manifest."""
    return freeze_all(NAME, lambda size: build_dialogue(data, size, manifest).contents, manifest)


def run_dialogue(request: DialogueRequest) -> dict[str, Any]:
    """Score a bundle, or a file of answers (``id``, ``answer``).

    Returns
    -------
    dict
        ``hash``; ``first`` and ``follow_ups`` (share right, with intervals), ``by_kind``; ``in_full`` (the follow-ups as
        full questions) and ``question_only`` when these were asked; ``left_alone``, follow-ups not completed; ``seconds``.
    """
    demand_places(request.answers)
    begin_s = time.perf_counter()
    bench = build_dialogue(request.data, request.size, request.manifest)
    lines = _read(request.predictions, bench) if request.predictions is not None else _talk(request, bench)
    verdict = check(bench.contents, NAME, bench.size, request.manifest)
    return {
        "benchmark": NAME,
        "size": bench.size,
        "hash": verdict.hash,
        "frozen": verdict.frozen,
        "verdict": verdict.line,
        "conversations": len(bench.conversations),
        "turns": sum(len(conversation.turns) for conversation in bench.conversations),
        "system": str(request.predictions or request.bundle or "built-in bundle"),
        "think": request.think,
        **score(bench.conversations, bench.clips, lines),
        "seconds": round(time.perf_counter() - begin_s, 1),
    }


def score(conversations: Sequence[Conversation], clips: Sequence[AsaClip], lines: Lines) -> dict[str, Any]:
    """All figures from answer lines by turn id; a turn without answer counts as wrong."""
    origin = {clip.id: clip.origin for clip in clips}

    def share(condition: str = "", kind: str | None = None, follow_ups: bool = True) -> dict[str, Any]:
        chosen = [turn for turn in _turns(conversations, kind) if turn.follows_up is follow_ups]
        records = [
            {"scene": origin[turn.item.scene], "correct": _right(turn, lines.get(turn.item.id + condition))}
            for turn in chosen
        ]
        return {"turns": len(chosen), "right": interval(records, accuracy, BOOTSTRAP).to_json()}

    asked = [turn for turn in _turns(conversations) if turn.follows_up and turn.item.id in lines]
    alone = [turn for turn in asked if lines[turn.item.id].get("question") == turn.item.question]
    return {
        "first": share(follow_ups=False),
        "follow_ups": share(),
        **{name: share(f"@{name}") for name in (IN_FULL, BLIND) if any(line.endswith(f"@{name}") for line in lines)},
        "by_kind": {kind: share(kind=kind) for kind in KINDS},
        "left_alone": {"turns": len(alone), "examples": sorted({turn.item.question for turn in alone})[:20]},
    }


def _turns(conversations: Sequence[Conversation], kind: str | None = None) -> Iterator[Turn]:
    for conversation in conversations:
        if kind in (None, conversation.kind):
            yield from conversation.turns


def _right(turn: Turn, line: Mapping[str, Any] | None) -> bool:
    text = "" if line is None else str(line.get("answer") or "").strip()
    return bool(text) and judge_free(turn.item, text)


def _talk(request: DialogueRequest, bench: DialogueBench) -> Lines:
    partner = Partner(request.bundle, bench.shards, request.think, request.controls)
    clips = {clip.id: clip for clip in bench.clips}
    lines: dict[str, Line] = {}
    for conversation in track(bench.conversations, "conversations", console=Console(stderr=True)):
        lines.update({line["id"]: line for line in partner.talk(conversation, clips[conversation.scene])})
    if request.answers is not None:
        save_answers(request.answers, lines.values())
    return lines


def _read(path: Path, bench: DialogueBench) -> Lines:
    known = {turn.item.id for turn in _turns(bench.conversations)}
    return read_answers(path, known, "turn", asked_by=lambda name: name.partition("@")[0])


def _document(conversation: Conversation) -> dict[str, Any]:
    turns = [{**turn.item.to_json(), "in_full": turn.in_full} for turn in conversation.turns]
    return {"id": conversation.id, "kind": conversation.kind, "scene": conversation.scene, "turns": turns}
