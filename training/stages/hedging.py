"""What cannot be told is not claimed: answers that leave front or back open when that is what was heard.

A scene's description always knows; whether the ears could know is in the posterior that the language model is given. It is
judged here as the radar judges it (`earshot.runtime.hearing.posterior.front_back_ambiguous`).
"""

from __future__ import annotations

from dataclasses import replace

from earshot.runtime.hearing.objects import POSTERIOR, ProjectorInputs
from earshot.runtime.hearing.posterior import front_back_ambiguous
from earshot.runtime.labels import class_id
from earshot.training.questions.items import Item


def hedged(item: Item, audio: ProjectorInputs) -> Item:
    """The item; an open answer to where a sound is admits its mirror image when both were heard alike.

    Parameters
    ----------
    item : Item
        Any; only open questions about a place are changed.
    audio : ProjectorInputs
        What was heard.
    """
    if item.task != "where" or item.form != "open" or "azimuth_deg" not in item.truth:
        return item
    label = class_id(item.truth["label"])
    own = [row[POSTERIOR] for row in audio.objects[:-1] if row[label] > 0]
    if not own or not front_back_ambiguous(own[0]):
        return item
    other = "behind you" if abs(item.truth["azimuth_deg"]) < 90 else "in front of you"
    return replace(item, answer=f"{item.answer} It may also be {other}, I am not sure.")
