"""Compiles "tell me when a car approaches from behind" into a `WatchRule`.

Word by word: what is understood is taken out, and a text of which anything remains is refused. A rule that watches for
something other than what was said would be worse than none.
"""

from __future__ import annotations

import re
from typing import Any

from earshot.runtime.errors import UsageError
from earshot.runtime.scene.naming import name_sounds, nearest_sounds
from earshot.runtime.scene.sectors import name_sector
from earshot.runtime.scene.timespans import DURATION, seconds_of
from earshot.runtime.scene.watches import WatchEvent, WatchRule

WORKS = (
    'what works: "when a car approaches from behind", "when someone knocks", "when the baby stops crying", '
    '"when a dog barks within 3 metres on my left, except between 22:00 and 7:00"'
)
MAX_CHARS = 300

_CLOCK = r"([01]?\d|2[0-3])(?:[:.]([0-5]\d))?(?: ?(am|pm)| o'?clock)?"
_QUIET = re.compile(
    rf"\b(?:except|but not|not|quiet|silent)(?: (?:between|from))? {_CLOCK} ?(?:and|to|until|-) ?{_CLOCK}"
)
_AT_NIGHT = re.compile(r"\b(?:except|but not|not) (?:at|by|during the) night\b")
_TIMES = r"(once|twice|\d+ times)"
_RATE = re.compile(
    rf"\b(?:(?:at|but at) most|no(?:t)? more than) {_TIMES} (?:a|an|per|every|in) ((?:\d+ )?(?:second|minute|hour|day)s?)\b"
)
_HOLD = re.compile(
    rf"\b(?:for|lasts)(?: (?:more than|at least|longer than|over))? ({DURATION.pattern.replace('(?P<number>', '(?:').replace('(?P<unit>', '(?:')})"
)
_WITHIN = re.compile(
    r"\b(?:within|closer than|nearer than|less than|under) (\d+(?:\.\d+)?|a|one|two|three|four|five|ten) ?"
    r"(?:m|metres?|meters?)\b(?: (?:away|of me|from me))?"
)
_NEAR = re.compile(r"\b(?:(?:right )?next to me|beside me|near ?by|near me|close (?:to me|by))\b")
_NEAR_M, _BESIDE_M = 2.0, 1.0
_NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
_EVENTS = (
    (
        WatchEvent.APPROACHES,
        r"\bapproach(?:es|ing)?(?: me)?\b|\b(?:(?:comes?|coming|gets?|getting|draws?|moves?|moving) )?"
        r"(?:closer|nearer|towards? me|up to me|up on me|my way)(?: to me)?\b|\bcloses in(?: on me)?\b|\b(?:comes?|gets?) near\b",
    ),
    (
        WatchEvent.RECEDES,
        r"\b(?:moves?|moving|goes|going|gets?|drives?|driving) (?:away|farther|further)(?: away)?(?: from me)?\b"
        r"|\baway from me\b|\breced(?:es|ing)\b|\bleaves\b(?: me)?|\bdrives? off\b",
    ),
    (
        WatchEvent.STOPS,
        r"\b(?:has )?stop(?:s|ped)?\b|\b(?:ends?|ceases?|finish(?:es)?)\b|\b(?:falls|goes|is) (?:silent|quiet)\b"
        r"|\bis (?:over|gone)\b|\bno longer\b",
    ),
)
_HOLD_S = {WatchEvent.APPEARS: 0.2, WatchEvent.APPROACHES: 0.8, WatchEvent.RECEDES: 0.8, WatchEvent.STOPS: 0.5}
_RELEASE_S = {WatchEvent.STOPS: 3.0}
_FILLERS = frozenset(
    re.findall(
        r"\S+",
        """
        a alert an any appear appears are as at be begin begins can come comes could for from go goes happen happens has
        hear heard i if in inform is it know let make makes me my notify of off on once one or please say so some soon
        sound sounds start starts starting tell that the then there to up us warn whenever when will would you your
        being gets while but play plays run runs wake
        """,
    )
)


