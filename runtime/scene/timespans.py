"""Stretches of the past as people name them: "in the last ten minutes", "an hour ago", "since 9:30", "this week"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_NUMBERS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "half a": 0.5, "half an": 0.5, "a couple of": 2.0, "couple of": 2.0, "two": 2.0, "a few": 3.0, "few": 3.0,
    "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0,
    "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "forty five": 45.0, "fifty": 50.0,
    "sixty": 60.0, "ninety": 90.0, "half": 0.5,
}  # fmt: skip
_UNITS = {
    "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0,
}  # fmt: skip
_NUMBER = r"\d+(?:\.\d+)?|" + "|".join(n.replace(" ", "[ -]") for n in sorted(_NUMBERS, key=len, reverse=True))
_UNIT = "seconds?|secs?|minutes?|mins?|hours?|hrs?|h|days?|weeks?"
_DURATION = rf"(?:(?P<number>{_NUMBER})(?:[ -]+|(?<=\d)))?(?P<unit>{_UNIT})"
DURATION = re.compile(rf"\b(?P<number>{_NUMBER})[ -]*(?P<unit>{_UNIT})\b")
_LAST = re.compile(
    rf"\b(?:(?:in|within|during|over|for|of) )?(?:the |these )?(?:last|past|previous) (?:of )?{_DURATION}\b"
)
_SINCE_LONG = re.compile(rf"\bsince {DURATION.pattern}(?: ago\b)?")  # "since 2 hours" is no time of day
_AGO = re.compile(rf"\b{_DURATION} ago\b")
_CLOCK = r"(?P<hour>[01]?\d|2[0-4])(?:[:.h](?P<minute>[0-5]\d))?(?: ?(?P<half>am|pm)| o'?clock)?"
_SINCE = re.compile(rf"\bsince {_CLOCK}(?![\d:])")
_WEEK = "this week"
_DAY_PARTS = {
    "this morning": (0, 12),
    "this afternoon": (12, 18),
    "this evening": (18, 24),
    "last night": (-4, 6),
    "yesterday": (-24, 0),
    "today": (0, 24),
    "tonight": (18, 24),
    _WEEK: (0, 24),
}
_DAY = re.compile(r"\b(?:since )?(" + "|".join(_DAY_PARTS) + r")\b")


_DAY_NAMES = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_OTHER_TIME = re.compile(
    rf"\b(?:on|last|since|this|until|before|after) {_DAY_NAMES}\b"
    r"|\bsince (?:breakfast|lunch|dinner|supper|noon|midday|midnight|dawn|dusk|sunrise|sunset|work|then)\b"
    r"|\b(?:at|after|before|around|about|until|by) \d{1,2}(?:[:.]\d\d)? ?(?:am|pm)\b|\b(?:at|after|before|around) \d{1,2}:\d\d\b"
    r"|\bbetween \d{1,2}(?:[:.]\d\d)? ?(?:am|pm)? ?and \d{1,2}(?:[:.]\d\d)? ?(?:am|pm|o'?clock)\b|\bbetween \d{1,2}:\d\d and \d{1,2}:\d\d\b"
)
TIMES_THAT_WORK = "times I understand: 'in the last 2 hours', 'since 9:30', 'yesterday', 'this morning'"


@dataclass(frozen=True)
class TimeSpan:
    """A stretch of the past.

    Attributes
    ----------
    since_s, until_s : float
        Wall clock, seconds since 1970.
    words : str
        "in the last 10 minutes".
    """

    since_s: float
    until_s: float
    words: str


def seconds_of(number: str, unit: str) -> float:
    """A duration in words ("ten", "minutes") as seconds; `DURATION` finds the two."""
    value = _NUMBERS.get(number.replace("-", " "))
    return (float(number) if value is None else value) * _UNITS[unit if unit == "h" else unit.rstrip("s")]


def name_span(text: str, now_s: float) -> tuple[TimeSpan | None, str]:
    """Find the stretch of the past that a text names.

    Parameters
    ----------
    text : str
        Lower case.
    now_s : float
        Wall clock; days and hours are local time.

    Returns
    -------
    span : TimeSpan or None
    rest : str
        The text without its name.
    """
    for pattern, make in ((_LAST, _last), (_SINCE_LONG, _last), (_AGO, _ago), (_SINCE, _since), (_DAY, _day)):
        match = pattern.search(text)
        if match is not None:
            return make(match, now_s), text[: match.start()] + " " + text[match.end() :]
    return None, text


def names_other_time(text: str) -> bool:
    """Whether a lower-case text names a time of the past that `name_span` does not know: "on Monday", "at 3 pm"."""
    return _OTHER_TIME.search(text) is not None


def duration_words(seconds: float) -> str:
    """A duration as it is spoken: "12 seconds", "5 minutes", "2 hours", "3 days"."""
    steps = ((86_400.0, 172_800.0, "day"), (3600.0, 5400.0, "hour"), (60.0, 100.0, "minute"), (1.0, 0.0, "second"))
    size, _, name = next(step for step in steps if seconds >= step[1])
    count = max(1, round(seconds / size))
    return f"{count} {name}{'' if count == 1 else 's'}"


def _last(match: re.Match[str], now_s: float) -> TimeSpan:
    number, unit = match["number"] or "one", match["unit"]
    seconds = seconds_of(number, unit)
    said = f"{'' if number in ('a', 'an', 'one') else number + ' '}{unit}"
    return TimeSpan(now_s - seconds, now_s, f"in the last {said}")


def _ago(match: re.Match[str], now_s: float) -> TimeSpan:
    """Half as long ago to half as long again: nobody looked at a watch."""
    seconds = seconds_of(match["number"] or "one", match["unit"])
    return TimeSpan(now_s - 1.5 * seconds, now_s - 0.5 * seconds, f"about {match.group()}")


def _since(match: re.Match[str], now_s: float) -> TimeSpan:
    hour = int(match["hour"]) % (12 if match["half"] else 25) + (12 if match["half"] == "pm" else 0)
    now = datetime.fromtimestamp(now_s)
    at = now.replace(hour=hour % 24, minute=int(match["minute"] or 0), second=0, microsecond=0)
    at -= timedelta(days=1) if at > now else timedelta()
    return TimeSpan(at.timestamp(), now_s, f"since {at:%H:%M}")


def _day(match: re.Match[str], now_s: float) -> TimeSpan:
    midnight = datetime.fromtimestamp(now_s).replace(hour=0, minute=0, second=0, microsecond=0)
    start, end = (midnight + timedelta(hours=hours) for hours in _DAY_PARTS[match[1]])
    start -= timedelta(days=midnight.weekday() if match[1] == _WEEK else 0)
    return TimeSpan(start.timestamp(), min(now_s, end.timestamp()), match.group())
