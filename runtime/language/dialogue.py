"""Follow-ups: "and how far?", "what about behind me?" become full questions, since the model hears each question alone.

Only the question is rewritten, by rules, from the last question and answer; the answer is the model's own. What is no
follow-up, or one that cannot be resolved, stays as it is.
"""

from __future__ import annotations

import re
import time

from earshot.runtime.labels import Label, find, spoken_in
from earshot.runtime.language.prompt import THINK_END
from earshot.runtime.scene.recall import DOES_NOT_KNOW, FROM_MEMORY
from earshot.runtime.scene.sectors import Sector, name_sector
from earshot.runtime.scene.timespans import name_span
from earshot.runtime.scene.words import SECTORS

_LEAD = re.compile(
    r"^(?:(?:and|but|so|then|ok|okay|now|next|also|right|well|hmm?|ah|oh)\b[,. ]*)*(?:(?:what|how) about\b[, ]*)?"
)
_TAIL = re.compile(
    r"(?:[,. ]+(?:please|then|though|too|as well|again|exactly|roughly|now|thanks)"
    r"|[,.] (?:right|correct|yes|huh|isn't it|isnt it|is it|aren't they))+$"
)
_PRONOUN = re.compile(r"\b(?:it|they|them|that(?: one)?|this one)\b")
_ANY_SOUND = re.compile(
    r"\b(?:(?:which|what|a|any|each|one|that|this) (?:sound|source|noise|thing)|the (?:last|first|latest) (?:sound|source|noise|thing)|sounds|sources|noises|things|this(?! one))\b"
)
_CHECK = re.compile(
    r"^(?:(?:does|would) (?:that|it) mean |i (?:think|guess) )?(?:is|are|was|were|would|must|could|might)? ?"
    r"(?:it|they|that|this)(?: one)?(?:'s|'re| is| are| was| were| must| would| could| might)?(?: be| sound| come)?"
    r"(?: maybe| perhaps| also| from| somewhere)* "
)
"""Start of a guess about where it is: "is it", "so that's", "it must be"."""
_IS_IT = re.compile(
    r"^(?:is|are|was|were|do|does|did|has|have|will|can|could|would) (?P<it>it|they|that one|this one)\b"
    r"(?! (?:the|an?|this|my|your|safe|clear|correct|true|possible|ok|okay|all|fewer|raining?|one (?:sound|source|noise|thing)"
    r"|so that|be (?:that|so|right|true|correct|fair)|dark|late|early|cold|warm|hot|sunny|windy|been (?:so )?(?:quiet|silent|calm|loud|noisy)"
    r"|(?:quiet|silent|calm|loud|noisy) (?:in|here|outside|inside|around|while|today|tonight|last|since|at|during))\b)"
)
"""Start of a question about "it", where "it" is not just the subject of a sentence that has another meaning."""
_WHERE_IS_IT = re.compile(
    r"\b(?:where|when|how (?:far|close|near|high|long)) (?:is|are|was|were|do|does|did|will|would) (?:it|they|that one)\b(?! (?:so )?(?:quiet|silent|calm)\b)"
    r"|\bhow (?:often|many times) (?:do|does|did|has|have) (?:it|they|that one)\b"
    r"|\b(?:to|towards?|from|at|past|face|facing|reach|behind|than) (?:it|them)$"
)
_OWN_SOUND = re.compile(
    r"^(?:(?:find|take|locate|tell|show|say) (?:me )?)?"
    r"(?:(?:the|what|which) (?!other\b)(?:[\w'-]+ ){0,3}?(?:sounds?|sources?|noises?|things?|ones?)|(?:what|all)(?: what)?(?: do| can)? you hear)\b"
    r".*(?:[,.;]|\band) (?:(?:from|in|to|at) )?(?:where|when|how|which|what)\b.* (?:it|they)\b"
)
"""A question that first says what its "it" means: "the sound that is nearest, where is it"."""
_NOT_A_SOURCE = re.compile(r"^what(?: is|'s| are|'re) |\bhow many\b|^what time is it")
_OTHER = re.compile(
    r"\bother\b|\bremaining\b|\bsecond (?:one|sound|source|noise)\b|\bone (?:that is|that's|thats) left\b"
)
_WHOEVER = re.compile(r"\b(?:it|they|(?:some|any)(?:one|body|thing)|who|what) (?:\w+ )?\w+", re.IGNORECASE)
_PRESENT = re.compile(r"\b(?:is|are|do|does|now)\b|'(?:s|re)\b")
_HOW_OFTEN, _LAST_TIME = "How often did you hear {x}?", "When and where did you last hear {x}?"
_SAME = re.compile(r"^(?:and )?(?:the )?same(?: question| thing)?(?: for| with| about)?\b|^(?:with|for|about)\b")
_ASPECTS = (
    (r"\bhow (?:often|many times)\b", _HOW_OFTEN),
    (r"\blast time\b|\bhow long ago\b", _LAST_TIME),
    (r"\bhow long\b", "How long {does} {x} last?"),
    (r"\bhow high\b|\bheight\b", "How high {verb} {x}?"),
    (
        r"\bhow (?:far|close|near)\b|\bdistance\b|\bhow many (?:metres|meters|feet)\b",
        "How far {verb} {x}?",
    ),
    (r"\bwhen\b|\bsince\b|\bseconds?\b(?! (?:one|sound|source))|\b(?:what|which) times?\b", "When do you hear {x}?"),
    (r"\bwhere\b|\bwheres\b|\bdirections?\b|\b(?:which|what) (?:way|side)\b", "Where {verb} {x}?"),
)
"""What is asked of "it", and the full question; the first that fits."""
_SMALL = frozenset(
    re.findall(
        r"\S+",
        """
    a about actually again ago all and any anything are at away be begin between by can close come coming could did
    direction directions distance do does else end exactly far feet find for from get go going got happen happened
    have hear heard height high how how's i in into is it it'd it's its just kind last lasts left long look many may
    me meters metres might more must my near noise now of off often on one or other out over piece really remaining right
    same say second seconds see should side since so some something sort sound sounding source start stop tell than that
    that's the them then there there's these they they're thing this those though time times to too up us was way we
    were what what's when where where's wheres which will with would you your
        """,
    )
)
"""A question of nothing but these names no source of its own."""
_CHOOSES = re.compile(r"\b(?:which|what|who|or)\b")
"""A question whose answer says which sound is meant."""
_AGREES = re.compile(r"^(?:yes,? )?(?:is )?(?:that|this)(?:'s| is)? (?:right|so|it|correct|true)$")
_TURN = re.compile(r"(?P<turn>\bturn (?:to (?:the|my) )?)(?P<way>left|right|around)\b(?P<rest>.*)")
_ANOTHER_TURN = re.compile(r"^(?:if i )?(?:turn )?(?:to (?:the|my) )?(?P<way>left|right|around)$")
_SIDE_OF = re.compile(r"\b(?:left|right)(?= of\b)")
_SIDE = re.compile(r"^(?:on |to )?(?:the |its )?(?P<side>left|right)$")
_NOTHING = re.compile(r"\bnothing\b|\bcan't hear any\b")
_SPEAKER = re.compile(r"\b(?:i|me|we|us|you)\b")
_ENOUGH_S = 120.0
"""After so long the last question is not what "it" means any more."""


