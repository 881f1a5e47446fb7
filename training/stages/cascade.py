"""A cascade to compare with: the language model of sft without a projector, told in text what was heard.

Same questions, same targets, same replay and same schedule as sft; only where the prompt holds audio embeddings there stands
a line of JSON (`cascade_text`). It is longer than the embeddings are (80 positions instead of 13, on average), so that in a
given time fewer questions are seen: `minutes` compares at the same cost, `steps` on the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from earshot.runtime.language.prompt import build_prompt
from earshot.training.models.llm import load_llm, save_llm
from earshot.training.models.splice import SplicedBatch
from earshot.training.models.tokenizer import load_tokenizer, save_tokenizer
from earshot.training.stages.alignment import with_seed
from earshot.training.stages.audio_items import AudioBatches
from earshot.training.stages.bank_reader import held_out_bank, training_bank
from earshot.training.stages.cascade_text import tracks_text
from earshot.training.stages.checkpoint import has_state
from earshot.training.stages.examples import Example, TextBatch
from earshot.training.stages.grpo_episodes import Episode, probe_episodes
from earshot.training.stages.grpo_log import score
from earshot.training.stages.language import complete, text_loss
from earshot.training.stages.loop import Loop, append_csv
from earshot.training.stages.sft import SftSettings

CONTEXT = 1024
"""Positions; the text of eight sounds and a long question may not fit 512. Rotary positions need no new weights."""
LONGEST = 128
"""Tokens of a completion at most, as in the probes of reinforcement."""


class WrittenBatches(AudioBatches):
    """The batches of sft, question by question, with what was heard written out."""

    def _examples(self, number: int) -> Iterator[Example]:
        for example in super()._examples(number):
            yield written(self._tokenizer, example)


def written(tokenizer: Tokenizer, example: Example) -> Example:
    """The example with text in the place of its audio; one without audio stays as it is."""
    if example.audio is None:
        return example
    text = np.asarray(tokenizer.encode(tracks_text(example.audio)).ids)
    return replace(example, prefix=np.concatenate([example.prefix, text]), audio=None)


def run(
    directory: Path, start: Path, bank: Path, settings: SftSettings, resume: bool = False,
    held_out: Path | None = None, probe_items: int = 300,
) -> Iterator[dict[str, float]]:  # fmt: skip
    """Train the language model on what was heard in text; yields log records.

    Parameters
    ----------
    directory : Path
        Run directory of the stage; at the end also gets `probe.csv`, with the columns that `earshot train grpo` writes.
    start : Path
        Any checkpoint with a language model and a tokenizer: of sft, alignment or language.
    bank : Path
        Feature bank.
    settings : SftSettings
        As for sft; a projector is not used.
    resume : bool
        Go on from the checkpoint in `directory`, if there is one.
    held_out : Path, optional
        Feature bank of scenes that no stage has seen, for the probe; without, some of `bank`, which training asks about.
    probe_items : int
        Questions of the probe.
    """
    torch.manual_seed(settings.seed)
    resume = resume and has_state(directory)
    model, tokenizer = _begin(directory if resume else start)
    features = training_bank(bank)
    probed = features if held_out is None else held_out_bank(held_out, features)
    if not resume:
        for name in ("log.csv", "probe.csv"):
            (directory / name).unlink(missing_ok=True)
        save_tokenizer(tokenizer, directory)
    loop = Loop(
        {f"llm.{name}": value for name, value in model.named_parameters()}, lambda batch: _loss(model, batch),
        WrittenBatches(features, tokenizer, with_seed(settings.mix, settings.seed)),
        lambda: save_llm(model, directory), directory, settings.loop, asdict(settings),
    )  # fmt: skip
    if resume:
        loop.restore()
    yield from loop.run()
    episodes = probe_episodes(probed, probe_items, unseen=held_out is not None)
    record = {"step": loop.progress.step, "items": len(episodes), **probe(model, tokenizer, episodes)}
    append_csv(directory / "probe.csv", record)


def _begin(checkpoint: Path) -> tuple[Any, Tokenizer]:
    model, tokenizer = load_llm(checkpoint), load_tokenizer(checkpoint)
    model.config.max_position_embeddings = CONTEXT
    return model.train(), tokenizer


def _loss(model: Any, batch: SplicedBatch) -> tuple[torch.Tensor, int]:
    return text_loss(model, TextBatch(batch.ids, batch.weights, batch.tokens))


def probe(model: Any, tokenizer: Tokenizer, episodes: list[Episode], batch: int = 50) -> dict[str, float]:
    """Scores of greedy answers to kept questions, as reinforcement scores its probes."""
    model.eval()
    prompts = [prompt_text(episode) for episode in episodes]
    texts = [
        text for at in range(0, len(prompts), batch)
        for text in complete(model, tokenizer, prompts[at : at + batch], LONGEST, keep_end=True)
    ]  # fmt: skip
    return score([episode.item for episode in episodes], texts)


def prompt_text(episode: Episode) -> str:
    """The whole prompt of a question about what was heard."""
    prompt = build_prompt(episode.item.question, episode.item.choices)
    return f"{prompt.prefix}{tracks_text(episode.audio)}{prompt.suffix}"
