"""`earshot render`: paths of sources, and a picture of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from earshot.runtime.hearing.tracks import SceneSnapshot, TrackSnapshot
from earshot.runtime.interfaces import cli
from earshot.runtime.interfaces.scene_picture import paths_of, save_picture


def track(track_id: int, azimuth_deg: float, active: bool = True) -> TrackSnapshot:
    return TrackSnapshot(track_id, track_id, active, 0.5, azimuth_deg, 0.0, 2.0, 10.0, False, 0.0, 1.0, np.zeros(36))


def snapshots(*azimuths_deg: float | None) -> list[SceneSnapshot]:
    """One track at these places, 100 ms apart; None while it is silent."""
    return [SceneSnapshot(0.1 * (k + 1), () if a is None else (track(1, a),)) for k, a in enumerate(azimuths_deg)]


def test_a_path_has_a_point_for_every_snapshot_in_which_the_source_sounded() -> None:
    first, second = paths_of([SceneSnapshot(0.1, (track(2, 10.0), track(1, -20.0), track(3, 0.0, active=False)))])
    assert (first.track_id, second.track_id) == (1, 2)
    assert first.azimuth_deg.tolist() == [-20.0]


def test_a_pause_breaks_the_line() -> None:
    (path,) = paths_of(snapshots(10.0, 12.0, None, None, 14.0))
    np.testing.assert_array_equal(path.azimuth_deg, [10.0, 12.0, np.nan, 14.0])


def test_stepping_over_the_back_breaks_the_line() -> None:
    (path,) = paths_of(snapshots(170.0, 179.0, -175.0, -170.0))
    np.testing.assert_array_equal(path.azimuth_deg, [170.0, 179.0, np.nan, -175.0, -170.0])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_what_its_name_says(
    suffix: str, whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / f"scene{suffix}"
    assert cli.run(["render", str(recording), "--out", str(out), "--bundle", str(whole_bundle)]) == 0
    assert "sources drawn" in capsys.readouterr().out
    head = out.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if suffix == ".png" else b"<?xml" in head


def test_the_picture_never_replaces_the_recording(
    whole_bundle: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named_oddly = tmp_path / "street.png"
    named_oddly.write_bytes(recording.read_bytes())
    assert cli.run(["render", str(named_oddly), "--out", str(named_oddly), "--bundle", str(whole_bundle)]) == 2
    assert "name another file" in capsys.readouterr().err
    assert named_oddly.read_bytes() == recording.read_bytes()


def test_an_empty_scene_is_a_picture_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save_picture([], tmp_path / "empty.svg")
    text = (tmp_path / "empty.svg").read_text(encoding="utf-8")
    assert "nothing heard" in text
    assert "front" in text


@pytest.mark.parametrize("title", ["$x_$.wav", "cost $\\foo$.wav", "\udcff.wav", "a\nb.wav"])
def test_any_name_of_a_file_can_stand_above_the_picture(title: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save_picture([], tmp_path / "named.svg", title)
    assert title.splitlines()[-1][-4:] in (tmp_path / "named.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["x.wav", "--out", "scene.bmp"], 2, "ends in .png"), (["missing.wav"], 3, "no such file")],
)
def test_wrong_use_is_refused(
    arguments: list[str], code: int, words: str, whole_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["render", *arguments, "--bundle", str(whole_bundle)]) == code
    assert words in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, whole_bundle: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.run(["render", str(recording), "--bundle", str(whole_bundle)]) == 2
    assert 'pip install "earshot[plot]"' in capsys.readouterr().err