class Dialogue:
    """What was asked last, so that the next question can lean on it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was asked."""
        self._question = ""
        self._named: list[Label] = []
        self._subject: Label | None = None
        self._recalled = False
        self._at_s = 0.0

    def complete(self, question: str) -> str:
        """Make a full question of a follow-up.

        Parameters
        ----------
        question : str
            As it was typed.

        Returns
        -------
        str
            A question that can be understood alone; the same one when it already could, or when nothing was said
            that it could lean on.
        """
        if not self._question or time.monotonic() - self._at_s > _ENOUGH_S:
            return question
        text = " ".join(question.lower().replace("\u2019", "'").split()).rstrip("?!. ")
        lead = _LEAD.match(text)
        rest = text[lead.end() :] if lead else text
        return self._completed(_TAIL.sub("", rest), led=rest != text) or question

    def answered(self, question: str, answer: str) -> None:
        """Keep a full question and its answer; what a refusal or a list names is no subject."""
        self._recalled = answer.startswith(FROM_MEMORY)
        named = [] if self._recalled and DOES_NOT_KNOW in answer else spoken_in(answer)
        asked = _first_named(question)
        several = self._recalled and len(named) > 1
        nothing = _NOTHING.search(answer.lower()) is not None and not named
        if asked is None and (several or nothing):
            self._subject = None
        elif named and (asked is None or _CHOOSES.search(question.lower())):
            self._subject = named[0]
        else:
            self._subject = asked or self._subject
        fresh = ([self._subject] if self._subject else []) + ([asked] if asked else []) + named
        self._named = list(dict.fromkeys([*fresh, *self._named]))[:8]
        self._question, self._at_s = question, time.monotonic()

    def _completed(self, rest: str, led: bool) -> str | None:
        """The full question, or None when this is none of the follow-ups."""
        label = find(rest)
        if label is not None:
            return self._about_named(rest, label)
        if _OWN_SOUND.match(rest):
            return None
        if _AGREES.match(rest):
            return None
        if again := self._exchanged(rest):
            return again
        small = set(re.findall(r"[a-z']+", rest)) <= _SMALL
        if small and _OTHER.search(rest):
            return self._about_other(rest)
        if placed := self._placed(rest, led):
            return placed
        if small and self._subject and (full := self._aspect(rest)):
            return _of(full, self._subject)
        return self._leaning(rest)

    def _about_named(self, rest: str, label: Label) -> str | None:
        """ "And the cat?", and "is it closer than the cat?"."""
        if not _without(_SAME.sub("", rest), label):
            return self._about(label)
        return self._leaning(rest) if label != self._subject and _IS_IT.match(rest) else None

    def _leaning(self, rest: str) -> str | None:
        """A question about "it" that is no other kind of follow-up, with the sound in place of the word."""
        first = _IS_IT.match(rest)
        if self._subject is None or not (first or _WHERE_IS_IT.search(rest)):
            return None
        last = list(re.finditer(r"\b(?:it|they|them|that one|this one)\b", rest))[-1]
        start, end = first.span("it") if first else last.span()
        return _sentence(_agree(f"{rest[:start]}{self._subject.definite}{rest[end:]}", self._subject))

    def _aspect(self, rest: str) -> str | None:
        """What is asked of what was spoken about; None when it is asked of something else."""
        if _ANY_SOUND.search(rest):
            return None
        if _NOT_A_SOURCE.search(rest) and not re.search(r"\b(?:its|how many (?:metres|meters|feet))\b", rest):
            return None
        if re.match(r"(?:is|are|was|were|do|does|did) ", rest):
            return None
        meant = _PRONOUN.search(rest) or re.search(r"\bits\b", rest)
        if not meant and _SPEAKER.search(re.sub(r"\btell me\b", "", rest)):
            return None
        full = _asked_of_it(rest)
        past = self._recalled and full is not None and full.startswith(("Where", "When", "How far"))
        return _LAST_TIME if past and not _PRESENT.search(rest) else full

    def _placed(self, rest: str, led: bool) -> str | None:
        """ "And behind me?", which asks for what is there, and "so that's behind me?", which asks whether it is."""
        guess = _CHECK.match(rest)
        try:
            sector, left = name_sector(rest[guess.end() :] if guess else rest)
        except ValueError:
            return None
        if guess and self._subject and sector is not None and not left.strip():
            return _sentence(f"{self._subject.verb} {self._subject.definite} {rest[guess.end() :]}")
        led = led or not left.strip() or left.strip() in ("anything", "something")
        if guess or not led or (sector is not None and not set(re.findall(r"[a-z']+", left)) <= _SMALL):
            return None
        return self._elsewhere(rest, sector)

    def _exchanged(self, rest: str) -> str | None:
        """The last question with another turn, or the other side of something: "and if I turn right?", "and the right?"."""
        turn, side = _ANOTHER_TURN.match(rest), _SIDE.match(rest)
        if side and _SIDE_OF.search(self._question):
            return _SIDE_OF.sub(side["side"], self._question, count=1)
        if turn and _TURN.search(self._question):
            return _TURN.sub(rf"\g<turn>{turn['way']}\g<rest>", self._question, count=1)
        return None

    def _about_other(self, rest: str) -> str | None:
        other = next((label for label in self._named if label != self._subject), None)
        if other is None:
            return None
        full = _asked_of_it(rest)
        return self._about(other) if full is None else _of(full, other)

    def _about(self, label: Label) -> str:
        """The last question with another sound in it; where that sound is, when there was none in it."""
        asked = _first_named(self._question)
        nouns = spoken_in(self._question)
        if asked is None or label in nouns:
            return _of("Where {verb} {x}?", label)
        phrases = sorted(asked.phrases, key=len, reverse=True)
        someone = re.match(
            rf"(?:(?P<aux>\w+) (?:some|any)(?:one|body)|who) (?:{'|'.join(map(re.escape, phrases))})(?P<after>\b.*)",
            self._question,
            re.I,
        )
        if someone is not None:  # "did someone knock in the last hour?" has no noun to exchange
            now = (someone["aux"] or "did").lower() in ("is", "does", "can", "do")
            return f"{('Is' if now else 'Was')} there {label.article}{someone['after']}"
        if asked not in nouns and _WHOEVER.search(self._question):
            return self._of_what_it_did(label)
        pattern = rf"\b(?P<article>(?:the|an?|any|my|some) )?(?:{'|'.join(map(re.escape, phrases))})(?:s|es)?\b"

        def instead(match: re.Match[str]) -> str:
            article = (match["article"] or "the ").strip().lower()
            return label.article if article in ("a", "an", "any", "some") else label.definite

        full, count = re.subn(pattern, instead, self._question, count=1, flags=re.IGNORECASE)
        return _agree(full, label) if count else _of("Where {verb} {x}?", label)

    def _of_what_it_did(self, label: Label) -> str:
        """The last question, which named a sound by what it does ("did it bark?"), asked of another sound."""
        asked = self._question.lower()
        if re.match(r"(?:is|are|was|were|do|does|did|has|have|can)\b", asked):
            return f"{'Is' if _PRESENT.match(asked) else 'Was'} there {label.article}?"
        full = _LAST_TIME if re.search(r"\blast\b", asked) else _asked_of_it(asked)
        return _of(full or "Where {verb} {x}?", label)

    def _elsewhere(self, rest: str, sector: Sector | None) -> str | None:
        """The last question about another place or time; what there is at that place, when it does not lend itself."""
        kept = self._question.lower().rstrip("?!. ")
        turned = _TURN.search(kept)
        if turned and "," in turned["rest"]:
            return self._after_turn(kept, sector)
        before, timeless = name_span(kept, time.time())
        try:
            placed, placeless = name_sector(kept)
        except ValueError:
            return None
        if sector is not None:
            if placed is not None and (find(kept) is not None or before is not None):
                return _sentence(f"{' '.join(placeless.split())} {_as_asked(sector)}")
            return f"What do you hear to the {_sector_name(sector)}?"
        span, left = name_span(rest, time.time())
        if span is None or left.strip() or before is None:
            return None
        return _sentence(" ".join(f"{timeless} {rest}".split()))

    @staticmethod
    def _after_turn(kept: str, sector: Sector | None) -> str | None:
        """The last question about a turn, asked of another place: the turn itself names none."""
        turn, _, asked = kept.rpartition(",")
        try:
            placed, placeless = name_sector(asked)
        except ValueError:
            return None
        if sector is None or placed is None:
            return None
        return _sentence(f"{turn}, {' '.join(placeless.split())} {_as_asked(sector)}")


