"""Questions about the scenes of a feature bank, as batches with audio; shared by alignment and sft."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.training.models.splice import SplicedBatch, collate_spliced, spliced_embeddings
from earshot.training.questions.generate import (
    balanced_view,
    generate_items,
    make_item,
    make_levels_item,
    make_quieter_item,
    make_rare_item,
)
from earshot.training.questions.items import TASKS, Balancer, Form, Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.questions.view import SceneView
from earshot.training.stages.aligned import aligned, tells_unheard
from earshot.training.stages.bank_reader import FeatureBank
from earshot.training.stages.examples import Example, encode_item
from earshot.training.stages.hedging import hedged
from earshot.training.stages.ideal_hearing import ideal_inputs
from earshot.training.stages.language import weighted_loss
from earshot.training.stages.levels import with_levels
from earshot.training.stages.text_items import text_examples

WEAK_TASKS = (
    "louder", "twice", "face", "apart", "ends_later", "seen_from", "height", "distance", "missing", "at", "turn_to", "further_left",
    "closer", "stop_nearest", "both", "binding", "moving", "course",
)  # fmt: skip
"""What the sixth built-in model answered worst when it was given what ideal ears hear: here reading and reasoning are to blame."""
LOUDER_FORMS: tuple[Form, ...] = ("choice", "choice", "yesno", "open")
LEVELS_SHARE, QUIETER_SHARE = 0.45, 0.2
"""Of the questions about levels: how loud all sounds are, what is quieter."""


@dataclass(frozen=True)
class AudioMix:
    """What batches of audio questions are made of.

    Attributes
    ----------
    batch_items, chunk_batches : int
        Items per batch; batches that are made (and sorted by length) at once.
    per_scene : int
        Questions about a scene before the next one is drawn.
    no_think_share : float
        Share of items that are answered without evidence.
    replay_share : float
        Share of text without audio (questions with written evidence, drills), from which reasoning is learned.
    ideal_share : float
        Share of items about described scenes as good ears would hear them (see `ideal_hearing`).
    evidence_weight, replay_evidence_weight : float
        Weight of evidence lines with audio, and in replayed text.
    shuffled_share : float
        Share of items whose evidence stands in random order (see `aligned`); more than none has cost more answers than it has won.
    per_object : int
        Embeddings that the projector makes of an object.
    where_share : float
        Share of scenes that are only asked where something is, in words or in degrees.
    weak_share : float
        Share of scenes that are only asked one of `WEAK_TASKS`.
    louder_share : float
        Share of scenes that are only asked what is louder, quieter or how loud everything is: evidence lines hold levels in such
        questions only, so they are learned from nothing else.
    rare_share : float
        Share of scenes that are only asked a question of a kind that few scenes allow (see `tasks_spoken.rare_draft`).
    absent_share : float
        Share of open and number questions about a sound that is not there. At a fifth the third built-in model said of 56 % of absent sounds
        where they are, and denied 12 % of those present.
    seed : int
        Seed of scenes, questions and augmentation.
    """

    batch_items: int = 32
    chunk_batches: int = 32
    per_scene: int = 2
    no_think_share: float = 0.1
    replay_share: float = 0.6
    ideal_share: float = 0.4
    evidence_weight: float = 0.8
    replay_evidence_weight: float = 0.02
    shuffled_share: float = 0.0
    per_object: int = 1
    where_share: float = 0.15
    weak_share: float = 0.0
    louder_share: float = 0.0
    rare_share: float = 0.0
    absent_share: float = 0.4
    seed: int = 0


class AudioBatches:
    """Batches of audio questions as a function of the step.

    Parameters
    ----------
    bank : FeatureBank
    tokenizer : tokenizers.Tokenizer
    mix : AudioMix
    kept : callable, optional
        Whether a scene of the bank, by its index, is never asked about; none by default.
    """

    def __init__(
        self, bank: FeatureBank, tokenizer: Tokenizer, mix: AudioMix, kept: Callable[[int], bool] = lambda index: False
    ) -> None:
        self._bank = bank
        self._tokenizer = tokenizer
        self._mix = mix
        self._asked_about = [index for index in range(len(bank)) if not kept(index)]
        self._chunk = lru_cache(maxsize=2)(self._make_chunk)

    def __call__(self, step: int) -> SplicedBatch:
        """The batch of a step (from 0)."""
        chunk, index = divmod(step, self._mix.chunk_batches)
        return self._chunk(chunk)[index]

    def _make_chunk(self, number: int) -> list[SplicedBatch]:
        size = self._mix.batch_items
        examples = list(islice(self._examples(number), size * self._mix.chunk_batches))
        examples.sort(key=lambda example: example.length)
        batches = [examples[start : start + size] for start in range(0, len(examples), size)]
        spread_audio(batches)
        random.Random(number).shuffle(batches)
        return [collate_spliced(batch) for batch in batches]

    def _examples(self, number: int) -> Iterator[Example]:
        mix = self._mix
        rng = random.Random(f"{mix.seed}-{number}")
        noise = np.random.default_rng([mix.seed, number])
        replay = text_examples(self._tokenizer, mix.seed * 1_000_003 + 500_000_000 + number, mix.replay_evidence_weight)
        ideal = self._ideal_items(random.Random(f"ideal-{mix.seed}-{number}"), noise)
        for index, item in self._audio_items(rng):
            if rng.random() < mix.replay_share:
                yield next(replay)
                continue
            think = rng.random() >= mix.no_think_share
            if rng.random() < mix.ideal_share:
                item, audio = next(ideal)
            else:
                audio = self._bank.audio(index, item)
            said = aligned(item, audio, rng if rng.random() < mix.shuffled_share else None)
            if tells_unheard(item, said):
                continue
            said = hedged(said, audio)
            example = encode_item(self._tokenizer, said, mix.evidence_weight, think)
            yield replace(example, audio=audio, per_object=mix.per_object)

    def _ideal_items(self, rng: random.Random, noise: np.random.Generator) -> Iterator[tuple[Item, ProjectorInputs]]:
        balancer = Balancer(absent_share=self._mix.absent_share)
        while True:
            scene = sample_scene(rng)
            audio = ideal_inputs(scene, noise)
            for item in self._items(scene, rng, balancer):
                yield item, audio

    def _audio_items(self, rng: random.Random) -> Iterator[tuple[int, Item]]:
        balancer = Balancer(absent_share=self._mix.absent_share)
        while True:
            index = self._asked_about[rng.randrange(len(self._asked_about))]
            for item in self._items(self._bank.scenes[index], rng, balancer):
                yield index, item

    def _items(self, scene: Mapping[str, Any], rng: random.Random, balancer: Balancer) -> list[Item]:
        return [with_levels(item, scene) for item in self._asked(scene, rng, balancer)]

    def _asked(self, scene: Mapping[str, Any], rng: random.Random, balancer: Balancer) -> list[Item]:
        """Questions about a scene; now and then the one that people ask most, where something is, or one that is hard."""
        drawn = rng.random()
        if drawn < self._mix.where_share:
            form: Form = rng.choice(("open", "number"))
            item = make_item(TASKS["where"], form, balanced_view(scene, balancer), rng)
            return [item] if item else []
        drawn -= self._mix.where_share
        if drawn < self._mix.louder_share:
            item = self._level_item(balanced_view(scene, balancer), rng, balancer)
            return [item] if item else []
        drawn -= self._mix.louder_share
        if drawn < self._mix.rare_share:
            item = make_rare_item(balanced_view(scene, balancer), rng, balancer)
            return [item] if item else []
        if drawn < self._mix.rare_share + self._mix.weak_share:
            view = balanced_view(scene, balancer)
            tried = (make_item(TASKS[name], "choice", view, rng, balancer) for name in rng.sample(WEAK_TASKS, 6))
            return list(islice(filter(None, tried), 1))
        return generate_items(scene, rng, self._mix.per_scene, balancer)

    @staticmethod
    def _level_item(view: SceneView, rng: random.Random, balancer: Balancer) -> Item | None:
        drawn = rng.random()
        if drawn < LEVELS_SHARE:
            return make_levels_item(view, rng, balancer)
        if drawn < LEVELS_SHARE + QUIETER_SHARE:
            return make_quieter_item(view, rng, balancer)
        return make_item(TASKS["louder"], rng.choice(LOUDER_FORMS), view, rng, balancer)


LEAST_AUDIO = 2
"""A batch norm needs more than one sound, and a projector that is trained alone needs one in every step."""


def spread_audio(batches: list[list[Example]]) -> None:
    """Exchange examples, so that every batch has some with audio: pages of text are long, and batches are sorted by length.

    Parameters
    ----------
    batches : list of lists of Example
        Changed in place; nothing is changed where there is too little audio in all.
    """
    while True:
        poor, rich = min(batches, key=_audible), max(batches, key=_audible)
        if _audible(poor) >= LEAST_AUDIO or _audible(rich) <= LEAST_AUDIO:
            return
        give = next(k for k, example in enumerate(rich) if example.audio is not None)
        take = next(k for k, example in enumerate(poor) if example.audio is None)
        rich[give], poor[take] = poor[take], rich[give]


def _audible(batch: list[Example]) -> int:
    return sum(example.audio is not None for example in batch)


def audio_loss(model: Any, projector: torch.nn.Module, batch: SplicedBatch) -> tuple[torch.Tensor, int]:
    """Loss of a batch with audio, and its tokens."""
    embeddings = spliced_embeddings(model, projector, batch)
    hidden = model.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
    return weighted_loss(model, hidden, batch.ids, batch.weights), batch.tokens
