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
PEOPLE = set(compile_watch("when someone is heard")[0].labels)
FRONT, BACK_RIGHT = Sector(azimuth_deg=0.0), Sector(azimuth_deg=-135.0, half_width_deg=45.0)


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
        ("when the car has left", {"engine", "car_horn"}, WatchEvent.STOPS, None),
        ("when the train leaves", {"train"}, WatchEvent.RECEDES, None),
        ("when the washing machine is off", {"washing_machine"}, WatchEvent.STOPS, None),
        ("when the siren has gone off", {"siren"}, WatchEvent.APPEARS, None),
        ("when the dog is no longer barking", {"dog"}, WatchEvent.STOPS, None),
        ("when a dog is no longer behind me", {"dog"}, WatchEvent.STOPS, BEHIND),
        ("when someone is right behind me", PEOPLE, WatchEvent.APPEARS, BEHIND),
        ("when a dog barks right in front of me", {"dog"}, WatchEvent.APPEARS, FRONT),
        ("when a dog comes right up to me", {"dog"}, WatchEvent.APPROACHES, None),
        ("when a dog barks right on my left", {"dog"}, WatchEvent.APPEARS, LEFT),
        ("when a dog barks on my right behind me", {"dog"}, WatchEvent.APPEARS, BACK_RIGHT),
        ("when a dog or a cat stops", {"dog", "cat"}, WatchEvent.STOPS, None),
        ("when someone stops coughing or sneezing", {"coughing", "sneezing"}, WatchEvent.STOPS, None),
        ("when someone behind me coughs or sneezes", {"coughing", "sneezing"}, WatchEvent.APPEARS, BEHIND),
        ("when a dog barks or a cat meows", {"dog", "cat"}, WatchEvent.APPEARS, None),
        ("when someone talks or a dog barks", {"dog", "speech"}, WatchEvent.APPEARS, None),
        ("when the sea waves or the wind stops", {"sea_waves", "wind"}, WatchEvent.STOPS, None),
        ("when the washing machine has finished", {"washing_machine"}, WatchEvent.STOPS, None),
        ("when the washing machine turns off", {"washing_machine"}, WatchEvent.STOPS, None),
        ("Right, tell me when a dog barks", {"dog"}, WatchEvent.APPEARS, None),
        ("once the baby stops crying", {"crying_baby"}, WatchEvent.STOPS, None),
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


def test_how_long_a_silence_lasts_is_not_how_long_the_sound_lasted() -> None:
    rule, note = compile_watch("when the baby has been quiet for ten minutes")
    assert (rule.event, rule.hold_s, rule.release_s) == (WatchEvent.STOPS, 0.5, 600.0)
    assert note == "told after 10 minutes without it"
    assert rule.words.startswith("when a crying baby stops, silent for 600 s; at most every")
    rule, note = compile_watch("when a dog within 3 m barking for 5 seconds stops")
    assert (rule.event, rule.hold_s, rule.release_s, note) == (WatchEvent.STOPS, 5.0, 3.0, "")


def test_which_door_it_is_cannot_be_heard_and_that_is_said() -> None:
    for which in ("front", "back", "left-hand"):
        rule, note = compile_watch(f"when someone knocks at the {which} door")
        assert (rule.labels, rule.sector) == (("door_knock",), None)
        assert note == "doors are not told apart: any door is meant"
    assert compile_watch("when someone knocks at the door on my left")[0].sector == LEFT


def test_someone_is_any_sound_that_people_make() -> None:
    rule, _ = compile_watch("when someone comes nearer")
    assert {"speech", "footsteps", "coughing"} <= set(rule.labels)
    assert "dog" not in rule.labels


def test_a_sound_without_a_class_is_replaced_only_with_a_word_about_it() -> None:
    rule, note = compile_watch("when the phone rings")
    assert rule.labels == ("clock_alarm",)
    assert "no class for 'phone'" in note
    rule, note = compile_watch("when a car or a lorry honks")
    assert rule.labels == ("car_horn",)
    assert "no class for 'lorry'" in note


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
        ("when the train left", "'left' may be a side or an end"),
        ("when we left the dog barks", "'left' may be a side or an end"),
        ("when a dog barks behind me or on my left", "one place at a time"),
        ("when a dog barks behind me or a cat meows", "'or' joins sounds"),
        ("when a dog barks or a cat meows or on my left", "'or' joins sounds"),
        ("when a dog barks for 5 seconds or a cat meows", "'or' joins sounds"),
        ("when a dog starts or stops barking", "one event at a time"),
        ("when the rain stops or starts", "one event at a time"),
        ("when a dog barks or stops barking", "'or' joins sounds"),
        ("when a car approaches or leaves", "one event at a time"),
        ("when a car honks or drives away", "'or' joins sounds"),
        ("when a car approaches or a dog barks", "'or' joins sounds"),
        ("when a dog barks or a cat approaches", "'or' joins sounds"),
        ("when the dog is barking or the baby stops crying", "'or' joins sounds"),
        ("when someone approaches or a dog barks", "'or' joins sounds"),
        ("when a dog barks or a cat meows on my left", "'or' joins sounds"),
        ("when a dog or a cat meows", "'dog' would be left out"),
        ("when someone or a dog is heard", "'someone' would be left out"),
        ("when the washing machine goes off", "'goes off' may mean that it starts or stops"),
        ("when the car goes", "'goes' may mean that it starts or stops"),
        ("when the music is on or off", "not understood: 'off'"),
        ("when a car is over there", "not understood: 'over'"),
        ("when a dog barks while it is quiet", "one condition at a time"),
        ("tell me to stop when a dog barks", "one event at a time"),
        ("when anything but a dog barks", "not understood: 'but'"),
        ("tell me once when a dog barks", "not understood: 'once'"),
        ("when a dog barks once", "not understood: 'once'"),
        ("when the dog is silent between 22:00 and 7:00", "one watch waits for one thing"),
        ("when a dog barks, except between 1 pm and 3", "am or pm"),
        ("when a dog barks, except between 9 and 10 pm", "am or pm"),
        ("when a dog barks, at most 0 times an hour", "once a day"),
        ("when a dog barks, at most once in 3 days", "once a day"),
        ("when a dog barks for 2 hours", "0.1 seconds to an hour"),
        ("when a dog stops for 0 seconds", "0.1 seconds to an hour"),
        ("when a dog is away from me", "not understood: 'away'"),
        ("when a bus honks at the bus stop", "not understood: 'stop'"),
        ("when someone knocks at the end", "not understood: 'end'"),
        ("when a dog barks on my left hand", "not understood: 'left hand'"),
        ("when a dog barks in the front yard", "not understood: 'front yard'"),
        ("when someone knocks behind the door", "not understood: 'behind'"),
        ("when a dog barks on the left of someone", "not understood: 'left'"),
        ("when someone comes near the door", "as heard from where you are"),
        ("when a dog approaches someone", "as heard from where you are"),
        ("when someone knocks within 3 metres of the door", "as heard from where you are"),
        ("when the phone is not ringing", "not understood: 'not'"),
        ("unless the dog barks", "not understood: 'unless'"),
        ("when a dog barks unless it is night", "not understood: 'unless night'"),
        ("after the dog barks", "not understood: 'after'"),
        ("before the dog barks", "not understood: 'before'"),
        ("when a dog barks twice", "not understood: 'twice'"),
        ("when more than one dog barks", "not understood: 'more than'"),
        ("when a dog barks more than 3 metres away", "not understood: 'more than"),
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
