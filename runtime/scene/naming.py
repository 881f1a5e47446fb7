"""Which sound classes a text in plain language names: by the label table, by groups ("someone", "an animal"), by stems.

"When the baby cries", "a crying baby" and "babies crying" are the same; what is not in the table is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from earshot.runtime.labels import class_id, load_labels

_MOST_WORDS = 7  # "the tinny part of the drum kit"


@dataclass(frozen=True)
class NamedSounds:
    """What a text names.

    Attributes
    ----------
    words : str
        As in the text: "car", "dog or cat".
    keys : tuple of str
        Classes, sorted; empty for any sound.
    note : str
        What has to be said about it, else empty.
    rest : tuple of str
        Words of the text that name no sound.
    vague : bool
        Nothing but "someone", "something" or "rings" is named: words of the rest may be what was meant.
    """

    words: str
    keys: tuple[str, ...]
    note: str
    rest: tuple[str, ...]
    vague: bool = False


@dataclass(frozen=True)
class _Group:
    """A word for several classes.

    An agent ("someone") means little beside what it does ("knocks"); what a vague one means depends on what rings.
    """

    words: tuple[str, ...]
    keys: tuple[str, ...]
    note: str = ""
    agent: bool = False
    vague: bool = False


_PEOPLE = (
    "breathing",
    "clapping",
    "coughing",
    "crying_baby",
    "door_knock",
    "drinking_sipping",
    "footsteps",
    "keyboard_typing",
    "laughing",
    "sneezing",
    "snoring",
    "speech",
)
_ANIMALS = (
    "cat",
    "chirping_birds",
    "cow",
    "crickets",
    "crow",
    "dog",
    "frog",
    "hen",
    "insects_flying",
    "pig",
    "rooster",
    "sheep",
)
_CARS = ("car_horn", "engine")
_ROAD_NOTE = "there is no class for {word}: engines and horns are meant"
_RING_NOTE = "there is no class for {word}: a ringing alarm clock is the nearest"
_GROUPS = (
    _Group(("someone", "somebody", "anyone", "anybody", "person", "people", "man", "woman"), _PEOPLE, agent=True),
    _Group(("something", "anything", "sound", "noise", "everything"), (), agent=True),
    _Group(("animal", "pet"), _ANIMALS),
    _Group(("car",), _CARS),
    _Group(("truck", "lorry", "bus", "motorbike", "motorcycle", "moped", "van", "taxi"), _CARS, _ROAD_NOTE),
    _Group(("vehicle", "traffic"), (*_CARS, "siren", "train")),
    _Group(("phone", "telephone", "mobile", "smartphone", "cellphone"), ("clock_alarm",), _RING_NOTE),
    _Group(("ring",), ("clock_alarm", "church_bells"), vague=True),
    _Group(("beep",), ("clock_alarm",), vague=True),
    _Group(("music", "instrument", "song"), tuple(label.key for label in load_labels() if "music_" in label.key)),
)


@dataclass(frozen=True)
class _Hit:
    start: int
    end: int
    keys: tuple[str, ...]
    note: str = ""
    agent: bool = False
    vague: bool = False


def stem(word: str) -> str:
    """What is left of a word without the endings of number and tense: "knocks", "knocking", "knocked": "knock"."""
    word = word.removesuffix("'s").strip("'")
    for ending, instead in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= (2 if instead else 3) and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsze":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def name_sounds(text: str, either: bool = False) -> NamedSounds | None:
    """Find the sounds that a text names.

    Parameters
    ----------
    text : str
        A question or a rule, with nothing in it that names a place or a time.
    either : bool
        Whether two sounds that are not joined by "or" mean either; else that is an error.

    Returns
    -------
    NamedSounds or None
        None when it names no sound.

    Raises
    ------
    ValueError
        When it names two sounds that are not joined by "or", so that no class is both.
    """
    words = re.findall(r"[a-z0-9']+", text.lower())
    hits = _hits(words)
    told = [hit for hit in hits if not hit.agent] or hits
    if not told:
        return None
    keys = _join(words, told, either)
    note = next((hit.note for hit in told if hit.note), "")
    inside = {place for hit in hits for place in range(hit.start, hit.end)}
    used = _stems_of(keys)
    rest = tuple(w for k, w in enumerate(words) if k not in inside and stem(w) not in used)
    spoken = [" ".join(words[hit.start : hit.end]) for hit in told]
    joint = " or " if any(w == "or" for w in words) else " "
    return NamedSounds(joint.join(spoken), keys, note, rest, all(hit.vague for hit in told))


def named_classes(texts: Iterable[str]) -> tuple[int, ...]:
    """Class ids that questions and options name, in order; those of a group ("an animal") too, none of "someone" or "a sound".

    Words that only sound like one ("three steps forward") name it as well: whoever looks for it will not hear it.
    """
    hits = (hit for text in texts for hit in _hits(re.findall(r"[a-z0-9']+", text.lower())))
    keys = dict.fromkeys(key for hit in hits if not hit.agent for key in hit.keys)
    return tuple(class_id(key) for key in keys)


def meant_classes(texts: Iterable[str]) -> frozenset[int]:
    """Class ids that questions and options may mean: those of `named_classes`, and those of "someone"."""
    hits = (hit for text in texts for hit in _hits(re.findall(r"[a-z0-9']+", text.lower())))
    return frozenset(class_id(key) for hit in hits for key in hit.keys)


def nearest_sounds(words: tuple[str, ...]) -> list[str]:
    """Spoken names that look like one of the words; for messages."""
    known = {phrase: label.spoken for label in load_labels() for phrase in (label.spoken, *label.synonyms)}
    near = (get_close_matches(word, known, n=2, cutoff=0.7) for word in words)
    return list(dict.fromkeys(known[phrase] for group in near for phrase in group))


def _hits(words: list[str]) -> list[_Hit]:
    """Longest phrases from left to right."""
    hits, at = [], 0
    while at < len(words):
        hit = next((h for n in range(_MOST_WORDS, 0, -1) if (h := _look_up(words, at, at + n))), None)
        if hit is not None:
            hits.append(hit)
        at = hit.end if hit is not None else at + 1
    return hits


def _look_up(words: list[str], start: int, end: int) -> _Hit | None:
    if end > len(words):
        return None
    part = words[start:end]
    if len(part) == 1 and (group := _groups().get(stem(part[0]))) is not None:
        return _Hit(
            start, end, group.keys, group.note.format(word=f"'{part[0]}'"), group.agent, group.vague or group.agent
        )
    key = _exact().get(tuple(part)) or _stemmed().get(tuple(map(stem, part)))
    return _Hit(start, end, (key,)) if key is not None else None


def _join(words: list[str], hits: list[_Hit], either: bool) -> tuple[str, ...]:
    """Classes of "dog or cat" and of "car ... honks"; no keys stand for any sound."""
    found: set[str] | None = None
    everything = {label.key for label in load_labels()}
    for before, hit in zip([None, *hits], hits, strict=False):
        keys = set(hit.keys) or everything
        if found is None or before is None:
            found = keys
        elif "or" in words[before.end : hit.start] or (not found & keys and either):
            found = found | keys
        elif not found & keys:
            raise ValueError(
                f"no sound is both '{_part(words, before)}' and '{_part(words, hit)}'; join them with 'or'"
            )
        else:
            found = found & keys
    return () if found is None or found == everything else tuple(sorted(found))


def _part(words: list[str], hit: _Hit) -> str:
    return " ".join(words[hit.start : hit.end])


def _stems_of(keys: tuple[str, ...]) -> set[str]:
    """Stems of all that is said of some classes: the "cries" of a baby is no word of its own."""
    labels = [label for label in load_labels() if label.key in keys]
    return {
        stem(word) for label in labels for phrase in label.phrases for word in re.findall(r"[a-z']+", phrase.lower())
    }


def _phrases() -> list[tuple[tuple[str, ...], str]]:
    """(words, class) of the whole table; what comes first goes first where two classes share a phrase."""
    found = []
    for rank in range(3):
        for label in load_labels():
            for phrase in ((label.spoken,), label.synonyms, (label.name, *label.descriptions))[rank]:
                found.append((tuple(re.findall(r"[a-z0-9']+", phrase.lower())), label.key))
    return found


@lru_cache(maxsize=1)
def _exact() -> dict[tuple[str, ...], str]:
    return dict(reversed(_phrases()))


@lru_cache(maxsize=1)
def _stemmed() -> dict[tuple[str, ...], str]:
    return {tuple(map(stem, words)): key for words, key in reversed(_phrases())}


@lru_cache(maxsize=1)
def _groups() -> dict[str, _Group]:
    return {stem(word): group for group in _GROUPS for word in group.words}
