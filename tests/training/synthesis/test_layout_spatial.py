"""STARSS and TAU-NIGENS: excerpts of scenes in which one source sounds, by the frames of their annotation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earshot.runtime.errors import InputError
from earshot.training.synthesis.command import app
from earshot.training.synthesis.events import ManifestLibrary
from earshot.training.synthesis.heads import parametric_head
from earshot.training.synthesis.layouts import read_layout
from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import SceneSettings
from tests.training.synthesis.test_excerpts import heard, pitch_hz, tones

FOA = (1.0, 0.7, -0.7, 0.1)


def frames(path: Path, spans: list[tuple[int, int, int, int]], distance: bool = True) -> Path:
    """Annotation of spans (first frame, end, class, source), in order of frames as in the collections."""
    rows = sorted((frame, *what) for first, end, *what in spans for frame in range(first, end))
    tail = ",30,-5,180" if distance else ",30,-5"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{','.join(map(str, row))}{tail}\n" for row in rows))
    return path


@pytest.fixture
def starss(tmp_path: Path) -> Path:
    """Two rooms: a man's speech, then clapping beside music, then footsteps; and knocks in the room for tests."""
    root = tmp_path / "STARSS23"
    spans = [(0, 10, 1, 0), (10, 20, 2, 1), (15, 30, 8, 2), (31, 40, 6, 1)]
    frames(root / "metadata_dev" / "dev-train-sony" / "fold3_room21_mix001.csv", spans)
    notes = [(1.0, 500), (1.0, 1000), (1.1, 2000), (1.0, 3000)]
    tones(root / "foa_dev" / "dev-train-sony" / "fold3_room21_mix001.wav", notes, 24_000, FOA)
    frames(root / "metadata_dev" / "dev-test-tau" / "fold4_room8_mix002.csv", [(2, 9, 12, 0)], distance=False)
    tones(root / "foa_dev" / "dev-test-tau" / "fold4_room8_mix002.wav", [(0.85, 700)], 24_000, FOA)
    (root / "metadata_dev" / "dev-test-tau" / "._fold4_room8_mix002.csv").write_bytes(b"\x00\x05\x16\x07")
    return root


@pytest.fixture
def tau(tmp_path: Path) -> Path:
    """TAU-NIGENS 2020: five columns, folds of their own meaning, rooms that are counted anew in every fold."""
    root = tmp_path / "TAU"
    for fold, label in ((1, 3), (2, 4), (3, 8)):
        name = f"fold{fold}_room1_mix001_ov1"
        frames(root / "metadata_dev" / f"{name}.csv", [(0, 10, label, 0)], distance=False)
        tones(root / "mic_dev" / f"{name}.wav", [(1.0, 500)], 24_000, FOA)
    return root


def test_excerpts_are_taken_in_which_one_source_sounds(starss: Path) -> None:
    rows = {row.key: row for row in read_layout("starss", starss)}
    assert {key: row.span_s for key, row in rows.items()} == {
        "speech": (0.0, 1.0),
        "footsteps": (3.1, 4.0),
        "door_knock": (0.2, 0.85),
    }
    assert (rows["speech"].group, rows["speech"].fold in (1, 2, 3)) == ("starss-room21", True)
    assert (rows["door_knock"].group, rows["door_knock"].fold) == ("starss-room8", 4)


def test_a_room_of_both_parts_is_in_one_fold(starss: Path) -> None:
    frames(starss / "metadata_dev" / "dev-train-sony" / "fold3_room8_mix001.csv", [(0, 10, 4, 0)])
    tones(starss / "foa_dev" / "dev-train-sony" / "fold3_room8_mix001.wav", [(1.0, 500)], 24_000, FOA)
    assert {row.fold for row in read_layout("starss", starss) if row.group == "starss-room8"} == {4}


def test_two_people_who_talk_at_once_are_not_taken(starss: Path) -> None:
    spans = [(0, 10, 1, 0), (5, 10, 0, 1), (20, 30, 0, 1)]
    frames(starss / "metadata_dev" / "dev-train-sony" / "fold3_room21_mix001.csv", spans)
    assert [row.span_s for row in read_layout("starss", starss) if row.key == "speech"] == [(2.0, 3.0)]


