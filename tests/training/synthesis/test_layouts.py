"""Loaders: small collections made in the layouts that users have, and what is said when a file breaks the layout."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from earshot.runtime.errors import InputError, UsageError
from earshot.training.synthesis.command import app
from earshot.training.synthesis.events import ManifestLibrary
from earshot.training.synthesis.layout_parts import EventRow
from earshot.training.synthesis.layouts import fsd50k_class, read_layout, whole_groups
from earshot.training.synthesis.manifest import write_manifest


def sound(path: Path, seconds: float = 0.2, rate: int = 16_000, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    soundfile.write(path, noise, rate)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


@pytest.fixture
def esc50(tmp_path: Path) -> Path:
    root = tmp_path / "ESC-50-master"
    rows = ["1-100032-A-0.wav,1,0,dog,True,100032,A", "4-100038-A-14.wav,4,14,chirping_birds,False,100038,A"]
    text(root / "meta" / "esc50.csv", "filename,fold,target,category,esc10,src_file,take\n" + "\n".join(rows) + "\n")
    for row in rows:
        sound(root / "audio" / row.split(",")[0], rate=44_100)
    return root


@pytest.fixture
def fsd50k(tmp_path: Path) -> Path:
    root = tmp_path / "FSD50K"
    dev = [
        '64760,"Bark,Dog,Domestic_animals_and_pets,Animal","/m/05tny_,/m/0bt9lr",train',
        '16399,"Walk_and_footsteps,Human_locomotion","/m/07pbtc8",val',
        '16401,"Dog,Rain","/m/0bt9lr,/m/06mb1",train',
        '16402,"Zipper_(clothing)","/m/01s0vc",train',
    ]
    text(root / "FSD50K.ground_truth" / "dev.csv", "fname,labels,mids,split\n" + "\n".join(dev) + "\n")
    text(root / "FSD50K.ground_truth" / "eval.csv", 'fname,labels,mids\n37199,"Cello,Musical_instrument","/m/01xqw"\n')
    info = {"64760": {"license": "http://creativecommons.org/publicdomain/zero/1.0/", "uploader": "ann"},
            "16399": {"license": "http://creativecommons.org/licenses/by/3.0/", "uploader": "bob"}}  # fmt: skip
    text(root / "FSD50K.metadata" / "dev_clips_info_FSD50K.json", json.dumps(info))
    for name in ("64760", "16399", "16401", "16402"):
        sound(root / "FSD50K.dev_audio" / f"{name}.wav", rate=44_100)
    sound(root / "FSD50K.eval_audio" / "37199.wav", rate=44_100)
    return root


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    sound(root / "dog" / "rex.wav")
    sound(root / "Alarm clock" / "kitchen" / "take1.flac")
    sound(root / "Alarm clock" / "kitchen" / "take2.flac")
    sound(root / "church_bells" / "bell.ogg")
    return root


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    sound(root / "train-clean-100" / "103" / "1240" / "103-1240-0000.flac")
    sound(root / "train-clean-100" / "103" / "1241" / "103-1241-0003.flac")
    sound(root / "dev-clean" / "84" / "121123" / "84-121123-0001.flac")
    text(root / "train-clean-100" / "103" / "1240" / "103-1240.trans.txt", "103-1240-0000 CHAPTER ONE\n")
    return root


def test_esc50_keeps_its_folds_and_source_recordings(esc50: Path) -> None:
    dog, birds = read_layout("esc50", esc50)
    assert (dog.key, dog.fold, dog.group, dog.licence) == ("dog", 1, "freesound-100032", "CC BY 3.0 (ESC-10)")
    assert (birds.key, birds.fold) == ("chirping_birds", 4)


def test_fsd50k_takes_clips_of_one_known_class(fsd50k: Path) -> None:
    rows = {row.path.stem: row for row in read_layout("fsd50k", fsd50k)}
    assert {name: row.key for name, row in rows.items()} == {
        "64760": "dog", "16399": "footsteps", "37199": "music_cello",
    }  # fmt: skip
    assert rows["64760"].group == "uploader-ann"
    assert rows["64760"].fold in (1, 2, 3)
    assert (rows["16399"].fold, rows["37199"].fold) == (4, 5)
    assert rows["37199"].group == "freesound-37199"


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ("Cricket,Insect,Wild_animals,Animal", "crickets"),
        ("Insect,Animal", "insects_flying"),
        ("Female_speech_and_woman_speaking,Speech,Human_voice", "speech"),
        ("Waves_and_surf,Ocean,Water", "sea_waves"),
        ("Thunder,Thunderstorm", "thunderstorm"),
        ("Alarm", None),
        ("Siren,Alarm", "siren"),
        ("Dog,Cat,Animal", None),
    ],
)
def test_labels_and_their_ancestors_name_one_class(labels: str, key: str | None) -> None:
    assert fsd50k_class(labels.split(",")) == key


def test_a_folder_per_class_is_found_by_any_name(folders: Path) -> None:
    rows = read_layout("folders", folders)
    assert sorted(row.key for row in rows) == ["church_bells", "clock_alarm", "clock_alarm", "dog"]
    takes = [row for row in rows if row.key == "clock_alarm"]
    assert takes[0].group == takes[1].group
    assert takes[0].fold == takes[1].fold
    assert all(1 <= row.fold <= 4 for row in rows)


def test_librispeech_groups_by_speaker(librispeech: Path) -> None:
    for root in (librispeech, librispeech.parent):
        rows = read_layout("librispeech", root)
        assert [row.key for row in rows] == ["speech"] * 3
        by_speaker = {row.group: row.fold for row in rows}
        assert by_speaker["librispeech-84"] == 4
        assert by_speaker["librispeech-103"] in (1, 2, 3)


def test_a_group_is_never_in_two_folds() -> None:
    rows = [EventRow(Path("a"), "dog", "g", 2), EventRow(Path("b"), "dog", "g", 4), EventRow(Path("c"), "dog", "h", 4)]
    assert [row.fold for row in whole_groups(rows)] == [2, 2, 4]


def test_the_manifest_feeds_the_library(esc50: Path, folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "events"
    for layout, root in (("esc50", esc50), ("folders", folders)):
        result = CliRunner().invoke(app, ["events", layout, str(root), str(out)])
        assert result.exit_code == 0, result.output
    library = ManifestLibrary(out, (1, 2, 3, 4))
    assert library.keys() == ["chirping_birds", "church_bells", "clock_alarm", "dog"]
    for clip in library.clips("dog"):
        samples = library.samples(clip, np.random.default_rng(0))
        assert 1000 < len(samples) < 4000


def test_reading_a_collection_again_changes_nothing(folders: Path, tmp_path: Path) -> None:
    rows = read_layout("folders", folders)
    manifest = write_manifest(tmp_path / "events", rows)
    before = manifest.read_bytes()
    assert write_manifest(tmp_path / "events", rows).read_bytes() == before
    with manifest.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 4


@pytest.mark.parametrize("uploaders", [True, False])
@pytest.mark.parametrize("first", ["esc50", "fsd50k"])
def test_a_recording_that_two_collections_took_is_in_one_fold(
    uploaders: bool, first: str, esc50: Path, fsd50k: Path, tmp_path: Path
) -> None:
    """ESC-50's clip 100038 is of its fold 4, FSD50K has it among its training part."""
    broken(fsd50k, "FSD50K.ground_truth/dev.csv", "64760,", "100038,")
    broken(fsd50k, "FSD50K.metadata/dev_clips_info_FSD50K.json", "64760", "100038")
    sound(fsd50k / "FSD50K.dev_audio" / "100038.wav", rate=44_100)
    if not uploaders:
        (fsd50k / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").unlink()
    out, roots = tmp_path / "events", {"esc50": esc50, "fsd50k": fsd50k}
    reports = []
    for layout in (first, *(name for name in roots if name != first), first):
        result = CliRunner().invoke(app, ["events", layout, str(roots[layout]), str(out)])
        assert result.exit_code == 0, result.output
        reports.append(json.loads(result.stdout.splitlines()[-1]).get("in_another_fold_left_out", 0))
    assert reports == [0, 1, 0]
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        folds = [row["fold"] for row in csv.DictReader(file) if "100038" in row["path"]]
    assert len(folds) == 1 and (folds == ["4"]) is (first == "esc50")


def broken(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("100032-A-0.wav,1", "gone.wav,1", r"line 2: .*gone\.wav is missing"),
        ("wav,1,0", "wav,7,0", "line 2: fold '7'"),
        (",dog,", ",dogg,", r"line 2: class 'dogg' .* did you mean dog"),
        ("category", "kind", "line 1: no column category"),
        (",14,chirping_birds,False,100038,A", "", "line 3: too few columns"),
    ],
)
def test_a_broken_line_of_esc50_is_named(esc50: Path, old: str, new: str, what: str) -> None:
    broken(esc50, "meta/esc50.csv", old, new)
    with pytest.raises(InputError, match=what) as caught:
        read_layout("esc50", esc50)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_a_folder_is_said_in_one_line(fsd50k: Path, librispeech: Path, tmp_path: Path) -> None:
    broken(fsd50k, "FSD50K.ground_truth/dev.csv", ",val", ",validation")
    sound(librispeech / "dev-clean" / "84" / "121123" / "84-99-0001.flac")
    (tmp_path / "empty").mkdir()
    sound(tmp_path / "odd" / "spaceship" / "a.wav")
    (tmp_path / "silent" / "dog").mkdir(parents=True)
    cases = [
        ("fsd50k", fsd50k, "line 3: split 'validation'"),
        ("librispeech", librispeech, "SPEAKER-CHAPTER-NUMBER"),
        ("librispeech", tmp_path / "empty", "no folder train-"),
        ("folders", tmp_path / "empty", "one folder per class"),
        ("folders", tmp_path / "odd", "class 'spaceship' is not in the label table"),
        ("folders", tmp_path / "silent", "no audio file"),
        ("esc50", tmp_path / "nowhere", "no such folder"),
        ("esc50", tmp_path / "empty", r"esc50\.csv: missing"),
    ]
    for layout, root, what in cases:
        with pytest.raises(InputError, match=what) as caught:
            read_layout(layout, root)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="esc50, fsd50k, folders, librispeech, audioset, starss, tau-nigens-2020"):
        read_layout("urbansound", tmp_path)


def test_files_that_are_no_audio_and_empty_ones_are_named(folders: Path, tmp_path: Path) -> None:
    text(folders / "dog" / "broken.wav", "not a sound")
    with pytest.raises(InputError, match=r"broken\.wav: cannot be read as audio"):
        write_manifest(tmp_path / "events", read_layout("folders", folders))
    sound(folders / "dog" / "broken.wav", seconds=0.001)
    with pytest.raises(InputError, match=r"broken\.wav: 0\.001 s"):
        write_manifest(tmp_path / "events", read_layout("folders", folders))
    assert not (tmp_path / "events" / "manifest.csv").exists()


def test_a_group_that_a_manifest_has_in_another_fold_is_refused(folders: Path, tmp_path: Path) -> None:
    (row,) = (row for row in read_layout("folders", folders) if row.key == "dog")
    write_manifest(tmp_path / "events", [EventRow(row.path, "dog", row.group, 1)])
    with pytest.raises(InputError, match="in fold 1"):
        write_manifest(tmp_path / "events", [EventRow(sound(tmp_path / "b.wav"), "dog", row.group, 4)])
