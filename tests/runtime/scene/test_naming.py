"""Which classes a text names."""

from __future__ import annotations

from earshot.runtime.labels import class_id, load_labels
from earshot.runtime.scene.naming import meant_classes, named_classes


def test_every_name_of_the_table_names_its_class() -> None:
    lost = [
        (label.key, phrase)
        for label in load_labels()
        for phrase in label.phrases
        if class_id(label.key) not in meant_classes([f"Where is {phrase}?"])
    ]
    assert lost == []


def test_a_person_may_mean_a_voice_but_is_not_looked_for() -> None:
    assert named_classes(["Where is the person?"]) == ()
    assert class_id("speech") in meant_classes(["Where is the person?"])
    assert meant_classes(["Where is that noise?"]) == frozenset()
