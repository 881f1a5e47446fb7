"""Questions about the past, answered from the memory: "when did the dog last bark, and where?"

The language model hears the last ten seconds; what was before is looked up, not guessed, and the answer says so.
Directions are as the head was turned then. A question is only taken when it clearly asks for more than the last seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.labels import by_key
from earshot.runtime.scene.episodes import Episode, Place, Session
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.naming import NamedSound, NamedSounds, name_sounds, nearest_sounds
from earshot.runtime.scene.sectors import Sector, name_sector
from earshot.runtime.scene.timespans import TIMES_THAT_WORK, TimeSpan, duration_words, name_span, names_other_time
from earshot.runtime.scene.words import place_words

FROM_MEMORY = "From memory (not the language model): "
DOES_NOT_KNOW = "I do not know what"
ONLY_WHEN_AND_WHERE = "I remember only when and where sounds were"
MODEL_HEARS_S = 10.0
MAX_LISTED = 8
_MOVED_DEG = 25.0
Asked = Literal["last", "first", "count", "list", "quiet"]

_LAST_TIME = re.compile(
    r"\bwhen(?: and where)? (?:did|was|were|have|has)\b.*(?<!to the )\blast\b|\bwhere (?:did|was|were|have|has)\b.*\blast\b"
    r"|\blast time\b|\bmost recent(?:ly)?\b|\bhow long ago\b|\bhow long (?:is it|has it been) since\b"
    r"|\blast (?:hear|heard)\b(?! to)|\bwhat (?:was|were) the last (?:sound|noise|thing)s?(?: (?:that )?you heard)?\W*$"
)
_FIRST_TIME = re.compile(r"\bwhen(?: and where)? (?:did|was|were|have|has)\b.*(?<!the )\bfirst\b|\bthe first time\b")
_WAS_THERE = re.compile(r"^(?:was|were) there\b")
_HOW_QUIET = re.compile(
    r"\b(?:how long has (?:it|this|everything) been|since when (?:is|was|has) (?:it|this|everything)(?: been)?) (?:so )?(?:quiet|silent|calm)\b"
)
_HOW_OFTEN = re.compile(r"\bhow (?:often|many times)\b")
_EARLIER = re.compile(
    r"\b(?:earlier (?:on|today)|before now|while i was (?:away|out|gone|asleep)"
    r"|(?:did|have|has) (?:i|we) miss(?:ed)?|do you remember(?! when .*\bfirst\b)|(?<!not )so far(?! (?:off|away|apart|from)\b))\b"
)
_YES_NO = re.compile(r"^(?:did|was|were|has|have|had|is|are)\b")
_FILLERS = frozenset(
    re.findall(
        r"\S+",
        """
        a an and any at be been before come came did do does earlier for from had has have hear heard here how i in is
        it last long ago many me my now of often on or out recently remember so far since tell that the then there
        these they thing time times to was we were what when where which who with you around happen happened happening
        going gone off go went away while asleep see most recent make made there's what's us anyone if whether s miss
        missed besides just also even ever some both either anywhere somewhere present
        """,
    )
)
_CHANGING = frozenset(  # fillers that give a yes or no another meaning
    re.findall(r"\S+", "asleep away before besides gone just last long many most often out then when while")
)
_NOT_KEPT = frozenset(
    [
        "calm",
        "first",
        "latest",
        "longest",
        "loud",
        "louder",
        "loudest",
        "noisy",
        "quiet",
        "quieter",
        "quietest",
        "silence",
        "silent",
    ]
)
"""Asked of the past, these are about what the memory does not hold."""
_SAID_ALREADY = re.compile(
    rf"{_HOW_OFTEN.pattern}|{_EARLIER.pattern}|\bat all\b|\b(?:go|goes|going|went|gone) off\b|\band (?=where\b|when\b)"
)
_THROUGHOUT = re.compile(r"\bfor (?:the |these )?(?:last|past|previous)\b")


@dataclass(frozen=True)
class Recall:
    """A question about the past, understood.

    Attributes
    ----------
    asked : {"last", "first", "count", "list", "quiet"}
        For the latest time, the earliest, the number of times, all of it, or for how long nothing has sounded.
    keys : tuple of str
        Classes; empty for any sound.
    words : str
        The sounds as they were named, empty for any.
    note : str
        What has to be said about the name, and about what is not remembered.
    span : TimeSpan or None
        None for as far back as memory goes.
    sector : Sector or None
    yes_no : bool
        Whether the answer begins with yes or no.
    unknown : tuple of str
        Words that would have to be understood, and are not.
    each : tuple of NamedSound
        Sounds of which every one must have been there for a yes: "a dog and a cat".
    refusal : str
        Why it cannot be looked up at all, else empty.
    """

    asked: Asked
    keys: tuple[str, ...]
    words: str
    note: str
    span: TimeSpan | None
    sector: Sector | None
    yes_no: bool
    unknown: tuple[str, ...]
    each: tuple[NamedSound, ...] = ()
    refusal: str = ""


def parse_recall(question: str, now_s: float, *, remembers: bool = False) -> Recall | None:
    """Understand a question about the past.

    Parameters
    ----------
    question : str
    now_s : float
        Wall clock, seconds since 1970.
    remembers : bool
        Whether there is a memory: then "was there a bird?", "when did it first bark?" and "how long has it been quiet?" ask
        for more than the language model has heard; without one they ask for the last seconds.

    Returns
    -------
    Recall or None
        None for every question that is about now: it is the language model's.
    """
    text = " ".join(question.lower().replace("’", "'").split())
    span, rest = name_span(text, now_s)
    too_short = span is not None and now_s - span.since_s <= MODEL_HEARS_S
    asked = _asked(rest, remembers)
    if too_short or (asked == "list" and not (span or _EARLIER.search(rest))):
        if names_other_time(text):
            return _refused(f"I do not understand that time; {TIMES_THAT_WORK}")
        return _there_was(text, now_s) if remembers and not too_short and _WAS_THERE.match(text) else None
    if asked == "quiet":
        return Recall("quiet", (), "", "", None, None, False, ())
    try:
        sector, rest = name_sector(_SAID_ALREADY.sub(" ", rest))
        named = name_sounds(rest, either=True)
    except ValueError as error:
        return _refused(str(error))
    words = tuple(re.findall(r"[a-z']+", rest)) if named is None else named.rest
    words = tuple(word for word in words if word != asked)  # "first" has been understood
    more = not (named and named.keys) and not _NOT_KEPT.isdisjoint(words)
    unknown = tuple(word for word in words if word.strip("'") not in _FILLERS and not (more and word in _NOT_KEPT))
    keys, name, note = ((), "", "") if named is None else (named.keys, named.words, named.note)
    if named is not None and keys and not named.vague:
        unknown = ()  # what it did then is not remembered, only that it sounded
    yes_no = _YES_NO.match(text) is not None
    if more or ((yes_no or asked == "count") and _asks_for_more(text, words, named)):
        yes_no, note = False, "; ".join(filter(None, (note, ONLY_WHEN_AND_WHERE)))
    each = named.parts if named is not None and yes_no and named.joint == "and" else ()
    return Recall(asked, keys, name if keys else "", note, span, sector, yes_no, unknown, each)


def _asked(text: str, remembers: bool) -> Asked:
    """What is asked for; a list when nothing else is."""
    if remembers and _HOW_QUIET.search(text):
        return "quiet"
    if _LAST_TIME.search(text):
        return "last"
    if remembers and _FIRST_TIME.search(text):
        return "first"
    return "count" if _HOW_OFTEN.search(text) else "list"


def _there_was(text: str, now_s: float) -> Recall | None:
    """ "Was there a bird?", asked without a time; None when more is asked than whether it was there."""
    recall = parse_recall(f"{text} so far", now_s)
    plain = recall is not None and recall.keys and not recall.unknown and not recall.note and not recall.refusal
    return recall if plain else None


def _refused(why: str) -> Recall:
    return Recall("list", (), "", "", None, None, False, (), refusal=why)


def answer_recall(recall: Recall, memory: SceneMemory, now_s: float, *, listening: bool = True) -> str:
    """Answer from the memory, in words.

    Parameters
    ----------
    recall : Recall
    memory : SceneMemory
        Open.
    now_s : float
        Wall clock.
    listening : bool
        Whether sound arrives at the moment; without it nothing is said to go on.

    Returns
    -------
    str
        One line that begins with `FROM_MEMORY`.

    Raises
    ------
    MemoryUnusable
    """
    if recall.refusal:
        return f"{FROM_MEMORY}{recall.refusal}"
    if recall.unknown:
        near = nearest_sounds(recall.unknown)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{FROM_MEMORY}{DOES_NOT_KNOW} {' '.join(recall.unknown)!r} sounds like{hint}"
    span = recall.span
    since_s, until_s = (None, None) if span is None else (span.since_s, span.until_s)
    found = memory.episodes(since_s, until_s, recall.keys)
    sector = recall.sector
    if sector is not None:
        found = [e for e in found if any(sector.contains(place.azimuth_deg) for place in e.places)]
    sessions = memory.sessions()
    current = max((session.id for session in sessions), default=0) if listening else 0
    tell = {"last": _last, "first": _first, "quiet": _quiet}.get(recall.asked, _all)
    text = tell(recall, found, current, now_s)
    sentences = [text, _listened(recall, sessions, current, now_s), recall.note]
    return FROM_MEMORY + "; ".join(sentence for sentence in sentences if sentence)


def _asks_for_more(text: str, words: Sequence[str], named: NamedSounds | None) -> bool:
    """Whether a yes, a no or a number would also speak of what is not remembered: loudness, order, how far at most.

    Every word that is not understood may ask for that, and so may two sounds that nothing joins ("a dog near the cat").
    """
    parts, joint = ((), "") if named is None else (named.parts, named.joint)
    related = len(parts) > 1 and not joint
    changing = _CHANGING | ({"and", "or"} - {joint})
    return related or bool(_THROUGHOUT.search(text)) or any(w in changing or w not in _FILLERS for w in words)


def _last(recall: Recall, found: Sequence[Episode], current: int, now_s: float) -> str:
    if not found:
        return _nothing(recall)
    latest = max(found, key=lambda e: (e.started_s if e.ended_s is None else e.ended_s, e.id))
    label = by_key(latest.label)
    goes_on = _goes_on(latest, current)
    ago = duration_words(max(1.0, now_s - (latest.ended_s or latest.started_s)))
    when = f"since {_clock(latest.started_s, now_s)}" if goes_on else f"at {_clock(latest.started_s, now_s)}, {ago} ago"
    has = ("have" if label.plural else "has") + " sounded"
    verb = f"{has} {when} and still {'do' if label.plural else 'does'}" if goes_on else f"last sounded {when}"
    return f"{label.definite} {verb}{_lasting(latest)}, {_way(latest)}"


def _first(recall: Recall, found: Sequence[Episode], current: int, now_s: float) -> str:
    if not found:
        return _nothing(recall)
    earliest = min(found, key=lambda e: (e.started_s, e.id))
    still = ", and it still does" if _goes_on(earliest, current) else _lasting(earliest)
    ago = duration_words(max(1.0, now_s - earliest.started_s))
    first = f"{by_key(earliest.label).definite} first sounded at {_clock(earliest.started_s, now_s)}, {ago} ago"
    return f"{first}{still}, {_way(earliest)}"


def _quiet(recall: Recall, found: Sequence[Episode], current: int, now_s: float) -> str:
    """For how long nothing has sounded; what does sound when it is not quiet."""
    if not found:
        return _nothing(recall)
    sounding = [episode for episode in found if _goes_on(episode, current)]
    if sounding:
        return f"it is not quiet: {', '.join(dict.fromkeys(by_key(e.label).definite for e in sounding))} sounding"
    latest = max(found, key=lambda e: (e.started_s if e.ended_s is None else e.ended_s, e.id))
    silent_s = max(1.0, now_s - (latest.ended_s or latest.started_s))
    return f"quiet for {duration_words(silent_s)}; {_last(recall, found, current, now_s)}"


def _all(recall: Recall, found: Sequence[Episode], current: int, now_s: float) -> str:
    if not found:
        return _nothing(recall)
    missing = [part for part in recall.each if not any(episode.label in part.keys for episode in found)]
    yes = f"{_nothing(recall, missing)}; " if missing else "yes, " if recall.yes_no else ""
    listed = [
        f"{by_key(e.label).article} {'since' if _goes_on(e, current) else 'at'} {_clock(e.started_s, now_s)}"
        f"{_lasting(e)}, {_way(e)}"
        for e in found[-MAX_LISTED:]
    ]
    more = len(found) - len(listed)
    count = f"{len(found)} {'time' if len(found) == 1 else 'times'}"
    before = f" (the first {more} left out here; 'earshot memory show' lists all)" if more else ""
    return f"{yes}{count}{_limits(recall)}{before}: {'; '.join(listed)}"


def _nothing(recall: Recall, missing: Sequence[NamedSound] = ()) -> str:
    """That none of the sounds was there, or none of the missing."""
    sounds = missing or recall.each or (NamedSound(recall.words, recall.keys),)
    named = (" or ".join(by_key(k).spoken for k in s.keys) if 0 < len(s.keys) <= 3 else s.words for s in sounds)
    what = " and ".join(f"no {name}" for name in named if name)
    no = "no, " if recall.yes_no else ""
    return f"{no}I remember {what or 'nothing'}{_limits(recall)}"


def _limits(recall: Recall) -> str:
    """Place and time that were asked for."""
    place = f" {recall.sector.words} (as you faced then)" if recall.sector else ""
    return place + (f" {recall.span.words}" if recall.span else "")


def _listened(recall: Recall, sessions: Sequence[Session], current: int, now_s: float) -> str:
    """How much of the time was listened to at all, when that was not all of it."""
    if not sessions:
        return "nothing has been remembered yet"
    if recall.span is None:
        return f"my memory begins at {_clock(sessions[0].started_s, now_s)}"
    since_s, until_s = recall.span.since_s, recall.span.until_s
    ends = [now_s if s.id == current else s.heard_until_s for s in sessions]
    parts = [min(until_s, end) - max(since_s, s.started_s) for s, end in zip(sessions, ends, strict=True)]
    heard_s = sum(part for part in parts if part > 0)
    whole_s = until_s - since_s
    if heard_s >= 0.97 * whole_s:
        return ""
    return f"I listened for only {duration_words(heard_s)} of that time" if heard_s >= 1 else "I did not listen then"


def _goes_on(episode: Episode, current: int) -> bool:
    """Whether it still sounds: it has no end yet, and the session in which it began goes on."""
    return episode.ended_s is None and episode.session == current


def _lasting(episode: Episode) -> str:
    return "" if episode.ended_s is None else f", for {duration_words(episode.ended_s - episode.started_s)}"


def _way(episode: Episode) -> str:
    """Where it was, and where it went."""
    first, last = episode.places[0], episode.places[-1]
    moved = angle_between_azimuths(first.azimuth_deg, last.azimuth_deg) >= _MOVED_DEG
    return f"{_place(first)}{f', then {_place(last)}' if moved else ''}"


def _place(place: Place) -> str:
    return place_words(place.azimuth_deg, place.elevation_deg, place.distance_m, place.ambiguous)


def _clock(time_s: float, now_s: float) -> str:
    """Local time of day, with the date when that was not today."""
    at, now = datetime.fromtimestamp(time_s), datetime.fromtimestamp(now_s)
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%H:%M} on {at:%d %B}"
