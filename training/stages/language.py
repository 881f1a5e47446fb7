"""Stage 2a: the language model learns scene language from text alone.

Prompts carry no audio; the true evidence lines stand in the text, and the model learns to reason from them over endless
abstract scenes. Audio then only has to lead to evidence lines (alignment, sft).
"""

from __future__ import annotations

import itertools
import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from earshot.runtime.language.prompt import EOS, PAD, SPECIAL_TOKENS, THINK_END
from earshot.training.models.llm import NANO, LlmShape, build_llm, load_llm, save_llm
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.questions.generate import item_stream
from earshot.training.questions.items import Item
from earshot.training.stages.examples import TextBatch, collate_text, gold_prompt
from earshot.training.stages.loop import Loop, LoopSettings, append_csv
from earshot.training.stages.text_items import text_examples

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class LanguageSettings:
    """Settings of the language stage.

    Attributes
    ----------
    loop : LoopSettings
        Schedule.
    shape : LlmShape
        Size of the model.
    batch_items, chunk_batches : int
        Items per batch; batches that are made (and sorted by length) at once.
    evidence_weight : float
        Weight of evidence lines, which text alone cannot predict: only their format is to be learned.
    tokenizer_items : int
        Items that the tokenizer is trained on.
    seed : int
        Seed of weights and items.
    """

    loop: LoopSettings = LoopSettings()  # noqa: RUF009 - frozen
    shape: LlmShape = NANO
    batch_items: int = 24
    chunk_batches: int = 64
    evidence_weight: float = 0.1
    tokenizer_items: int = 20_000
    seed: int = 0


class TextBatches:
    """Batches of text items as a function of the step: chunks are seeded one by one."""

    def __init__(self, tokenizer: Tokenizer, settings: LanguageSettings) -> None:
        self._tokenizer = tokenizer
        self._settings = settings
        self._chunk = lru_cache(maxsize=2)(self._make_chunk)

    def __call__(self, step: int) -> TextBatch:
        """The batch of a step (from 0)."""
        chunk, index = divmod(step, self._settings.chunk_batches)
        return self._chunk(chunk)[index]

    def _make_chunk(self, number: int) -> list[TextBatch]:
        settings = self._settings
        stream = text_examples(self._tokenizer, settings.seed * 1_000_003 + number + 1, settings.evidence_weight)
        examples = list(itertools.islice(stream, settings.batch_items * settings.chunk_batches))
        examples.sort(key=lambda example: example.length)
        size = settings.batch_items
        batches = [collate_text(examples[start : start + size]) for start in range(0, len(examples), size)]
        random.Random(number).shuffle(batches)
        return batches


def weighted_loss(model: Any, hidden: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the weighted next tokens only.

    Parameters
    ----------
    model : LlamaForCausalLM
        Gives the output layer.
    hidden : tensor [B, T, H]
        Last hidden states.
    ids, weights : tensor [B, T]
        Tokens of the sequence and how much predicting each counts.
    """
    chosen = weights[:, 1:] > 0
    logits = model.lm_head(hidden[:, :-1][chosen]).float()
    losses = torch.nn.functional.cross_entropy(logits, ids[:, 1:][chosen], reduction="none")
    weight = weights[:, 1:][chosen]
    return (losses * weight).sum() / weight.sum()


def text_loss(model: Any, batch: TextBatch) -> tuple[torch.Tensor, int]:
    """Loss of a text batch, and its tokens."""
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    return weighted_loss(model, hidden, batch.ids, batch.weights), batch.tokens


def run(directory: Path, settings: LanguageSettings, resume: bool = False) -> Iterator[dict[str, float]]:
    """Train the language model; yields log records.

    Parameters
    ----------
    directory : Path
        Run directory of the stage (`runs/nano/language`).
    settings : LanguageSettings
        What to train, and for how long.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.
    """
    torch.manual_seed(settings.seed)
    has_checkpoint = resume and (directory / "state" / "state.json").is_file()
    if has_checkpoint:
        model, tokenizer = load_llm(directory), load_tokenizer(directory)
    else:
        (directory / "log.csv").unlink(missing_ok=True)
        tokenizer = train_tokenizer(settings.tokenizer_items, settings.shape.vocab)
        save_tokenizer(tokenizer, directory)
        model = build_llm(settings.shape, settings.seed)
    model.train()
    loop = Loop(
        dict(model.named_parameters()), lambda batch: text_loss(model, batch), TextBatches(tokenizer, settings),
        lambda: save_llm(model, directory), directory, settings.loop, asdict(settings),
    )  # fmt: skip
    if has_checkpoint:
        loop.restore()
    yield from loop.run()
    scores = gold_accuracy(model, tokenizer, held_out_items(400))
    append_csv(directory / "gold.csv", {"step": loop.progress.step, **scores})
    LOGGER.info("right answers from true evidence: %s", scores)


def held_out_items(count: int, seed: int = 777_777_777) -> list[Item]:
    """Items whose scenes no training stream makes, asked in phrasings that training never uses."""
    return list(itertools.islice(item_stream(seed, split="paraphrase"), count))


@torch.inference_mode()
def complete(
    model: Any, tokenizer: Tokenizer, prompts: Sequence[str], most_tokens: int = 90, keep_end: bool = False
) -> list[str]:
    """Continue text prompts greedily (a batch, padded on the left) up to the end token, or with it where it was written."""
    encoded = [tokenizer.encode(prompt).ids for prompt in prompts]
    longest = max(map(len, encoded))
    pad = SPECIAL_TOKENS.index(PAD)
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in encoded])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in encoded])
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=most_tokens, do_sample=False)
    texts: list[str] = tokenizer.decode_batch(out[:, longest:].tolist(), skip_special_tokens=False)
    return [text.partition(EOS)[0] + (EOS if keep_end and EOS in text else "") for text in texts]


def gold_accuracy(model: Any, tokenizer: Tokenizer, items: Sequence[Item], batch: int = 50) -> dict[str, float]:
    """Share of right answers when the true evidence is given, by level and by form (exact text of the answer).

    Returns
    -------
    dict
        `L1`, `L2`, `L3` over choice items; `choice`, `yesno`, `number` over all levels. For yes or no the first word counts;
        open answers may be worded differently and are not scored.
    """
    was_training = model.training
    model.eval()
    right: dict[str, list[bool]] = defaultdict(list)
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        for item, text in zip(part, complete(model, tokenizer, [gold_prompt(item)[0] for item in part]), strict=True):
            answer = text.partition(THINK_END)[2].strip()
            correct = (
                answer.split(",")[0] == item.answer.split(",")[0] if item.form == "yesno" else answer == item.answer
            )
            right[item.form].append(correct)
            right[f"{item.level} {item.task} {item.form}"].append(correct)
            if item.form == "choice":
                right[item.level].append(correct)
    model.train(was_training)
    return {
        name: round(sum(right[name]) / max(1, len(right[name])), 4)
        for name in ("L1", "L2", "L3", "choice", "yesno", "number")
    }
