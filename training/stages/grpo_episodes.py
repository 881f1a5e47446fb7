"""Prompts for reinforcement learning: questions about scenes of a feature bank, as a function of the step."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from tokenizers import Tokenizer

from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.language.prompt import build_prompt
from earshot.training.questions.generate import generate_items
from earshot.training.questions.items import Balancer, Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.ideal_hearing import ideal_inputs

HELD_OUT_EVERY = 20
"""Every so many scenes of the bank one is never asked about in training, only when accuracy is probed."""
CHUNK_STEPS = 32


@dataclass(frozen=True)
class Episode:
    """One question with what was heard of its scene."""

    item: Item
    audio: ProjectorInputs


class Episodes:
    """The prompts of every step.

    Parameters
    ----------
    bank : FeatureBank
        Scenes and what the encoders made of them.
    prompts : int
        Prompts per step.
    ideal_share : float
        Share of described scenes as good ears would hear them (see `ideal_hearing`).
    seed : int
        Seed of scenes and questions.
    absent_share : float
        Share of open and number questions about a sound that is not there.
    """

    def __init__(
        self, bank: FeatureBank, prompts: int, ideal_share: float, seed: int, absent_share: float = 0.4
    ) -> None:
        self._bank = bank
        self._prompts = prompts
        self._ideal_share = ideal_share
        self._seed = seed
        self._absent_share = absent_share
        self._chunk = lru_cache(maxsize=2)(self._make_chunk)

    def __call__(self, step: int) -> Sequence[Episode]:
        """Episodes of a step (from 0); they depend on nothing but the step."""
        chunk, index = divmod(step, CHUNK_STEPS)
        return self._chunk(chunk)[index * self._prompts : (index + 1) * self._prompts]

    def _make_chunk(self, number: int) -> list[Episode]:
        return list(islice(self._stream(f"grpo-{self._seed}-{number}"), CHUNK_STEPS * self._prompts))

    def _stream(self, name: str) -> Iterator[Episode]:
        rng = random.Random(name)
        noise = np.random.default_rng(random.Random(f"noise-{name}").getrandbits(64))
        balancer, ideal_balancer = (Balancer(absent_share=self._absent_share) for _ in range(2))
        indices = [index for index in range(len(self._bank)) if not is_held_out(index)]
        while True:
            if rng.random() < self._ideal_share:
                scene = sample_scene(rng)
                audio = ideal_inputs(scene, noise)
                yield from (Episode(item, audio) for item in generate_items(scene, rng, 1, ideal_balancer))
            else:
                index = rng.choice(indices)
                items = generate_items(self._bank.scenes[index], rng, 1, balancer)
                yield from (Episode(item, self._bank.audio(index, item)) for item in items)


def is_held_out(index: int) -> bool:
    """Whether a scene of the bank is kept for probing."""
    return index % HELD_OUT_EVERY == 0


def probe_episodes(bank: FeatureBank, count: int, seed: int = 4711, unseen: bool = False) -> list[Episode]:
    """The same questions at every call: balanced, at most one of each scene.

    Parameters
    ----------
    bank : FeatureBank
    count : int
        Of questions, at most.
    seed : int
    unseen : bool
        Whether no stage has seen any scene of the bank; else only those kept for probing are asked about.
    """
    rng = random.Random(f"probe-{seed}")
    balancer = Balancer()
    indices = [index for index in range(len(bank)) if unseen or is_held_out(index)]
    rng.shuffle(indices)
    return [
        Episode(item, bank.audio(index, item))
        for index in indices[: 2 * count]
        for item in generate_items(bank.scenes[index], rng, 1, balancer)
    ][:count]


def prompt_ids(tokenizer: Tokenizer, item: Item, audio_tokens: Sequence[int]) -> list[int]:
    """The prompt of an item with virtual tokens in the place of its audio."""
    prompt = build_prompt(item.question, item.choices)
    return [*tokenizer.encode(prompt.prefix).ids, *audio_tokens, *tokenizer.encode(prompt.suffix).ids]
