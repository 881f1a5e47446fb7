"""Which sound classes a text in plain language names: by the label table, by groups ("someone", "an animal"), by stems.

"When the baby cries", "a crying baby" and "babies crying" are the same; what is not in the table is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache

from earshot.runtime.labels import class_id, load_labels

_MOST_WORDS = 7  # "the tinny part of the drum kit"
_JOINTS = frozenset(("and", "or", ","))
_BEFORE_NOUNS = frozenset(
    ("a", "an", "the", "some", "any", "my", "your", "no", "this", "of", "with", "by", "hear", "heard")
)


@dataclass(frozen=True)
class NamedSound:
    """One of the sounds that a text names.

    Attributes
    ----------
    words : str
        As in the text: "dog".
    keys : tuple of str
        Classes, sorted.
    """

    words: str
    keys: tuple[str, ...]


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
    parts : tuple of NamedSound
        Each sound by itself, in order.
    joint : str
        The one word, "and" or "or", that joins all of them; empty for a single sound and for any other relation.
    """

    words: str
    keys: tuple[str, ...]
    note: str
    rest: tuple[str, ...]
    vague: bool = False
    parts: tuple[NamedSound, ...] = ()
    joint: str = ""


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
        Whether two sounds that are not joined by "or" mean either; else that is an error. Then the verb of another
        sound ("the cat barks") names none either, and is left in the rest.

    Returns
    -------
    NamedSounds or None
        None when it names no sound.

    Raises
    ------
    ValueError
        When it names two sounds that are not joined by "or", so that no class is both.
    """
    words = re.findall(r"[a-z0-9']+|,", text.lower())
    hits = _hits(words)
    if not hits:
        return None
    named, strange = _without_verbs(words, hits) if either else (hits, [])
    told = [hit for hit in named if not hit.agent] or named
    parts, part_joint = _parts(words, told)
    keys = _any_of(parts) if either else _join(words, told)
    note = next((hit.note for hit in told if hit.note), "")
    inside = {place for hit in hits for place in range(hit.start, hit.end)}
    used = _stems_of(keys)
    left = {hit.start for hit in strange}
    rest = tuple(
        w for k, w in enumerate(words) if w != "," and (k in left or (k not in inside and stem(w) not in used))
    )
    spoken = [" ".join(words[hit.start : hit.end]) for hit in told]
    joint = " or " if any(w == "or" for w in words) else " "
    return NamedSounds(joint.join(spoken), keys, note, rest, all(hit.vague for hit in told), parts, part_joint)


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


def _without_verbs(words: list[str], hits: list[_Hit]) -> tuple[list[_Hit], list[_Hit]]:
    """What names a sound, and the verbs that are said of a sound to which they do not belong: "the cat barks"."""
    named: list[_Hit] = []
    strange: list[_Hit] = []
    subjects: list[_Hit] = []  # "the cat or the dog": a verb is said of both
    after_verb = False
    for hit in hits:
        verb = bool(subjects) and not hit.agent and _is_verb(words, hit, after_verb)
        if verb and not all(_does(subject, hit, words) for subject in subjects):
            strange.append(hit)
        elif not verb or any(set(hit.keys) & set(subject.keys) for subject in subjects):
            named.append(hit)  # also a verb: of "an animal barks", the dog is left
        if hit.agent:
            subjects = []  # what someone does names the sound
        elif not verb:
            subjects = [hit] if after_verb else [*subjects, hit]
        after_verb = verb
    return named, strange


def _is_verb(words: list[str], hit: _Hit, after_verb: bool) -> bool:
    """Whether a hit is said of the sound before it: "the cat barks", but not "the cat or a bark"."""
    if hit.end - hit.start > 1 or stem(words[hit.start]) not in _verbs():
        return False
    before = words[hit.start - 1]
    return after_verb if before in _JOINTS else before not in _BEFORE_NOUNS


def _does(subject: _Hit, verb: _Hit, words: list[str]) -> bool:
    """Whether a verb belongs to a sound: the dog barks; the rooster crows, although "crow" by itself is a bird."""
    return bool(set(subject.keys) & set(verb.keys)) or stem(words[verb.start]) in _stems_of(subject.keys)


def _parts(words: list[str], hits: list[_Hit]) -> tuple[tuple[NamedSound, ...], str]:
    """Each sound by itself, and the word that joins them all if there is one."""
    parts: list[NamedSound] = []
    gaps: list[set[str]] = []
    end = 0
    for hit in (hit for hit in hits if hit.keys):
        gap = _JOINTS.intersection(words[end : hit.start])
        same = set(parts[-1].keys) & set(hit.keys) if parts and not gap else set()
        if same:
            parts[-1] = replace(parts[-1], keys=tuple(sorted(same)))
        else:
            gaps += [set(gap)] if parts else []
            parts.append(NamedSound(_part(words, hit), tuple(sorted(hit.keys))))
        end = hit.end
    joints = {word for gap in gaps for word in gap if word != ","}
    return tuple(parts), joints.pop() if len(joints) == 1 and all(gaps) else ""


def _any_of(parts: tuple[NamedSound, ...]) -> tuple[str, ...]:
    return tuple(sorted({key for part in parts for key in part.keys}))


def _join(words: list[str], hits: list[_Hit]) -> tuple[str, ...]:
    """Classes of "dog or cat" and of "car ... honks"; no keys stand for any sound."""
    found: set[str] | None = None
    everything = {label.key for label in load_labels()}
    for before, hit in zip([None, *hits], hits, strict=False):
        keys = set(hit.keys) or everything
        if found is None or before is None:
            found = keys
        elif "or" in words[before.end : hit.start]:
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


@lru_cache(maxsize=1)
def _verbs() -> frozenset[str]:
    """Stems of what sounds are said to do: the table has them as "barking", "something ticking"."""
    words = (word for phrase, _ in _phrases() for word in phrase)
    return frozenset(stem(word) for word in words if word.endswith("ing")) | {"fly"}


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
