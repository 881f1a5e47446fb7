"""Tokenizer, language model, projector and splice."""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.objects import ProjectorInputs
from earshot.runtime.labels import load_labels
from earshot.runtime.language.prompt import SPECIAL_TOKENS
from earshot.training.models.llm import NANO, TINY, LlmShape, build_llm, grow_llm, load_llm, save_llm, shape_of
from earshot.training.models.projector import (
    OBJECT_WIDTH,
    DenseHybridProjector,
    ProjectorShape,
    load_projector,
    save_projector,
)
from earshot.training.models.splice import collate_spliced, spliced_embeddings
from earshot.training.models.tokenizer import item_text, load_tokenizer, save_tokenizer, train_tokenizer
from earshot.training.questions.generate import item_stream
from earshot.training.stages.examples import Example, encode_item


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(items=3000)


def test_special_tokens_come_first_in_the_order_of_the_prompt(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert tokenizer.get_vocab_size() == NANO.vocab


def test_only_angles_have_neighbouring_digits(tokenizer: Tokenizer) -> None:
    numbers = {token.strip("Ġ") for token in tokenizer.get_vocab() if re.search(r"\d\d|\d\.|\.\d", token)}
    assert {str(angle) for angle in range(10, 365, 5)} <= numbers
    assert all(number.isdigit() for number in numbers)


@pytest.mark.parametrize("angle", ["135", "-170", "360", "5", "-40"])
def test_an_angle_is_one_token_behind_its_sign(tokenizer: Tokenizer, angle: str) -> None:
    for text in (f" {angle}", f"turn left {angle.lstrip('-')}"):
        assert tokenizer.encode(text).tokens[-1].strip("Ġ") == angle.lstrip("-")


def test_other_numbers_are_read_digit_by_digit(tokenizer: Tokenizer) -> None:
    tokens = [token.strip("Ġ") for token in tokenizer.encode(" 37 8.1-9.3 -44").tokens]
    assert tokens == [*"37", *"8.1-9.3", "-", *"44"]


def test_labels_are_short(tokenizer: Tokenizer) -> None:
    assert max(len(tokenizer.encode(f" {label.spoken}").ids) for label in load_labels()) <= 3


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_survives_the_round_trip(text: str) -> None:
    tokenizer = _shared_tokenizer()
    if not any(token in text for token in SPECIAL_TOKENS):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


_CACHE: list[Tokenizer] = []


def _shared_tokenizer() -> Tokenizer:
    if not _CACHE:
        _CACHE.append(train_tokenizer(items=500))
    return _CACHE[0]


def test_an_item_in_parts_has_the_tokens_of_its_whole_text(tokenizer: Tokenizer) -> None:
    for item in itertools.islice(item_stream(4), 200):
        example = encode_item(tokenizer, item, 0.1)
        assert [*example.prefix, *example.suffix] == tokenizer.encode(item_text(item)).ids


def test_tokenizer_and_models_come_back_from_disk(tmp_path: Path, tokenizer: Tokenizer) -> None:
    save_tokenizer(tokenizer, tmp_path)
    assert load_tokenizer(tmp_path).get_vocab() == tokenizer.get_vocab()
    model = build_llm(TINY).eval()
    save_llm(model, tmp_path)
    ids = torch.tensor([[1, 50, 60, 70]])
    assert torch.equal(load_llm(tmp_path).eval()(ids).logits, model(ids).logits)
    projector = DenseHybridProjector(ProjectorShape(hidden=64))
    save_projector(projector, tmp_path)
    assert all(
        torch.equal(a, b) for a, b in zip(projector.parameters(), load_projector(tmp_path).parameters(), strict=True)
    )


def test_nano_is_as_small_as_designed() -> None:
    assert sum(p.numel() for p in build_llm(NANO).parameters()) < 6e6
    assert 0.5e6 < sum(p.numel() for p in DenseHybridProjector().parameters()) < 1.2e6


def audio_of(moments: int, objects: int = 3, seed: int = 0) -> ProjectorInputs:
    rng = np.random.default_rng(seed)
    shapes = ((moments, 317), (moments, 134), (objects, OBJECT_WIDTH))
    return ProjectorInputs(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def project(projector: DenseHybridProjector, audio: ProjectorInputs) -> torch.Tensor:
    return projector(**{name: torch.from_numpy(part) for name, part in audio.as_dict().items()})


def test_projector_starts_at_the_size_of_token_embeddings() -> None:
    projector = DenseHybridProjector(ProjectorShape(output_rms=0.02))
    out = project(projector, audio_of(200, 100)).detach()
    assert out.shape == (300, 256)
    for part in (out[:200], out[200:]):
        assert 0.01 < float(part.square().mean().sqrt()) < 0.04


def test_projector_tokens_do_not_see_each_other() -> None:
    projector = DenseHybridProjector().eval()
    audio = audio_of(5, 4)
    alone = project(projector, ProjectorInputs(audio.semantic[2:3], audio.scene[2:3], audio.objects[1:2]))
    together = project(projector, audio)
    assert torch.allclose(together[[2, 5 + 1]], alone, atol=1e-6)


def example_of(length: int, audio: int, seed: int) -> Example:
    ids = np.random.default_rng(seed).integers(9, TINY.vocab, length)
    weights = np.concatenate([np.zeros(length // 2), np.ones(length - length // 2)]).astype(np.float32)
    return Example(np.array([1, 3]), ids, weights, audio_of(audio, 1 + audio // 2, seed) if audio else None)


def test_audio_is_spliced_between_prefix_and_suffix() -> None:
    model, projector = build_llm(TINY), DenseHybridProjector(ProjectorShape(hidden=TINY.hidden)).eval()
    examples = [example_of(10, 4, 1), example_of(7, 0, 2), example_of(12, 6, 3)]
    mixed = spliced_embeddings(model, projector, collate_spliced(examples))
    table = model.get_input_embeddings().weight
    for row, example in enumerate(examples):
        parts = [table[torch.from_numpy(example.prefix)]]
        if example.audio is not None:
            parts.append(project(projector, example.audio))
        parts.append(table[torch.from_numpy(example.suffix)])
        assert torch.allclose(mixed[row, : example.length], torch.cat(parts), atol=1e-6)


def test_loss_weights_stay_on_the_tokens_they_belong_to() -> None:
    rng = random.Random(0)
    for _ in range(20):
        example = example_of(rng.randint(4, 20), rng.randint(0, 8), rng.randint(0, 99))
        batch = collate_spliced([example, example_of(25, 10, 5)])
        chosen = batch.weights[0] > 0
        assert batch.ids[0][chosen].tolist() == example.suffix[example.weights > 0].tolist()
        assert batch.weights[0].sum() == example.weights.sum()


def test_a_grown_model_writes_what_the_small_one_does_and_all_of_it_learns() -> None:
    small = build_llm(TINY, seed=3).eval()
    grown = grow_llm(small, replace(TINY, layers=3, ffn=192))
    assert shape_of(grown) == replace(TINY, layers=3, ffn=192)
    ids = torch.arange(24).reshape(2, 12)
    torch.testing.assert_close(grown.eval()(ids).logits, small(ids).logits, atol=1e-5, rtol=1e-5)
    optimizer = torch.optim.SGD(grown.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        grown(ids, labels=ids).loss.backward()
        optimizer.step()
    for name, parameter in grown.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


@pytest.mark.parametrize("shape", [replace(TINY, layers=1), replace(TINY, ffn=64), replace(TINY, hidden=128, layers=3)])
def test_a_model_does_not_shrink_or_change_its_width(shape: LlmShape) -> None:
    with pytest.raises(InputError, match="can gain layers and feed-forward units only"):
        grow_llm(build_llm(TINY), shape)
