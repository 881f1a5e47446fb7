"""A profile as a picture: time of the stages, and of hearing against its deadline. Only drawing needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earshot.runtime.errors import UsageError

FORMATS = (".png", ".svg", ".pdf")
_MISSING = 'drawing needs the package matplotlib; install it with: pip install "earshot[plot]"'
_SIZE_INCHES = (9.0, 4.5)


def check_plot(path: Path) -> None:
    """Refuse what could not be drawn before minutes are spent on measuring.

    Raises
    ------
    UsageError
        For another format, a missing folder, or without matplotlib.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--plot {path}: a picture ends in {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.absolute().parent}")
    _figure_class()


def save_plot(document: Mapping[str, Any], path: Path) -> None:
    """Draw a measured or estimated profile.

    Raises
    ------
    UsageError
        When matplotlib is missing or the file cannot be written.
    """
    figure = _figure_class()(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    if document["kind"] == "ESTIMATE":
        _draw_estimate(axes, document)
    else:
        _draw_measured(axes, document)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.grid(axis="x", which="major", alpha=0.3)
    axes.legend(loc="lower right")
    try:
        figure.savefig(path)
    except OSError as error:
        raise UsageError(f"--plot {path}: cannot be written ({error.strerror})") from error


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UsageError(_MISSING) from error
    return Figure


def _draw_measured(axes: Any, document: Mapping[str, Any]) -> None:
    spreads = {**document["stages"], "hearing, all": document["hearing"]}
    names = list(spreads)
    axes.barh(names, [spreads[name]["p50_ms"] for name in names], color="tab:blue", label="median")
    axes.plot([spreads[name]["p95_ms"] for name in names], names, "o", color="tab:orange", label="95 %")
    axes.plot([spreads[name]["p99_ms"] for name in names], names, "x", color="tab:red", label="99 %")
    hop_ms = document["deadline"]["hop_ms"]
    axes.axvline(hop_ms, color="black", linestyle="--", label=f"hop, {hop_ms:.0f} ms")
    axes.set_title(f"measured on {document['machine']['processor']}, one thread, medians of {document['repeats']} runs")


def _draw_estimate(axes: Any, document: Mapping[str, Any]) -> None:
    stages = document["stages"]
    names = list(stages)
    values = [stages[name]["ms"] for name in names]
    ranges = [
        [stages[name]["ms"] - stages[name]["low_ms"] for name in names],
        [stages[name]["high_ms"] - stages[name]["ms"] for name in names],
    ]
    axes.barh(names, values, xerr=ranges, capsize=3, color="tab:gray", label="ESTIMATE with its range")
    hop_ms = 1e3 * document["hop_s"]
    axes.axvline(hop_ms, color="black", linestyle="--", label=f"hop, {hop_ms:.0f} ms")
    axes.set_title(f"ESTIMATE for {document['board']} from counted instructions, {document['calibration']['range']}")
