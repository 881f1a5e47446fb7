"""Answers in plain sentences: short, varied, and only what the evidence holds."""

from __future__ import annotations

import random
from collections.abc import Sequence

from earshot.runtime.labels import Label
from earshot.training.questions.view import Heard

TO_YOU = {"left": "on your left", "right": "on your right", "front": "in front of you", "behind": "behind you"}


def place(azimuth_deg: int) -> str:
    """An azimuth as people say it: `about 35 degrees to your left`, `straight ahead of you`."""
    if azimuth_deg == 0:
        return "straight ahead of you"
    if abs(azimuth_deg) == 180:
        return "straight behind you"
    return f"about {abs(azimuth_deg)} degrees to your {'left' if azimuth_deg > 0 else 'right'}"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def joined(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sounds(heard: Sequence[Heard], rng: random.Random) -> str:
    """All sounds of a scene in one sentence."""
    if not heard:
        return "I can't hear any sound."
    names = joined([source.label.article for source in heard])
    return rng.choice((f"I hear {names}.", f"There is {names}." if not heard[0].label.plural else f"I hear {names}."))


def it_is(source: Heard, rng: random.Random) -> str:
    """Names the sound in a direction that was asked about."""
    return rng.choice((f"That is {source.label.article}.", f"{capital(source.label.article)}."))


def nothing_there(sector: str, rng: random.Random) -> str:
    """No sound comes from a direction."""
    return rng.choice(("I hear nothing there.", "Nothing sounds there."))


def where(source: Heard, rng: random.Random) -> str:
    """Direction and mostly distance of one sound."""
    start = f"{capital(source.label.definite)} {source.label.verb} {place(source.azimuth_deg)}"
    metres = f"{source.distance_m} metres"
    return rng.choice((f"{start}, roughly {metres} away.", f"{start}, {metres} away.", f"{start}."))


def how_far(source: Heard, rng: random.Random) -> str:
    """Distance of one sound in a sentence."""
    start = f"{capital(source.label.definite)} {source.label.verb}"
    return f"{start} {rng.choice(('about', 'roughly'))} {source.distance_m} metres away."


def from_to(source: Heard, rng: random.Random) -> str:
    """When one sound is heard."""
    span = f"from {source.onset_s} to {source.offset_s} seconds"
    return rng.choice((f"It sounds {span}.", f"You hear it {span}."))


def absent(label: Label, rng: random.Random) -> str:
    """The sound asked about is not there."""
    return rng.choice((f"I can't hear {label.article}.", f"There is no {label.spoken} here."))


def yes_no(yes: bool, label: Label, fact: str) -> str:
    """Yes or no, and the true place: `No, the dog is on your right.`"""
    return f"{'Yes' if yes else 'No'}, {label.definite} {label.verb} {fact}."
