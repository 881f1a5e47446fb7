"""Follow-ups: "and how far?", "what about behind me?" become full questions, since the model hears each question alone.

Only the question is rewritten, by rules, from the last question and answer; the answer is the model's own. What is no
follow-up, or one that cannot be resolved, stays as it is.
"""

from __future__ import annotations

import re
import time

from earshot.runtime.labels import Label, find, load_labels
from earshot.runtime.language.prompt import THINK_END
from earshot.runtime.scene.sectors import Sector, name_sector
from earshot.runtime.scene.timespans import name_span
from earshot.runtime.scene.words import SECTORS

_LEAD = re.compile(r"^(?:(?:and|but|so|then|ok|okay|now|also)\b[, ]*)*(?:(?:what|how) about\b[, ]*)?")
_OTHER = re.compile(r"^(?:where(?: is|'s) |is |how far is )?the other(?: one| sound| source)?s?$")
_PRONOUN = re.compile(r"\b(?:it|they|them|that one|this one)\b")
_IS_IT_CLOSER = re.compile(r"^(?:is|are|was|were|do|does|did) (?:it|they|that one)\b")
_NOT_A_SOURCE = re.compile(r"^what(?: is|'s| are|'re) |\bit (?:rain|true)|\bhow many\b")
_ATTRIBUTES = (
    (r"(?:how (?:far|close|near)(?: away| off)?|(?:at )?what distance)", "How far {verb} {x}?"),
    (r"(?:where(?: from| exactly)?|(?:in |from )?(?:which|what) direction|from where)", "Where {verb} {x}?"),
    (r"(?:how long|for how long)", "How long {does} {x} last?"),
    (r"(?:how high|at what height)", "How high {verb} {x}?"),
    (r"(?:when|since when|from when to when)", "When do you hear {x}?"),
)
_IS_IT = r"(?: (?:is|are|was|does|do|did) (?:it|that|this|they|he|she)(?: (?:one|away|off|last|start|sound))*)?"
_ENOUGH_S = 120.0
"""After so long the last question is not what "it" means any more."""


