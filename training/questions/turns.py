"""Turns of the listener: drawn, said, and the step that computes where sounds are afterwards."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from earshot.training.questions.think import plus
from earshot.training.questions.view import Heard, wrap_int

TURNS_DEG = (30, 45, 60, 90, 120, 135, 150, 180)


@dataclass(frozen=True)
class Turn:
    """A turn of the head.

    Attributes
    ----------
    angle_deg : int
        One of `TURNS_DEG`.
    to_left : bool
        Without meaning for half a turn.
    """

    angle_deg: int
    to_left: bool

    @property
    def change_deg(self) -> int:
        """What the turn adds to every azimuth."""
        return -self.angle_deg if self.to_left else self.angle_deg

    @property
    def words(self) -> str:
        """What a question calls it: `60 degrees left`, `around`."""
        return "around" if self.angle_deg == 180 else f"{self.angle_deg} degrees{self._way}"

    @property
    def step(self) -> str:
        """Start of the step that computes it: `turn left 60`."""
        return f"turn{self._way} {self.angle_deg}"

    @property
    def _way(self) -> str:
        return "" if self.angle_deg == 180 else " left" if self.to_left else " right"

    def after(self, source: Heard) -> int:
        """Azimuth of a source after the turn, whole degrees."""
        return wrap_int(source.azimuth_deg + self.change_deg)

    def step_for(self, heard: Sequence[Heard]) -> str:
        """The step for all sounds: `turn left 60: dog 20 - 60 = -40, voice ...`."""
        return f"{self.step}: " + ", ".join(f"{s.name} {plus(s.azimuth_deg, self.change_deg)}" for s in heard)


def draw_turn(rng: random.Random) -> Turn:
    """Any turn, to either side."""
    to_left = rng.random() < 0.5
    return Turn(rng.choice(TURNS_DEG), to_left)
