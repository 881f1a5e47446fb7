"""Answers one question about what was heard: prompt, reasoning, answer; always the language model's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.bundle.manifest import LLM_NAME
from earshot.runtime.language.doubts import doubts_about, unnamed
from earshot.runtime.language.grounding import Grounding
from earshot.runtime.language.heard import Heard
from earshot.runtime.language.llm import LanguageModel
from earshot.runtime.language.prompt import (
    CHOICE_LETTERS,
    CONCLUSION,
    NOTHING_HEARD,
    THINK_END,
    Prompt,
    build_prompt,
    choice_text,
    plain_option,
    split_reasoning,
    up_to_conclusion,
    without_letters,
)

Float32 = NDArray[np.float32]
OnText = Callable[[str], None]

MAX_REASONING_TOKENS = 200
MIN_REASONING_TOKENS = 64
MAX_ANSWER_TOKENS = 64


@dataclass(frozen=True)
class Answer:
    """What the model said, and how long it took.

    Attributes
    ----------
    text : str
        The answer; with choices the option named, as ``"B) the dog"``.
    choice : int or None
        Index of the option, None for an open question.
    reasoning : str
        Evidence and steps; empty without reasoning.
    first_token_s : float
        From the question to the first token of the answer; the reasoning comes before it.
    answer_s : float
        From the question to the end of the answer.
    prompt_tokens : int
        Length of the prompt, audio included.
    doubts : tuple of str
        What it leaves open, from what was heard and not from the model; see `doubts.py`.
    """

    text: str
    choice: int | None
    reasoning: str
    first_token_s: float
    answer_s: float
    prompt_tokens: int
    doubts: tuple[str, ...] = ()


class Answerer:
    """The language model of a bundle, asked about audio embeddings.

    One thread at a time; `cancel` may be called from any.

    Parameters
    ----------
    bundle_dir : Path or str
        Verified bundle.
    n_threads : int
        Compute threads of the language model.
    """

    def __init__(self, bundle_dir: Path | str, n_threads: int = 1) -> None:
        self.llm = LanguageModel(Path(bundle_dir) / LLM_NAME, n_threads)

    def load(self) -> None:
        """Load the model and compute once, so that the first question is as fast as the next.

        Raises
        ------
        BundleError
            When llama.cpp cannot load it, or the tokenizer lacks a control token of the prompt.
        """
        self.llm.load()
        self._think_end = self.llm.token_id(THINK_END)
        prompt = build_prompt(NOTHING_HEARD)
        self.llm.begin(prompt.prefix, np.zeros((1, self.llm.hidden), np.float32), prompt.suffix)

    def close(self) -> None:
        """Free the model."""
        self.llm.close()

    def cancel(self) -> None:
        """Stop the answer under way as soon as possible; `answer` then raises CancelledError."""
        self.llm.cancel()

    def answer(
        self,
        question: str,
        heard: Heard,
        choices: Sequence[str] | None = None,
        think: bool = True,
        on_text: OnText | None = None,
    ) -> Answer:
        """Answer one question.

        Parameters
        ----------
        question : str
            In plain language.
        heard : Heard
            Evidence names only what was heard, where its names are known.
        choices : sequence of str, optional
            2 to 8 options, with their letters or without; the answer is then always one of them.
        think : bool
            Let the model write its evidence first.
        on_text : callable, optional
            Called with pieces of text as they come: the reasoning, then ``</think>`` alone, then the answer.

        Returns
        -------
        Answer

        Raises
        ------
        UsageError
            When question or choices are empty, too many or too long.
        CancelledError
            After `cancel()`.
        """
        clock = _Clock(on_text, think)
        self.llm.reset_cancel()
        if choices is None:
            length = self._begin(build_prompt(question, None, think), heard.embeddings, think)
            reasoning, choice = self._reason(length, heard.names, clock) if think else "", None
            text = self._say(clock)
        else:
            choices = without_letters(choices)
            build_prompt(question, choices, think)  # complains by the letters that the options were given
            choice, reasoning, length = self._choose(question, heard, [plain_option(text) for text in choices], think)
            text = choice_text(choice, choices[choice].strip())
            for piece in (reasoning, THINK_END) if think else ():
                clock.hear(piece)
            clock.hear(text)
        doubts = (
            *unnamed([question, *(choices or ())], text, reasoning),
            *doubts_about(question, text, reasoning, heard.doubts),
        )
        return Answer(text, choice, reasoning, clock.first_s, clock.elapsed_s(), length, doubts)

    def _begin(self, prompt: Prompt, embeddings: Float32, think: bool) -> int:
        reserve = MAX_ANSWER_TOKENS + (MIN_REASONING_TOKENS if think else 0)
        return self.llm.begin(prompt.prefix, embeddings, prompt.suffix, reserve)

    def _reason(self, prompt_tokens: int, names: Sequence[str] | None, clock: _Clock) -> str:
        """Let the model write its evidence, and end it."""
        text = self._write_reasoning(prompt_tokens, names, clock.hear)
        self.llm.feed([self._think_end])
        clock.hear(THINK_END)
        return text

    def _write_reasoning(self, prompt_tokens: int, names: Sequence[str] | None, on_text: OnText | None = None) -> str:
        limit = min(MAX_REASONING_TOKENS, self.llm.context - prompt_tokens - MAX_ANSWER_TOKENS)
        grounding = None if names is None else Grounding(self.llm.tokenize, names)
        written = self.llm.generate(limit, (self._think_end,), on_text, allowed=grounding)
        return split_reasoning(written.text + THINK_END)[0]

    def _choose(self, question: str, heard: Heard, choices: Sequence[str], think: bool) -> tuple[int, str, int]:
        """The option that the model holds likeliest, the reasoning that ends with it, and the length of the prompt.

        Asked in an order that follows from the options' own texts, and turned by half, the probabilities averaged: a small
        model leans on the order, and an answer that depends on how somebody happened to list the options is worth little.
        """
        weighed: list[tuple[NDArray[np.float64], str]] = []
        length = 0
        # Sorted by a checksum, not by the alphabet: "about the same" would always come first.
        own = sorted(range(len(choices)), key=lambda index: (crc32(choices[index].encode()), choices[index]))
        half = len(own) // 2
        for order in (own, own[half:] + own[:half]):
            prompt = build_prompt(question, [choices[i] for i in order], think)
            length = self._begin(prompt, heard.embeddings, think)
            reasoning = self._write_reasoning(length, heard.names) if think else ""
            probability, kept = self._weigh(prompt, heard.embeddings, reasoning, [choices[i] for i in order], think)
            weighed.append((probability[np.argsort(order)], kept))
        best = int(np.sum([probability for probability, _ in weighed], axis=0).argmax())
        kept = max(weighed, key=lambda pair: float(pair[0][best]))[1]
        return best, f"{kept} {choices[best]}" if kept.endswith(CONCLUSION) else kept, length

    def _weigh(
        self, prompt: Prompt, embeddings: Float32, reasoning: str, choices: Sequence[str], think: bool
    ) -> tuple[NDArray[np.float64], str]:
        """Probability of each option, and the reasoning up to where one is named.

        Reasoning about options ends with the line `so OPTION`. There the options are compared by the likelihood of their
        whole text, which small models judge better than a letter. Without such a line the letters decide.
        """
        lines = up_to_conclusion(reasoning)
        if lines is None:
            if think:
                self.llm.feed([self._think_end])
            weights = self.llm.choose(CHOICE_LETTERS[: len(choices)])[1].astype(np.float64)
            return weights, reasoning
        self.llm.begin(prompt.prefix, embeddings, f"{prompt.suffix}{lines}", MAX_ANSWER_TOKENS)
        likely = self.llm.log_likelihoods([f" {choice}\n" for choice in choices])
        weights = np.exp(likely - likely.max())
        return weights / weights.sum(), lines

    def _say(self, clock: _Clock) -> str:
        written = self.llm.generate(MAX_ANSWER_TOKENS, (self.llm.eos,), clock.hear)
        return split_reasoning(written.text, think=False)[1]


class _Clock:
    """Passes text on and notes when the first of the answer came."""

    def __init__(self, on_text: OnText | None, think: bool) -> None:
        self._on_text = on_text
        self._thinking = think
        self._start_s = time.perf_counter()
        self._first_s: float | None = None

    def hear(self, text: str) -> None:
        if not self._thinking and self._first_s is None:
            self._first_s = self.elapsed_s()
        self._thinking = self._thinking and text != THINK_END
        if self._on_text is not None:
            self._on_text(text)

    def elapsed_s(self) -> float:
        return time.perf_counter() - self._start_s

    @property
    def first_s(self) -> float:
        return self.elapsed_s() if self._first_s is None else self._first_s
