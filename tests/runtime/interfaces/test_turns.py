"""A conversation in which somebody types while an answer is written: streaming, stopping, following up."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from earshot.runtime.audio.file import FileSource
from earshot.runtime.interfaces.conversation import Conversation
from earshot.runtime.interfaces.telling import JsonTeller
from earshot.runtime.interfaces.turns import Turns
from earshot.runtime.interfaces.typed_requests import HELP, request_of
from earshot.runtime.language.llm import CancelledError
from earshot.runtime.listener import Listener
from earshot.runtime.scene.changes import TrackChange


class Typist(JsonTeller):
    """Types the next line when the first piece of an answer has appeared, and lets the answer go on after that."""

    def __init__(self, target: io.StringIO, first: list[str], then: list[str]) -> None:
        super().__init__(target)
        self._first, self._then = first, then
        self._appeared, self._typed = threading.Event(), threading.Event()

    def writing(self, question: str, piece: str, heard_s: float) -> None:
        super().writing(question, piece, heard_s)
        self._appeared.set()
        assert self._typed.wait(30.0)

    def lines(self) -> Iterator[str]:
        yield from self._first
        assert self._appeared.wait(30.0)
        yield from self._then
        self._typed.set()


def converse(bundle: Path, recording: Path, first: list[str], then: list[str]) -> list[dict]:
    target = io.StringIO()
    teller = Typist(target, first, then)
    listener = Listener(FileSource(recording, pace="real", speed=4.0), bundle=bundle, think=False)
    Conversation(listener, teller, think=False).run(teller.lines())
    return [json.loads(line) for line in target.getvalue().splitlines()]


def of(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["event"] == kind]


def test_an_answer_is_told_while_it_is_written(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["What can you hear?"], [])
    (answer,) = of(events, "answer")
    pieces = [event["text"] for event in of(events, "writing")]
    assert len(pieces) > 1
    assert "".join(pieces).strip().startswith(answer["answer"][:20])


def test_an_empty_line_stops_the_answer_and_the_next_question_is_answered(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["Where is the dog?"], ["", "Where is the rain?"])
    assert [event["question"] for event in of(events, "answer")] == ["Where is the rain?"]
    assert "stopped: Where is the dog?" in [event["text"] for event in of(events, "note")]
    assert of(events, "writing")[1]["text"] == "", "what was shown of it is taken back"


def test_stop_also_stops_what_waits(whole_bundle: Path, recording: Path) -> None:
    events = converse(
        whole_bundle, recording, ["Where is the dog?", "Where is the cat?"], ["stop", "Where is the rain?"]
    )
    assert [event["question"] for event in of(events, "answer")] == ["Where is the rain?"]
    notes = [event["text"] for event in of(events, "note")]
    assert "stopped: Where is the dog?" in notes
    assert "stopped before its turn: Where is the cat?" in notes


def test_a_follow_up_is_asked_in_full_and_said_so(whole_bundle: Path, recording: Path) -> None:
    events = converse(whole_bundle, recording, ["Where is the dog?"], ["and how far?"])
    assert [event["question"] for event in of(events, "answer")] == ["Where is the dog?", "How far is the dog?"]
    assert "'and how far?' is taken for: How far is the dog?" in [event["text"] for event in of(events, "note")]


def test_an_empty_line_before_anything_appears_stops_nothing() -> None:
    cancelled: list[int] = []
    turns = Turns(lambda: cancelled.append(1))
    turns.stop(all_waiting=False)
    number = turns.next()
    with turns.taken(number) as wanted:
        turns.stop(all_waiting=False)
        assert wanted
        turns.check()
        turns.stop(all_waiting=False)
        with pytest.raises(CancelledError):
            turns.check()
    assert cancelled == [1]
    with turns.taken(turns.next()) as wanted:
        assert wanted
        turns.check()


def test_leaving_help_and_thanks_are_not_asked(whole_bundle: Path, recording: Path) -> None:
    """ "help" was answered with "No, I can't hear pouring water."."""
    events = converse(
        whole_bundle, recording, ["help", "thanks!", "Where is the dog?", "quit", "Where is the cat?"], []
    )
    assert [event["question"] for event in of(events, "answer")] == ["Where is the dog?"], "the listener has left"
    notes = [event["text"] for event in of(events, "note")]
    assert HELP in notes
    assert sum("you are welcome" in note for note in notes) == 1


def test_what_is_to_be_told_later_is_watched_for(whole_bundle: Path, recording: Path) -> None:
    lines = [
        "Tell me when the rain starts",
        "let me know when pigs fly",
        "stop telling me",
        "stop watching",
        "Where is the dog?",
    ]
    events = converse(whole_bundle, recording, lines, [])
    notes = [event["text"] for event in of(events, "note")]
    assert [event["question"] for event in of(events, "answer")] == ["Where is the dog?"]
    assert any(note.startswith("you will be told when rain appears") and "stop watching" in note for note in notes)
    assert any(note.startswith("cannot watch for 'let me know when pigs fly'") for note in notes)
    assert "no longer watching (1 ended)" in notes
    assert "nothing was watched for" in notes


@pytest.mark.parametrize(
    "line",
    [
        "Tell me when the dog barked.", "Tell me where the dog is", "Tell me if there is a dog", "quiet?", "Is there help?",
        "what can you hear?", "Stop!", "Which way is the exit?", "Tell me when the siren stopped", "ok, where is it?",
    ],
)  # fmt: skip
def test_questions_stay_questions(line: str) -> None:
    assert request_of(line) is None


def test_a_teller_that_cannot_tell_ends_the_listener(whole_bundle: Path, recording: Path) -> None:
    """With a full or closed standard output the listener went on for ever and told nobody."""

    class Broken(JsonTeller):
        def change(self, change: TrackChange) -> None:
            raise OSError(28, "No space left on device")

    listener = Listener(FileSource(recording, pace="real", speed=4.0), bundle=whole_bundle, think=False)
    with pytest.raises(OSError, match="No space left"):
        Conversation(listener, Broken(io.StringIO()), think=False).run([])
