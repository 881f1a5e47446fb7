"""Tables that people read: figures with their intervals, one row per condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

FACTOR_NAMES = {"t60_s": "T60", "snr_db": "SNR", "distance_m": "metres", "sources": "at once"}
STATIC_HEADINGS = {
    "found": "found", "mae_deg": "MAE", "er20": "ER20", "lateral_rms_deg": "lat", "front_back_confusions": "f/b",
    "distance_over_half_m": ">.5m", "mae_missed_as_guess_deg": "MAE*",
}  # fmt: skip
"""Figures of the static table: degrees and shares; MAE* counts what was missed as a guess of 90 degrees."""


def print_table(console: Console, title: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print rows of figures; columns in order of first appearance."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    console.print(title)  # a title of the table itself would be broken at the table's width
    table = Table()
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(cell(row.get(column)) for column in columns))
    console.print(table)


def cell(value: Any) -> str:
    """A figure as text; of an interval the figure and half its width."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        if value["value"] is None:
            return "-"
        digits = 1 if abs(value["value"]) >= 2 else 2
        half = "" if value["low"] is None else f" ±{(value['high'] - value['low']) / 2:.{digits}f}"
        return f"{value['value']:.{digits}f}{half}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def asa_tables(console: Console, report: Mapping[str, Any]) -> None:
    """Everything that `asa_run.run_asa` returns."""
    console.print(report["verdict"])
    rows = {str(report["system"]): report["choice"], **report["controls"]}
    print_table(console, f"four options (a guess: {report['chance']}), {report['questions']['choice']} questions", rows)
    print_table(console, "by task", report["by_task"])
    free = {"all": report["open"]["all"], **_picked(report["open"], ("question_only",))}
    by_task = {name: row["accuracy"] for name, row in report["open"]["by_task"].items()}
    print_table(console, "free answers", {name: {"right": value} for name, value in {**free, **by_task}.items()})
    absent = report["absent"]
    print_table(
        console, f"absent sounds, {absent['questions']} questions and their twins", _picked(absent, ("all", "yes_no", "open"))
    )  # fmt: skip
    print_table(console, "twins", {"both right": {"share": absent["both_twins_right"]}})


def seld_tables(console: Console, report: Mapping[str, Any]) -> None:
    """Everything that `seld_run.run_seld` returns."""
    console.print(report["verdict"])
    title = f"DCASE figures of {report['system']}: {report['scenes']} scenes, {report['classes']} classes"
    print_table(console, title, {name: {"value": value} for name, value in report["dcase"].items()})
    rows = {"all": report["static"], "near ear height": report["level"], "alone, any class": report["alone"]}
    for factor, table in report["by_factor"].items():
        rows |= {f"{FACTOR_NAMES[factor]} {name}": {"sources": row["clips"], **row} for name, row in table.items()}
    print_table(
        console,
        "static sources (MAE*: what was missed counts as 90 degrees)",
        {name: _static_row(row) for name, row in rows.items()},
    )


def dialogue_tables(console: Console, report: Mapping[str, Any]) -> None:
    """Everything that `dialogue_run.run_dialogue` returns."""
    console.print(report["verdict"])
    names = ("first", "follow_ups", "in_full", "question_only")
    rows = {**_picked(report, names), **{f"follow-ups: {kind}": row for kind, row in report["by_kind"].items()}}
    print_table(console, f"{report['conversations']} conversations with {report['system']}", rows)
    console.print(f"follow-ups not completed: {report['left_alone']['turns']}")


def _static_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Short headings and no intervals: the table must fit a terminal, the JSON document holds everything."""
    figures = {heading: (row[name] or {}).get("value") for name, heading in STATIC_HEADINGS.items()}
    return {"n": row["sources"], **{heading: None if v is None else round(v, 2) for heading, v in figures.items()}}


def _picked(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}
