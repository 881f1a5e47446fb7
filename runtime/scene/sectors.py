"""Parts of the horizon as people name them: "behind me", "on my left", "ahead to the right"."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from earshot.runtime.geometry import angle_between_azimuths

_SIDE_DEG: Final = 67.5
"""Half width of "behind me": the sector itself and its two neighbours of the eight."""
_CORNER_DEG: Final = 45.0


class Sector(BaseModel):
    """A part of the horizon, as the head is turned.

    Attributes
    ----------
    azimuth_deg : float
        Its middle: 0 = front, positive = left, in (-180, 180].
    half_width_deg : float
        To each side, more than 0 up to 180.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    azimuth_deg: float = Field(gt=-180.0, le=180.0)
    half_width_deg: float = Field(default=_SIDE_DEG, gt=0.0, le=180.0)

    def contains(self, azimuth_deg: float, margin_deg: float = 0.0) -> bool:
        """Whether a direction lies within it, or within a margin outside."""
        return angle_between_azimuths(azimuth_deg, self.azimuth_deg) <= self.half_width_deg + margin_deg

    @property
    def words(self) -> str:
        """As it is spoken: the common name, or its angles."""
        for words, sector in _NAMED:
            if sector == self:
                return words
        return f"within {self.half_width_deg:g} degrees of azimuth {self.azimuth_deg:g}"


_NAMED: Final = (
    ("in front of you", Sector(azimuth_deg=0.0)),
    ("ahead to your left", Sector(azimuth_deg=45.0, half_width_deg=_CORNER_DEG)),
    ("on your left", Sector(azimuth_deg=90.0)),
    ("behind you to the left", Sector(azimuth_deg=135.0, half_width_deg=_CORNER_DEG)),
    ("behind you", Sector(azimuth_deg=180.0)),
    ("behind you to the right", Sector(azimuth_deg=-135.0, half_width_deg=_CORNER_DEG)),
    ("on your right", Sector(azimuth_deg=-90.0)),
    ("ahead to your right", Sector(azimuth_deg=-45.0, half_width_deg=_CORNER_DEG)),
)
_PLACES: Final = {
    "back": r"\b(?:(?:from |to |at )?(?:the )?behind(?: me| us)?|(?:(?:at|in|to|from) )?(?:my|the) (?:back|rear)(?: of me)?"
    r"|back(?=[- ](?:left|right))|(?<=left )back|(?<=right )back)\b",
    "front": r"\b(?:(?:from |in |to |at )?(?:the )?front(?: of me| of us)?|(?:straight )?ahead(?: of me| of us)?|before me)\b",
    "left": r"\b(?:(?:from|on|to|at|in) )?(?:(?:the|my) )?left(?:[- ]hand)?(?: side)?(?: of me)?\b",
    "right": r"\b(?:(?:from|on|to|at|in) )?(?:(?:the|my) )?right(?:[- ]hand)?(?: side)?(?: of me)?\b",
}
_NOT_PLACES: Final = re.compile(
    r"\bright (?=next to|beside|now|away|here|before|after)|\b(?:i|we|he|she|they|it|have|has|had) left\b"
)
_AZIMUTHS: Final = {
    ("front",): 0,
    ("front", "left"): 1,
    ("left",): 2,
    ("back", "left"): 3,
    ("back",): 4,
    ("back", "right"): 5,
    ("right",): 6,
    ("front", "right"): 7,
}


def name_sector(text: str) -> tuple[Sector | None, str]:
    """Find the part of the horizon that a text names.

    Parameters
    ----------
    text : str
        Lower case.

    Returns
    -------
    sector : Sector or None
        None when none is named.
    rest : str
        The text without its name.

    Raises
    ------
    ValueError
        When several that exclude each other are named.
    """
    rest = _NOT_PLACES.sub(" ", text)
    named = []
    for place, pattern in _PLACES.items():
        rest, count = re.subn(pattern, " ", rest)
        named += [place] if count else []
    if not named:
        return None, rest
    if tuple(named) not in _AZIMUTHS:
        raise ValueError(f"{' and '.join(named)} at once")
    return _NAMED[_AZIMUTHS[tuple(named)]][1], rest
