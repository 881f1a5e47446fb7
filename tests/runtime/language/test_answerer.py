"""An answer is the model's: in time, inside the context, always one of the options if there are any."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.errors import BundleError, UsageError
from earshot.runtime.language.answerer import MAX_ANSWER_TOKENS, MAX_REASONING_TOKENS, Answerer
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.language.prompt import THINK_END


def audio(n: int = 25, seed: int = 0, names: tuple[str, ...] | None = None) -> Heard:
    return Heard(np.random.default_rng(seed).normal(0, 0.3, (n, 128)).astype(np.float32), names)


def test_text_comes_as_reasoning_mark_answer(answerer: Answerer) -> None:
    pieces: list[str] = []
    answer = answerer.answer("Where is the dog?", audio(), on_text=pieces.append)
    mark = pieces.index(THINK_END)
    assert "".join(pieces[:mark]).strip() == answer.reasoning
    assert "".join(pieces[mark + 1 :]).strip() == answer.text
    assert answer.choice is None
    assert 0 < answer.first_token_s < answer.answer_s


def test_without_reasoning_only_the_answer_comes(answerer: Answerer) -> None:
    pieces: list[str] = []
    answer = answerer.answer("Where is the dog?", audio(), think=False, on_text=pieces.append)
    assert answer.reasoning == "" and THINK_END not in pieces
    assert "".join(pieces).strip() == answer.text
    assert len(pieces) <= MAX_ANSWER_TOKENS


@pytest.mark.parametrize("think", [True, False])
def test_options_are_answered_with_one_of_them(answerer: Answerer, think: bool) -> None:
    options = ["the dog", " the bell ", "rain", "speech"]
    chosen = set()
    for seed in range(12):
        answer = answerer.answer("Which is closest?", audio(seed=seed), options, think)
        assert answer.choice is not None
        assert answer.text == f"{'ABCD'[answer.choice]}) {options[answer.choice].strip()}"
        chosen.add(answer.choice)
    assert len(chosen) > 1


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), turned=st.permutations(["the dog", "the bell", "rain", "speech"]), think=st.booleans())
def test_the_order_of_the_options_changes_nothing(
    answerer: Answerer, seed: int, turned: list[str], think: bool
) -> None:
    options = ["the dog", "the bell", "rain", "speech"]
    chosen = [
        answerer.answer("Which is closest?", audio(seed=seed), list_, think).text[3:] for list_ in (options, turned)
    ]
    assert chosen[0] == chosen[1]


def test_options_are_weighed_as_the_model_reads_them(answerer: Answerer) -> None:
    """A typographic dash or space cost an option most of its likelihood, and half of a character was an internal error."""
    plain = ["the dog's bark", "front-right", "the alarm clock", "rain"]
    typed = ["the dog\u2019s bark", "front\u2010right", "the\u00a0alarm\nclock", "rain \udcff"]
    for seed in range(6):
        expected, found = (answerer.answer("Which is closest?", audio(seed=seed), list_) for list_ in (plain, typed))
        assert (found.choice, found.reasoning) == (expected.choice, expected.reasoning)
        assert found.text == f"{'ABCD'[found.choice or 0]}) {typed[found.choice or 0]}"


@pytest.mark.parametrize("written", ["{}) {}", " ({}) {} ", "{}.  {}", "{}: {}"])
def test_options_that_carry_their_letters_are_answered_as_those_that_do_not(answerer: Answerer, written: str) -> None:
    options = ["the dog", "the bell", "a cat"]
    lettered = [written.format(letter, text) for letter, text in zip("AbC", options, strict=True)]
    plain, answer = (answerer.answer("Which is closer?", audio(), choices) for choices in (options, lettered))
    assert (answer.choice, answer.text, answer.reasoning) == (plain.choice, plain.text, plain.reasoning)


def test_letters_in_another_order_are_part_of_the_options(answerer: Answerer) -> None:
    for options in (["B) the dog", "A) the bell"], ["A) the dog", "the bell"], ["A minor", "B minor"]):
        answer = answerer.answer("Which is it?", audio(), options)
        assert answer.choice is not None and answer.text.endswith(options[answer.choice])


@pytest.mark.parametrize("bad", [0, 1, 2, 3])
def test_a_bad_option_is_named_by_the_letter_it_was_given(answerer: Answerer, bad: int) -> None:
    options = ["the dog", "the bell", "rain", "speech"]
    options[bad] = " "
    with pytest.raises(UsageError, match=f"choice {'ABCD'[bad]} is empty"):
        answerer.answer("Which is closest?", audio(), options)


def test_reasoning_that_does_not_end_is_ended(answerer: Answerer) -> None:
    pieces: list[str] = []
    answer = answerer.answer("Where is the dog?", audio(seed=1), on_text=pieces.append)
    assert answer.text
    assert MAX_REASONING_TOKENS / 2 < pieces.index(THINK_END) <= MAX_REASONING_TOKENS


def test_no_audio_yet_is_a_question_like_others(answerer: Answerer) -> None:
    assert answerer.answer("Where is the dog?", Heard(np.zeros((0, 128), np.float32))).text


def test_the_longest_questions_are_answered_or_refused(answerer: Answerer) -> None:
    """Never cut silently, never a broken answer: rare words take many tokens."""
    assert answerer.answer("the dog is closer " * 16, audio()).prompt_tokens <= answerer.llm.context
    with pytest.raises(UsageError, match="too long"):
        answerer.answer("zq" * 150, audio(), ["xj" * 50] * 4)
    assert answerer.answer("Where?", audio()).text


def test_a_cancelled_answer_raises_and_the_next_one_is_untouched(answerer: Answerer) -> None:
    expected = answerer.answer("Where is the dog?", audio())
    with pytest.raises(CancelledError):
        answerer.answer("How far is the bell?", audio(seed=2), on_text=lambda _: answerer.cancel())
    again = answerer.answer("Where is the dog?", audio())
    assert (again.text, again.reasoning) == (expected.text, expected.reasoning)


def test_a_bundle_without_a_model_is_refused(gguf_path: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"llm\.gguf"):
        Answerer(tmp_path).load()
    shutil.copyfile(gguf_path, tmp_path / "llm.gguf")
    with (tmp_path / "llm.gguf").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(BundleError, match=r"llm\.gguf"):
        Answerer(tmp_path).load()
