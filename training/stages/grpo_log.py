"""What reinforcement learning leaves to look at: a line of rewards per step, probes of accuracy, and a plot of both."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from earshot.training.questions.generate import LEVEL_SHARES
from earshot.training.questions.items import Item
from earshot.training.stages.loop import append_csv
from earshot.training.stages.rewards import REWARDS, RIGHT, answer_right, total_reward

LEVEL_COLOURS = {"L1": "tab:blue", "L2": "tab:orange", "L3": "tab:green"}
SMOOTHED_OVER = 25
"""Steps over which curves of rewards are averaged."""


def score(items: Sequence[Item], texts: Sequence[str]) -> dict[str, float]:
    """Mean reward, its parts, and the share of right answers in all and by level (nan for a level without items)."""
    pairs = list(zip(items, texts, strict=True))
    right = {level: [answer_right(i, t) >= RIGHT for i, t in pairs if i.level == level] for level in LEVEL_SHARES}
    everything = [hit for hits in right.values() for hit in hits]
    return {
        "reward": round(_mean([total_reward(item, text) for item, text in pairs]), 4),
        **{part.name: round(_mean([part.function(item, text) for item, text in pairs]), 4) for part in REWARDS},
        "right": round(_mean(everything), 4),
        **{f"right_{level}": round(_mean(hits), 4) for level, hits in right.items()},
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


class RewardLog:
    """`rewards.csv` (a line per step) and `probe.csv` (a line per probe) of a run directory."""

    def __init__(self, directory: Path) -> None:
        self.rewards = directory / "rewards.csv"
        self.probes = directory / "probe.csv"
        self.plot = directory / "rewards.png"

    def add(self, record: Mapping[str, float]) -> None:
        """Note a step."""
        append_csv(self.rewards, dict(record))

    def add_probe(self, record: Mapping[str, float]) -> None:
        """Note a probe and draw the plot anew."""
        append_csv(self.probes, dict(record))
        draw(read_table(self.rewards), read_table(self.probes), self.plot)

    def last_probe(self) -> int | None:
        """Step of the last probe; None before the first."""
        steps = read_table(self.probes).get("step")
        return None if steps is None else int(steps[-1])

    def forget_after(self, step: int) -> None:
        """Drop lines of steps that a resumed run is going to make again; 0 drops all."""
        for path in (self.rewards, self.probes):
            if not path.is_file():
                continue
            header, *lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if 0 < int(line.split(",")[0]) <= step or (step > 0 and line[:2] == "0,")]
            path.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")
            if not kept:
                path.unlink()


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file of numbers; empty without a file."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else {})}


def draw(rewards: Mapping[str, np.ndarray], probes: Mapping[str, np.ndarray], path: Path) -> Path:
    """Draw rewards by part, length, and accuracy by level over the steps."""
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    if rewards:
        for part in REWARDS:
            left.plot(rewards["step"], _smooth(rewards[part.name]), label=part.name)
        middle.plot(rewards["step"], _smooth(rewards["length"]), color="tab:gray", label="mean length, tokens")
    for level, colour in LEVEL_COLOURS.items():
        if probes:
            right.plot(probes["step"], probes[f"right_{level}"], color=colour, marker="o", label=level)
    left.set(title=f"reward by part (mean of {SMOOTHED_OVER} steps)", ylim=(0, 1))
    middle.set(title="length of completions", ylim=(0, None))
    right.set(title="right answers to kept questions, greedy", ylim=(0, 1))
    for axes in (left, middle, right):
        _finish(axes)
    figure.savefig(path, dpi=110)
    return path


def _finish(axes: Axes) -> None:
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(fontsize=7)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean of the last `SMOOTHED_OVER` values."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - SMOOTHED_OVER)
    return np.asarray((sums[end] - sums[start]) / (end - start))
