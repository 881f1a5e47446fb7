"""Questions about the past: which are taken, what they mean, and that the answers are what is on disk."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from earshot.runtime.labels import load_labels
from earshot.runtime.scene.episodes import Place
from earshot.runtime.scene.memory import SceneMemory
from earshot.runtime.scene.recall import FROM_MEMORY, answer_recall, parse_recall
from earshot.runtime.scene.timespans import duration_words, name_span

NOW_S = datetime(2026, 5, 20, 14, 0, 0).timestamp()
MINUTE = 60.0
ONLY_WHEN_AND_WHERE = "I remember only when and where sounds were"


@pytest.fixture
def memory(tmp_path: Path) -> SceneMemory:
    """Half an hour: a dog on the left, an alarm behind, footsteps that go from behind to the right and still sound."""
    clock_s = [NOW_S - 30 * MINUTE]
    memory = SceneMemory(tmp_path / "m.sqlite", clock=lambda: clock_s[0])
    memory.open()
    session = memory.begin()
    for label, minutes, length_s, places in (
        ("dog", 25, 12.0, [Place(90.0, 0.0, 2.0)]),
        ("clock_alarm", 6, 45.0, [Place(-175.0, 0.0, 1.0)]),
        ("dog", 5, 3.0, [Place(85.0, 0.0, 4.0)]),
        ("footsteps", 2, None, [Place(180.0, 0.0, 3.0, True), Place(-90.0, 0.0, 1.0)]),
    ):
        start_s = NOW_S - minutes * MINUTE
        episode = memory.add(session, "appeared", start_s, label, places[0], 0.7)
        for place in places[1:]:
            memory.add(session, "moved", start_s + 10, label, place, 0.7, episode)
        if length_s is not None:
            memory.add(session, "ended", start_s + length_s, label, places[-1], 0.7, episode)
    clock_s[0] = NOW_S
    memory.heard(session)
    return memory


def ask(memory: SceneMemory, question: str, *, remembers: bool = False) -> str:
    recall = parse_recall(question, NOW_S, remembers=remembers)
    assert recall is not None, f"taken for a question about now: {question}"
    answer = answer_recall(recall, memory, NOW_S)
    assert answer.startswith(FROM_MEMORY)
    assert "\n" not in answer
    return answer.removeprefix(FROM_MEMORY)


def test_when_and_where_last(memory: SceneMemory) -> None:
    answer = ask(memory, "When did the alarm clock last ring, and where?")
    assert answer.startswith(
        "the alarm clock last sounded at 13:54:00, 5 minutes ago, for 45 seconds, directly behind you"
    )
    assert "about 1 metre away" in answer
    assert "13:55:00" in ask(memory, "when did you last hear a dog?"), "the latest of two"


def test_a_phone_is_said_to_be_no_class_of_its_own(memory: SceneMemory) -> None:
    answer = ask(memory, "when did the phone last ring, and where?")
    assert "the alarm clock last sounded" in answer
    assert "there is no class for 'phone'" in answer


def test_what_happened_behind_me_is_what_was_there_at_any_moment(memory: SceneMemory) -> None:
    answer = ask(memory, "what happened in the last ten minutes behind me?")
    assert answer.startswith("2 times behind you (as you faced then) in the last ten minutes: ")
    assert "an alarm clock at 13:54:00" in answer
    assert "footsteps since 13:58:00" in answer
    assert "then directly to your right" in answer
    assert "straight ahead or directly behind you" in answer
    assert "dog" not in answer


def test_how_often_and_yes_or_no(memory: SceneMemory) -> None:
    assert ask(memory, "How often did a dog bark in the last half hour?").startswith("2 times in the last half hour: ")
    assert ask(memory, "Did a dog bark in the last 10 minutes?").startswith("yes, 1 time in the last 10 minutes: ")
    assert ask(memory, "Did a cat meow in the last 10 minutes?").startswith("no, I remember no cat in the last")


@pytest.fixture
def cat_and_dog(tmp_path: Path) -> SceneMemory:
    """A cat 25 minutes ago and one bark 5 minutes ago at 2 m."""
    clock_s = [NOW_S - 70 * MINUTE]
    memory = SceneMemory(tmp_path / "pets.sqlite", clock=lambda: clock_s[0])
    memory.open()
    session = memory.begin()
    for label, minutes in (("cat", 25), ("dog", 5)):
        start_s = NOW_S - minutes * MINUTE
        episode = memory.add(session, "appeared", start_s, label, Place(90.0, 0.0, 2.0), 0.7)
        memory.add(session, "ended", start_s + 3, label, Place(90.0, 0.0, 2.0), 0.7, episode)
    clock_s[0] = NOW_S
    memory.heard(session)
    return memory


@pytest.mark.parametrize(
    "question",
    [
        "Was the cat louder than the dog in the last hour?",
        "Did the dog bark before the cat in the last hour?",
        "Did the dog bark and then the cat in the last hour?",
        "Was the dog left of the cat in the last hour?",
        "Was the dog quiet in the last hour?",
        "Was the dog gone in the last hour?",
        "Did the dog not bark in the last hour?",
        "Did the dog bark more than three times in the last hour?",
        "Did the dog bark many times in the last hour?",
        "Did 2 dogs bark in the last hour?",
        "Did the dog bark within 1 metre in the last hour?",
        "Did anything besides the dog sound in the last hour?",
        "Did the dog bark and someone come in the last hour?",
        "Has the dog been barking for the last hour?",
        "Did the cat bark in the last hour?",
        "Did the cat or the dog bark in the last hour?",
        "Did the dog meow and the cat bark in the last hour?",
        "Was the bird louder than the cow in the last hour?",
        "How many times was the dog louder than the cat in the last hour?",
    ],
)
def test_neither_yes_nor_no_is_claimed_of_what_is_not_remembered(cat_and_dog: SceneMemory, question: str) -> None:
    answer = ask(cat_and_dog, question)
    assert not answer.startswith(("yes", "no,")), answer
    assert answer.endswith(ONLY_WHEN_AND_WHERE), answer
    assert " in the last hour" in answer


@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("Did the dog bark in the last hour?", "yes, 1 time in the last hour: a dog at 13:55:00"),
        ("Did the dog bark at all today?", "yes, 1 time today"),
        ("Has a dog barked before now?", "yes, 1 time: "),
        ("Did a dog bark while I was away today?", "yes, 1 time today"),
        ("Did the alarm go off in the last hour?", "no, I remember no alarm clock in the last hour"),
        ("Did anyone make a noise in the last hour?", "no, I remember no "),
        ("Did a rooster crow in the last hour?", "no, I remember no rooster in the last hour"),
        ("Did the dog bark in the last hour, and where?", "yes, 1 time"),
        ("Did an animal bark in the last hour?", "yes, 1 time in the last hour: a dog"),
    ],
)
def test_what_is_remembered_is_still_answered_with_yes_or_no(
    cat_and_dog: SceneMemory, question: str, start: str
) -> None:
    answer = ask(cat_and_dog, question)
    assert answer.startswith(start)
    assert ONLY_WHEN_AND_WHERE not in answer


@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("Did a dog and a cat sound in the last hour?", "yes, 2 times in the last hour: a cat"),
        ("Did both a dog bark and a cat meow in the last hour?", "yes, 2 times in the last hour: a cat"),
        (
            "Did a dog and a bird sound in the last hour?",
            "no, I remember no bird in the last hour; 1 time in the last hour: a dog at 13:55:00",
        ),
        (
            "Did a dog, a bird and a cow sound in the last hour?",
            "no, I remember no bird and no cow in the last hour; 1",
        ),
        ("Did a dog and a cat sound in the last ten minutes?", "no, I remember no cat in the last ten minutes; 1"),
        ("Did a dog bark or a cat meow in the last hour?", "yes, 2 times in the last hour: a cat"),
        ("Did a dog, a bird or a cow sound in the last hour?", "yes, 1 time in the last hour: a dog"),
        ("Did a cow and a bird sound in the last hour?", "no, I remember no cow and no bird in the last hour"),
    ],
)
def test_and_asks_for_each_of_the_sounds_and_or_for_any(cat_and_dog: SceneMemory, question: str, start: str) -> None:
    answer = ask(cat_and_dog, question)
    assert answer.startswith(start)
    assert ONLY_WHEN_AND_WHERE not in answer


def test_a_verb_of_another_sound_names_no_sound(cat_and_dog: SceneMemory) -> None:
    assert ask(cat_and_dog, "When did the cat last bark?").startswith("the cat last sounded at 13:35:00")
    assert ask(cat_and_dog, "When did the bird last bark?").startswith("I remember no bird")
    assert ask(cat_and_dog, "When did you last hear the cat or barking?").startswith("the dog last sounded")
    assert ask(cat_and_dog, "When did you last hear birds, barking or knocking?").startswith("the dog last sounded")
    assert ask(cat_and_dog, "Did you hear a bird or someone barking today?").startswith("yes, 1 time today: a dog")
    assert ask(cat_and_dog, "When was the last time a dog barked or a bird sang?").startswith("the dog last sounded")


@pytest.mark.parametrize("question", ["What did you hear in the last week?", "What happened this week?"])
def test_the_week_that_is_kept_can_be_asked_for(cat_and_dog: SceneMemory, question: str) -> None:
    assert ask(cat_and_dog, question).startswith("2 times ")
    assert ask(cat_and_dog, "Did the dog bark in the last week?").startswith("yes, 1 time in the last week: a dog")


def test_an_answer_says_when_it_did_not_listen(memory: SceneMemory) -> None:
    assert "I listened for only 30 minutes of that time" in ask(memory, "what happened in the last two hours?")
    assert "I did not listen then" in ask(memory, "what happened yesterday?")
    assert "only" not in ask(memory, "what happened in the last ten minutes?")


def test_a_sound_that_is_not_known_is_not_guessed(memory: SceneMemory) -> None:
    for question in (
        "when did the doorbell last ring?",
        "when did someone last whistle?",
        "when did the kettle last boil?",
    ):
        assert "I do not know what" in ask(memory, question)
    assert "did you mean" in ask(memory, "when did the helicoptr last come?")


def test_what_goes_on_is_told_as_going_on_only_in_this_run(memory: SceneMemory) -> None:
    assert "still do" in ask(memory, "when did you last hear footsteps?")
    memory.begin()
    assert "last sounded at 13:58:00" in ask(memory, "when did you last hear footsteps?")


def test_while_no_sound_arrives_nothing_is_said_to_go_on(memory: SceneMemory) -> None:
    recall = parse_recall("when did you last hear footsteps?", NOW_S + 20 * MINUTE)
    assert recall is not None
    assert "last sounded at 13:58:00" in answer_recall(recall, memory, NOW_S + 20 * MINUTE, listening=False)
    recall = parse_recall("what happened in the last ten minutes?", NOW_S + 20 * MINUTE)
    assert recall is not None
    assert "I did not listen then" in answer_recall(recall, memory, NOW_S + 20 * MINUTE, listening=False)


def test_a_long_list_is_cut_and_says_so(memory: SceneMemory) -> None:
    for k in range(20):
        memory.add(1, "appeared", NOW_S - 60 + k, "cat", Place(0.0, 0.0, 1.0), 0.5)
    answer = ask(memory, "How many times did the cat meow today?")
    assert answer.startswith("20 times today (the first 12 left out here")
    assert answer.count("a cat ") == 8


@pytest.mark.parametrize(
    "question",
    [
        "did the dog bark on Monday?", "did anybody knock since lunch?", "did someone knock at 3 pm?",
        "what happened between 2 and 3 pm?", "was there a dog between 9:30 and 10:15?", "what happened before 11:20?",
    ],
)  # fmt: skip
def test_a_time_that_is_not_understood_is_not_taken_for_now(memory: SceneMemory, question: str) -> None:
    assert ask(memory, question).startswith("I do not understand that time; times I understand: ")


def test_spans_are_understood_as_people_type_them(memory: SceneMemory) -> None:
    for words in ("2h", "2 hrs", "90min", "couple of hours"):
        assert ask(memory, f"did the dog bark in the last {words}?").startswith("yes, 2 times in the last"), words
    assert ask(memory, "what did I miss?").startswith("4 times: ")


@pytest.mark.parametrize("question", ["was it quiet {}?", "was there silence {}?", "what was the loudest sound {}?"])
def test_of_loudness_and_silence_only_what_is_remembered_is_told(memory: SceneMemory, question: str) -> None:
    answer = ask(memory, question.format("in the last hour"))
    assert answer.startswith("4 times in the last hour: ") and ONLY_WHEN_AND_WHERE in answer


QUESTIONS_ABOUT_NOW = (
    "What do you hear?",
    "Where is the dog?",
    "what happened in the last 5 seconds?",
    "Which sound ends last?",
    "What do you hear last?",
    "How long does the siren last?",
    "Is it behind me?",
    "What is at 3 o'clock?",
    "Is anything between the dog and the cat?",
)


@pytest.mark.parametrize("question", QUESTIONS_ABOUT_NOW)
def test_questions_about_now_are_left_to_the_language_model(question: str) -> None:
    assert parse_recall(question, NOW_S) is None


def test_no_question_that_the_model_was_trained_on_is_taken_away_from_it() -> None:
    path = Path(__file__).resolve().parents[3] / "training" / "questions" / "phrasings.json"
    words = {"x": "the dog", "y": "the siren", "ax": "a dog", "dir": "front left", "m": "2", "t": "3"}
    words |= {
        "place": "behind me",
        "turn": "left by 30 degrees",
        "way": "left",
        "path": "straight ahead",
        "clock": "ten",
        "compass": "northwest",
    }
    kinds = json.loads(path.read_text()).values()
    phrasings = [phrasing for kind in kinds for group in kind.values() for phrasing in group]
    assert len(phrasings) > 500
    taken = [phrasing for phrasing in phrasings if parse_recall(phrasing.format(**words), NOW_S)]
    assert taken == []


@pytest.mark.parametrize("label", load_labels(), ids=lambda label: label.key)
def test_every_class_can_be_asked_for_by_every_synonym(label) -> None:  # type: ignore[no-untyped-def]
    for phrase in (label.spoken, *label.synonyms):
        recall = parse_recall(f"when did you last hear the {phrase}?", NOW_S)
        assert recall is not None
        assert not recall.unknown
        assert label.key in recall.keys, phrase


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("in the last ten minutes", 10),
        ("over the past 2 hours", 120),
        ("within the last half an hour", 30),
        ("during the last hour", 60),
        ("in the last forty-five minutes", 45),
        ("since 13:20", 40),
        ("since 1 pm", 60),
        ("today", 14 * 60),
        ("since 3 pm", 23 * 60),
    ],
)
def test_spans_begin_where_they_say(words: str, minutes: float) -> None:
    span, rest = name_span(f"what was there {words} behind me", NOW_S)
    assert span is not None
    assert NOW_S - span.since_s == minutes * MINUTE
    assert span.until_s == NOW_S
    assert " ".join(rest.split()) == "what was there behind me"


def test_ago_is_taken_loosely_and_ends_in_the_past() -> None:
    span, _ = name_span("what was there an hour ago", NOW_S)
    assert span is not None
    assert span.since_s < NOW_S - 60 * MINUTE < span.until_s < NOW_S


def test_durations_are_spoken_without_needless_digits() -> None:
    spoken = [duration_words(seconds) for seconds in (0.2, 1.4, 59, 130, 3600, 7200, 200_000)]
    assert spoken == ["1 second", "1 second", "59 seconds", "2 minutes", "60 minutes", "2 hours", "2 days"]


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("When did the dog first bark?", "the dog first sounded at 13:35:00, 25 minutes ago, for 12 seconds, directly to your left"),
        ("when did it first bark?", "the dog first sounded at 13:35:00"),
        ("When was the first time you heard the footsteps?", "the footsteps first sounded at 13:58:00, 2 minutes ago, and it still does"),
        ("When did the cat first meow?", "I remember no cat"),
        ("Was there a dog?", "yes, 2 times"),
        ("Was there a cat?", "no, I remember no cat"),
        ("How long has it been quiet?", "it is not quiet: the footsteps sounding"),
        ("Since when is it quiet?", "it is not quiet: the footsteps sounding"),
        ("What was the last sound?", "the footsteps have sounded since 13:58:00"),
    ],
)  # fmt: skip
def test_with_a_memory_the_past_is_more_than_the_last_seconds(memory: SceneMemory, question: str, begins: str) -> None:
    """The language model, which hears ten seconds, was asked, and said "2.0 seconds"."""
    assert ask(memory, question, remembers=True).startswith(begins)


def test_how_long_it_has_been_quiet_is_counted_from_the_last_sound(memory: SceneMemory) -> None:
    session = memory.begin()  # the steps belong to the session before
    memory.heard(session)
    answer = ask(memory, "How long has it been quiet?", remembers=True)
    assert answer.startswith("quiet for 2 minutes; the footsteps last sounded at 13:58:00")


@pytest.mark.parametrize(
    "question",
    ["Was there a bird before the dog?", "Was there a dog behind the cat?", "Were there two dogs?", "Is it quiet?", "What was the last sound to stop?"],
)  # fmt: skip
def test_what_the_memory_could_not_answer_stays_with_the_model(question: str) -> None:
    assert parse_recall(question, NOW_S, remembers=True) is None


@pytest.mark.parametrize(
    "question", ["When did the dog first bark?", "Was there a dog?", "How long has it been quiet?"]
)
def test_without_a_memory_the_last_seconds_are_meant(question: str) -> None:
    assert parse_recall(question, NOW_S) is None
