"""Which annotated events of a recording sound alone, so that an excerpt holds nothing but their class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from earshot.training.synthesis.events import SHORTEST_S

TOUCHING_S = 0.1
"""Annotated ends are no more exact than this: by hand, or in frames of 100 ms."""


@dataclass(frozen=True)
class LabelledEvent:
    """A stretch of a recording that its annotation gives to one source.

    Attributes
    ----------
    start_s, end_s : float
        Seconds from the start of the recording.
    key : str or None
        Class key of the label table; None for what it has no class for.
    source : str
        What sounds; overlapping events of one source are one.
    """

    start_s: float
    end_s: float
    key: str | None
    source: str


def lone_events(events: Iterable[LabelledEvent]) -> list[LabelledEvent]:
    """Events of known classes, at least `SHORTEST_S` long, beside which each other source sounds 0.1 s at most.

    Parameters
    ----------
    events : iterable of LabelledEvent
        All that the annotation tells of one recording, those of unknown classes too.

    Returns
    -------
    list of LabelledEvent
        In order of onset.
    """
    whole = _joined(events)
    return [event for event in whole if event.key and _long_enough(event) and not _disturbed(event, whole)]


def cut_at(events: Iterable[LabelledEvent], duration_s: float) -> list[LabelledEvent]:
    """Events as far as the recording goes: annotations may end a frame later, and files be cut short."""
    end_s = int(duration_s * 1000) / 1000
    cut = [replace(event, end_s=min(event.end_s, end_s)) for event in events]
    return [event for event in cut if _long_enough(event)]


def _long_enough(event: LabelledEvent) -> bool:
    return event.end_s - event.start_s > SHORTEST_S - 1e-6


def _joined(events: Iterable[LabelledEvent]) -> list[LabelledEvent]:
    """Overlapping and touching events of one source as one."""
    joined: list[LabelledEvent] = []
    last: dict[str, int] = {}
    for event in sorted(events, key=lambda event: event.start_s):
        before = last.get(event.source)
        if before is not None and event.start_s <= joined[before].end_s + 1e-6:
            joined[before] = replace(joined[before], end_s=max(joined[before].end_s, event.end_s))
        else:
            last[event.source] = len(joined)
            joined.append(event)
    return joined


def _disturbed(event: LabelledEvent, events: list[LabelledEvent]) -> bool:
    overlap_s: defaultdict[str, float] = defaultdict(float)
    for other in events:
        if other.source != event.source:
            shared = min(event.end_s, other.end_s) - max(event.start_s, other.start_s)
            overlap_s[other.source] += max(0.0, shared)
    return any(total > TOUCHING_S + 1e-6 for total in overlap_s.values())
