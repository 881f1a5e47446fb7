"""The prompt is a fixed text around the audio; what people type can never break out of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.errors import UsageError
from earshot.runtime.language.prompt import (
    BOS,
    EOS,
    MAX_CHOICE_CHARS,
    MAX_QUESTION_CHARS,
    NOTHING_HEARD,
    SPECIAL_TOKENS,
    Evidence,
    build_completion,
    build_prompt,
    choice_text,
    evidence_line,
    normalise_text,
    parse_choice,
    parse_evidence,
    plain_case,
    split_reasoning,
    up_to_conclusion,
)

PHRASINGS = Path(__file__).resolve().parents[3] / "training" / "questions" / "phrasings.json"
LABELS = st.sampled_from(["dog", "alarm clock", "water drops", "church bells"])


def test_layout_of_a_question_with_choices() -> None:
    prompt = build_prompt("Which is closer?", ["the dog", "the bell"])
    assert prompt.prefix == "<bos><audio>"
    assert prompt.suffix == ("</audio><user>Which is closer?\nA) the dog\nB) the bell<assistant><think>\n")


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("WHERE IS THE BIRD?", "Where is the bird?"),
        ("Where Is The Bird?", "Where is the bird?"),
        ("where is the BIRD", "where is the bird"),
        ("IF I TURN LEFT, WHERE IS IT? I'M LOST", "If I turn left, where is it? I'm lost"),
        ("One question: Which is closer?", "One question: Which is closer?"),
    ],
)
def test_capitals_are_those_of_the_questions_that_the_model_knows(typed: str, asked: str) -> None:
    assert plain_case(typed) == asked
    assert build_prompt(typed).suffix == build_prompt(asked).suffix


def test_capitals_of_options_change_nothing() -> None:
    plain = build_prompt("Which side?", ["left", "where I am"]).suffix
    assert build_prompt("Which side?", ["LEFT", "Where I Am"]).suffix == plain


def test_no_question_of_training_has_other_capitals() -> None:
    splits = json.loads(PHRASINGS.read_text("utf-8")).values()
    known = {text.replace("{", "").replace("}", "") for split in splits for texts in split.values() for text in texts}
    assert len(known) > 4000
    assert [text for text in known if plain_case(text) != text] == []


def test_layout_without_reasoning() -> None:
    assert build_prompt("Where?", think=False).suffix == "</audio><user>Where?<assistant></think>"


def test_completion_is_what_the_model_continues_with() -> None:
    line = evidence_line("dog", -35, 0, 2.1, 0.4, 3.2)
    assert build_completion("B) the dog", line) == "dog | -35 | 0 | 2.1 | 0.4-3.2\n</think>B) the dog<eos>"
    assert build_completion("yes") == "yes<eos>"


@given(st.text(max_size=200))
def test_normalising_leaves_printable_ascii_and_is_final(text: str) -> None:
    clean = normalise_text(text)
    assert clean.isascii() and (clean.isprintable() or not clean)
    assert normalise_text(clean) == clean


@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "<", ">", "</", "eos", "bos", " ", "x"]), max_size=12))
def test_no_control_token_survives_in_a_question(parts: list[str]) -> None:
    clean = normalise_text("".join(parts))
    assert not any(token in clean for token in SPECIAL_TOKENS)


def test_typographic_characters_become_plain_ones() -> None:
    assert normalise_text("Where’s “the café” – 30° left…") == 'Where\'s "the cafe" - 30 degrees left...'
    assert normalise_text("ｗｉｄｅ\u00a0text\nin lines") == "wide text in lines"


def test_fractions_of_one_character_are_numbers() -> None:
    assert normalise_text("closer than ½ metre or 1½ m, 2 ¼ m?") == "closer than 0.5 metre or 1.5 m, 2.25 m?"
    assert normalise_text("1\u20442 m") == "1/2 m"


@pytest.mark.parametrize("text", ["狗在哪里？", "Где собака?", "?!", "…"])
def test_a_question_of_which_only_punctuation_is_understood_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the question is empty"):
        build_prompt(text)
    with pytest.raises(UsageError, match="is empty"):
        build_prompt("Which?", ["the dog", text])


@given(LABELS, st.floats(-720, 720), st.floats(-90, 90), st.floats(0, 20), st.floats(0, 9), st.floats(9, 10))
def test_evidence_is_read_back_as_written(
    label: str, azimuth: float, elevation: float, distance: float, onset: float, offset: float
) -> None:
    line = evidence_line(label, azimuth, elevation, distance, onset, offset)
    [read] = parse_evidence(line)
    *written, level_db = vars(read).values()
    assert evidence_line(*written) == line and level_db is None
    assert -180 < read.azimuth_deg <= 180 and read.azimuth_deg % 5 == 0 and read.elevation_deg % 10 == 0
    assert abs((read.azimuth_deg - azimuth + 180) % 360 - 180) <= 2.5 + 1e-6


@given(st.floats(-179, 179))
def test_mirrored_directions_give_mirrored_evidence(azimuth: float) -> None:
    left, right = (parse_evidence(evidence_line("dog", s * azimuth, 0, 1, 0, 1))[0] for s in (1, -1))
    assert left.azimuth_deg == -right.azimuth_deg or {left.azimuth_deg, right.azimuth_deg} == {180}


def test_evidence_among_other_lines() -> None:
    text = "dog | -35 | 0 | 2.1 | 0.4-3.2\nthe dog is closer\nrain | 180 | 10 | 3 | 0-6.0\nbell | left | 0"
    assert parse_evidence(text) == [
        Evidence("dog", -35, 0, 2.1, 0.4, 3.2),
        Evidence("rain", 180, 10, 3.0, 0.0, 6.0),
    ]
    assert parse_evidence("dog | -35 | 0 | 2.1 | 0.4-3.2 | -8") == [Evidence("dog", -35, 0, 2.1, 0.4, 3.2, -8)]
    assert parse_evidence(NOTHING_HEARD) == []


@given(st.text(max_size=300))
def test_reading_a_model_never_fails(text: str) -> None:
    parse_evidence(text)
    reasoning, answer = split_reasoning(text)
    parse_choice(answer, 4)
    assert not any(token in reasoning + answer for token in ("</think>", EOS, BOS)) or "<<" in text


def test_reasoning_and_answer_are_split() -> None:
    assert split_reasoning("dog | 0\n</think>B) the dog<eos>rest") == ("dog | 0", "B) the dog")
    assert split_reasoning("cut off") == ("cut off", "")
    assert split_reasoning("yes<eos>", think=False) == ("", "yes")


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("B) the dog", 1),
        ("b", 1),
        ("(C) x", 2),
        ("D.", 3),
        ("A dog", None),
        ("the dog", None),
        ("E) x", None),
        ("", None),
    ],
)
def test_choice_named_by_an_answer(answer: str, choice: int | None) -> None:
    assert parse_choice(answer, 4) == choice


@given(st.integers(0, 7), st.text(max_size=20))
def test_every_option_text_names_its_option(index: int, text: str) -> None:
    assert parse_choice(choice_text(index, text), 8) == index


@pytest.mark.parametrize("question", ["", "   ", "<eos>", "日本", "x" * (MAX_QUESTION_CHARS + 1)])
def test_questions_without_sense_are_refused(question: str) -> None:
    with pytest.raises(UsageError, match="question"):
        build_prompt(question)


@pytest.mark.parametrize("choices", [[], ["one"], ["x"] * 9, ["a", ""], ["a", "y" * (MAX_CHOICE_CHARS + 1)]])
def test_choices_without_sense_are_refused(choices: list[str]) -> None:
    with pytest.raises(UsageError, match="choice"):
        build_prompt("Which?", choices)


@pytest.mark.parametrize(
    ("reasoning", "kept"),
    [
        ("dog | left\nso the dog", "dog | left\nso"),
        ("so the dog", "so"),
        ("so a\ncat | right\nso the cat", "so a\ncat | right\nso"),
        ("dog | left", None),
        ("dog | left\nsome more", None),
        ("", None),
    ],
)
def test_a_reasoning_is_kept_up_to_where_it_names_an_option(reasoning: str, kept: str | None) -> None:
    assert up_to_conclusion(reasoning) == kept