class AnswerText:
    """Passes on the answer alone, of what a model writes: the reasoning before it is not shown.

    Parameters
    ----------
    think : bool
        Whether a reasoning comes first.
    """

    def __init__(self, think: bool) -> None:
        self._reasoning = think

    def take(self, piece: str) -> str:
        """The part of a piece of text that belongs to the answer."""
        if not self._reasoning:
            return piece
        self._reasoning = piece != THINK_END
        return ""


def _asked_of_it(text: str) -> str | None:
    """The full question for what a text asks of "it"."""
    return next((full for pattern, full in _ASPECTS if re.search(pattern, text)), None)


def _first_named(question: str) -> Label | None:
    """The sound that a question names first by its noun, else by any of its names: "bark" in "when did the cat bark" is none."""
    return next(iter(spoken_in(question)), None) or find(question)


def _without(text: str, label: Label) -> str:
    """What is left of a text without the sound it names and the article before it."""
    phrases = sorted(label.phrases, key=len, reverse=True)
    return re.sub(
        rf"\b(?:(?:the|an?|any|my|some) )?(?:{'|'.join(map(re.escape, phrases))})(?:s|es)?\b", "", text
    ).strip(" ,")


def _of(full: str, label: Label) -> str:
    return full.format(x=label.definite, verb=label.verb, does="do" if label.plural else "does")


def _agree(text: str, label: Label) -> str:
    """ "Is the footsteps" and "are the dog" put right."""
    noun = re.escape(label.definite)
    text = re.sub(rf"\b(?:is|are)(?= {noun}\b)", label.verb, text)
    text = re.sub(rf"\b(?:Is|Are)(?= {noun}\b)", label.verb.capitalize(), text)
    return re.sub(rf"\b(?:does|do)(?= {noun}\b)", "do" if label.plural else "does", text)


def _sentence(text: str) -> str:
    text = re.sub(r"\bi\b", "I", text)
    return f"{text[:1].upper()}{text[1:]}?"


def _as_asked(sector: Sector) -> str:
    """A part of the horizon from the mouth of who asks: "behind me to the left"."""
    return sector.words.replace("your", "my").replace("you", "me")


def _sector_name(sector: Sector) -> str:
    return SECTORS[round(sector.azimuth_deg / 45.0) % 8]
