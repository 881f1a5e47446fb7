"""Libraries of sounds: recordings with some sounds made by rule among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from earshot.training.synthesis.events import JoinedLibrary, ManifestLibrary, ProceduralLibrary


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
