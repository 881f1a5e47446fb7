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
MARK: Final = "\n"
"""Stands in a text where something was understood and taken out: white space, but no word or phrase reaches across it."""
_THING = (
    "door|gate|porch|yard|garden|lawn|window|room|seat|row|entrance|hall|step|stair|wheel|engine|end|desk|office|speaker"
    "|hand(?![- ]side)|foot|leg|arm|lane|wing|house|driveway|pocket|bell"
)
_MINE = rf"\b(?![- ](?:hand[- ])?(?:side )?(?:of (?!me\b|us\b|you\b)|(?:{_THING})s?\b))"
"""After a side: it is one as heard from here, not that of a thing ("front door", "left hand", "left of the train")."""
_BEHIND_WHAT = r"(?! (?:the|an?|my|your|his|her|our|their|its|th(?:is|at|ese|ose)|some\w+|any\w+|people|him|them|it)\b)"
_PLACES: Final = {
    "back": rf"\b(?:(?:from |to |at )?(?:the )?behind(?: me| us)?\b{_BEHIND_WHAT}"
    rf"|(?:(?:at|in|to|from) )?(?:my|the) (?:back|rear)(?: of me)?{_MINE}"
    r"|back(?=[- ](?:left|right))|(?<=left )back\b|(?<=right )back\b)",
    "front": rf"\b(?:(?:from |in |to |at )?(?:the )?front(?: of me| of us)?{_MINE}"
    rf"|(?:straight )?ahead(?: of me| of us)?{_MINE}|before me\b)",
    "left": rf"\b(?:(?:from|on|to|at|in) )?(?:(?:the|my) )?left(?:[- ]hand(?=[- ]side))?(?:[- ]side)?(?: of me)?{_MINE}",
    "right": rf"\b(?:(?:from|on|to|at|in) )?(?:(?:the|my) )?right(?:[- ]hand(?=[- ]side))?(?:[- ]side)?(?: of me)?{_MINE}",
}
_JUST: Final = re.compile(
    r"(?<!\bmy )(?<!\bthe )(?<!\byour )(?<!\bto )(?<!\bon )(?<!\bfront )(?<!\bback )(?<!\bleft )(?<!\bor )"
    r"\bright (?=(?:next to|beside|near|close|now|then|away|here|there|before|after|behind|in front|ahead|at|on|from|up"
    r"|towards?|past|above|below|under|over|outside|when|as|to me"
    r"|tell|let|warn|alert|notify)\b)"
)
_DEPARTED: Final = re.compile(r"\b(?:i|we|he|she|they|it|have|has|had) left\b")
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


def without_just(text: str) -> str:
    """A text in lower case without the "right" of "right behind me", which is no side."""
    return _JUST.sub("", text)


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
        The text with `MARK` in place of each part of its name.

    Raises
    ------
    ValueError
        When several are named that exclude each other or are joined by "or".
    """
    rest = _DEPARTED.sub(" ", without_just(text))
    named = []
    for place, pattern in _PLACES.items():
        rest, count = re.subn(pattern, MARK, rest)
        named += [place] if count else []
    if not named:
        return None, rest
    if tuple(named) not in _AZIMUTHS:
        raise ValueError(f"{' and '.join(named)} at once")
    if re.search(rf"{MARK} *or *{MARK}", rest):
        raise ValueError(f"{' or '.join(named)}: one place at a time")
    return _NAMED[_AZIMUTHS[tuple(named)]][1], rest