def compile_watch(text: str) -> tuple[WatchRule, str]:
    """Make a rule of a sentence.

    Parameters
    ----------
    text : str
        One condition in English.

    Returns
    -------
    rule : WatchRule
    note : str
        What has to be said about it ("there is no class for 'truck' ..."), else empty.

    Raises
    ------
    UsageError
        When any of it is not understood: one line with the reason and with what would work.
    """
    said = " ".join(text.split())
    if not said or len(said) > MAX_CHARS:
        raise _refused(said[:40], f"a condition has 1 to {MAX_CHARS} characters")
    rest = re.sub(r"[,;!?\"]|\.(?!\d)", " ", said.lower().replace("’", "'"))
    rest = " ".join(rest.split())
    fields: dict[str, Any] = {}
    for take in (_take_quiet, _take_rate, _take_hold, _take_distance, _take_event):
        rest = take(rest, fields)
    try:
        fields["sector"], rest = name_sector(rest)
        named = name_sounds(rest)
    except ValueError as error:
        raise _refused(said, str(error)) from error
    words = re.findall(r"[a-z0-9']+", rest) if named is None else list(named.rest)
    unknown = tuple(word for word in words if word not in _FILLERS)
    if unknown:
        raise _refused(said, _why(unknown))
    if named is None:
        raise _refused(said, "it names no sound")
    event = fields.setdefault("event", WatchEvent.APPEARS)
    fields.setdefault("hold_s", _HOLD_S[event])
    if event in _RELEASE_S:
        fields["release_s"] = _RELEASE_S[event]
    return WatchRule(text=said, labels=named.keys, **fields), named.note


def _why(unknown: tuple[str, ...]) -> str:
    if "and" in unknown:
        return "one watch waits for one thing: write 'or', or give two watches"
    near = nearest_sounds(unknown)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"not understood: {' '.join(unknown)!r}{hint}"


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"cannot watch for {text!r}: {why}; {WORKS}")


def _cut(text: str, match: re.Match[str]) -> str:
    return " ".join((text[: match.start()] + " " + text[match.end() :]).split())


def _take_quiet(text: str, fields: dict[str, Any]) -> str:
    match = _QUIET.search(text)
    if match is not None:
        fields["quiet_hours"] = f"{_time(*match.groups()[:3])}-{_time(*match.groups()[3:])}"
        return _cut(text, match)
    match = _AT_NIGHT.search(text)
    if match is None:
        return text
    fields["quiet_hours"] = "22:00-07:00"
    return _cut(text, match)


def _time(hour: str, minute: str | None, half: str | None) -> str:
    hours = int(hour) % 12 + (12 if half == "pm" else 0) if half else int(hour)
    return f"{hours:02}:{minute or '00'}"


def _take_rate(text: str, fields: dict[str, Any]) -> str:
    match = _RATE.search(text)
    if match is None:
        return text
    count = {"once": 1, "twice": 2}.get(match[1]) or max(1, int(match[1].split()[0]))
    number, _, unit = match[2].rpartition(" ")
    seconds = seconds_of(number or "one", unit)
    fields["min_interval_s"] = min(86_400.0, seconds / count)
    return _cut(text, match)


def _take_hold(text: str, fields: dict[str, Any]) -> str:
    match = _HOLD.search(text)
    duration = DURATION.search(match[1]) if match is not None else None
    if match is None or duration is None:
        return text
    fields["hold_s"] = min(3600.0, seconds_of(duration["number"], duration["unit"]))
    return _cut(text, match)


def _take_distance(text: str, fields: dict[str, Any]) -> str:
    match = _WITHIN.search(text)
    if match is not None:
        metres = float(_NUMBERS.get(match[1]) or match[1])
        if not 0 < metres <= 50:
            raise _refused(text, "distances of 0.1 to 50 metres can be told")
        fields["within_m"] = metres
        return _cut(text, match)
    match = _NEAR.search(text)
    if match is None:
        return text
    fields["within_m"] = _BESIDE_M if "next" in match[0] or "beside" in match[0] else _NEAR_M
    return _cut(text, match)


def _take_event(text: str, fields: dict[str, Any]) -> str:
    for event, pattern in _EVENTS:
        match = re.search(pattern, text)
        if match is not None:
            fields["event"] = event
            return _cut(text, match)
    return text
