"""Batches of questions: items in, one answer line out per item, resumable after any interruption.

Lines are JSON objects. An answer line is written whole and flushed before the next item begins, so that
at most the last line of the answer file can be broken, and only by a crash; it is cut off when the batch
is resumed. Items that failed are asked again then: the recording that was missing may be there by now.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from earshot.runtime.errors import EarshotError, InputError, UsageError


class BatchItem(BaseModel):
    """One question about one recording; other fields of the line are ignored."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    audio: str = Field(min_length=1)
    question: str
    choices: list[str] | None = None


@dataclass(frozen=True)
class BadItem:
    """A line that is no item: what to call it, and what is wrong."""

    id: str
    error: str


@dataclass(frozen=True)
class BatchCounts:
    """How a batch ended.

    Attributes
    ----------
    answered, failed, skipped : int
        Items answered now, items with an error, items whose answer the file held already.
    """

    answered: int
    failed: int
    skipped: int


Ask = Callable[[BatchItem], dict[str, Any]]


_BY_LINE = re.compile(r"(?:^line |@)\d+$")
"""Name that a line without a name of its own goes by; another line may stand there next time."""


def read_items(path: Path) -> list[BatchItem | BadItem]:
    """Read a file of items, one JSON object a line; empty lines are skipped.

    Raises
    ------
    InputError
        When the file cannot be read as text. A bad line is a `BadItem`, not an error.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")  # splitlines() would also cut at U+2028 inside a text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason}); give a JSONL file of items") from error
    seen: dict[str, int] = {}
    items: list[BatchItem | BadItem] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            item = _item(line, number)
            if item.id in seen:
                item = BadItem(f"{item.id}@{number}", f"line {number}: id used before on line {seen[item.id]}")
            seen.setdefault(item.id, number)
            items.append(item)
    return items


def repair_answers(path: Path) -> set[str]:
    """Ids that an answer file holds; a half-written last line is cut off first.

    Parameters
    ----------
    path : Path
        May be missing; a pipe or a device holds none.

    Raises
    ------
    UsageError
        When the file holds something else than answers; it is left untouched.
    """
    if not path.is_file() and not path.is_dir():  # what comes out of a pipe or a device never ends
        return set()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); name another --out") from error
    whole, newline, rest = data.rpartition(b"\n")
    ids = {_answered_id(path, number, line) for number, line in enumerate(whole.split(b"\n"), 1) if line.strip()}
    if rest:
        _mend_last_line(path, rest, len(whole) + len(newline), ids)
    return ids


def forget_failed(path: Path, ids: set[str]) -> set[str]:
    """Take the lines out of a whole answer file that say why one of ``ids`` failed; returns whose they were.

    The file is written anew beside itself and put in its place at once, so that no answer is lost on the way.

    Raises
    ------
    UsageError
        When it cannot be written.
    """
    lines = [line for line in path.read_text("utf-8").split("\n") if line.strip()] if ids else []
    failed = {line: document["id"] for line in lines if "error" in (document := json.loads(line))}
    gone = {line for line, name in failed.items() if str(name) in ids}
    if not gone:
        return set()
    place = path.resolve()  # a link stays one
    fresh = place.with_name(f"{place.name}.partial")
    try:
        fresh.write_text("".join(f"{line}\n" for line in lines if line not in gone), "utf-8", newline="\n")
        fresh.replace(place)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another --out") from error
    return {str(failed[line]) for line in gone}


def run_batch(
    items: Iterable[BatchItem | BadItem], out: Path, ask: Ask, advance: Callable[[], None] = lambda: None
) -> BatchCounts:
    """Answer every item whose answer the file does not hold yet.

    Parameters
    ----------
    items : iterable
        From `read_items`.
    out : Path
        Answer file, appended to. An item that fails gets a line with `id` and `error`.
    ask : callable
        Answers one item with a JSON object.
    advance : callable
        Called after each item.

    Returns
    -------
    BatchCounts

    Raises
    ------
    UsageError
        When the answer file cannot be used.
    """
    items = list(items)
    done = repair_answers(out)
    done -= forget_failed(out, done & {item.id for item in items} | set(filter(_BY_LINE.search, done)))
    counts = {"answered": 0, "failed": 0, "skipped": 0}
    with _appending(out) as file:
        for item in items:
            if item.id in done:
                counts["skipped"] += 1
            else:
                result = _answer_line(item, ask)
                counts["failed" if "error" in result else "answered"] += 1
                file.write(json.dumps(result) + "\n")
                file.flush()
            advance()
    return BatchCounts(**counts)


def _item(line: str, number: int) -> BatchItem | BadItem:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadItem(f"line {number}", f"line {number}: no JSON ({error})")
    if not isinstance(document, dict):
        return BadItem(f"line {number}", f"line {number}: no JSON object; id, audio and question are needed")
    try:
        return BatchItem.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        name = document.get("id")
        return BadItem(str(name) if name else f"line {number}", f"line {number}: {field}: {first['msg'].lower()}")


def _answer_line(item: BatchItem | BadItem, ask: Ask) -> dict[str, Any]:
    """The answer, or what went wrong: nothing that one item does may stop the others."""
    if isinstance(item, BadItem):
        return {"id": item.id, "error": item.error}
    try:
        return ask(item)
    except EarshotError as error:
        return {"id": item.id, "error": str(error)}
    except Exception as error:
        return {"id": item.id, "error": f"internal error: {type(error).__name__}: {error}"}


def _answered_id(path: Path, number: int, line: bytes) -> str:
    try:
        return str(json.loads(line)["id"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: line {number} is no answer; name another --out") from error


def _mend_last_line(path: Path, rest: bytes, start: int, ids: set[str]) -> None:
    """Complete a last line that only lacks its line break, cut off one that is broken."""
    with path.open("r+b") as file:
        try:
            ids.add(str(json.loads(rest)["id"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            if not rest.lstrip().startswith(b"{"):
                raise UsageError(f"{path}: the last line is no answer; name another --out") from None
            file.truncate(start)
        else:
            file.seek(0, 2)
            file.write(b"\n")


def _appending(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another --out") from error