def test_microphone_arrays_are_read_where_there_is_no_ambisonics(starss: Path) -> None:
    (starss / "foa_dev").rename(starss / "mic_dev")
    assert {row.path.parts[-3] for row in read_layout("starss", starss)} == {"mic_dev"}


def test_a_year_has_its_own_classes_and_folds(tau: Path) -> None:
    rows = {row.key: (row.group, row.fold) for row in read_layout("tau-nigens-2020", tau)}
    assert rows.pop("footsteps")[1] in (1, 2, 3)
    assert rows == {"dog": ("tau-nigens-2020-fold1-room1", 5), "engine": ("tau-nigens-2020-fold2-room1", 4)}
    rows = {row.key: (row.group, row.fold) for row in read_layout("tau-nigens-2021", tau)}
    assert rows == {"dog": ("tau-nigens-2021-fold1-room1", rows["dog"][1])}
    assert rows["dog"][1] in (1, 2, 3)


def test_scenes_are_rendered_from_the_excerpts(starss: Path, tmp_path: Path) -> None:
    out = tmp_path / "events"
    for _ in range(2):  # reading the collection again changes nothing
        result = CliRunner().invoke(app, ["events", "starss", str(starss), str(out)])
        assert result.exit_code == 0, result.output
    assert '"clips": 3' in result.output
    (steps,) = heard(out, "footsteps")
    assert round(pitch_hz(steps), -1) == 3000
    assert np.abs(steps).max() > 0.28, "W alone: X, Y and Z would add to it"
    library = ManifestLibrary(out, (1, 2, 3, 4))
    world = World(library, (parametric_head(np.random.default_rng(0), "sphere"),))
    scene = render_scene(world, SceneSettings(duration_s=2.0, sources=3), 1, "x", "train")
    assert {source["clip"].split("#")[1] for source in scene.scene["sources"]} == {
        "0.000-1.000", "3.100-4.000", "0.200-0.850",
    }  # fmt: skip
    assert np.abs(scene.mixture()).max() > 0


def test_what_is_wrong_with_the_folder_is_said_in_one_line(starss: Path) -> None:
    def said(pattern: str) -> None:
        with pytest.raises(InputError, match=pattern) as caught:
            read_layout("starss", starss)
        assert "\n" not in str(caught.value)

    table = starss / "metadata_dev" / "dev-train-sony" / "fold3_room21_mix001.csv"
    sound = starss / "foa_dev" / "dev-train-sony" / "fold3_room21_mix001.wav"
    for text, pattern in [
        ("0,1,0,10\n", "line 1: 4 columns; expected frame,class,source,azimuth,elevation"),
        ("0,1,0,10,0\n0,speech,0,10,0\n", "line 2: .*whole numbers"),
        ("-1,1,0,10,0\n", "line 1: frame -1"),
        ("0,13,0,10,0\n", r"line 1: class 13 is none of 0 to 12 of layout 'starss'; there are tau-nigens-2020"),
    ]:
        table.write_text(text)
        said(pattern)
    table.write_bytes(b"\xff\xfe\x00")
    said("not a readable csv")
    frames(table, [(0, 10, 1, 0)])
    tones(sound, [(1.0, 500)], 24_000, (1.0, 1.0))
    said(r"fold3_room21_mix001\.wav: 2 channels; .* have 4")
    sound.unlink()
    said(r"fold3_room21_mix001\.csv: its recording .*fold3_room21_mix001\.wav is missing")
    table.rename(table.with_name("fold7_room1_mix001.csv"))
    said(r"fold7_room1_mix001\.csv: fold 7 is none of 3, 4")
    table = table.with_name("fold7_room1_mix001.csv")
    table.rename(table.with_name("kitchen.csv"))
    said(r"kitchen\.csv: not named foldF_roomR_mixM")
    (starss / "foa_dev").rename(starss / "foa")
    said("no foa_dev or mic_dev")
    (starss / "metadata_dev").rename(starss / "metadata")
    said("metadata_dev: missing or without")
