"""Lines that a person reads while it listens."""

from __future__ import annotations

import io

from earshot.runtime.audio.capture import CaptureEvent, CaptureState
from earshot.runtime.interfaces.telling import PlainTeller
from earshot.runtime.language.answerer import Answer


def test_a_question_has_no_power_over_the_terminal() -> None:
    out = io.StringIO()
    PlainTeller(out).answer("where is\x1b[2J the bird?", Answer("It is left.", None, "", 0.1, 0.2, 3), 1.0)
    assert "\x1b" not in out.getvalue()
    assert "the bird?" in out.getvalue()


def test_notes_have_no_power_over_the_terminal_either() -> None:
    """A device may give itself any name."""
    out = io.StringIO()
    teller = PlainTeller(out)
    teller.note("ear\x1b[2Jmic is back", 1.0)
    teller.capture(CaptureEvent(CaptureState.LISTENING, "ear\x1b[2Jmic", 1.0))
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("mic") == 2
