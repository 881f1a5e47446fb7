"""Rules in plain language: what is understood becomes a condition, anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.errors import UsageError
from earshot.runtime.labels import load_labels
from earshot.runtime.scene.sectors import Sector, name_sector
from earshot.runtime.scene.watch_language import compile_watch
from earshot.runtime.scene.watches import WatchEvent, WatchRule, rules_from_toml, rules_to_toml

BEHIND, LEFT = Sector(azimuth_deg=180.0), Sector(azimuth_deg=90.0)


@pytest.mark.parametrize(
    ("text", "labels", "event", "sector"),
    [
        ("tell me when a car approaches from behind", {"engine", "car_horn"}, WatchEvent.APPROACHES, BEHIND),
        ("when someone knocks", {"door_knock"}, WatchEvent.APPEARS, None),
        ("Let me know as soon as the baby stops crying!", {"crying_baby"}, WatchEvent.STOPS, None),
        ("if a dog or a cat is heard on my left", {"dog", "cat"}, WatchEvent.APPEARS, LEFT),
        ("warn me when someone walks towards me from behind", {"footsteps"}, WatchEvent.APPROACHES, BEHIND),
        ("when the siren goes away", {"siren"}, WatchEvent.RECEDES, None),
        ("when the alarm goes off", {"clock_alarm"}, WatchEvent.APPEARS, None),
        ("notify me when the rain is over", {"rain"}, WatchEvent.STOPS, None),
        ("when anything comes from behind me", set(), WatchEvent.APPEARS, BEHIND),
    ],
)
def test_what_is_said_becomes_a_condition(text: str, labels: set[str], event: WatchEvent, sector: Sector) -> None:
    rule, note = compile_watch(text)
    assert set(rule.labels) == labels
    assert rule.event is event
    assert rule.sector == sector
    assert rule.text == text
    assert note == ""


def test_distance_duration_rate_and_quiet_hours() -> None:
    text = (
        "when a dog barks within 3 metres for more than 5 seconds, at most twice an hour, except between 10 pm and 7:00"
    )
    rule, _ = compile_watch(text)
    assert (rule.within_m, rule.hold_s, rule.min_interval_s) == (3.0, 5.0, 1800.0)
    assert rule.quiet_hours == "22:00-07:00"
    assert rule.words == (
        "when a dog appears within 3 m for 5 s; at most every 1800 s and 12 times an hour, not from 22:00 to 07:00"
    )


def test_someone_is_any_sound_that_people_make() -> None:
    rule, _ = compile_watch("when someone comes nearer")
    assert {"speech", "footsteps", "coughing"} <= set(rule.labels)
    assert "dog" not in rule.labels


def test_a_sound_without_a_class_is_replaced_only_with_a_word_about_it() -> None:
    rule, note = compile_watch("when the phone rings")
    assert rule.labels == ("clock_alarm",)
    assert "no class for 'phone'" in note


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("when a drone flies by", "not understood: 'drone by'"),
        ("when a dog barks and a cat is heard", "join them with 'or'"),
        ("when the door creaks and then closes", "one watch waits for one thing"),
        ("when a dog does not bark", "not understood: 'does not'"),
        ("when a bird sings above me", "not understood: 'above'"),
        ("when it is Tuesday", "not understood: 'tuesday'"),
        ("when a dgo barks near helicoptr", "did you mean"),
        ("when a dog is left or right", "left and right at once"),
        ("when it comes nearer", "it names no sound"),
        ("when a dog barks within 900 m", "0.1 to 50 metres"),
        ("", "1 to 300 characters"),
        ("dog " * 200, "1 to 300 characters"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_would_work(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        compile_watch(text)
    assert why in str(caught.value)
    assert "what works:" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", load_labels(), ids=lambda label: label.key)
def test_every_class_can_be_watched_by_its_name_and_synonyms(label) -> None:  # type: ignore[no-untyped-def]
    for phrase in (label.spoken, *label.synonyms):
        rule, _ = compile_watch(f"tell me when the {phrase} is heard behind me")
        assert label.key in rule.labels, phrase
        assert rule.sector == BEHIND


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(["when", "a", "dog", "car", "barks", "behind", "not", "me", "within", "3", "stops"])
    ).map(" ".join)
)
def test_any_text_is_compiled_or_refused_in_one_line(text: str) -> None:
    try:
        rule, _ = compile_watch(text)
    except UsageError as error:
        assert "what works" in str(error)
    else:
        assert rules_from_toml(rules_to_toml([rule])) == [rule]


RULES = st.builds(
    WatchRule,
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    labels=st.lists(st.sampled_from([label.key for label in load_labels()]), max_size=4).map(tuple),
    event=st.sampled_from(WatchEvent),
    sector=st.none() | st.builds(Sector, azimuth_deg=st.floats(-179.0, 180.0), half_width_deg=st.floats(1.0, 180.0)),
    within_m=st.none() | st.floats(0.1, 50.0),
    min_confidence=st.floats(0.0, 1.0),
    hold_s=st.floats(0.0, 100.0),
    quiet_hours=st.none() | st.just("22:00-07:00"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=3))
def test_rules_come_back_from_toml_as_they_were(rules: list[WatchRule]) -> None:
    assert rules_from_toml(rules_to_toml(rules)) == rules


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ("[[watch]]\ntext = 'x'\nlabel = ['dog']", "unknown key 'label'; known are: text, labels"),
        ("[[watch]]\ntext = 'x'\nlabels = ['hound']", "no class is called 'hound'"),
        ("[[watch]]\ntext = 'x'\nquiet_hours = 'night'", "is no time of day"),
        ("[[watch]]\ntext = 'x'\nevent = 'explodes'", "event: input should be"),
        ("[watch]\ntext = 'x'", "[[watch]]"),
        ("", "[[watch]]"),
        ("[[watch", "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
    ],
)
def test_a_wrong_rules_file_is_refused_with_its_place(toml: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules_from_toml(toml, "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert why in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(st.floats(-180.0, 180.0, exclude_min=True), st.floats(0.0, 30.0))
def test_left_and_right_are_treated_alike(azimuth_deg: float, margin_deg: float) -> None:
    for words, mirrored in (("on my left", "on my right"), ("behind me", "behind me"), ("front left", "front right")):
        one, other = name_sector(words)[0], name_sector(mirrored)[0]
        assert one is not None
        assert other is not None
        assert one.contains(azimuth_deg, margin_deg) == other.contains(-azimuth_deg, margin_deg)


def test_quiet_hours_may_pass_midnight() -> None:
    from datetime import datetime

    night = WatchRule(text="x", quiet_hours="22:00-07:00")
    noon = WatchRule(text="x", quiet_hours="12:00-13:00")
    at = {hour: datetime(2026, 5, 20, hour, 30).timestamp() for hour in (3, 6, 7, 12, 13, 21, 22, 23)}
    assert [hour for hour, wall_s in at.items() if night.is_quiet(wall_s)] == [3, 6, 22, 23]
    assert [hour for hour, wall_s in at.items() if noon.is_quiet(wall_s)] == [12]
