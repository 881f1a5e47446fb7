"""What an answer about places leaves open: whether a sound is in front or behind, where these ears hear both alike.

The language model never learned to say so. This is no part of its answer: it is told beside it, from the posterior of what was heard. Of
218 sounds of mixtures that training never saw a third is told of so, and of those a third is on the wrong side, of the others one in seven.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from earshot.runtime.geometry import angles_of
from earshot.runtime.hearing.objects import DIRECTION, POSTERIOR, Float32, class_of
from earshot.runtime.hearing.posterior import front_back_ambiguous, lobe_azimuth_deg
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.naming import named_classes
from earshot.runtime.scene.words import doubtful_direction_words

_ABOUT_SIDES = re.compile(r"\b(?:front|behind|back|ahead|degrees?)\b", re.IGNORECASE)


def doubts_of(rows: Float32) -> dict[int, str]:
    """What to say of each object whose place may as well be mirrored, by class id.

    Parameters
    ----------
    rows : ndarray, float32 [M, 299]
        Objects, see `earshot.runtime.hearing.objects`.
    """
    return {class_of(row): _sentence(row) for row in rows if front_back_ambiguous(row[POSTERIOR])}


def doubts_about(question: str, answer: str, reasoning: str, doubts: Mapping[int, str]) -> tuple[str, ...]:
    """Those that an answer depends on: it or its question is about front and back, and names the sound.

    Parameters
    ----------
    question, answer : str
    reasoning : str
        Of sounds without a line of evidence in it nothing is said: the model does not believe in them. Empty where nothing was reasoned.
    doubts : mapping of int to str
        See `doubts_of`.
    """
    if not doubts or not _ABOUT_SIDES.search(f"{question} {answer}"):
        return ()
    named = [label for label in named_classes([question, answer]) if label in doubts]
    return tuple(
        doubts[label] for label in named if not reasoning or _has_evidence(load_labels()[label].spoken, reasoning)
    )


def _has_evidence(spoken: str, reasoning: str) -> bool:
    return any(line.startswith(f"{spoken} |") for line in reasoning.splitlines())


def _sentence(row: Float32) -> str:
    label = load_labels()[class_of(row)]
    elevation_deg = float(angles_of(row[DIRECTION])[1])
    words = doubtful_direction_words(lobe_azimuth_deg(row[POSTERIOR]), elevation_deg)
    return f"{label.definite} may be {words}: to these ears both sound alike"
