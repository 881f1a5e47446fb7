"""What the language model hears of a window when it is asked a question: all that was told of, and what the question names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earshot.runtime.hearing.asked import ask_by_name, possible_classes
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import HearingWindow
from earshot.runtime.hearing.objects import object_rows
from earshot.runtime.scene.naming import named_classes

Float32 = NDArray[np.float32]


def embed(encoders: Encoders, window: HearingWindow, question: str, choices: Sequence[str] | None = None) -> Float32:
    """Embeddings of a window for one question.

    Parameters
    ----------
    encoders : Encoders
        Loaded.
    window : HearingWindow
    question : str
    choices : sequence of str, optional
        Options; what they name is looked for as well.

    Returns
    -------
    ndarray, float32 [N, hidden]
    """
    return encoders.project(window.tokens, asked_rows(encoders, window, question, choices))


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
    return ask_by_name(encoders, window.frames, possible_classes(probabilities, wanted))
