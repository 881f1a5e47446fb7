"""The documents of `earshot profile` as tables and bars for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from earshot.runtime.interfaces.profile_compare import Change

Document = Mapping[str, Any]
_BAR_CELLS = 16
_EIGHTHS = " ▏▎▍▌▋▊▉"


def show(document: Document, console: Console) -> None:
    """Print all parts that a document has."""
    for table in tables_of(document):
        console.print(table)


def tables_of(document: Document) -> Iterator[RenderableType]:
    """The tables of a document, in the order in which they are read."""
    if document["kind"] == "ESTIMATE":
        yield estimate_table(document)
        return
    yield stage_table(document)
    if document["threads"]:
        yield thread_table(document["threads"])
    if document.get("alternatives"):
        yield alternatives_table(document["alternatives"])


def stage_table(document: Document) -> Table:
    """Time of every stage with a bar of its median, and the other figures."""
    title = (
        f"{document['audio_s']:.1f} s of audio, hops of {document['deadline']['hop_ms']:.0f} ms, "
        f"one thread, medians of {document['repeats']} runs"
    )
    table = _table(title, "stage", "50 % ms", "95 % ms", "99 % ms", "median")
    spreads = {**document["stages"], "hearing, all": document["hearing"]}
    longest = max(spread["p50_ms"] for spread in spreads.values())
    for name, spread in spreads.items():
        figures = [f"{spread[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms")]
        table.add_row(name, *figures, bar(spread["p50_ms"] / longest), end_section=name.startswith("hearing"))
    for name, figure in _figures(document):
        table.add_row(name, figure)
    return table


def bar(part: float) -> str:
    """A bar of block characters, `part` of its full length."""
    eighths = round(8 * _BAR_CELLS * min(1.0, max(0.0, part)))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _figures(document: Document) -> list[tuple[str, str]]:
    deadline, memory = document["deadline"], document["memory"]
    slope = f"{memory['slope_mb_per_hour']:+.0f} ± {memory['slope_error_mb_per_hour']:.0f} MB/h"
    return [
        ("deadlines missed", f"{deadline['misses']} of {deadline['hops']}"),
        ("hearing, part of real time", f"{document['realtime_factor']:.2%}"),
        ("load encoders", f"{document['load_s']:.2f} s"),
        ("cold start to first frame", f"{document['cold_start_s']:.2f} s"),
        ("load language model", f"{document['llm_load_s']:.2f} s"),
        ("question to first token of the answer", f"{1000 * document['first_token_s']:.0f} ms"),
        ("question to full answer", f"{1000 * document['answer_s']:.0f} ms"),
        ("... more for a sound asked for by name", f"{1000 * document['asked_s']:.0f} ms"),
        ("memory, high-water", f"{memory['high_water_mb']:.0f} MB"),
        (f"memory, slope ({memory['watched_audio_s']:.0f} s)", slope),
    ]


def thread_table(sweep: Sequence[Document]) -> Table:
    """What more threads bring."""
    table = _table("threads", "threads", "hearing 50 % ms", "95 % ms", "first token ms", "answer ms")
    for run in sweep:
        hearing = (f"{run['hearing'][key]:.3f}" for key in ("p50_ms", "p95_ms"))
        answers = (f"{1e3 * run[key]:.0f}" for key in ("first_token_s", "answer_s"))
        table.add_row(str(run["threads"]), *hearing, *answers)
    return table


def alternatives_table(alternatives: Document) -> Table:
    """Ours beside what one would take instead."""
    title = "beside ours, one thread, random weights: speed only, nothing is said about accuracy"
    table = _table(title, "what", "ours ms", "theirs ms", "theirs / ours", "for")
    for item in alternatives["items"]:
        if item.get("skipped"):
            table.add_row(item["name"], "", "", "", f"left out: {item['skipped']}")
            continue
        figures = (f"{item['ours_ms']:.3f}", f"{item['theirs_ms']:.3f}", f"{item['ratio']:.2f}")
        table.add_row(item["name"], *figures, item["per"])
    return table


def estimate_table(document: Document) -> Table:
    """Counted instructions as times on a board."""
    title = f"ESTIMATE for {document['board']} ({document['processor']}), {document['calibration']['range']}, not measured there"
    table = _table(title, "stage", "million instructions", "ESTIMATE ms", "from ms", "to ms")
    for name, stage in document["stages"].items():
        times = (f"{stage[key]:.2f}" for key in ("ms", "low_ms", "high_ms"))
        table.add_row(name, f"{stage['instructions'] / 1e6:.3f}", *times)
    factor = document["realtime_factor"]
    parts = (f"{factor[key]:.1%}" for key in ("estimate", "low", "high"))
    table.add_row("hearing, part of real time", "", *parts)
    return table


def comparison_table(changes: Sequence[Change]) -> Table:
    """What changed beyond noise; the rest is counted."""
    same = sum(change.verdict == "same" for change in changes)
    table = _table(
        f"compared: {same} of {len(changes)} figures within the noise of the runs",
        "figure",
        "then",
        "now",
        "change",
        "",
    )
    for change in changes:
        if change.verdict != "same":
            ratio = "new" if change.ratio is None else f"{change.ratio - 1:+.0%}"
            table.add_row(change.name, f"{change.old:.4g}", f"{change.new:.4g}", ratio, change.verdict)
    return table


def _table(title: str, first: str, *rest: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in rest:
        table.add_column(heading, justify="left" if heading in ("", "median", "for") else "right")
    return table
