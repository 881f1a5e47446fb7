"""A batch can be broken anywhere and goes on from there; one bad item stops nothing."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshot.runtime.errors import InputError, UsageError
from earshot.runtime.interfaces.batch import BadItem, BatchItem, read_items, repair_answers, run_batch


def item(name: str) -> dict[str, Any]:
    return {"id": name, "audio": "a.wav", "question": "Where?", "level": "L1"}


def write_items(path: Path, items: list[Any]) -> Path:
    path.write_text("".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in items))
    return path


def answer(item: BatchItem) -> dict[str, Any]:
    return {"id": item.id, "answer": "left – “ümläut”"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_bad_lines_become_items_with_an_error(tmp_path: Path) -> None:
    path = write_items(
        tmp_path / "items.jsonl", [item("a"), "{", {"id": "b"}, "", [1], item("a"), {**item("c"), "id": 3}]
    )
    items = read_items(path)
    assert [i.id for i in items] == ["a", "line 2", "b", "line 5", "a@6", "3"]
    assert [isinstance(i, BadItem) for i in items] == [False, True, True, True, True, False]
    assert "audio" in items[2].error and "line 3" in items[2].error
    assert items[3].error == "line 5: no JSON object; id, audio and question are needed"
    counts = run_batch(items, tmp_path / "out.jsonl", answer)
    assert (counts.answered, counts.failed, counts.skipped) == (2, 4, 0)
    assert [line["id"] for line in lines(tmp_path / "out.jsonl")] == [i.id for i in items]


def test_a_failing_item_gets_an_error_and_the_others_answers(tmp_path: Path) -> None:
    def failing(i: BatchItem) -> dict[str, Any]:
        if i.id == "b":
            raise InputError("b.wav: no such file")
        if i.id == "c":
            raise ZeroDivisionError("oops")
        return answer(i)

    items = [BatchItem(**{k: v for k, v in item(name).items() if k != "level"}) for name in "abcd"]
    counts = run_batch(items, tmp_path / "out.jsonl", failing)
    assert (counts.answered, counts.failed) == (2, 2)
    errors = [line.get("error") for line in lines(tmp_path / "out.jsonl")]
    assert errors == [None, "b.wav: no such file", "internal error: ZeroDivisionError: oops", None]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400))
def test_an_interrupted_batch_ends_as_if_it_had_not_been(cut: int, tmp_path: Path) -> None:
    """Whatever byte the crash came at, the resumed answer file is that of an undisturbed run."""
    items = read_items(write_items(tmp_path / "items.jsonl", [item(f"q{n}") for n in range(6)]))
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    whole.unlink(missing_ok=True)
    run_batch(items, whole, answer)
    broken.write_bytes(whole.read_bytes()[:cut])
    asked: list[str] = []
    run_batch(items, broken, lambda i: asked.append(i.id) or answer(i))
    assert broken.read_bytes() == whole.read_bytes()
    assert len(asked) == 6 - min(6, len(repair_answers(whole) - set(asked)))


def test_odd_characters_stop_nothing(tmp_path: Path) -> None:
    """Line separators in a text, lone surrogates, a byte order mark, Windows line ends, deep nesting."""
    path = tmp_path / "items.jsonl"
    texts = [
        '{"id": "a\u2028b", "audio": "a.wav", "question": "x"}',
        r'{"id": "\ud800", "audio": "a.wav", "question": "x"}',
    ]
    path.write_text("\ufeff" + "\r\n".join([*texts, "[" * 100_000]) + "\r\n", "utf-8", newline="")
    items = read_items(path)
    assert [i.id for i in items] == ["a\u2028b", "\ud800", "line 3"]
    for skipped in (0, 1):  # the two that are no items fail again
        counts = run_batch(items, tmp_path / "out.jsonl", lambda i: {"id": i.id})
        assert counts.skipped == skipped


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    items = read_items(write_items(tmp_path / "items.jsonl", [item("a"), item("b")]))
    run_batch(items[:1], tmp_path / "out.jsonl", answer)
    counts = run_batch(items, tmp_path / "out.jsonl", answer)
    assert (counts.answered, counts.skipped) == (1, 1)


def test_what_failed_is_asked_again_when_the_batch_goes_on(tmp_path: Path) -> None:
    """The recording that was missing is there now; a line that is no item fails every time."""
    items = read_items(write_items(tmp_path / "items.jsonl", [item("a"), item("b"), "{", item("c")]))
    out = tmp_path / "out.jsonl"

    def failing(i: BatchItem) -> dict[str, Any]:
        if i.id == "b":
            raise InputError("b.wav: no such file")
        return answer(i)

    run_batch(items, out, failing)
    again = run_batch(items, out, failing)
    assert (again.answered, again.failed, again.skipped) == (0, 2, 2)
    counts = run_batch(items, out, answer)
    assert (counts.answered, counts.failed, counts.skipped) == (1, 1, 2)
    assert sorted(line["id"] for line in lines(out)) == ["a", "b", "c", "line 3"]
    assert [line["id"] for line in lines(out) if "error" in line] == ["line 3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.jsonl", "out.jsonl"]


def test_a_line_that_was_mended_leaves_no_error_behind(tmp_path: Path) -> None:
    path, out = tmp_path / "items.jsonl", tmp_path / "out.jsonl"
    run_batch(read_items(write_items(path, [item("a"), item("a"), "{"])), out, answer)
    assert [line["id"] for line in lines(out) if "error" in line] == ["a@2", "line 3"]
    counts = run_batch(read_items(write_items(path, [item("a"), item("b"), item("c")])), out, answer)
    assert (counts.answered, counts.failed, counts.skipped) == (2, 0, 1)
    assert sorted(line["id"] for line in lines(out)) == ["a", "b", "c"]


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    for text in ("dear diary\n", "dear diary", "[" * 100_000 + "\n", '{"id": "a"}\nhello\n{"id": "b"}\n', "[1]\n"):
        path = tmp_path / "diary.txt"
        path.write_text(text)
        with pytest.raises(UsageError, match="--out"):
            run_batch([], path, answer)
        assert path.read_text() == text


def test_a_missing_or_binary_items_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_items(tmp_path / "missing.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_items(tmp_path / "b.jsonl")


def test_answers_may_go_into_a_pipe(tmp_path: Path) -> None:
    out = tmp_path / "pipe"
    os.mkfifo(out)
    reader = os.open(out, os.O_RDWR)  # open for writing as well: an end of file never comes
    try:
        items = [BatchItem(id="a", audio="a.wav", question="Where?")]
        batch = threading.Thread(target=run_batch, args=(items, out, answer), daemon=True)
        batch.start()
        batch.join(10.0)
        assert not batch.is_alive(), "it waits for the answers of a former run"
        assert json.loads(os.read(reader, 4096)) == answer(items[0])
    finally:
        os.close(reader)


def test_answers_behind_a_link_stay_there(tmp_path: Path) -> None:
    there, link = tmp_path / "there.jsonl", tmp_path / "link.jsonl"
    write_items(there, [{"id": "a", "error": "a.wav: no such file"}])
    link.symlink_to(there)
    run_batch([BatchItem(id="a", audio="a.wav", question="Where?")], link, answer)
    assert link.is_symlink()
    assert lines(there) == [answer(BatchItem(id="a", audio="a.wav", question="Where?"))]
