"""Small changes of wording by rule, for training only: openers, other words for the same, spelling, typing errors.

They multiply the hand-written ways to ask, so that a model learns not to lean on one word. They change templates, never
what is filled into them, and they are never applied to phrasings that are held out.
"""

from __future__ import annotations

import json
import random
import re
from functools import lru_cache
from pathlib import Path

OPENERS = (
    "please: ", "hey, ", "ok, ", "ok so ", "so, ", "now, ", "um, ", "hi, ", "and ", "alright, ", "tell me: ",
    "quick question: ", "one question: ", "can you tell me, ", "could you say: ", "i'd like to know: ", "do you know: ",
    "any idea: ", "just wondering, ", "excuse me, ", "sorry, ", "listen: ", "earshot, ",
)  # fmt: skip
CLOSERS = (
    ", please", " please", " right now", " at the moment", ", do you think", ", would you say", ", any idea", " again",
    ", roughly", " then", ", in your opinion", ", as far as you can tell", ", thanks", " actually", ", exactly",
)  # fmt: skip
OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "closer": ("nearer",), "nearer": ("closer",), "closest": ("nearest",), "nearest": ("closest",),
    "metres": ("meters", "m"), "degrees": ("deg",), "hear": ("make out", "pick up", "notice", "perceive"),
    "begin": ("start",), "start": ("begin",), "begins": ("starts",), "starts": ("begins",), "began": ("started",),
    "ends": ("stops", "finishes"), "end": ("stop", "finish"), "stops": ("ends", "goes quiet"), "towards": ("toward", "to"),
    "last": ("final",), "first": ("earliest",), "what's": ("what is", "whats"), "where's": ("where is", "wheres"),
    "what is": ("what's",), "where is": ("where's",), "which": ("what",), "how far away": ("how far", "how far off"),
    "turn": ("rotate", "swivel"), "facing": ("looking at",), "face": ("look at",), "in front of me": ("ahead of me",),
    "direction": ("way",), "tell me": ("say", "let me know"), "is there": ("is there",), "walk": ("go", "move", "step"),
    "the sounds": ("the noises", "the sources"), "which sound": ("what sound", "which noise", "which source"),
    "sources": ("sounds",), "noises": ("sounds",), "roughly": ("about", "approximately"),
    "suppose": ("say", "imagine", "let's say"), "imagine": ("suppose", "picture that"), "if": ("when", "in case"),
    "furthest": ("farthest",), "further": ("farther",), "leftmost": ("furthest left",), "would": ("will",), "will": ("would",),
    "can you": ("could you", "are you able to"), "do you": ("can you",), "give": ("tell",), "remains": ("is left",),
    "is left": ("remains",), "elevation": ("height angle",), "azimuth": ("bearing",),
}  # fmt: skip
_ONLY_WHERE = {
    # "Which way is it", but neither "the vertical way of it" nor "in which way is it".
    "direction": r"(?:(?<=which )|(?<=what ))(?<![Ii]n which )(?<![Ii]n what )(?<!with which )direction",
    # Where it is a condition: "if" may also mean "whether", and "what if" has no other word.
    "if": "".join(
        rf"(?<!\b{word} )"
        for word in (
            "[Ww]hat", "even", "[Tt]ell", "[Tt]ell me", "know", "[Ww]onder", "wondering", "[Cc]heck", "[Ss]ay", "yes", "no",
            "sure", "out", "determine",
        )
    ) + r"if(?! so\b| any| at all\b)",
    "elevation": r"elevation(?! angle)",
}  # fmt: skip
"""Words that have another only in some places, as patterns."""
_WORDS = re.compile(
    r"(?<![\w{'])("
    + "|".join(_ONLY_WHERE.get(word, re.escape(word)) for word in sorted(OTHER_WORDS, key=len, reverse=True))
    + r")(?![\w}'])"
)
_TYPED = re.compile(r"\{\w+\}|[a-z]{5,}", re.IGNORECASE)

OPENER_SHARE, CLOSER_SHARE, OTHER_WORDS_SHARE, TYPO_SHARE = 0.12, 0.08, 0.3, 0.05
CONTEXT_SHARE, TAIL_SHARE = 0.08, 0.04
"""Of sentences around a question that have nothing to do with what is asked."""


def reworded(template: str, rng: random.Random) -> str:
    """A template with other words around its slots, meaning the same.

    Parameters
    ----------
    template : str
        A phrasing with slots in braces.
    rng : random.Random
        Source of randomness; most templates are left as they are.
    """
    text = template
    if rng.random() < OTHER_WORDS_SHARE:
        text = text[:1].lower() + text[1:]
        text = _WORDS.sub(lambda found: _other(found[1], rng), text)
    if rng.random() < OPENER_SHARE:
        text = rng.choice(OPENERS) + text[:1].lower() + text[1:]
    if rng.random() < CLOSER_SHARE:
        body, end = (text[:-1], text[-1]) if text[-1] in "?." else (text, "")
        text = f"{body}{rng.choice(CLOSERS)}{end}"
    if rng.random() < TYPO_SHARE:
        text = _mistyped(text, rng)
    return _in_context(text, rng)


def _in_context(text: str, rng: random.Random) -> str:
    """The text with a sentence before or behind it, now and then: why it is asked is not what is asked."""
    before, after = _contexts()
    if rng.random() < CONTEXT_SHARE:
        context = rng.choice(before)
        text = f"{context} {text if context[-1] in '.!?' else text[:1].lower() + text[1:]}"
    if rng.random() < TAIL_SHARE:
        text = f"{text if text[-1] in '.!?' else text + '.'} {rng.choice(after)}"
    return text


@lru_cache(maxsize=1)
def _contexts() -> tuple[list[str], list[str]]:
    stored = json.loads(Path(__file__).with_name("contexts.json").read_text(encoding="utf-8"))
    return stored["before"], stored["after"]


def _other(word: str, rng: random.Random) -> str:
    return rng.choice(OTHER_WORDS[word]) if rng.random() < 0.6 else word


def _mistyped(text: str, rng: random.Random) -> str:
    """One word of five letters or more with a letter left out, doubled or exchanged with its neighbour."""
    words = [found for found in _TYPED.finditer(text) if not found[0].startswith("{")]
    if not words:
        return text
    word = rng.choice(words)
    at = word.start() + rng.randrange(1, len(word[0]) - 1)
    kind = rng.randrange(3)
    changed = ("", text[at] * 2, text[at + 1] + text[at])[kind]
    return text[:at] + changed + text[at + (2 if kind == 2 else 1) :]
