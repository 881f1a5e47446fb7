"""The label table is complete, unambiguous, and finds what people ask for."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from earshot.runtime.labels import Label, by_key, by_spoken, class_id, find, load_labels

EVENTS = Path(__file__).parents[3] / "shared" / "data" / "events" / "manifest.csv"


def test_there_are_61_labels_sorted_by_key() -> None:
    keys = [label.key for label in load_labels()]
    assert len(keys) == 61
    assert keys == sorted(set(keys))


@pytest.mark.shared_data
def test_the_keys_are_the_classes_of_the_event_recordings() -> None:
    if not EVENTS.exists():
        pytest.skip("needs the shared event recordings")
    with EVENTS.open(newline="") as file:
        classes = {row["cls"] for row in csv.DictReader(file)}
    assert {label.key for label in load_labels()} == classes


def test_the_index_is_the_class_id() -> None:
    assert [class_id(label.key) for label in load_labels()] == list(range(61))


@pytest.mark.parametrize("label", load_labels(), ids=lambda label: label.key)
class TestEveryLabel:
    def test_spoken_noun_is_short_and_lower_case(self, label: Label) -> None:
        assert re.fullmatch(r"[a-z]+([ -][a-z]+)?", label.spoken)
        assert len(label.spoken) <= 16

    def test_article_form_is_the_spoken_noun_with_the_right_article(self, label: Label) -> None:
        vowel = label.spoken[0] in "aeiou"
        assert label.article in {label.spoken, f"{'an' if vowel else 'a'} {label.spoken}"}

    def test_plural_nouns_have_no_article(self, label: Label) -> None:
        assert not label.plural or label.article == label.spoken

    def test_has_enough_other_names(self, label: Label) -> None:
        assert 3 <= len(label.synonyms) <= 6
        assert 2 <= len(label.descriptions) <= 5

    def test_every_phrase_finds_it_inside_a_question(self, label: Label) -> None:
        for phrase in label.phrases:
            assert find(f"Tell me, where is the {phrase}?") is label, phrase
            assert find(phrase.upper()) is label, phrase

    def test_is_found_by_key_and_by_spoken_noun(self, label: Label) -> None:
        assert by_key(label.key) is label
        assert by_spoken(label.spoken) is label


def test_no_two_labels_share_a_phrase() -> None:
    owners = Counter(
        phrase for label in load_labels() for phrase in {phrase.lower().replace("-", " ") for phrase in label.phrases}
    )
    assert [phrase for phrase, count in owners.items() if count > 1] == []


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("Where is the dog?", "dog"),
        ("where are the dogs now", "dog"),
        ("Where's that beeping thing?", "clock_alarm"),
        ("Is the person walking behind me?", "footsteps"),
        ("What is someone walking doing?", "footsteps"),
        ("How far is the hi hat?", "music_hi_hat"),
        ("Is the dog's bark loud?", "dog"),
        ("Is the crow to my left?", "crow"),
        ("Is the crowing to my left?", "rooster"),
        ("Can you hear the bass drum or not?", "music_bass_drum"),
        ("Who is talking?", "speech"),
        ("Where is the fire engine?", "siren"),
    ],
)
def test_questions_in_the_wild(question: str, key: str) -> None:
    found = find(question)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize("question", ["", "How many sounds are there?", "Can you hear anything?", "hennas, catalogues"])
def test_nothing_is_found_where_no_class_is_named(question: str) -> None:
    assert find(question) is None


def test_verbs_agree_with_the_noun() -> None:
    assert f"{by_key('footsteps').definite} {by_key('footsteps').verb}" == "the footsteps are"
    assert f"{by_key('rain').definite} {by_key('rain').verb}" == "the rain is"


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(KeyError):
        by_key("unicorn")
    with pytest.raises(KeyError):
        by_spoken("unicorn")
