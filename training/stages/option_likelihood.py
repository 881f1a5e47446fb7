"""How likely the right option is after a reasoning, as the runtime weighs options: the reward of what will be used.

The runtime cuts a reasoning at its last line, `so OPTION`, and compares there the likelihood of every option's whole text
(`earshot.runtime.language.answerer`). A letter that the network wrote says less: it is right or wrong, where a
probability rises a little with every line of evidence that is nearer (rewards of this kind: RLPR, arXiv 2506.18254).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from earshot.runtime.language.prompt import split_reasoning, up_to_conclusion
from earshot.training.questions.items import Item

_FILLING = 0
"""Token that fills shorter rows; it is never attended to."""


@dataclass(frozen=True)
class Weighing:
    """A row of options to be weighed.

    Attributes
    ----------
    prefix : sequence of int
        Tokens and virtual tokens before them.
    options : sequence of sequence of int
        Tokens of each.
    """

    prefix: Sequence[int]
    options: Sequence[Sequence[int]]


def weighing(tokenizer: Tokenizer, item: Item, prompt: Sequence[int], completion: str) -> Weighing | None:
    """What is weighed after a completion; None for an open question, or when it draws no conclusion.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    item : Item
    prompt : sequence of int
        Tokens and virtual tokens that the completion follows.
    completion : str
        Special tokens written out.
    """
    lines = up_to_conclusion(split_reasoning(completion)[0])
    if item.choices is None or lines is None:
        return None
    options = [tokenizer.encode(f" {choice.strip()}\n").ids for choice in item.choices]
    return Weighing([*prompt, *tokenizer.encode(lines).ids], options)


@torch.no_grad()
def probabilities(model: Any, rows: Sequence[Weighing]) -> list[list[float]]:
    """Probability of each option among those of its row.

    Parameters
    ----------
    model : LlamaForCausalLM
        With ears that have heard the audio of the virtual tokens.
    rows : sequence of Weighing
    """
    if not rows:
        return []
    most = max(len(row.options) for row in rows)
    prefixes, before = _padded([row.prefix for row in rows], left=True)
    first = model(
        input_ids=prefixes, attention_mask=before, position_ids=_positions(before), use_cache=True, logits_to_keep=1
    )
    first.past_key_values.batch_repeat_interleave(most)
    texts = [option for row in rows for option in [*row.options, *[[_FILLING]] * (most - len(row.options))]]
    options, told = _padded(texts, left=False)
    mask = torch.cat([before.repeat_interleave(most, dim=0), told], dim=1)
    rest = model(
        input_ids=options, attention_mask=mask, position_ids=_positions(mask)[:, before.shape[1] :],
        past_key_values=first.past_key_values,
    ).logits  # fmt: skip
    logits = torch.cat([first.logits.repeat_interleave(most, dim=0), rest[:, :-1]], dim=1).float()
    each = torch.log_softmax(logits, dim=-1).gather(2, options[..., None])[..., 0]
    likely = (each * told).sum(dim=1).reshape(len(rows), most)
    found = []
    for row, likelihood in zip(rows, likely, strict=True):
        found.append(torch.softmax(likelihood[: len(row.options)], dim=0).tolist())
    return found


def _padded(rows: Sequence[Sequence[int]], left: bool) -> tuple[Tensor, Tensor]:
    """Rows of one length [N, T], and where they hold something, 0 or 1."""
    longest = max(map(len, rows))
    filled, mask = torch.full((len(rows), longest), _FILLING), torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(0, len(row))
        filled[number, place], mask[number, place] = torch.tensor(row), 1
    return filled, mask


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(dim=1) - 1).clamp_min(0)
