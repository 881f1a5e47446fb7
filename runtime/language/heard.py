"""What the language model hears of a window when it is asked a question: all that was told of, and what the question names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.asked import ask_by_name, possible_classes
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import OBJECT_WIDTH, class_of, gather_objects, object_rows, strongest_first
from earshot.runtime.hearing.tokens import LOG_T60, Tokens
from earshot.runtime.labels import load_labels
from earshot.runtime.language.doubts import Doubts, doubts_of
from earshot.runtime.scene.naming import named_classes

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heard:
    """What the language model is given of a window.

    Attributes
    ----------
    embeddings : ndarray, float32 [N, hidden]
        Audio tokens of the projector, oldest first; none when nothing was heard yet.
    names : tuple of str or None
        Spoken names of the sounds that hearing has found, told of or asked for; None where that is not known.
    doubts : Doubts
        What is not certain of them.
    """

    embeddings: Float32
    names: tuple[str, ...] | None = None
    doubts: Doubts = field(default_factory=Doubts)


def embed(encoders: Encoders, window: HearingWindow, question: str, choices: Sequence[str] | None = None) -> Heard:
    """What is heard of a window for one question.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    window : HearingWindow
    question : str
    choices : sequence of str, optional
        Options; what they name is looked for as well.
    """
    asked = asked_rows(encoders, window, question, choices)
    rows = _objects(window.tokens, asked)
    return Heard(encoders.project(window.tokens, asked), _spoken(rows), doubts_of(rows, _t60_s(window.tokens)))


def names_heard(tokens: Tokens, asked: Float32 | None = None) -> tuple[str, ...]:
    """Spoken names of the sound objects of a window, those asked for (`asked_rows`) included."""
    return _spoken(_objects(tokens, asked))


def _objects(tokens: Tokens, asked: Float32 | None) -> Float32:
    """Rows of the objects, without the one that ends them, float32 [M, 299]."""
    return gather_objects(tokens, asked)[:-1] if len(tokens) else np.zeros((0, OBJECT_WIDTH), np.float32)


def _t60_s(tokens: Tokens) -> float:
    """Reverberation time heard over a window; 1 s where there is none (and no sound either)."""
    return math.exp(float(tokens.scene[:, LOG_T60].mean())) if len(tokens) else 1.0


def _spoken(rows: Float32) -> tuple[str, ...]:
    return tuple(load_labels()[class_of(row)].spoken for row in rows)


def asked_rows(
    encoders: Encoders, window: HearingWindow, question: str, choices: Sequence[str] | None = None
) -> Float32:
    """Objects of the classes that are named, may have sounded and were not told of, float32 [K, 299].

    Costs time only when there are any: the spatial network then hears the window again.
    """
    named = named_classes([question, *(choices or ())])
    told = object_rows(window.tokens) if named else {}
    wanted = [label for label in named if label not in told]
    if not wanted or not window.frames:
        return ask_by_name(encoders, (), ())
    probabilities = np.stack([frame.class_probability for frame in window.frames])
    found = possible_classes(probabilities, wanted)
    return ask_by_name(encoders, window.frames, found, strongest_first(told), window.turned_deg)
