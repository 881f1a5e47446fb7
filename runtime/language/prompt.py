"""The prompt: how a question and its answer look to the language model.

Training writes its examples and the runtime its questions through these functions, so that the two can
never drift apart. Pure text functions only; token ids and audio embeddings belong to `llm.py`. The layout is
fixed in docs/architecture.md:

    <bos><audio>[audio embeddings]</audio><user>QUESTION\\nA) ...\\nB) ...<assistant><think>\\n
    dog | -35 | 0 | 2.1 | 0.4-3.2\\n</think>B) the dog<eos>
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from earshot.runtime.errors import UsageError

BOS = "<bos>"
EOS = "<eos>"
PAD = "<pad>"
AUDIO_START = "<audio>"
AUDIO_END = "</audio>"
USER = "<user>"
ASSISTANT = "<assistant>"
THINK_START = "<think>"
THINK_END = "</think>"

SPECIAL_TOKENS = (PAD, BOS, EOS, AUDIO_START, AUDIO_END, USER, ASSISTANT, THINK_START, THINK_END)
"""Every control token, in the order in which a tokenizer trained here numbers them from 0."""

MAX_AUDIO_TOKENS = 25
"""Most audio embeddings in a prompt: 10 s at 2.5 a second."""

CHOICE_LETTERS = "ABCDEFGH"
_LETTERED = re.compile(rf"\(?([{CHOICE_LETTERS}{CHOICE_LETTERS.lower()}])[).:]\s+(.*)", re.DOTALL)
MAX_QUESTION_CHARS = 300
MAX_CHOICE_CHARS = 100
NOTHING_HEARD = "nothing"
"""The one evidence line of a scene without a source."""
ASKED = "asked:"
"""First word of the line of reasoning that states the question in its fixed form; evidence stands before it."""
CONCLUSION = "so"
"""First word of the last line of reasoning about options: `so the dog`."""

# Written forms outside ASCII that people type or paste, and what the model was trained on instead.
_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u2022", "-"),
        **dict.fromkeys("\u00b0\u00ba", " degrees"),
        "\u00d7": "x",
        "\u00df": "ss",
        "\u2044": "/",
    }
)
_FRACTION = re.compile(r"(?:(\d+) ?)?([\u00bc-\u00be\u2150-\u215e])")
"""One character for a fraction, as phones write it, with the whole number before it."""
_SPECIAL_PATTERN = re.compile("|".join(re.escape(token) for token in SPECIAL_TOKENS))
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_EVIDENCE_PATTERN = re.compile(
    rf"^\s*([^|\n]*[^|\s])\s*\|\s*{_NUMBER}\s*\|\s*{_NUMBER}\s*\|\s*{_NUMBER}\s*\|\s*(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)"
    r"(?:\s*\|\s*(-?\d+))?\s*$"
)
_WORD = re.compile(r"[A-Za-z][A-Za-z']*")
_CAPITAL_WORDS = frozenset(("I", "I'm", "I've", "I'd", "I'll", "dB"))
_SENTENCE_BEGINS = re.compile(r"(?:^|[^A-Za-z0-9', ]) *\Z")
_CHOICE_PATTERN = re.compile(r"^\s*\(?([A-Ha-h])(?:\s*[).:]|\s*$)")


@dataclass(frozen=True)
class Prompt:
    """Text on both sides of the audio embeddings.

    Attributes
    ----------
    prefix : str
        Text before the audio; the same for every question, so its key-value cache is shared.
    suffix : str
        Text after the audio, up to where the model continues.
    """

    prefix: str
    suffix: str


@dataclass(frozen=True)
class Evidence:
    """One source as the reasoning states it.

    Attributes
    ----------
    label : str
        Spoken class name, for example ``"alarm clock"``.
    azimuth_deg : int
        In (-180, 180], positive to the left, a multiple of 5.
    elevation_deg : int
        Positive upwards, a multiple of 10.
    distance_m, onset_s, offset_s : float
        One decimal.
    level_db : int or None
        Re the loudest sound; None in lines that do not say it, as in all questions but those about levels.
    """

    label: str
    azimuth_deg: int
    elevation_deg: int
    distance_m: float
    onset_s: float
    offset_s: float
    level_db: int | None = None


def normalise_text(text: str) -> str:
    """Bring free text into the range the model was trained on: one line of printable ASCII.

    Compatibility forms are folded (Unicode NFKC), typographic quotes and dashes become plain ones, accents
    are dropped, white space is collapsed. Control tokens written out in the text are removed, so that a
    question cannot end its own turn.

    Parameters
    ----------
    text : str
        Anything a person typed.

    Returns
    -------
    str
        Printable ASCII without control tokens; normalising again changes nothing. May be empty.
    """
    text = _FRACTION.sub(_decimal, text)
    folded = unicodedata.normalize("NFKC", text.translate(_REPLACEMENTS)).translate(_REPLACEMENTS)
    decomposed = unicodedata.normalize("NFKD", folded)
    ascii_text = "".join(c if c.isascii() and c.isprintable() else " " * c.isspace() for c in decomposed)
    while _SPECIAL_PATTERN.search(ascii_text):  # removing one may join the halves of another
        ascii_text = _SPECIAL_PATTERN.sub("", ascii_text)
    return " ".join(ascii_text.split())


def _decimal(fraction: re.Match[str]) -> str:
    return f"{int(fraction[1] or 0) + unicodedata.numeric(fraction[2]):.3g}"


def plain_case(text: str) -> str:
    """A question with the capitals of those that the model was trained on: at the beginning of a sentence, and "I".

    A small model does not know a word in capitals: asked for "the BIRD" it looks for something else.
    """

    def plain(match: re.Match[str]) -> str:
        word = match.group()
        if word in _CAPITAL_WORDS:
            return word
        first = word.capitalize()
        if first in _CAPITAL_WORDS and word.isupper():
            return first
        begins = word[0].isupper() and _SENTENCE_BEGINS.search(text[: match.start()])
        return first if begins else word.lower()

    return _WORD.sub(plain, text)


def plain_option(text: str) -> str:
    """An option as the model was trained on them: normalised, without capitals but "I"."""
    return " ".join(word if word in _CAPITAL_WORDS else word.lower() for word in normalise_text(text).split(" "))


def build_prompt(question: str, choices: Sequence[str] | None = None, think: bool = True) -> Prompt:
    """Text before and after the audio embeddings for one question.

    Parameters
    ----------
    question : str
        At most `MAX_QUESTION_CHARS` characters after normalising.
    choices : sequence of str, optional
        2 to 8 answer options; they get the letters A, B, ...
    think : bool
        Whether the model is to write its evidence first.

    Returns
    -------
    Prompt

    Raises
    ------
    UsageError
        When the question or an option is empty or too long, or the number of options is not 2 to 8.
    """
    lines = [plain_case(_checked(question, "question", MAX_QUESTION_CHARS))]
    if choices is not None:
        if not 2 <= len(choices) <= len(CHOICE_LETTERS):
            raise UsageError(
                f"{len(choices)} choices given: give 2 to {len(CHOICE_LETTERS)}, or none for an open question"
            )
        for index, text in enumerate(choices):
            clean = _checked(text, f"choice {CHOICE_LETTERS[index]}", MAX_CHOICE_CHARS)
            lines.append(choice_text(index, plain_option(clean)))
    opening = f"{THINK_START}\n" if think else THINK_END
    return Prompt(
        prefix=f"{BOS}{AUDIO_START}", suffix=f"{AUDIO_END}{USER}" + "\n".join(lines) + f"{ASSISTANT}{opening}"
    )


def build_completion(answer: str, reasoning: str | None = None) -> str:
    """What the model is to write after the prompt; training's target text.

    Parameters
    ----------
    answer : str
        Answer sentence, or `choice_text` of the right option.
    reasoning : str, optional
        Evidence and step lines (the text between the think tags). None for a prompt with ``think=False``.
    """
    if reasoning is None:
        return f"{answer.strip()}{EOS}"
    return f"{reasoning.strip()}\n{THINK_END}{answer.strip()}{EOS}"


def without_letters(choices: Sequence[str]) -> list[str]:
    """Options without the letters that all of them carry in order (``"A) the dog"``, ``"(b) a cat"``): those are put before them anyway."""
    parts = [_LETTERED.fullmatch(text.strip()) for text in choices]
    letters = "".join(part.group(1).upper() if part else "-" for part in parts)
    in_order = letters == CHOICE_LETTERS[: len(letters)]
    return [part.group(2) if part and in_order else text for part, text in zip(parts, choices, strict=True)]


def choice_text(index: int, text: str) -> str:
    """An option as it stands in the prompt and in an answer: ``"B) the dog"``."""
    return f"{CHOICE_LETTERS[index]}) {text}"


def evidence_line(
    label: str, azimuth_deg: float, elevation_deg: float, distance_m: float, onset_s: float, offset_s: float
) -> str:
    """Write one source as an evidence line, quantised to what a listener can know.

    Parameters
    ----------
    label : str
        Spoken class name.
    azimuth_deg : float
        Positive left; any turn, wrapped to (-180, 180] and rounded to 5 degrees.
    elevation_deg : float
        Positive up; rounded to 10 degrees.
    distance_m, onset_s, offset_s : float
        Not negative; rounded to one decimal.

    Returns
    -------
    str
        For example ``"dog | -35 | 0 | 2.1 | 0.4-3.2"``.
    """
    # round() goes half to even, so mirrored directions give mirrored lines.
    azimuth = 5 * round(azimuth_deg / 5)
    azimuth = 180 - (180 - azimuth) % 360
    elevation = 10 * round(elevation_deg / 10)
    times = f"{max(onset_s, 0.0):.1f}-{max(offset_s, 0.0):.1f}"
    return f"{label} | {azimuth} | {elevation} | {max(distance_m, 0.0):.1f} | {times}"


def parse_evidence(text: str) -> list[Evidence]:
    """Read the evidence lines out of a reasoning text; other lines are skipped.

    Parameters
    ----------
    text : str
        Text between the think tags.

    Returns
    -------
    list of Evidence
        In the order written; empty for `NOTHING_HEARD`.
    """
    found = []
    for line in text.splitlines():
        match = _EVIDENCE_PATTERN.match(line)
        if match is None:
            continue
        label, *numbers, level = match.groups()
        azimuth, elevation, distance_m, onset_s, offset_s = (float(n) for n in numbers)
        level_db = None if level is None else int(level)
        found.append(Evidence(label, round(azimuth), round(elevation), distance_m, onset_s, offset_s, level_db))
    return found


def up_to_conclusion(reasoning: str) -> str | None:
    """A reasoning up to where it names an option, ending with `CONCLUSION`; None when it draws no conclusion."""
    kept, mark, _ = f"\n{reasoning}".rpartition(f"\n{CONCLUSION} ")
    return f"{kept}\n{CONCLUSION}"[1:] if mark else None


def split_reasoning(text: str, think: bool = True) -> tuple[str, str]:
    """Split what the model wrote into reasoning and answer.

    Parameters
    ----------
    text : str
        Continuation of a prompt; may still hold control tokens.
    think : bool
        Whether the prompt opened a reasoning. Decides what a text without ``</think>`` is: a reasoning that
        was cut off (so there is no answer), or just an answer.

    Returns
    -------
    reasoning, answer : str
        Stripped, without control tokens.
    """
    head, mark, tail = text.partition(THINK_END)
    if not mark:
        head, tail = (text, "") if think else ("", text)
    answer = tail.partition(EOS)[0]
    return _strip_special(head), _strip_special(answer)


def parse_choice(answer: str, n_choices: int) -> int | None:
    """Index of the option an answer names by its letter, or None.

    Parameters
    ----------
    answer : str
        For example ``"B) the dog"`` or ``"B"``; a sentence that only begins with "A dog" names no option.
    n_choices : int
        Number of options; a letter beyond them names none.
    """
    match = _CHOICE_PATTERN.match(answer)
    if match is None:
        return None
    index = CHOICE_LETTERS.index(match.group(1).upper())
    return index if index < n_choices else None


def _checked(text: str, what: str, max_chars: int) -> str:
    """Normalised text, or a UsageError that names what is wrong with it."""
    clean = normalise_text(text)
    if not any(map(str.isalnum, clean)):
        raise UsageError(f"the {what} is empty (only Latin letters, digits and punctuation are understood)")
    if len(clean) > max_chars:
        raise UsageError(f"the {what} has {len(clean)} characters: at most {max_chars} are understood")
    return clean


def _strip_special(text: str) -> str:
    return _SPECIAL_PATTERN.sub("", text).strip()
