"""Items as token ids with a weight per token: what is predicted, and how much it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.language.prompt import (
    ASKED,
    ASSISTANT,
    AUDIO_END,
    NOTHING_HEARD,
    THINK_END,
    USER,
    build_completion,
    build_prompt,
)
from earshot.training.questions.items import Item

DRILL_QUESTION = "practice"


@dataclass(frozen=True)
class Example:
    """One item in tokens.

    Attributes
    ----------
    prefix, suffix : int array
        Tokens before and after the audio embeddings; the suffix holds question and completion.
    weights : float array
        Weight in the loss of every token of the suffix; 0 for the question.
    audio : ProjectorInputs, optional
        What the projector turns into embeddings (see `training.stages.bank_reader`).
    per_object : int
        Embeddings that it makes of an object.
    """

    prefix: npt.NDArray[np.int64]
    suffix: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    audio: ProjectorInputs | None = None
    per_object: int = 1

    @property
    def audio_length(self) -> int:
        """Positions of audio embeddings."""
        return 0 if self.audio is None else len(self.audio.semantic) + self.per_object * len(self.audio.objects)

    @property
    def length(self) -> int:
        """Positions in all, audio included."""
        return len(self.prefix) + len(self.suffix) + self.audio_length


def split_think(think: str) -> tuple[str, str]:
    """Evidence (lines with bars, or `nothing`) and the steps, each with its line ends."""
    lines = think.split("\n")
    count = sum(1 for line in lines if line.count(" | ") in (4, 5) or line == NOTHING_HEARD)
    return "".join(f"{line}\n" for line in lines[:count]), "".join(f"{line}\n" for line in lines[count:])


def encode_item(tokenizer: Tokenizer, item: Item, evidence_weight: float, think: bool = True) -> Example:
    """Turn an item into tokens.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The model's.
    item : Item
        What to encode.
    evidence_weight : float
        Weight of the evidence lines: small where nothing in the input tells them, 1 where audio does.
    think : bool
        Whether evidence and steps are written.

    Returns
    -------
    Example
        Steps and answer have weight 1, the question 0.
    """
    prompt = build_prompt(item.question, item.choices, think)
    evidence, _ = split_think(item.think) if think else ("", "")
    completion = build_completion(item.answer, item.think if think else None)
    parts = ((prompt.suffix, 0.0), (evidence, evidence_weight), (completion[len(evidence) :], 1.0))
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in parts:
        tokens = tokenizer.encode(text).ids
        ids.extend(tokens)
        weights.extend([weight] * len(tokens))
    prefix = tokenizer.encode(prompt.prefix).ids
    return Example(np.asarray(prefix), np.asarray(ids), np.asarray(weights, dtype=np.float32))


def encode_chain(tokenizer: Tokenizer, items: Sequence[Item], evidence_weight: float, longest: int) -> Example:
    """Questions about one scene in a row, the evidence written once: more steps to learn for each token that is read.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The model's.
    items : sequence of Item
        Items of one scene.
    evidence_weight : float
        Weight of the evidence lines.
    longest : int
        Positions at most; items that do not fit are left out.
    """
    chain = encode_item(tokenizer, items[0], evidence_weight)
    ids, weights = [chain.suffix], [chain.weights]
    length = chain.length
    for item in items[1:]:
        suffix = build_prompt(item.question, item.choices).suffix.removeprefix(AUDIO_END)
        completion = f"{split_think(item.think)[1]}{build_completion(item.answer, '').lstrip()}"
        asked, answered = (np.asarray(tokenizer.encode(text).ids) for text in (suffix, completion))
        length += len(asked) + len(answered)
        if length > longest:
            break
        ids += [asked, answered]
        weights += [np.zeros(len(asked), np.float32), np.ones(len(answered), np.float32)]
    return Example(chain.prefix, np.concatenate(ids), np.concatenate(weights).astype(np.float32))


def encode_drill(tokenizer: Tokenizer, lines: Sequence[tuple[str, str]]) -> Example:
    """A page of small steps (see `training.questions.drills`); only what follows from what is given counts."""
    prompt = build_prompt(DRILL_QUESTION)
    parts = [
        (prompt.suffix, 0.0),
        *((text, w) for left, right in lines for text, w in ((left, 0.0), (f"{right}\n", 1.0))),
    ]
    tokens = [np.asarray(tokenizer.encode(text).ids) for text, _ in parts]
    weights = [np.full(len(ids), weight, np.float32) for ids, (_, weight) in zip(tokens, parts, strict=True)]
    prefix = np.asarray(tokenizer.encode(prompt.prefix).ids)
    return Example(prefix, np.concatenate(tokens), np.concatenate(weights))


def encode_understanding(tokenizer: Tokenizer, items: Sequence[Item], longest: int) -> Example:
    """A page of questions, after each of which only what was asked is to be stated; nothing of a scene is shown."""
    opening = build_prompt(DRILL_QUESTION)
    lines, length = [], len(tokenizer.encode(opening.prefix + opening.suffix).ids)
    for item in items:
        question = build_prompt(item.question, item.choices).suffix.partition(USER)[2].partition(ASSISTANT)[0]
        asked = next(line for line in item.think.split("\n") if line.startswith(ASKED))
        length += len(tokenizer.encode(f"{question}\n{asked}\n").ids)
        if length > longest:
            break
        lines.append((f"{question}\n{ASKED}", asked.removeprefix(ASKED)))
    return encode_drill(tokenizer, lines)


def gold_prompt(item: Item) -> tuple[str, str]:
    """Question with its true evidence already written, and what should follow (for judging reasoning alone)."""
    prompt = build_prompt(item.question, item.choices)
    evidence, steps = split_think(item.think)
    return prompt.prefix + prompt.suffix + evidence, f"{steps}{THINK_END}{item.answer}"


@dataclass(frozen=True)
class TextBatch:
    """Text examples padded on the right.

    Attributes
    ----------
    ids : int64 tensor [B, T]
        Tokens; 0 (padding) behind the end.
    weights : float tensor [B, T]
        Weight of predicting the token at this position.
    tokens : int
        Positions that are not padding.
    """

    ids: torch.Tensor
    weights: torch.Tensor
    tokens: int


def collate_text(examples: Sequence[Example]) -> TextBatch:
    """Pad text examples to a batch; causal attention needs no mask for padding on the right."""
    longest = max(example.length for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.int64)
    weights = torch.zeros(len(examples), longest)
    for row, example in enumerate(examples):
        start = len(example.prefix)
        ids[row, :start] = torch.from_numpy(example.prefix)
        ids[row, start : example.length] = torch.from_numpy(example.suffix)
        weights[row, start : example.length] = torch.from_numpy(example.weights)
    return TextBatch(ids, weights, sum(example.length for example in examples))
