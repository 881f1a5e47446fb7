"""Frame tables: DCASE files of all years, what `earshot track` writes, and the truth of a scene."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.tracks import SceneSnapshot
from earshot.runtime.interfaces.commands.track import write_dcase
from earshot.runtime.labels import class_id
from earshot.training.benchmark.frame_tables import positions_at, read_dcase_csv, table_of_scene


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scene.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_2024_has_distances_in_centimetres(tmp_path: Path) -> None:
    table = read_dcase_csv(written(tmp_path, "10,1,0,-50,30,181\n11,1,0,-50,30,181\n11,4,2,180,-10,95\n"))
    assert table.frame.tolist() == [10, 11, 11]
    assert table.class_id.tolist() == [1, 1, 4]
    assert table.source.tolist() == [0, 0, 2]
    assert table.azimuth_deg.tolist() == [-50, -50, 180]
    assert table.elevation_deg.tolist() == [30, 30, -10]
    assert table.distance_m.tolist() == [1.81, 1.81, 0.95]


def test_a_file_of_2022_knows_no_distance(tmp_path: Path) -> None:
    table = read_dcase_csv(written(tmp_path, "10,1,0,-50,30\n"))
    assert np.isnan(table.distance_m).all()


def test_a_file_of_2025_has_a_heading_and_no_elevation(tmp_path: Path) -> None:
    table = read_dcase_csv(written(tmp_path, "frame,class,source,azimuth,distance,onscreen\n3,2,1,-20,250,1\n"))
    assert (table.frame[0], table.class_id[0], table.source[0]) == (3, 2, 1)
    assert (table.azimuth_deg[0], table.elevation_deg[0], table.distance_m[0]) == (-20, 0, 2.5)


def test_an_empty_file_is_a_recording_in_which_nothing_sounds(tmp_path: Path) -> None:
    assert len(read_dcase_csv(written(tmp_path, ""))) == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("10,1,0,-50,30,181\n10,1,0,left,30,181\n", "line 2"),
        ("10,1\n", "line 1"),
        ("10,1,0,-50,95,181\n", "out of range"),
        ("-1,1,0,-50,5,181\n", "out of range"),
        ("time,class,azimuth\n1,2,3\n", "no column frame"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_dcase_csv(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.csv"):
        read_dcase_csv(tmp_path / "no.csv")


def test_what_the_track_command_writes_is_read(tmp_path: Path) -> None:
    place = {"azimuth_deg": -120.4, "elevation_deg": 12.0, "distance_m": 1.53}
    track = SimpleNamespace(track_id=7, class_id=3, active=True, **place)
    target = io.StringIO()
    write_dcase([cast(SceneSnapshot, SimpleNamespace(time_s=0.2, tracks=(track,)))], target)
    table = read_dcase_csv(written(tmp_path, target.getvalue()))
    assert (table.frame[0], table.class_id[0], table.source[0]) == (1, 3, 7)
    assert (table.azimuth_deg[0], table.elevation_deg[0], table.distance_m[0]) == (-120, 12, 1.53)


def scene(*points: dict[str, float | None], onset_s: float = 0.0, offset_s: float = 0.4) -> dict[str, object]:
    source = {"label": "dog", "onset_s": onset_s, "offset_s": offset_s, "trajectory": list(points)}
    return {"duration_s": 0.5, "sources": [source]}


def point(time_s: float, azimuth_deg: float, distance_m: float | None = 2.0) -> dict[str, float | None]:
    return {"time_s": time_s, "azimuth_deg": azimuth_deg, "elevation_deg": 0.0, "distance_m": distance_m}


def test_a_source_counts_in_the_frames_whose_middle_it_fills() -> None:
    # 0.12 to 0.36 s: the middles are 0.05, 0.15, 0.25, 0.35, 0.45.
    table = table_of_scene(scene(point(0.0, 30.0), onset_s=0.12, offset_s=0.36))
    assert table.frame.tolist() == [1, 2, 3]
    assert set(table.class_id.tolist()) == {class_id("dog")}
    assert table.azimuth_deg == pytest.approx(30.0)
    assert table.distance_m == pytest.approx(2.0)


def test_an_unknown_distance_stays_unknown() -> None:
    assert np.isnan(table_of_scene(scene(point(0.0, 30.0, None))).distance_m).all()


def test_positions_lie_on_the_straight_line_between_points() -> None:
    # From 2 m in front to 2 m at the left: half-way it is at 45 degrees, sqrt(2) m away.
    azimuth, elevation, distance = positions_at([point(0.0, 0.0), point(1.0, 90.0)], np.array([0.0, 0.5, 1.0, 9.0]))
    assert azimuth == pytest.approx([0.0, 45.0, 90.0, 90.0])
    assert elevation == pytest.approx(0.0)
    assert distance == pytest.approx([2.0, 2.0**0.5, 2.0, 2.0])
