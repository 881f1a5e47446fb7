"""What a memory of the scene holds: one sounding of one source, where it was, and when anybody listened.

Directions are as the head was turned then. Times are the wall clock's, seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

EventKind = Literal["appeared", "moved", "ended"]


@dataclass(frozen=True)
class Place:
    """Where a source was, as the head was turned then.

    Attributes
    ----------
    azimuth_deg, elevation_deg : float
        Positive = left, up.
    distance_m : float
    ambiguous : bool
        Front and back could not be told apart.
    """

    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    ambiguous: bool = False


@dataclass(frozen=True)
class Episode:
    """One sounding of one source.

    Attributes
    ----------
    id : int
    session : int
        In which run of the listener.
    label : str
        Key of the class, e.g. "clock_alarm".
    confidence : float
        0 to 1, the best of its events.
    started_s : float
        Wall clock, seconds since 1970.
    ended_s : float or None
        None while it sounds, and for ever when the listener ended before the sound did.
    places : tuple of Place
        At the start, after each move, at the end.
    """

    id: int
    session: int
    label: str
    confidence: float
    started_s: float
    ended_s: float | None
    places: tuple[Place, ...]

    def as_dict(self) -> dict[str, Any]:
        """The episode as a JSON object."""
        first, last = self.places[0], self.places[-1]
        return {
            "label": self.label,
            "confidence": round(self.confidence, 3),
            "started_s": round(self.started_s, 1),
            "ended_s": None if self.ended_s is None else round(self.ended_s, 1),
            "start": _place_dict(first),
            "end": _place_dict(last),
        }


@dataclass(frozen=True)
class Session:
    """A time in which the listener listened: wall clock, seconds since 1970."""

    id: int
    started_s: float
    heard_until_s: float


def _place_dict(place: Place) -> dict[str, Any]:
    return {
        "azimuth_deg": place.azimuth_deg,
        "elevation_deg": place.elevation_deg,
        "distance_m": place.distance_m,
        "front_back_ambiguous": place.ambiguous,
    }
