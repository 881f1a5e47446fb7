"""What people type into a running listener that asks nothing of the scene: help, leaving, thanks, things to be told of later.

The language model would answer each of them with a sound.
"""

from __future__ import annotations

import re
from enum import Enum

HELP = (
    "type a question, such as 'Where is the dog?' or 'What is behind me?', or 'tell me when the dog barks'; "
    "an empty line or 'stop' ends an answer, 'quit' or Ctrl-C the listener"
)
_ENDING = r"(?: please| earshot)?[!. ]*"


class Request(str, Enum):
    """What a line wants that is no question."""

    HELP = "help"
    LEAVE = "leave"
    NOTHING = "nothing"
    WATCH = "watch"
    UNWATCH = "unwatch"


_REQUESTS = {
    Request.HELP: rf"(?:help(?: me)?|\?+|h|usage|commands|what can (?:i|you) (?:ask|do|type|say))(?: you)?\??{_ENDING}",
    Request.LEAVE: rf":?(?:q|quit|exit|bye|good ?bye){_ENDING}",
    Request.NOTHING: rf"(?:(?:ok(?:ay)?,? )?thanks?(?: you)?(?: very much| a lot)?|ok(?:ay)?|hi|hello|hey|good (?:morning|evening)){_ENDING}",
    Request.WATCH: r"(?:please )?(?:can you |could you )?"
    r"(?:(?:tell|warn|alert|notify) me|let me know|give me a (?:sign|shout))(?: please)? "
    r"(?:when|whenever|as soon as|the next time|once)\b.+",
    Request.UNWATCH: r"(?:please )?(?:stop|no longer|don't|do not) (?:telling|warning|alerting|notifying|tell|warn|alert|notify|watch(?:ing)?)\b.*",
}
_PAST = re.compile(r"\b(?:did|was|were|had|began|rang|sang|\w{2,}ed)\b")
"""When something was is asked of what was heard, also by who begins with "tell me"."""


def request_of(line: str) -> Request | None:
    """What a typed line wants, if that is no question.

    Parameters
    ----------
    line : str

    Returns
    -------
    Request or None
        None for everything that is asked of the scene.
    """
    text = " ".join(line.lower().replace("\u2019", "'").split())
    found = next((request for request, pattern in _REQUESTS.items() if re.fullmatch(pattern, text)), None)
    return None if found is Request.WATCH and _PAST.search(text) else found
