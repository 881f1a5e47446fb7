"""Doubt takes certainty from the names of training sounds, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earshot.runtime.labels import class_id
from earshot.training.models.hearing import Hearing
from earshot.training.stages.bank import encode_clips
from earshot.training.stages.doubt import FLOOR, Doubt

FRAMES = 50
SCENE = {"sources": [{"label": "dog"}]}
DOG = class_id("dog")


@pytest.fixture(scope="module")
def model() -> Hearing:
    torch.manual_seed(3)
    return Hearing().eval()


def _sure_of_the_dog(model: Hearing) -> tuple[torch.Tensor, torch.Tensor]:
    embedding = torch.randn(FRAMES, 256)
    logits = model.semantic.classify(embedding).detach() - 4.0
    logits[:, DOG] = 4.0
    return logits, embedding


def test_a_sound_loses_evidence_but_never_below_that_of_one_not_recognised(model: Hearing) -> None:
    logits, embedding = _sure_of_the_dog(model)
    doubt = Doubt(model.semantic.classify, 5)
    dogs = np.array([float(doubt(SCENE, logits, embedding)[0][0, DOG]) for _ in range(200)])
    assert dogs.max() == pytest.approx(4.0), "one of four keeps all of it"
    assert 0.15 < np.mean(dogs > 3.99) < 0.35
    assert dogs.min() >= FLOOR
    assert np.mean(dogs < 0.0) > 0.2


def test_what_was_not_recognised_anyway_is_left_as_it_is(model: Hearing) -> None:
    logits, embedding = _sure_of_the_dog(model)
    logits[:, DOG] = -7.0
    doubted, _ = Doubt(model.semantic.classify, 5)(SCENE, logits, embedding)
    assert torch.equal(doubted[:, DOG], logits[:, DOG])


def test_the_embedding_says_what_the_logits_say(model: Hearing) -> None:
    logits, embedding = _sure_of_the_dog(model)
    doubted, told = Doubt(model.semantic.classify, 6)(SCENE, logits, embedding)
    change = (told - embedding) @ model.semantic.classify.weight.detach().T
    assert torch.allclose(change, doubted - logits, atol=1e-3)
    assert float((doubted - logits).abs().max()) > 0.5


def test_the_same_seed_doubts_the_same(model: Hearing) -> None:
    logits, embedding = _sure_of_the_dog(model)
    first, second = (Doubt(model.semantic.classify, 7)(SCENE, logits, embedding)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_hearing_without_doubt_stays_as_the_runtime_hears_and_with_it_only_names_change(model: Hearing) -> None:
    clip = 0.1 * np.random.default_rng(0).standard_normal((2, 3 * 6400)).astype(np.float32)
    (plain,) = encode_clips(model, [clip])
    (doubted,) = encode_clips(model, [clip], None, Doubt(model.semantic.classify, 1), [SCENE])
    before, after = plain.tokens.as_dict(), doubted.tokens.as_dict()
    assert not np.allclose(before["semantic"], after["semantic"])
    assert np.array_equal(before["scene"][:, :128], after["scene"][:, :128]), "the room is heard as before"
