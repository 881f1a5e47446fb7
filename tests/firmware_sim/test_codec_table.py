"""The codec table: the same clips plain and coded, by the shipped networks, from rendered stems."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earshot.firmware_sim import codec_table as table_module
from earshot.firmware_sim.codec_table import Heard, figures_of, interaural_errors, moves_of
from earshot.firmware_sim.codings import CODINGS
from earshot.firmware_sim.stem_clips import BEFORE_S, StemClip, single_clips
from earshot.runtime.demo.head import Room, binaural
from earshot.runtime.demo.sounds import alarm_beeps
from earshot.runtime.errors import InputError
from earshot.runtime.interfaces import cli
from earshot.runtime.labels import by_key
from earshot.runtime.scene.sources import SourceEstimate

AZIMUTHS_DEG = (60.0, -60.0)


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of 2 s with an alarm clock from the left and one from the right, over faint noise."""
    folder = tmp_path_factory.mktemp("stems")
    (folder / "shard-0000").mkdir()
    (folder / "shard-0001.partial").mkdir()
    rng = np.random.default_rng(0)
    rows = np.zeros((2, 3, 2, 32_000))
    lines = []
    for row, azimuth_deg in enumerate(AZIMUTHS_DEG):
        heard = binaural(alarm_beeps(1.0), azimuth_deg, 0.0, 1.5, Room(order=1))[:, :16_000]
        rows[row, 0, :, 8_000:24_000] = 8_000 * heard / np.abs(heard).max()
        rows[row, 1] = 30_000  # a second source, which must not be heard
        rows[row, 2] = 10 * rng.standard_normal((2, 32_000))
        source = {"label": "clock_alarm", "onset_s": 0.5, "offset_s": 1.5, "trajectory": [{"azimuth_deg": azimuth_deg}]}
        lines.append(json.dumps({"sources": [source, source]}) + "\n")
    np.save(folder / "shard-0000" / "stems.npy", rows.astype(np.int16))
    np.save(folder / "shard-0000" / "scale.npy", np.full(2, 1 / 32_768, np.float32))
    (folder / "shard-0000" / "scenes.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def noise() -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32)


def heard(truth_deg: float, azimuth_deg: float | None, key: str = "dog") -> Heard:
    clip = StemClip(noise(), "dog", truth_deg)
    if azimuth_deg is None:
        return Heard(clip, None)
    places = {"azimuth_deg": azimuth_deg, "elevation_deg": 0.0, "distance_m": 1.0, "onset_s": 0.0, "offset_s": 1.0}
    return Heard(clip, SourceEstimate(label=by_key(key).name, confidence=0.5, **places))


def test_a_clip_is_one_source_over_its_background(stems: Path) -> None:
    first, second = single_clips(stems, 10)
    assert (first.key, first.azimuth_deg, second.azimuth_deg) == ("clock_alarm", *AZIMUTHS_DEG)
    assert first.audio.shape == (2, round((1.0 + 2 * BEFORE_S) * 16_000))
    assert np.abs(first.audio).max() == pytest.approx(8_000 / 32_768, rel=0.02)
    left, right = np.square(first.audio).sum(axis=1)
    assert left > right
    assert len(single_clips(stems, 1)) == 1


def test_what_is_no_stem_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no shard"):
        single_clips(tmp_path, 2)
    (tmp_path / "shard-0000").mkdir()
    with pytest.raises(InputError, match="not a shard"):
        single_clips(tmp_path, 2)


def test_figures_count_silence_as_a_guess_and_the_front_as_not_the_back() -> None:
    figures = figures_of([heard(30, 40), heard(30, 150, "rain"), heard(30, None), heard(90, 100)])
    assert figures["heard"] == 0.75 and figures["top1"] == 0.5
    assert figures["azimuth_mean_deg"] == pytest.approx((10 + 120 + 90 + 10) / 4)
    assert figures["azimuth_median_deg"] == pytest.approx(50)
    assert figures["lateral_mean_deg"] == pytest.approx((10 + 0 + 10) / 3)
    assert figures["front_back_confusions"] == pytest.approx(0.5), "beside the ear there is no front and back"


def test_a_clip_moves_whether_it_was_right_or_not() -> None:
    before = [heard(0, 170), heard(0, 5), heard(0, 20)]
    after = [heard(0, -170), heard(0, 8), heard(0, None)]
    assert moves_of(before, after) == {"moved_median_deg": pytest.approx(11.5), "moved_over_10deg": 0.5}
    assert moves_of(after[2:], after[2:]) == {"moved_median_deg": None, "moved_over_10deg": None}


def test_errors_between_the_ears_are_measured_in_their_band() -> None:
    sound = noise()
    assert np.allclose(interaural_errors(sound, sound), 0, atol=1e-3)
    assert np.allclose(interaural_errors(sound, 0.5 * sound), 0, atol=1e-3), "louder in both ears is no difference"
    softer = sound * np.array([[1.0], [0.5]], np.float32)
    assert [level for level, _ in interaural_errors(sound, softer)] == pytest.approx([6.02] * 4, abs=0.01)
    later = np.stack([sound[0], np.roll(sound[1], 1)])
    phases = [phase for _, phase in interaural_errors(sound, later)]
    # One sample is 360 f / 16000 degrees: 6 at the middle of the first band, and more above.
    assert phases[0] == pytest.approx(6.7, abs=1.5)
    assert phases == sorted(phases)


def test_the_table_of_two_codings(
    stems: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("av", reason="the extra 'codec' is not installed")
    wanted = tuple(
        c for c in CODINGS if c.name in ("SBC bitpool 53, joint stereo", "SBC bitpool 9, each ear by itself")
    )
    monkeypatch.setattr(table_module, "CODINGS", wanted)
    assert cli.run(["simulate", "--codec-table", "--data", str(stems), "--clips", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    document = json.loads(lines[-1])
    good, bad = document["codings"]
    assert document["clips"] == 2 and document["plain"]["heard"] == 1.0
    assert good["kbps"] > 2 * bad["kbps"]
    for figure in ("level_error_db", "phase_error_deg"):
        assert len(good[figure]) == 4
        assert sum(good[figure]) < sum(bad[figure])
    assert good["moved_median_deg"] < 20
    assert any("plain" in line for line in lines[:-1])


def test_without_data_it_says_how_to_make_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["simulate", "--codec-table"]) == 2
    assert "earshot synth stems" in capsys.readouterr().err
