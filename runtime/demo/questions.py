"""Questions of all three levels about the demo scene, each with its truth computed from the scene.

Level 1: one sound; level 2: relations of sounds; level 3: one step ahead. The answers are the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from earshot.runtime.demo.scene import DemoSource
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.scene.words import direction_words, distance_words, sector8


@dataclass(frozen=True)
class DemoQuestion:
    """A question and what is true.

    Attributes
    ----------
    level : str
        "L1", "L2" or "L3".
    text : str
    truth : str
        For the reader to compare; for a multiple choice one of `choices`.
    choices : tuple of str or None
    """

    level: str
    text: str
    truth: str
    choices: tuple[str, ...] | None = None


def demo_questions(sources: tuple[DemoSource, ...]) -> tuple[DemoQuestion, ...]:
    """Questions about three sources, in order of their onsets.

    Raises
    ------
    ValueError
        If there are not exactly three sources.
    """
    if len(sources) != 3:
        raise ValueError(f"{len(sources)} sources given, 3 needed")
    first, second, third = sorted(sources, key=lambda s: s.onset_s)
    return (
        *_about_one(first, second),
        *_about_relations(first, second, third),
        *_about_consequences(first, second, third),
    )


def _about_one(first: DemoSource, second: DemoSource) -> tuple[DemoQuestion, ...]:
    where = direction_words(first.azimuth_deg, first.elevation_deg)
    how_far = distance_words(first.distance_m)
    which = f"Which direction does {second.label.definite} come from?"
    sectors = ("front left", "front right", "back left", "back right")
    return (
        DemoQuestion("L1", f"Where is {first.label.definite}?", f"{where}, {how_far}"),
        DemoQuestion("L1", which, _quadrant(second), sectors),
        DemoQuestion("L1", "Is there a dog?", "no"),
    )


def _about_relations(first: DemoSource, second: DemoSource, third: DemoSource) -> tuple[DemoQuestion, ...]:
    nearer, farther = sorted((third, first), key=lambda s: s.distance_m)
    sounds = tuple(s.label.definite for s in (third, first, second))
    return (
        DemoQuestion(
            "L2", f"Which is closer, {farther.label.definite} or {nearer.label.definite}?", nearer.label.definite
        ),
        DemoQuestion("L2", "Which sound started last?", third.label.definite, sounds),
        DemoQuestion(
            "L2",
            f"Is {third.label.definite} to the left of {second.label.definite}?",
            "yes" if wrap_deg(third.azimuth_deg - second.azimuth_deg) > 0 else "no",
        ),
    )


def _about_consequences(first: DemoSource, second: DemoSource, third: DemoSource) -> tuple[DemoQuestion, ...]:
    turned = sector8(wrap_deg(third.azimuth_deg - second.azimuth_deg))
    side = "left" if third.azimuth_deg > 0 else "right"
    return (
        DemoQuestion(
            "L3", f"If I turn {_turn_deg(third)} degrees {side}, what is in front of me?", third.label.definite
        ),
        DemoQuestion(
            "L3",
            f"If I turn to face {second.label.definite}, where will {third.label.definite} be?",
            turned,
            tuple(sorted(dict.fromkeys((turned, "back", "right", "left")))),
        ),
        DemoQuestion(
            "L3",
            f"I want to switch off {first.label.definite}. Which way should I turn?",
            f"{abs(first.azimuth_deg):.0f} degrees {'left' if first.azimuth_deg > 0 else 'right'}",
        ),
    )


def _turn_deg(source: DemoSource) -> int:
    """A turn in whole steps of 30 degrees that brings a source to the front."""
    return 30 * round(abs(source.azimuth_deg) / 30.0)


def _quadrant(source: DemoSource) -> str:
    front = "front" if abs(source.azimuth_deg) < 90.0 else "back"
    return f"{front} {'left' if source.azimuth_deg > 0 else 'right'}"
