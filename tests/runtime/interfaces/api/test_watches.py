"""What the API shares with the terminal: watches, follow-ups, the memory, and how much the machine can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from earshot.runtime import Listener
from earshot.runtime.audio.source import ArraySource
from earshot.runtime.interfaces.api.settings import ApiSettings
from tests.runtime.hearing.sounds import bursts
from tests.runtime.interfaces.api.conftest import Served, command, event, running


def test_a_watch_is_added_fires_for_everybody_and_is_removed(served: Served) -> None:
    with served.connect() as asker, served.connect() as other:
        command(asker, "watch.add", text="when any sound appears on my left")
        (added,) = event(asker, "watches")["watches"]
        assert added["words"].startswith("when any sound appears on your left")
        for client in (asker, other):
            fired = event(client, "watch")
            assert fired["watch"] == added["text"]
            assert fired["track"]["azimuth_deg"] > 0
            assert fired["track"]["place"] in fired["text"]
        command(other, "watch.list")
        assert event(other, "watches")["watches"] == [added]
        command(other, "watch.remove", watch=added["watch"])
        assert event(other, "watches")["watches"] == []
        command(other, "watch.remove", watch=added["watch"])
        assert "there is no watch" in event(other, "error")["text"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("watch.add", {"text": "when pigs fly by"}, "cannot watch for"),
        ("watch.add", {"text": ""}, "text: "),
        ("watch.add", {}, "text: field required"),
        ("watch.list", {"all": True}, "all: "),
        ("watch.remove", {"watch": "1"}, "watch: "),
        ("watch.forget", {}, "command: "),
    ],
)
def test_a_watch_that_means_nothing_is_refused_in_one_line(name: str, data: dict, words: str, served: Served) -> None:
    with served.connect() as client:
        command(client, name, **data)
        text = event(client, "error")["text"]
    assert words in text
    assert "\n" not in text


def test_a_follow_up_is_completed_and_said_so(served: Served) -> None:
    with served.connect() as client, served.connect() as other:
        command(client, "ask", question="Where is the dog?", think=False)
        event(client, "answer")
        command(client, "ask", question="and how far?", think=False)
        assert event(client, "asked")["question"] == "How far is the dog?"
        assert event(client, "answer")["question"] == "How far is the dog?"
        command(other, "ask", question="and how far?", think=False)
        assert event(other, "asked")["question"] == "and how far?", "what another one asked is not leaned on"


def test_health_says_what_the_machine_can_do(served: Served) -> None:
    health = served.server.hub.health()
    assert health["hearing"]["effort"] == "full"
    assert health["hearing"]["resting"] in (True, False)


def test_the_memory_answers_what_is_asked_about_the_past(whole_bundle: Path, tmp_path: Path) -> None:
    listener = Listener(ArraySource(bursts()), bundle=whole_bundle, memory=tmp_path / "memory.sqlite")
    with listener, running(listener, ApiSettings(port=0)) as served:
        assert listener.wait(60)
        with served.connect() as client:
            command(client, "ask", question="What did you hear in the last hour?")
            answer = event(client, "answer", "error")
    assert answer["event"] == "answer"
    assert answer["reasoning"] == ""
    assert answer["answer"]
