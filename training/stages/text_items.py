"""Endless text to learn reasoning from: questions about abstract scenes whose evidence is written out, wordings to understand,
and drills."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tokenizers import Tokenizer

from earshot.training.questions.drills import drill
from earshot.training.questions.generate import generate_items
from earshot.training.questions.items import Balancer, Item
from earshot.training.questions.scenes import sample_scene
from earshot.training.stages.examples import Example, encode_chain, encode_drill, encode_item, encode_understanding
from earshot.training.stages.levels import reads_levels, with_levels

DRILL_SHARE = 0.15
UNDERSTANDING_SHARE = 0.25
"""Share of pages of questions without a scene, of which only what is asked is to be stated."""
CHAIN_SHARE = 0.6
"""Share of scenes about which several questions are asked in a row; of the others one is asked, as at run time."""
CHAIN_ITEMS = 6
UNDERSTANDING_ITEMS = 16
LONGEST = 480


def text_examples(tokenizer: Tokenizer, seed: int, evidence_weight: float) -> Iterator[Example]:
    """Examples without audio; the same seed gives the same stream.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        The model's.
    seed : int
        Seed of scenes, questions and drills.
    evidence_weight : float
        Weight of evidence lines, which nothing tells here.
    """
    rng = random.Random(seed)
    balancer = Balancer()
    while True:
        if rng.random() < DRILL_SHARE:
            yield encode_drill(tokenizer, drill(rng))
            continue
        if rng.random() < UNDERSTANDING_SHARE:
            yield encode_understanding(tokenizer, _questions(rng, balancer), LONGEST)
            continue
        chained = rng.random() < CHAIN_SHARE
        scene = sample_scene(rng)
        items = generate_items(scene, rng, CHAIN_ITEMS if chained else 1, balancer)
        # The evidence of a chain is that of its first question, so one that reads levels comes first.
        items = [with_levels(item, scene) for item in sorted(items, key=reads_levels, reverse=True)]
        if items and chained:
            yield encode_chain(tokenizer, items, evidence_weight, LONGEST)
        elif items:
            yield encode_item(tokenizer, items[0], evidence_weight)


def _questions(rng: random.Random, balancer: Balancer) -> list[Item]:
    """Questions of as many scenes, so that the one before tells nothing."""
    made = (generate_items(sample_scene(rng), rng, 1, balancer) for _ in range(UNDERSTANDING_ITEMS))
    return [item for items in made for item in items]
