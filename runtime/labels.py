"""The label table: what the 61 sound classes are called.

A class has a data-set key (``clock_alarm``), a display name for JSON output (the AudioSet-ontology name where
there is one), a noun for prompts and answers (``alarm clock``), and other ways in which people ask for it.
The index of a label in the table is its class id everywhere: networks, bundles, training data.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["Label", "by_key", "by_spoken", "class_id", "find", "load_labels"]


@dataclass(frozen=True)
class Label:
    """One sound class and the ways to speak about it.

    Attributes
    ----------
    key : str
        Data-set class, e.g. ``"clock_alarm"``.
    name : str
        Display name; the AudioSet-ontology name where one exists (Gemmeke et al., ICASSP 2017).
    spoken : str
        Lower-case noun for prompts and answers, unique in the table, e.g. ``"alarm clock"``.
    article : str
        The noun as it is first mentioned: ``"an alarm clock"``; the bare noun when it cannot be counted or is
        plural: ``"rain"``.
    plural : bool
        Whether the spoken noun takes a plural verb ("the footsteps are").
    synonyms : tuple of str
        Nouns that fit after "the": ``"beeper"``.
    descriptions : tuple of str
        Noun phrases that stand alone: ``"that beeping thing"``, ``"someone walking"``.
    """

    key: str
    name: str
    spoken: str
    article: str
    plural: bool
    synonyms: tuple[str, ...]
    descriptions: tuple[str, ...]

    @property
    def definite(self) -> str:
        """The noun with the definite article: ``"the alarm clock"``."""
        return f"the {self.spoken}"

    @property
    def verb(self) -> str:
        """``"are"`` for a plural noun, otherwise ``"is"``."""
        return "are" if self.plural else "is"

    @property
    def phrases(self) -> tuple[str, ...]:
        """Every way to ask for this class: spoken noun, display name, synonyms, descriptions."""
        return (self.spoken, self.name, *self.synonyms, *self.descriptions)


@lru_cache(maxsize=1)
def load_labels() -> tuple[Label, ...]:
    """Read the table that ships with the package.

    Returns
    -------
    tuple of Label
        Sorted by key; the index is the class id.
    """
    text = Path(__file__).with_name("labels.json").read_text(encoding="utf-8")
    return tuple(_label(entry) for entry in json.loads(text))


def class_id(key: str) -> int:
    """Class id (index in the table) of a data-set key; ``KeyError`` if there is none."""
    return _indices()[key]


def by_key(key: str) -> Label:
    """Label of a data-set key; ``KeyError`` if there is none."""
    return load_labels()[class_id(key)]


def by_spoken(spoken: str) -> Label:
    """Label of a spoken noun; ``KeyError`` if there is none."""
    return _spoken()[spoken]


def find(text: str) -> Label | None:
    """Find the class that a question speaks about.

    Whole words are compared, without regard to case, hyphens, punctuation and a plural ending. The longest
    phrase wins ("someone walking" before "walking"); of equally long ones, the first in the text.

    Parameters
    ----------
    text : str
        A question or an answer in English.

    Returns
    -------
    Label or None
        None when no phrase of the table occurs.
    """
    matches = [(len(phrase), -where, label) for phrase, where, label in _occurrences(_plain(text))]
    return max(matches, key=lambda match: match[:2])[2] if matches else None


def spoken_in(text: str) -> list[Label]:
    """Classes that a text of the model's names by their nouns, in order; one within another ("clock" in "alarm clock") does not count."""
    text = text.lower()
    found: list[tuple[int, int, Label]] = []
    for label in sorted(load_labels(), key=lambda label: -len(label.spoken)):
        for match in re.finditer(rf"\b{re.escape(label.spoken)}\b", text):
            if not any(start <= match.start() < end for start, end, _ in found):
                found.append((match.start(), match.end(), label))
    return list(dict.fromkeys(label for *_, label in sorted(found, key=lambda entry: entry[0])))


def _occurrences(text: str) -> list[tuple[str, int, Label]]:
    """(phrase, position, label) of every phrase of the table that the plain text contains."""
    found = []
    for phrase, pattern, label in _patterns():
        match = pattern.search(text)
        if match:
            found.append((phrase, match.start(), label))
    return found


def _plain(text: str) -> str:
    """Lower case, words separated by single spaces, nothing but letters, digits and apostrophes."""
    return " ".join(re.sub(r"[^a-z0-9']+", " ", text.lower()).split())


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str], Label], ...]:
    """(plain phrase, compiled pattern, label) for every phrase of the table."""
    return tuple(
        (plain, re.compile(rf"(?<![\w']){re.escape(plain)}(?:'s|s|es)?(?![\w'])"), label)
        for label in load_labels()
        for plain in map(_plain, label.phrases)
    )


@lru_cache(maxsize=1)
def _indices() -> dict[str, int]:
    return {label.key: index for index, label in enumerate(load_labels())}


@lru_cache(maxsize=1)
def _spoken() -> dict[str, Label]:
    return {label.spoken: label for label in load_labels()}


def _label(entry: dict[str, object]) -> Label:
    """Build a label from its JSON entry; lists become tuples."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Label(**fields)  # type: ignore[arg-type]
