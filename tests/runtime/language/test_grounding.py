"""Evidence names only what hearing has found; what follows the evidence is free."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.runtime.labels import load_labels
from earshot.runtime.language.answerer import Answerer
from earshot.runtime.language.grounding import Grounding
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.prompt import ASKED, THINK_END, parse_evidence

NAMES = ("alarm clock", "violin")


def after(answerer: Answerer, text: str, names: tuple[str, ...] = NAMES) -> set[str] | None:
    """What may come after a text, None for anything."""
    llm, grounding = answerer.llm, Grounding(answerer.llm.tokenize, names)
    tokens = llm.tokenize(text)
    for count in range(len(tokens)):  # as it is asked while the text is written
        grounding(tokens[:count])
    allowed = grounding(tokens)
    return None if allowed is None else {llm.token_bytes(token).decode() for token in allowed}


def begins(answerer: Answerer, *names: str) -> set[str]:
    texts = (*names, "nothing", ASKED)
    return {answerer.llm.token_bytes(answerer.llm.tokenize(text)[0]).decode() for text in texts}


def test_a_line_of_evidence_begins_with_a_name_that_was_heard(answerer: Answerer) -> None:
    assert after(answerer, "") == begins(answerer, *NAMES)


def test_each_sound_is_told_of_once(answerer: Answerer) -> None:
    line = "{} | -35 | 0 | 2.1 | 0.4-3.2\n"
    assert after(answerer, line.format("alarm clock")) == begins(answerer, "violin")
    assert after(answerer, line.format("violin")) == begins(answerer, "alarm clock")
    assert after(answerer, line.format("alarm clock") + line.format("violin")) == begins(answerer)


def test_a_name_is_written_to_its_end_and_what_it_did_is_free(answerer: Answerer) -> None:
    first = answerer.llm.token_bytes(answerer.llm.tokenize("alarm clock")[0]).decode()
    following = after(answerer, first)
    assert following is not None
    assert all("alarm clock |".startswith(first + piece) for piece in following)
    assert after(answerer, "alarm clock |") is None
    assert after(answerer, "alarm clock | -35 | 0") is None


def test_once_the_question_is_repeated_nothing_is_forbidden_any_more(answerer: Answerer) -> None:
    assert after(answerer, f"violin | 5 | 0 | 1.0 | 0.0-1.0\n{ASKED} where open dog\n") is None


def test_who_heard_nothing_can_only_say_so(answerer: Answerer) -> None:
    begins = {answerer.llm.token_bytes(answerer.llm.tokenize(text)[0]).decode() for text in ("nothing", ASKED)}
    assert after(answerer, "", ()) == begins


@pytest.mark.parametrize("seed", range(6))
def test_no_reasoning_names_what_was_not_heard(answerer: Answerer, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(0, 0.3, (9, 128)).astype(np.float32)
    reasoning = answerer.answer("Where is the dog?", Heard(vectors, NAMES)).reasoning
    first = reasoning.split("\n")[0]
    begins = (*(f"{name} |" for name in NAMES), "nothing", ASKED)
    assert any(first.startswith(text) or text.startswith(first) for text in begins)
    assert {evidence.label for evidence in parse_evidence(reasoning)} <= set(NAMES)


def test_the_end_of_the_reasoning_may_always_come(answerer: Answerer) -> None:
    answerer.llm.begin("", np.zeros((1, 128), np.float32), "")
    end = answerer.llm.token_id(THINK_END)
    written = answerer.llm.generate(4, (end,), allowed=lambda _: [])
    assert (written.stop_token, written.text) == (end, "")


def test_every_name_can_be_written(answerer: Answerer) -> None:
    for label in load_labels():
        line = answerer.llm.tokenize(f"{label.spoken} |")
        grounding = Grounding(answerer.llm.tokenize, [label.spoken])
        assert all(token in (grounding(line[:count]) or ()) for count, token in enumerate(line))
