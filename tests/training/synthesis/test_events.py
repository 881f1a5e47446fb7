"""Libraries of sounds: recordings with some sounds made by rule among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from earshot.runtime.errors import InputError
from earshot.training.synthesis.dynamic import render_dynamic
from earshot.training.synthesis.events import JoinedLibrary, ManifestLibrary, ProceduralLibrary
from earshot.training.synthesis.heads import parametric_head
from earshot.training.synthesis.render import World, render_scene
from earshot.training.synthesis.scenes import DynamicSettings, SceneSettings


def recordings(folder: Path) -> ManifestLibrary:
    """Ten recordings of rain and ten of a cow."""
    rows = ["path,cls,group,fold"]
    for key in ("rain", "cow"):
        for number in range(10):
            name = f"{key}-{number}.wav"
            soundfile.write(folder / name, np.random.default_rng(number).normal(0, 0.1, 8000), 16_000)
            rows.append(f"{name},{key},{key}{number},1")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return ManifestLibrary(folder, (1,))


def test_classes_with_a_rule_get_a_share_of_made_sounds_and_no_class_is_added(tmp_path: Path) -> None:
    library = JoinedLibrary(recordings(tmp_path), ProceduralLibrary(range(50)), share=0.2)
    assert library.keys() == ["cow", "rain"]
    assert [clip.path is None for clip in library.clips("cow")] == [False] * 10, "there is no rule for a cow"
    made = [clip for clip in library.clips("rain") if clip.path is None]
    assert len(made) / len(library.clips("rain")) == 2 / 12
    rng = np.random.default_rng(0)
    for clip in library.clips("rain"):
        samples = library.samples(clip, rng)
        assert samples.dtype == np.float32
        assert np.abs(samples).max() > 0.01
    assert len({clip.group for clip in library.clips("rain")}) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "path,cls,group,fold\na.wav,doggy,a,1\n",
            "line 2: class 'doggy' is not in the label table; did you mean 'dog'",
        ),
        ("path,cls,group,fold\na.wav,dog\n", "line 2: .*expected path,cls,group,fold"),
        ("path,cls,group,fold\na.wav,dog,a,one\n", "line 2: .*expected path,cls,group,fold"),
        ("path,cls,group,fold\na.wav,dog,a,5\n", "no clip in fold 1 or 2"),
        ("path,cls,group,fold\n", "no clip in fold 1 or 2"),
        ("path,label,group,fold\na.wav,dog,a,1\n", "line 2: KeyError"),
        ("\x00", "manifest.csv"),
    ],
)
def test_a_manifest_that_would_make_other_scenes_than_meant_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        ManifestLibrary(tmp_path, (1, 2))


@pytest.mark.parametrize("folds", [(1, 2, 3), (4,)])
@pytest.mark.parametrize(("line", "said"), [("b.wav,dog,a,4", "'a'"), ("a.wav,dog,b,4", "'a.wav'")])
def test_what_training_hears_is_not_in_another_fold_as_well(
    line: str, said: str, folds: tuple[int, ...], tmp_path: Path
) -> None:
    (tmp_path / "manifest.csv").write_text(f"path,cls,group,fold\na.wav,dog,a,1\n{line}\n")
    with pytest.raises(InputError, match=rf"line 3: {said} is in fold 4 and in another one"):
        ManifestLibrary(tmp_path, folds)


def test_groups_may_be_left_open_and_spread_over_folds_of_training(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "path,cls,group,fold\na.wav,dog,g,1\nb.wav,dog,g,2\nc.wav,dog,,1\nd.wav,dog,,4\n"
    )
    assert [clip.name for clip in ManifestLibrary(tmp_path, (1, 2, 3)).clips("dog")] == ["a.wav", "b.wav", "c.wav"]


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a readable csv"):
        ManifestLibrary(tmp_path, (1,))


@pytest.mark.parametrize("settings", [SceneSettings(sources=3), DynamicSettings(sources=(3, 3))])
def test_fewer_classes_than_sources_is_said(settings: SceneSettings | DynamicSettings, tmp_path: Path) -> None:
    head = parametric_head(np.random.default_rng(0), "sphere")
    world = World(recordings(tmp_path), (head,))
    render = render_scene if isinstance(settings, SceneSettings) else render_dynamic
    with pytest.raises(InputError, match="3 sounds of different classes are wanted, and there are clips of 2"):
        render(world, settings, 1, "x", "train")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(16_000), "silent"),
        (np.where(np.arange(16_000) == 80, np.nan, 0.1), "silent, or of numbers that are none"),
        (np.zeros(0), "0.000 s of audio"),
        (np.full(3, 0.1), "0.000 s of audio"),
    ],
    ids=["silent", "nan", "empty", "short"],
)
def test_a_recording_without_a_sound_is_named(samples: np.ndarray, said: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    (tmp_path / "manifest.csv").write_text("path,cls,group,fold\na.wav,dog,a,1\n")
    library = ManifestLibrary(tmp_path, (1,))
    with pytest.raises(InputError, match=said) as caught:
        library.samples(library.clips("dog")[0], np.random.default_rng(0))
    assert "a.wav" in str(caught.value)
