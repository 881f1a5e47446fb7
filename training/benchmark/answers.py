"""Judging answers to question items: ours, or the file of any other system (``--predictions answers.jsonl``).

An answer line is ``{"id", "answer", "choice"?}``. Options are judged by ``choice`` or, without it, by the letter or the
text of the answer. Open answers are judged where words can be compared (yes/no; directions and distances as BAT, arXiv
2402.01591, asks for them); the others are counted as not judged, never as right or wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from earshot.runtime.errors import InputError, UsageError
from earshot.training.benchmark.statistics import accuracy, interval

NEAR_M = 0.5
SIDES = (
    {"left": "left", "right": "right"},
    {"front": "front", "ahead": "front", "behind": "back", "back": "back", "rear": "back"},
    {"above": "above", "up": "above", "below": "below", "down": "below"},
)

Line = Mapping[str, Any]


def judge(item: Line, answer: Line | None) -> bool | None:
    """Whether an answer is right; None if it cannot be judged. A missing answer or an error is wrong."""
    if item["form"] == "choice" and item.get("choice") is None:
        return None
    if answer is None or "error" in answer:
        return False
    text = str(answer.get("answer") or "")
    if item["form"] == "choice":
        return _chosen(item, answer, text) == int(item["choice"])
    if item["form"] == "yesno":
        return _first(text, ("yes", "no")) == _first(str(item["answer"]), ("yes", "no"))
    return _judge_open(str(item["answer"]), text)


def _chosen(item: Line, answer: Line, text: str) -> int | None:
    """Index of the option that was chosen; None if none was."""
    given = answer.get("choice")
    if isinstance(given, (int, float)):
        return int(given) if given in range(len(item["choices"])) else None
    text = text if given is None else str(given)
    choices = [_plain(choice) for choice in item["choices"]]
    letter = re.match(r"\s*\(?([A-H])\b(?:[).:]|\s*$)", text)
    if letter and "ABCDEFGH".index(letter.group(1)) < len(choices):
        return "ABCDEFGH".index(letter.group(1))
    return choices.index(_plain(text)) if _plain(text) in choices else None


def _judge_open(truth: str, text: str) -> bool | None:
    wanted = [_side(truth, words) for words in SIDES]
    metres = _metres(truth)
    if not any(wanted) and metres is None:
        return None
    sides_right = all(side is None or _side(text, words) == side for side, words in zip(wanted, SIDES, strict=True))
    if metres is None:
        return sides_right
    heard = _metres(text)
    return sides_right and heard is not None and abs(heard - metres) <= NEAR_M


def _side(text: str, words: Mapping[str, str]) -> str | None:
    found = re.search(rf"\b({'|'.join(words)})\b", text.lower())
    return words[found.group(1)] if found else None


def _metres(text: str) -> float | None:
    found = re.search(r"(\d+(?:\.\d+)?)\s*(?:m|meters?|metres?)\b", text.lower())
    return float(found.group(1)) if found else None


def _first(text: str, words: Sequence[str]) -> str | None:
    found = re.search(rf"\b({'|'.join(words)})\b", text.lower())
    return found.group(1) if found else None


def _plain(text: str) -> str:
    """Lower case, single spaces, no punctuation but what belongs to numbers."""
    return " ".join(re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w.-]+", " ", str(text).lower()).split())


def score_answers(items: Path, answers: Path, samples: int = 1000) -> dict[str, Any]:
    """Accuracy of a file of answers, overall, by level and by task, with 95 % intervals (bootstrap by scene).

    Raises
    ------
    InputError
        A file cannot be read, or holds an answer to no item.
    """
    asked, given = _by_id(items), _by_id(answers)
    strange = given.keys() - asked.keys()
    if strange:
        raise InputError(f"{answers}: answers to items that {items} does not hold, for example {min(strange)!r}")
    records = [
        {"scene": row["scene"], "level": row["level"], "task": row["task"], "correct": right}
        for name, row in asked.items()
        if (right := judge(row, given.get(name))) is not None
    ]
    by: dict[str, Any] = {}
    for key in ("level", "task"):
        for name in sorted({record[key] for record in records}):
            chosen = [record for record in records if record[key] == name]
            by.setdefault(f"by_{key}", {})[name] = {
                "items": len(chosen), "accuracy": interval(chosen, accuracy, samples).to_json(),
            }  # fmt: skip
    return {
        "items": len(asked),
        "answered": len(given),
        "not_judged": len(asked) - len(records),
        "overall": interval(records, accuracy, samples).to_json(),
        **by,
    }


def save_answers(path: Path, lines: Iterable[Line], make_folder: bool = False) -> None:
    """Write answer lines.

    Raises
    ------
    UsageError
        The file cannot be written, or its folder is missing and not to be made.
    """
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another file") from error


def demand_places(answers: Path | None = None, plots: Path | None = None) -> None:
    """Require that results can be kept there, before hours are spent on them.

    Parameters
    ----------
    answers : Path, optional
        File; its folder is made.
    plots : Path, optional
        Folder; it is made.

    Raises
    ------
    UsageError
        One of them cannot be written.
    """
    try:
        if plots is not None:
            plots.mkdir(parents=True, exist_ok=True)
        if answers is not None:
            answers.parent.mkdir(parents=True, exist_ok=True)
            is_new = not answers.exists()
            answers.open("a").close()
            if is_new:
                answers.unlink()
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written ({error.strerror}); name another place") from error


def read_answers(
    path: Path, known: Collection[str], asked: str, hint: str = "", asked_by: Callable[[str], str] = str
) -> dict[str, dict[str, Any]]:
    """Answer lines of any system by id.

    Parameters
    ----------
    path : Path
    known : collection of str
        Ids of what a benchmark asks.
    asked : str
        What that is called.
    hint : str
        What the message about an answer to something else ends with.
    asked_by : callable
        From the id of a line to one of those known.

    Raises
    ------
    InputError
        The file cannot be read, or holds an answer to nothing that is asked.
    """
    lines = _by_id(path)
    strange = {asked_by(name) for name in lines}.difference(known)
    if strange:
        raise InputError(
            f"{path}: {len(strange)} answers to no {asked} of this benchmark, for example {min(strange)!r}{hint}"
        )
    return lines


def _by_id(path: Path) -> dict[str, dict[str, Any]]:
    return {str(row["id"]): row for row in read_lines(path)}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Objects of a file of JSON lines.

    Raises
    ------
    InputError
        The file cannot be read, or a line has no ``id``.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON lines ({error})") from error
    if any(not isinstance(row, dict) or "id" not in row for row in rows):
        raise InputError(f"{path}: a line without id")
    return rows
