"""AudioSet strong: excerpts of the clips that are there, classes by the display names of a map in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from earshot.runtime.errors import InputError
from earshot.training.synthesis.class_names import audioset_key
from earshot.training.synthesis.command import app
from earshot.training.synthesis.events import ManifestLibrary
from earshot.training.synthesis.heads import parametric_head
from earshot.training.synthesis.layouts import read_layout
from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import SceneSettings
from tests.training.synthesis.test_excerpts import heard, pitch_hz, tones

HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
# Labels of the test's own making: what they mean is what the map in the folder says.
NAMES = {"/x/dog": "Dog", "/x/bark": "Bark", "/x/cat": "Meow", "/x/talk": "Male speech, man speaking", "/x/hum": "Hum"}
TRAIN = [
    ("ab_c-d_30000", 0.0, 1.0, "/x/dog"),
    ("ab_c-d_30000", 0.8, 1.5, "/x/bark"),
    ("ab_c-d_30000", 1.6, 2.0, "/x/hum"),
    ("ab_c-d_30000", 2.0, 3.01, "/x/talk"),
    ("efgh_0", 0.0, 1.0, "/x/cat"),
    ("efgh_0", 1.0, 2.0, "/x/dog"),
    ("efgh_0", 1.5, 2.5, "/x/hum"),
    ("gone_20000", 0.0, 1.0, "/x/dog"),
]


def lines(path: Path, rows: list[tuple[str, float, float, str]]) -> Path:
    path.write_text(HEADER + "".join(f"{s}\t{a:.3f}\t{b:.3f}\t{label}\n" for s, a, b, label in rows), encoding="utf-8")
    return path


@pytest.fixture
def audioset(tmp_path: Path) -> Path:
    root = tmp_path / "audioset"
    tones(root / "audio" / "ab_c-d_30000.wav", [(1.5, 500), (0.5, 4000), (1.0, 1000)], rate=44_100)
    tones(root / "audio" / "Yefgh.wav", [(1.0, 2000), (2.0, 700)])
    tones(root / "eval" / "Yijkl_10.000_20.000.wav", [(3.0, 900)])
    lines(root / "audioset_train_strong.tsv", TRAIN)
    lines(root / "audioset_eval_strong.tsv", [("ijkl_10000", 0.0, 2.0, "/x/dog")])
    text = "".join(f"{mid}\t{name}\n" for mid, name in NAMES.items())
    (root / "mid_to_display_name.tsv").write_text(text, encoding="utf-8")
    return root


def test_excerpts_are_taken_in_which_one_class_sounds(audioset: Path) -> None:
    rows = {(row.path.name, row.key): row for row in read_layout("audioset", audioset)}
    assert {where: row.span_s for where, row in rows.items()} == {
        ("ab_c-d_30000.wav", "dog"): (0.0, 1.5),
        ("ab_c-d_30000.wav", "speech"): (2.0, 3.0),
        ("Yefgh.wav", "cat"): (0.0, 1.0),
        ("Yijkl_10.000_20.000.wav", "dog"): (0.0, 2.0),
    }
    dog = rows["ab_c-d_30000.wav", "dog"]
    assert (dog.group, dog.fold in (1, 2, 3)) == ("youtube-ab_c-d", True)
    assert rows["Yijkl_10.000_20.000.wav", "dog"].fold == 4


def test_the_map_may_be_the_csv_of_the_527_classes(audioset: Path) -> None:
    before = read_layout("audioset", audioset)
    (audioset / "mid_to_display_name.tsv").unlink()
    text = "".join(f'{number},{mid},"{name}"\n' for number, (mid, name) in enumerate(NAMES.items()))
    (audioset / "class_labels_indices.csv").write_text("index,mid,display_name\n" + text, encoding="utf-8")
    assert read_layout("audioset", audioset) == before


@pytest.mark.parametrize(
    "stem",
    ["efgh_0", "Yefgh_0", "efgh", "Yefgh", "efgh_0.000", "efgh_0.000_10.000", "Yefgh_0_10", "efgh_0_10000"],
)
def test_clips_are_found_by_the_names_that_tools_give_them(stem: str, audioset: Path) -> None:
    (audioset / "audio" / "Yefgh.wav").rename(audioset / "audio" / f"{stem}.wav")
    assert f"{stem}.wav" in {row.path.name for row in read_layout("audioset", audioset)}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Dog", "dog"),
        ("Walk, footsteps", "footsteps"),
        ("Bird vocalization, bird call, bird song", "chirping_birds"),
        ("Child speech, kid speaking", "speech"),
        ("Police car (siren)", "siren"),
        ("Bee, wasp, etc.", "insects_flying"),
        ("Glass", None),
        ("Bell", None),
        ("Aircraft", None),
        ("Chicken, rooster", None),
        ("Mouse", None),
        ("Wind noise (microphone)", None),
        ("Background noise", None),
    ],
)
def test_display_names_mean_classes_of_the_label_table(name: str, key: str | None) -> None:
    assert audioset_key(name) == key


def test_scenes_are_rendered_from_the_excerpts(audioset: Path, tmp_path: Path) -> None:
    out = tmp_path / "events"
    for _ in range(2):  # reading the collection again changes nothing
        result = CliRunner().invoke(app, ["events", "audioset", str(audioset), str(out)])
        assert result.exit_code == 0, result.output
    assert '"clips": 4' in result.output
    assert [round(pitch_hz(clip), -1) for clip in heard(out, "dog")] == [500, 900]
    library = ManifestLibrary(out, (1, 2, 3, 4))
    world = World(library, (parametric_head(np.random.default_rng(0), "sphere"),))
    scene = render_scene(world, SceneSettings(duration_s=2.0, sources=2), 1, "x", "train")
    names = {clip.name for key in library.keys() for clip in library.clips(key)}  # noqa: SIM118
    assert {source["clip"] for source in scene.scene["sources"]} <= names
    assert np.abs(scene.mixture()).max() > 0


def test_a_muted_excerpt_is_left_out_and_told(audioset: Path, tmp_path: Path) -> None:
    tones(audioset / "audio" / "Yefgh.wav", [(1.2, 0), (1.8, 700)])
    result = CliRunner().invoke(app, ["events", "audioset", str(audioset), str(tmp_path / "events")])
    assert '"clips": 3' in result.output
    assert '"silent_left_out": 1' in result.output
    assert ManifestLibrary(tmp_path / "events", (1, 2, 3, 4)).keys() == ["dog", "speech"]


def test_what_is_wrong_with_the_folder_is_said_in_one_line(audioset: Path) -> None:
    def said(pattern: str) -> None:
        with pytest.raises(InputError, match=pattern) as caught:
            read_layout("audioset", audioset)
        assert "\n" not in str(caught.value)

    train, names = audioset / "audioset_train_strong.tsv", audioset / "mid_to_display_name.tsv"
    good = train.read_text()
    for old, new, pattern in [
        ("segment_id", "id", "line 1: no column segment_id"),
        ("ab_c-d_30000\t0.000", "ab_c-d\t0.000", "line 2: segment 'ab_c-d'; expected YTID_STARTMS"),
        ("0.000\t1.000", "zero\t1.000", "line 2: from 'zero' to '1.000'"),
        ("0.000\t1.000", "2.000\t1.000", "line 2: from '2.000' to '1.000'"),
        ("0.000\t1.000\t/x/dog", "0.000", "line 2: too few columns"),
    ]:
        train.write_text(good.replace(old, new, 1))
        said(pattern)
    train.write_text(good)
    tones(audioset / "audio" / "Yefgh.wav", [(12.0, 500)])
    said(r"Yefgh\.wav: 12\.0 s long; .* segment of at most 10 s")
    (audioset / "audio" / "Yefgh.wav").write_text("no sound")
    said(r"Yefgh\.wav: cannot be read as audio")
    for path in (audioset / "audio").iterdir():
        path.unlink()
    (audioset / "eval" / "Yijkl_10.000_20.000.wav").unlink()
    said(r"no sound of any of the 4 segments.*SEGMENT_ID\.wav")
    names.write_text("nothing\n")
    said(r"mid_to_display_name\.tsv: no lines MID, tab, display name")
    names.unlink()
    said(r"no mid_to_display_name\.tsv or class_labels_indices\.csv")
    train.unlink()
    (audioset / "audioset_eval_strong.tsv").unlink()
    said(r"no audioset_train_strong\.tsv or audioset_eval_strong\.tsv")
