"""Compiles "tell me when a car approaches from behind" into a `WatchRule`.

Word by word: what is understood is taken out, and a text of which anything remains is refused. A rule that watches for
something other than what was said would be worse than none.
"""

from __future__ import annotations

import re
from typing import Any

from earshot.runtime.errors import UsageError
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.naming import NamedSounds, name_sounds, nearest_sounds
from earshot.runtime.scene.sectors import MARK, name_sector, without_just
from earshot.runtime.scene.timespans import DURATION, duration_words, seconds_of
from earshot.runtime.scene.watches import WatchEvent, WatchRule

WORKS = (
    'what works: "when a car approaches from behind", "when someone knocks", "when the baby stops crying", '
    '"when a dog barks within 3 metres on my left, except between 22:00 and 7:00"'
)
MAX_CHARS = 300

_CLOCK = r"([01]?\d|2[0-3])(?:[:.]([0-5]\d))?(?: ?(am|pm)| o'?clock)?"
_QUIET = re.compile(
    rf"\b(?:except|but not|not|(?:but )?(?:be )?(?<!is )(?<!are )(?<!been )(?<!goes )(?<!falls )(?:quiet|silent))(?: (?:between|from))? {_CLOCK} ?(?:and|to|until|-) ?{_CLOCK}"
)
_AT_NIGHT = re.compile(r"\b(?:except|but not|not) (?:at|by|during the) night\b")
_TIMES = r"(once|twice|\d+ times)"
_RATE = re.compile(
    rf"\b(?:but )?(?:at most|not? more than) {_TIMES} (?:a|an|per|every|in) ((?:\d+ )?(?:second|minute|hour|day)s?)\b"
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
_WHEN = re.compile(
    r"\b(?:when(?:ever)?|if|while|as soon as|once(?= (?:an?|the|my|our|some\w+|any\w+|it|there|you|i|we)\b))(?= |$)"
)
_EVENT_MARK = 2 * MARK
_THEN_TELL = r"(?= *(?:\n|$|(?:for|please|tell|let|warn|alert|notify|inform|wake)\b))"
"""Nothing more is said of what happens: "the rain is over", but not "the car is over there"."""
_IS = r"(?:is|are|has been|have been)"
_EVENTS = (
    (
        WatchEvent.APPROACHES,
        r"\bapproach(?:es|ing)?(?: me)?\b|\b(?:(?:comes?|coming|gets?|getting|draws?|moves?|moving) )?"
        r"(?:closer|nearer|towards? me|up to me|up on me|my way)(?: to me)?\b|\bcloses in(?: on me)?\b|\b(?:comes?|gets?) near\b",
    ),
    (
        WatchEvent.RECEDES,
        r"\b(?:moves?|moving|goes|going|gets?|drives?|driving) (?:away|farther|further)(?: away)?(?: from me)?\b"
        r"|(?<!\bis )(?<!\bare )\baway from me\b|\breced(?:es|ing)\b|(?<!\bthe )(?<!\bof )(?<!\bin )\bleaves\b(?: me)?"
        r"|\bdrives? off\b",
    ),
    (
        WatchEvent.STOPS,
        r"\bcomes? to (?:a stop|a halt|an end)\b|(?<!\bthe )(?<!\ban )(?<!\ba )\b(?:(?:has |have )?(?:stops|stopped|(?<!\bbus )stop)|ends?)\b"
        rf"|\b(?:ceases?|finish(?:es)?)\b|\b(?:falls|goes|{_IS}) (?:silent|quiet)\b|\b(?:turns|switches|shuts) off{_THEN_TELL}"
        rf"|\b(?:{_IS}|has|have) (?:over|gone|done|ended|finished|(?:(?:turned|switched|shut) )?off){_THEN_TELL}"
        rf"|(?<!\bi )(?<!\bwe )(?<!\byou )\b(?:has|have) left{_THEN_TELL}|\bno longer\b(?! than)",
    ),
)
_STARTS = re.compile(r"\b(?:starts?|started|starting|begins?|beginning|appears?)\b")
_GOES = re.compile(rf"\b(?:go(?:es|ing|ne)? off\b|go(?:es)?{_THEN_TELL})")
_GO_OFF = frozenset({"car_horn", "church_bells", "clock_alarm", "fireworks", "siren"})
"""What sounds when it "goes off"; a machine that does is silent then."""
_BARE_LEFT = re.compile(
    r"(?<!\bon )(?<!\bto )(?<!\bat )(?<!\bin )(?<!\bfrom )(?<!\bthe )(?<!\bmy )(?<!\bfront[ -])(?<!\bback[ -])(?<!\bbehind )"
    r"(?<!\bahead )(?<!\bme )(?<!\bus )(?<!\bor )\bleft\b(?![- ](?:hand|side|of|or|behind|front|back)\b)"
)
_WHOSE = r"(?:the|an?|my|your|his|her|our|their|th(?:is|at)|some\w+|any\w+|people|him|them|it)\b"
_FROM_A_THING = re.compile(rf" (?:of|from|to|towards?|on|at) {_WHOSE}(?! (?:left|right|back|front|rear)\b)")
_A_THING = re.compile(rf" {_WHOSE}")
_WHICH_DOOR = re.compile(r"\b(?:front|back|rear|side|garden|house|(?:left|right)(?:[- ]hand)?) (?=doors?\b)")
_HOLD_S = {WatchEvent.APPEARS: 0.2, WatchEvent.APPROACHES: 0.8, WatchEvent.RECEDES: 0.8, WatchEvent.STOPS: 0.5}
_RELEASE_S = {WatchEvent.STOPS: 3.0}
_OR = "'or' joins sounds ('a dog or a cat'): give two watches for two events or places"
_FROM_HERE = "places and ways are as heard from where you are, not from a thing or somebody else"
_ONE_EVENT = "one event at a time: give two watches"
_FILLERS = frozenset(
    re.findall(
        r"\S+",
        """
        a alert an any appear appears are as at be begin begins can come comes could for from go goes happen happens has
        hear heard i if in inform is it know let make makes me my notify of on one or please say so some soon
        sound sounds start starts starting tell that the then there to up us warn whenever when will would you your
        being gets play plays run runs wake
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
    try:
        keys, fields, notes = _understood(said)
    except ValueError as error:
        raise _refused(said, str(error)) from error
    return WatchRule(text=said, labels=keys, **fields), "; ".join(notes)


def _understood(said: str) -> tuple[tuple[str, ...], dict[str, Any], list[str]]:
    """Classes, fields of the rule, and what has to be said about them.

    Raises
    ------
    ValueError
        With the reason, when any of it is not understood.
    """
    rest = re.sub(r"[,;!?\"]|\.(?!\d)", " ", said.lower().replace("’", "'"))
    rest = without_just(" ".join(rest.split()))
    fields: dict[str, Any] = {}
    for take in (_take_quiet, _take_rate, _take_when, _take_distance, _take_event, _take_hold):
        rest = take(rest, fields)
    rest, doors = _WHICH_DOOR.subn("", rest)
    if _BARE_LEFT.search(rest):
        raise ValueError("'left' may be a side or an end: write 'on my left' or 'stops'")
    goes = None if "event" in fields else _GOES.search(rest)
    fields["sector"], rest = name_sector(rest if goes is None else _cut(rest, goes))
    named = _only_named(rest)
    keys = _either(rest, named)
    if goes is not None and not set(keys) <= _GO_OFF:
        raise ValueError(f"{goes[0]!r} may mean that it starts or stops: write which")
    notes = [named.note] if named.note else []
    notes += ["doors are not told apart: any door is meant"] if doors else []
    return keys, fields, notes + _settle_times(fields)


def _only_named(text: str) -> NamedSounds:
    """The sounds that a text names, when it says nothing else.

    Raises
    ------
    ValueError
    """
    named = name_sounds(text)
    words = re.findall(r"[a-z0-9']+", text) if named is None else list(named.rest)
    unknown = tuple(word for word in words if word not in _FILLERS)
    if unknown:
        raise ValueError(_why(unknown))
    if named is None:
        raise ValueError("it names no sound")
    return named


def _settle_times(fields: dict[str, Any]) -> list[str]:
    """Give a rule the event and the times that nothing was said about; what has to be said about those that were."""
    event = fields.setdefault("event", WatchEvent.APPEARS)
    fields.setdefault("hold_s", _HOLD_S[event])
    if "release_s" in fields:
        return [f"told after {duration_words(fields['release_s'])} without it"]
    if event in _RELEASE_S:
        fields["release_s"] = _RELEASE_S[event]
    return []


def _why(unknown: tuple[str, ...]) -> str:
    if "and" in unknown:
        return "one watch waits for one thing: write 'or', or give two watches"
    near = nearest_sounds(unknown)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"not understood: {' '.join(unknown)!r}{hint}"


def _refused(text: str, why: str) -> UsageError:
    return UsageError(f"cannot watch for {text!r}: {why}; {WORKS}")


def _cut(text: str, match: re.Match[str], mark: str = MARK) -> str:
    """A text without what was understood; a mark stays in its place, since words must not meet across it."""
    return " ".join(filter(None, (text[: match.start()].strip(" "), mark, text[match.end() :].strip(" "))))


def _either(text: str, named: NamedSounds) -> tuple[str, ...]:
    """The classes of all sounds that "or" joins; it must join nothing but sounds.

    What was taken out (places, distances, events) left marks. It holds for the sounds on both sides of an "or" only when
    it stands before the first or behind the last of them, and when the others do nothing of their own ("a dog barks or").

    Raises
    ------
    ValueError
    """
    parts = re.split(r"\bor\b", text)
    keys = set(named.keys)
    sound_before = clause_before = False
    for number, part in enumerate(parts):
        whole, before = _named(part), _named(part.partition(MARK)[0])
        # "someone behind me coughs or sneezes": the sounds are named behind the mark.
        own = before is not None and not (before.vague and whole is not None and not whole.vague)
        another = number > 0 and (before is None or clause_before)
        if MARK in part and (another or (number + 1 < len(parts) and (own or sound_before))):
            raise ValueError(_OR)
        clause = _is_clause(part)
        if whole is not None and named.keys and not set(whole.keys) & keys:
            if not clause or whole.vague:
                raise ValueError(f"{whole.words!r} would be left out: give two watches")
            keys |= set(whole.keys)  # "a dog barks or a cat meows" is no cat that barks
        sound_before, clause_before = sound_before or whole is not None, clause_before or clause
    return tuple(sorted(keys))


def _named(text: str) -> NamedSounds | None:
    return name_sounds(text, either=True)


def _is_clause(text: str) -> bool:
    """Whether a text says what a sound does ("a dog barks"), not only which one ("the sea waves")."""
    text = re.sub(r"\bthere (?:is|are)\b", "", text)
    if re.search(r"\b(?:is|are|has|have)\b", text):
        return True
    *head, last = text.split() or [""]
    plural = " ".join([*head[-1:], last]) in {
        name for label in load_labels() for name in (label.spoken, *label.synonyms)
    }
    verb = last.endswith("s") and not last.endswith("ss") and not plural
    return verb and head != [] and not head[-1].endswith("ing") and _named(" ".join(head)) is not None


def _take_quiet(text: str, fields: dict[str, Any]) -> str:
    match = _QUIET.search(text)
    if match is not None:
        start, end = match.groups()[:3], match.groups()[3:]
        for (hour, minute, half), other in ((start, end[2]), (end, start[2])):
            if other and not half and minute is None and 1 <= int(hour) <= 12:
                raise ValueError(f"is {match[0]!r} am or pm? write both, or 22:00")
        fields["quiet_hours"] = f"{_time(*start)}-{_time(*end)}"
        return _cut(text, match, "")
    match = _AT_NIGHT.search(text)
    if match is None:
        return text
    fields["quiet_hours"] = "22:00-07:00"
    return _cut(text, match, "")


def _time(hour: str, minute: str | None, half: str | None) -> str:
    hours = int(hour) % 12 + (12 if half == "pm" else 0) if half else int(hour)
    return f"{hours:02}:{minute or '00'}"


def _take_rate(text: str, fields: dict[str, Any]) -> str:
    match = _RATE.search(text)
    if match is None:
        return text
    counts = {"once": 1, "twice": 2}
    count = counts[match[1]] if match[1] in counts else int(match[1].split()[0])
    number, _, unit = match[2].rpartition(" ")
    seconds = seconds_of(number or "one", unit)
    if count == 0 or seconds / count > 86_400.0:
        raise ValueError("the lowest rate is once a day")
    fields["min_interval_s"] = seconds / count
    return _cut(text, match, "")


def _take_when(text: str, fields: dict[str, Any]) -> str:
    """Every condition would have to be seen to be met; only one is. (It leaves `fields` alone.)"""
    del fields
    if len(_WHEN.findall(text)) > 1:
        raise ValueError("one condition at a time: write 'when' or 'if' once")
    return _WHEN.sub("when", text)


def _take_hold(text: str, fields: dict[str, Any]) -> str:
    match = _HOLD.search(text)
    duration = DURATION.search(match[1]) if match is not None else None
    if match is None or duration is None:
        return text
    seconds = seconds_of(duration["number"], duration["unit"])
    if not 0.1 <= seconds <= 3600.0:
        raise ValueError("durations of 0.1 seconds to an hour can be waited for")
    # "has been quiet for a minute" is the silence, "barking for a minute stops" the sound: the event was cut out before.
    silence = fields.get("event") is WatchEvent.STOPS and _EVENT_MARK in text[: match.start()]
    fields["release_s" if silence else "hold_s"] = seconds
    return _cut(text, match)


def _take_distance(text: str, fields: dict[str, Any]) -> str:
    match = _WITHIN.search(text)
    if match is not None:
        metres = float(_NUMBERS.get(match[1]) or match[1])
        if not 0 < metres <= 50:
            raise ValueError("distances of 0.1 to 50 metres can be told")
        fields["within_m"] = metres
    else:
        match = _NEAR.search(text)
        if match is None:
            return text
        fields["within_m"] = _BESIDE_M if "next" in match[0] or "beside" in match[0] else _NEAR_M
    if _FROM_A_THING.match(text, match.end()):
        raise ValueError(_FROM_HERE)
    return _cut(text, match)


def _take_event(text: str, fields: dict[str, Any]) -> str:
    for event, pattern in _EVENTS:
        match = re.search(pattern, text)
        if match is None:
            continue
        fields["event"] = event
        moves = event is not WatchEvent.STOPS
        if moves and (_FROM_A_THING.match(text, match.end()) or _A_THING.match(text, match.end())):
            raise ValueError(_FROM_HERE)
        rest = _cut(text, match, _EVENT_MARK)
        # "Stop when a dog barks" asks for no stop of the dog.
        before_when = re.search(r"\bwhen\b", text[match.end() :]) is not None
        starts = event is WatchEvent.STOPS and _STARTS.search(rest)
        if before_when or starts or any(re.search(other, rest) for _, other in _EVENTS):
            raise ValueError(_ONE_EVENT)
        return rest
    return text
