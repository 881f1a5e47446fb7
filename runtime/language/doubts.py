"""What an answer about places leaves open: front or behind, where these ears hear both alike, and how far.

The language model never learned to say so. This is no part of its answer: it is told beside it, from what was heard. Of
218 sounds of mixtures that training never saw a third is told of as in front or behind, and of those a third is on the wrong side, of the
others one in seven. How far a sound may be is told when a question is about distances.

A name that the model does not know it takes for another ("trombone" for "sheep"), and denies that one or tells where it is. Its
reasoning states which sound it thinks it was asked about, so it can be told that nobody named that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from earshot.runtime.geometry import angles_of
from earshot.runtime.hearing.distance_range import likely_range_m
from earshot.runtime.hearing.objects import DIRECTION, LOG_DISTANCE, POSTERIOR, Float32, class_of
from earshot.runtime.hearing.posterior import front_back_ambiguous, lobe_azimuth_deg
from earshot.runtime.labels import class_id, load_labels, spoken_in
from earshot.runtime.language.prompt import ASKED
from earshot.runtime.scene.naming import meant_classes, named_classes
from earshot.runtime.scene.words import doubtful_direction_words

_ABOUT_SIDES = re.compile(r"\b(?:front|behind|back|ahead|degrees?)\b", re.IGNORECASE)
_ABOUT_FRONT = re.compile(r"\b(?:front|behind|back|ahead)\b", re.IGNORECASE)
_ABOUT_DISTANCES = re.compile(
    r"\b(?:dist|distan(?:ces?|t)|range|reach|short(?:er|est) w(?:ay|alk)|(?<!so )far(?:ther|thest)?(?! (?:left|right|to))|"
    r"furthest(?! (?:left|right|to))|further (?:away|off)|close(?:r|st)?|near(?:er|est|by)?|(?<=\d )m|met(?:re|er)s?)\b",
    re.IGNORECASE,
)
_ABOUT_ANGLES = re.compile(r"\b(?:angles?|apart|degrees?|turn)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Doubts:
    """What to say of the objects that were heard, by class id.

    Attributes
    ----------
    sides : mapping of int to str
        Of those whose place may as well be mirrored.
    distances : mapping of int to str
        Of all whose distance was heard.
    """

    sides: Mapping[int, str] = field(default_factory=dict)
    distances: Mapping[int, str] = field(default_factory=dict)


def doubts_of(rows: Float32, t60_s: float) -> Doubts:
    """What is not certain of objects.

    Parameters
    ----------
    rows : ndarray, float32 [M, 299]
        Objects, see `earshot.runtime.hearing.objects`.
    t60_s : float
        Reverberation time heard of the room, seconds.
    """
    return Doubts(
        {class_of(row): _side(row) for row in rows if front_back_ambiguous(row[POSTERIOR])},
        {class_of(row): _distance(row, t60_s) for row in rows},
    )


def doubts_about(question: str, answer: str, reasoning: str, doubts: Doubts) -> tuple[str, ...]:
    """Those that an answer depends on: it names the sound, or its question does, and they are about sides, or the question about distances.

    Where neither names a sound and the question is about front or back ("what is behind me?", "I hear nothing there."), each that may be
    there as well counts as named.

    Parameters
    ----------
    question, answer : str
    reasoning : str
        Of sounds without a line of evidence in it nothing is said: the model does not believe in them. Empty where nothing was reasoned.
    doubts : Doubts
        See `doubts_of`.
    """
    told = [doubts.sides] if _ABOUT_SIDES.search(f"{question} {answer}") else []
    told += [doubts.distances] if _ABOUT_DISTANCES.search(question) and not _ABOUT_ANGLES.search(question) else []
    named = named_classes([question, answer])
    if not named and _ABOUT_FRONT.search(question):
        named = tuple(doubts.sides)
    named = tuple(n for n in named if not reasoning or _has_evidence(load_labels()[n].spoken, reasoning))
    return tuple(kind[label] for kind in told for label in named if label in kind)


def unnamed(texts: Iterable[str], answer: str, reasoning: str) -> tuple[str, ...]:
    """Sounds that an answer is about, or names, though nobody named them: an unknown name was taken for one that is known.

    Parameters
    ----------
    texts : iterable of str
        Question and options.
    answer : str
    reasoning : str
        Its line `ASKED` states what the model thinks was asked; empty where nothing was reasoned.
    """
    if not reasoning:
        return ()
    asked = next((line for line in reasoning.splitlines() if line.startswith(ASKED)), "")
    meant = meant_classes(texts)
    about = [label for label in spoken_in(asked) if class_id(label.key) not in meant]
    unheard = [label for label in spoken_in(answer) if not _has_evidence(label.spoken, reasoning)]
    said = [label for label in unheard if label not in about and class_id(label.key) not in meant]
    told = (
        (about, "this answer is about {}, which the question does not name"),
        (said, "this answer names {}, which was neither asked about nor heard"),
    )
    return tuple(text.format(" and ".join(label.article for label in labels)) for labels, text in told if labels)


def _has_evidence(spoken: str, reasoning: str) -> bool:
    return any(line.startswith(f"{spoken} |") for line in reasoning.splitlines())


def _side(row: Float32) -> str:
    label = load_labels()[class_of(row)]
    elevation_deg = float(angles_of(row[DIRECTION])[1])
    words = doubtful_direction_words(lobe_azimuth_deg(row[POSTERIOR]), elevation_deg)
    return f"{label.definite} may be {words}: to these ears both sound alike"


def _distance(row: Float32, t60_s: float) -> str:
    label = load_labels()[class_of(row)]
    low_m, high_m = likely_range_m(math.exp(float(row[LOG_DISTANCE])), t60_s)
    return f"{label.definite} may be from {low_m:.1f} to {high_m:.1f} metres away: two ears tell little of distances"
