"""Plots of results, drawn to files without a screen (matplotlib's Agg).

They take the plain records of :mod:`earshot.training.benchmark.statistics`; every function returns the file it wrote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from earshot.runtime.errors import InputError
from earshot.training.benchmark.statistics import Record, accuracy, azimuth_error_deg, confused_front_back, interval

BIN_DEG = 15
LEVEL_COLOURS = {"L1": "tab:blue", "L2": "tab:orange", "L3": "tab:green"}
CHANCE = 0.25


def plot_azimuth_error(records: Sequence[Record], path: Path) -> Path:
    """Error against true azimuth: every clip, and the median in bins of 15 degrees."""
    _need(records, "clip")
    truth = np.array([record["azimuth_deg"] for record in records], float)
    error = np.array([azimuth_error_deg(record) for record in records])
    centres, medians = binned_median(truth, error)
    figure, axes = _figure(7.0, 4.0)
    axes.scatter(truth, error, s=6, alpha=0.35, color="tab:gray", label=f"{len(records)} clips")
    axes.plot(centres, medians, color="tab:blue", label=f"median in {BIN_DEG} degrees")
    axes.set(xlim=(180, -180), ylim=(0, 180), xticks=range(-180, 181, 45), yticks=range(0, 181, 30))
    axes.set(xlabel="true azimuth, degrees (left = positive)", ylabel="azimuth error, degrees")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    return _save(figure, path)


def plot_front_back(records: Sequence[Record], path: Path) -> Path:
    """Heard against true azimuth, with the line on which front and back are exchanged, and the confusion table."""
    _need(records, "clip")
    heard = [record for record in records if record["heard_azimuth_deg"] is not None]
    figure, axes = _figure(9.0, 4.4, columns=2)
    left, right = axes
    left.scatter([r["azimuth_deg"] for r in heard], [r["heard_azimuth_deg"] for r in heard], s=6, alpha=0.4)
    left.plot([-180, 180], [-180, 180], color="tab:green", linewidth=0.8, label="right")
    for label, line in (("front and back exchanged", [0, 180, 180, 0]), (None, [-180, 0, 0, -180])):
        left.plot(line[:2], line[2:], color="tab:red", linewidth=0.8, linestyle="--", label=label)
    left.set(xlim=(180, -180), ylim=(-180, 180), xlabel="true azimuth, degrees", ylabel="heard azimuth, degrees")
    left.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90))
    left.legend(loc="lower left", fontsize=7)
    _confusion(right, front_back_table(records))
    return _save(figure, path)


def plot_accuracy_by_task(records: Sequence[Record], path: Path, samples: int = 500) -> Path:
    """Accuracy of every task with its bootstrap interval, coloured by level."""
    _need(records, "question")
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        groups[record["level"], record["task"]].append(record)
    names = sorted(groups, reverse=True)
    figure, axes = _figure(7.0, 1.0 + 0.28 * len(names))
    for row, name in enumerate(names):
        found = interval(groups[name], accuracy, samples)
        reach = np.array([[found.value - found.low], [found.high - found.value]]).clip(0)
        axes.barh(row, found.value, xerr=reach, color=LEVEL_COLOURS.get(name[0], "tab:gray"), capsize=2)
    axes.axvline(CHANCE, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlim=(0, 1), xlabel="accuracy (line: a guess among four)")
    axes.set_yticks(range(len(names)), [f"{level} {task} ({len(groups[level, task])})" for level, task in names])
    return _save(figure, path)


def binned_median(azimuth_deg: np.ndarray, error_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the bins of 15 degrees from -180 to 180 that hold clips, and the median error in each."""
    numbers = np.clip(np.floor((azimuth_deg + 180) / BIN_DEG).astype(int), 0, 360 // BIN_DEG - 1)
    filled = np.unique(numbers)
    return -180 + BIN_DEG * (filled + 0.5), np.array([np.median(error_deg[numbers == number]) for number in filled])


def front_back_table(records: Sequence[Record]) -> Mapping[str, Mapping[str, int]]:
    """How often sources in front and behind were heard in front and behind (those near the ears' axis left out)."""
    table = {half: {"front": 0, "behind": 0} for half in ("front", "behind")}
    for record in records:
        confused = confused_front_back(record)
        if confused is not None:
            truth = "front" if abs(record["azimuth_deg"]) < 90 else "behind"
            table[truth][truth if not confused else {"front": "behind", "behind": "front"}[truth]] += 1
    return table


def _confusion(axes: Axes, table: Mapping[str, Mapping[str, int]]) -> None:
    halves = ("front", "behind")
    counts = np.array([[table[truth][heard] for heard in halves] for truth in halves])
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(2, 2):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{shares[row, column]:.2f}\n({counts[row, column]})"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks([0, 1], halves)
    axes.set_yticks([0, 1], halves)
    axes.set(xlabel="heard", ylabel="true")


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None} if path.suffix == ".png" else None)
    return path


def _need(records: Sequence[Record], kind: str) -> None:
    if not records:
        raise InputError(f"nothing to plot: no record of a {kind}")
