"""Plots: files appear, and what they show is what the records say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from earshot.runtime.errors import InputError
from earshot.training.benchmark.plots import (
    binned_median,
    front_back_table,
    plot_accuracy_by_task,
    plot_azimuth_error,
    plot_front_back,
)
from earshot.training.benchmark.statistics import clip_record


def clips(pairs: list[tuple[float, float | None]]) -> list[dict[str, object]]:
    def place(azimuth: float) -> dict[str, object]:
        return {"label": "Dog", "azimuth_deg": azimuth, "distance_m": 1.0}

    return [
        clip_record(str(n), place(truth), None if heard is None else place(heard))
        for n, (truth, heard) in enumerate(pairs)
    ]


QUESTIONS = [
    {"scene": str(k), "level": level, "task": task, "correct": k % 3 > 0}
    for k, (level, task) in enumerate([("L1", "azimuth"), ("L2", "order"), ("L3", "turning")] * 6)
]


def test_every_plot_is_an_image_that_is_not_blank(tmp_path: Path) -> None:
    records = clips([(0, 5), (90, 60), (-170, -10), (45, None)])
    for path in (
        plot_azimuth_error(records, tmp_path / "plots" / "error.png"),
        plot_front_back(records, tmp_path / "plots" / "front_back.png"),
        plot_accuracy_by_task(QUESTIONS, tmp_path / "plots" / "tasks.png", samples=20),
    ):
        image = imread(path)
        assert image.shape[0] > 100
        assert np.ptp(image) > 0.5


def test_the_same_records_draw_the_same_bytes(tmp_path: Path) -> None:
    records = clips([(0, 5), (90, 60)])
    first, second = (plot_azimuth_error(records, tmp_path / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second


def test_confusions_are_counted_by_half() -> None:
    # Front heard behind, front heard in front, behind heard in front, one near the ears' axis, one not heard.
    table = front_back_table(clips([(30, 150), (30, 20), (180, 0), (85, 100), (10, None)]))
    assert table == {"front": {"front": 1, "behind": 1}, "behind": {"front": 1, "behind": 0}}


def test_medians_stand_in_the_middle_of_their_bins() -> None:
    centres, medians = binned_median(np.array([-179.0, 1.0, 14.0, 2.0, 180.0]), np.array([3.0, 5.0, 7.0, 60.0, 9.0]))
    assert centres.tolist() == [-172.5, 7.5, 172.5]
    assert medians.tolist() == [3.0, 7.0, 9.0]


def test_no_records_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to plot"):
        plot_azimuth_error([], tmp_path / "error.png")
