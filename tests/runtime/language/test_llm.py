"""The language model keeps the audio, stops when told, and chooses only among what it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.export.gguf_llm import write_gguf
from earshot.runtime.errors import BundleError, UsageError
from earshot.runtime.language.llm import CancelledError, LanguageModel
from earshot.runtime.language.prompt import SPECIAL_TOKENS, build_prompt
from tests.tiny import make_llama, make_tokenizer


@pytest.fixture(scope="module")
def llm(gguf_path: Path) -> Iterator[LanguageModel]:
    model = LanguageModel(gguf_path)
    model.load()
    yield model
    model.close()


def fresh(path: Path) -> LanguageModel:
    model = LanguageModel(path)
    model.load()
    return model


def audio(n: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, (n, 128)).astype(np.float32)


def begin(llm: LanguageModel, question: str, vectors: np.ndarray) -> int:
    prompt = build_prompt(question)
    return llm.begin(prompt.prefix, vectors, prompt.suffix)


def test_a_second_question_on_kept_audio_equals_a_fresh_start(gguf_path: Path, llm: LanguageModel) -> None:
    begin(llm, "Where is the dog?", audio())
    llm.generate(12)
    begin(llm, "How far is the bell?", audio())
    kept = llm.logits()
    other = fresh(gguf_path)
    begin(other, "How far is the bell?", audio())
    np.testing.assert_allclose(kept, other.logits(), atol=1e-4)
    assert llm.generate(12).tokens == other.generate(12).tokens
    other.close()


def test_other_audio_is_not_answered_from_the_kept_one(llm: LanguageModel) -> None:
    begin(llm, "Where is the dog?", audio(seed=0))
    first = llm.logits()
    begin(llm, "Where is the dog?", audio(seed=1))
    second = llm.logits()
    begin(llm, "Where is the dog?", audio(seed=0))
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(llm.logits(), first, atol=1e-4)


def test_order_of_audio_matters_and_no_audio_is_possible(llm: LanguageModel) -> None:
    begin(llm, "Where is the dog?", audio())
    forwards = llm.logits()
    begin(llm, "Where is the dog?", audio()[::-1])
    assert np.abs(forwards - llm.logits()).max() > 0.01
    length = begin(llm, "Where is the dog?", np.zeros((0, 128), np.float32))
    assert length == begin(llm, "Where is the dog?", audio(3)) - 3


def test_streamed_pieces_are_the_text(llm: LanguageModel) -> None:
    begin(llm, "Where is the dog?", audio())
    pieces: list[str] = []
    written = llm.generate(20, on_text=pieces.append)
    assert "".join(pieces) == written.text
    assert written.stopped == "length" and len(written.tokens) == 20


def test_control_tokens_are_never_written_unless_they_stop(llm: LanguageModel) -> None:
    rng = np.random.default_rng(0)
    for seed in range(3):
        begin(llm, "Where?", audio(seed=seed))
        written = llm.generate(60, temperature=5.0, rng=rng)
        assert min(written.tokens) >= len(SPECIAL_TOKENS)
    begin(llm, "Where?", audio())
    written = llm.generate(400, stop=range(9, llm.n_vocab))
    assert written.stopped == "stop" and written.stop_token not in (None, *range(9))


def test_sampling_repeats_with_its_seed(llm: LanguageModel) -> None:
    texts = []
    for seed in (1, 1, 2):
        begin(llm, "Where?", audio())
        texts.append(llm.generate(20, temperature=1.0, rng=np.random.default_rng(seed)).text)
    assert texts[0] == texts[1] != texts[2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_choices=st.integers(2, 8), seed=st.integers(0, 10_000))
def test_choose_names_the_likeliest_option(llm: LanguageModel, n_choices: int, seed: int) -> None:
    begin(llm, "Which?", audio(5, seed))
    letters = "ABCDEFGH"[:n_choices]
    index, probability = llm.choose(letters)
    logits = llm.logits()[[llm.tokenize(letter)[0] for letter in letters]]
    assert 0 <= index < n_choices and index == int(logits.argmax())
    assert probability.sum() == pytest.approx(1.0, abs=1e-5)


def test_cancelling_before_a_step_stops_it_and_the_context_stays_usable(llm: LanguageModel) -> None:
    begin(llm, "Where is the dog?", audio())
    expected = llm.generate(8).tokens
    begin(llm, "Where is the dog?", audio(seed=3))
    with pytest.raises(CancelledError):
        llm.generate(100, on_text=lambda _: llm.cancel())
    with pytest.raises(CancelledError):
        begin(llm, "Where is the dog?", audio(seed=4))
    llm.reset_cancel()
    begin(llm, "Where is the dog?", audio())
    assert llm.generate(8).tokens == expected


def test_cancelling_from_another_thread_stops_the_computation(gguf_path: Path) -> None:
    big = LanguageModel(gguf_path)
    big.load()
    suffix = "the dog is barking " * 75
    big.begin("<bos>", audio(1), suffix)
    start = time.perf_counter()
    big.begin("<bos>", audio(1), suffix)
    whole_s = time.perf_counter() - start
    threading.Timer(whole_s / 4, big.cancel).start()
    start = time.perf_counter()
    with pytest.raises(CancelledError):
        for _ in range(100):
            big.begin("<bos>", audio(1), suffix)
    assert time.perf_counter() - start < 20 * whole_s
    big.reset_cancel()
    assert big.begin("<bos>", audio(1), "Where?") > 3
    big.close()


def test_a_question_that_does_not_fit_is_refused(llm: LanguageModel) -> None:
    with pytest.raises(UsageError, match="fit beside the audio"):
        llm.begin("<bos>", audio(), "word " * 600)
    with pytest.raises(UsageError, match="too long"):
        llm.begin("<bos>", audio(), "word", reserve=llm.context)


def test_writing_ends_with_the_context(llm: LanguageModel) -> None:
    length = begin(llm, "Where is the dog?", audio())
    assert len(llm.generate(10_000).tokens) == llm.context - length


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"missing\.gguf"):
        LanguageModel(tmp_path / "missing.gguf").load()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BundleError, match="not a usable language model"):
        LanguageModel(broken).load()


def test_nothing_is_written_to_the_terminal(gguf_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = fresh(gguf_path)
    begin(model, "Where?", audio())
    model.close()
    assert capfd.readouterr() == ("", "")


def test_loading_again_after_closing_works(gguf_path: Path) -> None:
    model = fresh(gguf_path)
    model.close()
    model.load()
    assert begin(model, "Where?", audio()) > 20
    assert model.metadata["earshot.max_audio_tokens"] == "25"
    model.close()


def test_likelihoods_of_whole_texts_are_the_sums_of_their_steps_and_leave_no_trace(llm: LanguageModel) -> None:
    texts = [" the dog\n", " the clock\n", " 35"]
    begin(llm, "Which?", audio(5))
    before = llm.logits()
    sums = llm.log_likelihoods(texts)
    for text, total in zip(texts, sums, strict=True):
        begin(llm, "Which?", audio(5))
        expected = 0.0
        for token in llm.tokenize(text):
            logits = llm.logits().astype(np.float64)
            expected += logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
            llm.feed([token])
        assert total == pytest.approx(expected, abs=1e-3)
    assert sums[0] != sums[1]
    begin(llm, "Which?", audio(5))
    np.testing.assert_allclose(llm.logits(), before, atol=1e-4)


def test_a_model_in_float32_is_computed_exactly_and_others_are_when_asked(tmp_path: Path) -> None:
    """So that its words do not depend on the processor."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json")
    for weights, exact_by_default in (("F32", True), ("F16", False)):
        write_gguf(make_llama(), tokenizer, tmp_path / f"{weights}.gguf", weights)
        heard = []
        for exact in (None, True, False):
            model = LanguageModel(tmp_path / f"{weights}.gguf", exact=exact)
            model.load()
            begin(model, "Where is the dog?", audio())
            heard.append(model.logits())
            model.close()
        assert not np.array_equal(heard[1], heard[2])
        assert np.array_equal(heard[0], heard[1] if exact_by_default else heard[2])
