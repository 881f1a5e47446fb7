"""Excerpts: events of which only a part of a file is heard, in the manifest, in the library and in scenes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earshot.runtime.errors import InputError
from earshot.training.synthesis.events import ManifestLibrary
from earshot.training.synthesis.layout_parts import EventRow
from earshot.training.synthesis.lone_events import LabelledEvent, lone_events
from earshot.training.synthesis.manifest import COLUMNS, write_manifest

RATE_HZ = 16_000


def tones(path: Path, parts: list[tuple[float, float]], rate: int = RATE_HZ, gains: tuple[float, ...] = (1.0,)) -> Path:
    """File of tones one after another, (seconds, Hz); a channel for every gain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pieces = [0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate) for seconds, hertz in parts]
    soundfile.write(path, np.outer(np.concatenate(pieces), gains), rate)
    return path


def pitch_hz(samples: np.ndarray) -> float:
    """Frequency of the strongest bin."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()])


def heard(folder: Path, key: str) -> list[np.ndarray]:
    library = ManifestLibrary(folder, (1, 2, 3, 4))
    return [library.samples(clip, np.random.default_rng(0)) for clip in library.clips(key)]


def event(start_s: float, end_s: float, key: str | None, source: str | None = None) -> LabelledEvent:
    return LabelledEvent(start_s, end_s, key, source or str(key))


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([event(0, 1, "dog"), event(1, 2, "cat")], [(0, 1), (1, 2)]),
        ([event(0, 1, "dog"), event(0.9, 2, "cat")], [(0, 1), (0.9, 2)]),
        ([event(0, 1, "dog"), event(0.89, 2, "cat")], []),
        ([event(0, 1, "dog"), event(0.5, 2, None, "music")], []),
        ([event(0, 1, "dog"), event(0.5, 2, "dog")], [(0, 2)]),
        ([event(0, 1, "speech", "ann"), event(0.5, 2, "speech", "bob"), event(3, 4, "speech", "bob")], [(3, 4)]),
        ([event(0, 1, "dog"), *(event(t, t + 0.06, None, "tap") for t in (0.2, 0.4))], []),
        ([event(0, 0.015, "dog"), event(1, 1.02, "dog")], [(1, 1.02)]),
        ([event(0, 1, None, "music")], []),
    ],
    ids=["apart", "touching", "overlapping", "unknown", "same", "two of a class", "many short", "shortest", "none"],
)
def test_an_event_is_taken_where_nothing_else_sounds(
    events: list[LabelledEvent], left: list[tuple[float, float]]
) -> None:
    assert [(found.start_s, found.end_s) for found in lone_events(events)] == left


def test_only_the_excerpt_is_heard(tmp_path: Path) -> None:
    path = tones(tmp_path / "a.wav", [(1.0, 500), (0.5, 1000), (1.0, 2000)], rate=24_000)
    rows = [EventRow(path, "dog", "a", 1, span_s=(1.0, 1.5)), EventRow(path, "cat", "a", 1, span_s=(1.5, 2.5))]
    write_manifest(tmp_path / "events", rows)
    (dog,), (cat,) = heard(tmp_path / "events", "dog"), heard(tmp_path / "events", "cat")
    assert len(dog) == pytest.approx(0.5 * RATE_HZ, abs=320)
    assert (round(pitch_hz(dog), -1), round(pitch_hz(cat), -1)) == (1000, 2000)


def test_of_four_channels_an_excerpt_is_the_first_and_of_two_their_mean(tmp_path: Path) -> None:
    four = tones(tmp_path / "four.wav", [(1.0, 500)], gains=(1.0, -1.0, -1.0, -1.0))
    two = tones(tmp_path / "two.wav", [(1.0, 500)], gains=(1.0, 0.0))
    span = (0.2, 0.8)
    rows = [EventRow(four, "dog", "a", 1, span_s=span), EventRow(two, "cat", "b", 1, span_s=span)]
    write_manifest(tmp_path / "events", rows)
    assert np.abs(heard(tmp_path / "events", "dog")[0]).max() == pytest.approx(0.3, abs=0.01)
    assert np.abs(heard(tmp_path / "events", "cat")[0]).max() == pytest.approx(0.15, abs=0.01)


def test_whole_files_are_listed_as_before_and_keep_their_names(tmp_path: Path) -> None:
    path = tones(tmp_path / "a.wav", [(1.0, 500)])
    manifest = write_manifest(tmp_path, [EventRow(path, "dog", "a", 1)])
    assert manifest.read_text() == ",".join(COLUMNS) + "\na.wav,dog,a,1,1.000,,\n"
    assert [clip.name for clip in ManifestLibrary(tmp_path, (1,)).clips("dog")] == ["a.wav"]


def test_reading_a_file_again_replaces_its_excerpts_and_leaves_the_others(tmp_path: Path) -> None:
    one, two = (tones(tmp_path / f"{name}.wav", [(12.0, 500)]) for name in ("one", "two"))
    write_manifest(tmp_path, [EventRow(two, "dog", "two", 1)])
    manifest = write_manifest(tmp_path, [EventRow(one, "dog", "one", 1, span_s=(t, t + 1.0)) for t in (10.0, 2.0)])
    with manifest.open(newline="") as file:
        listed = [(row["path"], row["start_s"], row["end_s"], row["duration"]) for row in csv.DictReader(file)]
    assert listed == [
        ("one.wav", "2.000", "3.000", "1.000"),
        ("one.wav", "10.000", "11.000", "1.000"),
        ("two.wav", "", "", "12.000"),
    ]
    names = [clip.name for clip in ManifestLibrary(tmp_path, (1,)).clips("dog")]
    assert names == ["one.wav#2.000-3.000", "one.wav#10.000-11.000", "two.wav"]
    write_manifest(tmp_path, [EventRow(one, "dog", "one", 1, span_s=(4.0, 5.0))])
    assert [clip.span_s for clip in ManifestLibrary(tmp_path, (1,)).clips("dog")] == [(4.0, 5.0), None]


@pytest.mark.parametrize(
    ("span", "said"),
    [((0.5, 1.5), r"a\.wav: ends at 1\.000 s"), ((0.5, 0.51), r"a\.wav: 0\.010 s of audio")],
)
def test_an_excerpt_that_is_not_in_its_file_is_refused(span: tuple[float, float], said: str, tmp_path: Path) -> None:
    path = tones(tmp_path / "a.wav", [(1.0, 500)])
    with pytest.raises(InputError, match=said) as caught:
        write_manifest(tmp_path / "events", [EventRow(path, "dog", "a", 1, span_s=span)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("span", ["0.5,", ",0.5", "0.5,0.5", "-1,0.5", "x,1", "0,inf", "nan,1"])
def test_a_span_that_is_none_is_named_with_its_line(span: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(f"path,cls,group,fold,start_s,end_s\na.wav,dog,a,1,{span}\n")
    with pytest.raises(InputError, match=r"manifest\.csv, line 2: start_s .* 0 <= start_s < end_s, or neither"):
        ManifestLibrary(tmp_path, (1,))


def test_a_silent_excerpt_is_named_with_its_span(tmp_path: Path) -> None:
    tones(tmp_path / "a.wav", [(1.0, 0), (1.0, 500)])
    (tmp_path / "manifest.csv").write_text("path,cls,group,fold,start_s,end_s\na.wav,dog,a,1,0.25,0.75\n")
    with pytest.raises(InputError, match=r"a\.wav, 0\.250 to 0\.750 s: silent"):
        heard(tmp_path, "dog")
