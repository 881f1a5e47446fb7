"""Lines that a person reads while it listens."""

from __future__ import annotations

import io

from earshot.runtime.interfaces.telling import PlainTeller
from earshot.runtime.language.answerer import Answer


def test_a_question_has_no_power_over_the_terminal() -> None:
    out = io.StringIO()
    PlainTeller(out).answer("where is\x1b[2J the bird?", Answer("It is left.", None, "", 0.1, 0.2, 3), 1.0)
    assert "\x1b" not in out.getvalue()
    assert "the bird?" in out.getvalue()