class Dialogue:
    """What was asked last, so that the next question can lean on it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was asked."""
        self._question = ""
        self._named: list[Label] = []
        self._subject: Label | None = None
        self._at_s = 0.0

    def complete(self, question: str) -> str:
        """Make a full question of a follow-up.

        Parameters
        ----------
        question : str
            As it was typed.

        Returns
        -------
        str
            A question that can be understood alone; the same one when it already could, or when nothing was said
            that it could lean on.
        """
        if not self._question or time.monotonic() - self._at_s > _ENOUGH_S:
            return question
        text = " ".join(question.lower().replace("’", "'").split()).rstrip("?!. ")
        lead = _LEAD.match(text)
        rest = text[lead.end() :] if lead else text
        return self._completed(rest, led=rest != text) or question

    def answered(self, question: str, answer: str) -> None:
        """Keep a full question and its answer."""
        named = _labels_in(answer)
        asked = find(question)
        self._subject = asked or (named[0] if named else self._subject)
        fresh = ([asked] if asked else []) + named
        self._named = list(dict.fromkeys([*fresh, *self._named]))[:8]
        self._question, self._at_s = question, time.monotonic()

    def _completed(self, rest: str, led: bool) -> str | None:
        """The full question, or None when this is none of the follow-ups."""
        for pattern, full in _ATTRIBUTES:
            if self._subject and re.fullmatch(pattern + _IS_IT, rest):
                return _of(full, self._subject)
        if _OTHER.match(rest):
            return self._about_other(rest)
        if led and (moved := self._elsewhere(rest)):
            return moved
        label = find(rest)
        if led and label is not None and len(rest.split()) <= 4:
            return self._about(label)
        leans = label is None or (label != self._subject and _IS_IT_CLOSER.match(rest))
        if leans and self._subject and _PRONOUN.search(rest) and not _NOT_A_SOURCE.search(rest):
            return _sentence(_agree(_PRONOUN.sub(self._subject.definite, rest, count=1), self._subject))
        return None

    def _about_other(self, rest: str) -> str | None:
        other = next((label for label in self._named if label != self._subject), None)
        if other is None:
            return None
        for word, full in (("how far", "How far {verb} {x}?"), ("where", "Where {verb} {x}?")):
            if rest.startswith(word):
                return _of(full, other)
        return self._about(other)

    def _about(self, label: Label) -> str:
        """The last question with another sound in it; where that sound is, when there was none in it."""
        asked = find(self._question)
        if asked is None:
            return _of("Where {verb} {x}?", label)
        phrases = sorted(asked.phrases, key=len, reverse=True)
        pattern = rf"\b(?P<article>(?:the|an?|any|my|some) )?(?:{'|'.join(map(re.escape, phrases))})(?:s|es)?\b"

        def instead(match: re.Match[str]) -> str:
            article = (match["article"] or "the ").strip().lower()
            return label.article if article in ("a", "an", "any", "some") else label.definite

        full, count = re.subn(pattern, instead, self._question, count=1, flags=re.IGNORECASE)
        return _agree(full, label) if count else _of("Where {verb} {x}?", label)

    def _elsewhere(self, rest: str) -> str | None:
        """The last question about another place or time, when a place or time is all there is."""
        try:
            sector, left = name_sector(rest)
            _, without = name_sector(self._question.lower())
        except ValueError:
            return None
        kept = self._question.lower().rstrip("?!. ")
        if sector is not None and not left.strip():
            if " ".join(without.rstrip("?!. ").split()) == kept:  # no place was asked for before
                return f"What do you hear to the {_sector_name(sector)}?"
            return _sentence(" ".join(f"{without.rstrip('?!. ')} {rest}".split()))
        span, left = name_span(rest, time.time())
        before, without = name_span(kept, time.time())
        if span is None or left.strip() or before is None:
            return None
        return _sentence(" ".join(f"{without} {rest}".split()))


class AnswerText:
    """Passes on the answer alone, of what a model writes: the reasoning before it is not shown.

    Parameters
    ----------
    think : bool
        Whether a reasoning comes first.
    """

    def __init__(self, think: bool) -> None:
        self._reasoning = think

    def take(self, piece: str) -> str:
        """The part of a piece of text that belongs to the answer."""
        if not self._reasoning:
            return piece
        self._reasoning = piece != THINK_END
        return ""


def _labels_in(answer: str) -> list[Label]:
    """Sounds that an answer names, in order; a name within a longer one ("clock" in "alarm clock") does not count."""
    text = answer.lower()
    found: list[tuple[int, int, Label]] = []
    for label in sorted(load_labels(), key=lambda label: -len(label.spoken)):
        for match in re.finditer(rf"\b{re.escape(label.spoken)}\b", text):
            if not any(start <= match.start() < end for start, end, _ in found):
                found.append((match.start(), match.end(), label))
    return list(dict.fromkeys(label for *_, label in sorted(found, key=lambda entry: entry[0])))


def _of(full: str, label: Label) -> str:
    return full.format(x=label.definite, verb=label.verb, does="do" if label.plural else "does")


def _agree(text: str, label: Label) -> str:
    """ "Is the footsteps" and "are the dog" put right."""
    noun = re.escape(label.definite)
    text = re.sub(rf"\b(?:is|are)(?= {noun}\b)", label.verb, text)
    text = re.sub(rf"\b(?:Is|Are)(?= {noun}\b)", label.verb.capitalize(), text)
    return re.sub(rf"\b(?:does|do)(?= {noun}\b)", "do" if label.plural else "does", text)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}?"


def _sector_name(sector: Sector) -> str:
    return SECTORS[round(sector.azimuth_deg / 45.0) % 8]
