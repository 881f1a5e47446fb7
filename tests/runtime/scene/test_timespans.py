"""Stretches of time in words: weeks, and a number with a unit after "since"."""

from __future__ import annotations

from datetime import datetime

import pytest

from earshot.runtime.scene.timespans import DURATION, name_span, seconds_of

NOW_S = datetime(2026, 5, 20, 14, 0, 0).timestamp()  # a Wednesday
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("words", "seconds", "said"),
    [
        ("in the last week", 7 * DAY, "in the last week"),
        ("over the past 2 weeks", 14 * DAY, "in the last 2 weeks"),
        ("this week", 2 * DAY + 14 * HOUR, "this week"),
        ("since 2 hours", 2 * HOUR, "in the last 2 hours"),
        ("since 2 hours ago", 2 * HOUR, "in the last 2 hours"),
        ("since 2h", 2 * HOUR, "in the last 2 h"),
        ("since 30 minutes", 30 * MINUTE, "in the last 30 minutes"),
        ("since an hour", HOUR, "in the last hour"),
        ("since three days", 3 * DAY, "in the last three days"),
        ("since 2", 12 * HOUR, "since 02:00"),
        ("since 13h30", 30 * MINUTE, "since 13:30"),
    ],
)
def test_a_span_reaches_from_what_is_said_until_now(words: str, seconds: float, said: str) -> None:
    span, rest = name_span(f"what was there {words} behind me", NOW_S)
    assert span is not None
    assert (NOW_S - span.since_s, span.until_s, span.words) == (seconds, NOW_S, said)
    assert " ".join(rest.split()) == "what was there behind me"


def test_a_week_ago_is_taken_loosely() -> None:
    span, _ = name_span("what was there a week ago", NOW_S)
    assert span is not None
    assert span.since_s < NOW_S - 7 * DAY < span.until_s < NOW_S


@pytest.mark.parametrize(("text", "seconds"), [("1 week", 7 * DAY), ("2 weeks", 14 * DAY), ("a week", 7 * DAY)])
def test_weeks_are_durations(text: str, seconds: float) -> None:
    match = DURATION.fullmatch(text)
    assert match is not None
    assert seconds_of(match["number"], match["unit"]) == seconds
