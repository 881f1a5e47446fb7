"""The built-in model itself: what a user gets with a fresh clone, without any data of ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.bundle.builtin import verified_bundle
from earshot.runtime.demo.scene import DEMO_SOURCES, render_demo
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.interfaces.cli import app
from earshot.runtime.scene.sources import SourceEstimate, summarize


@pytest.fixture(scope="module")
def bundle() -> Path:
    return verified_bundle(None)[0]


@pytest.fixture(scope="module")
def encoders(bundle: Path) -> Encoders:
    loaded = Encoders()
    loaded.load(bundle)
    return loaded


def hear(encoders: Encoders, audio: np.ndarray, cuts: tuple[int, ...] = (1600,)) -> list[SourceEstimate]:
    hearing, snapshots, start, turn = Hearing(encoders), [], 0, 0
    while start < audio.shape[1]:
        size = cuts[turn % len(cuts)]
        snapshots += hearing.process(AudioChunk(audio[:, start : start + size], start))
        start, turn = start + size, turn + 1
    return summarize(snapshots)


def test_the_bundle_is_whole_and_small(bundle: Path) -> None:
    assert sum(path.stat().st_size for path in bundle.iterdir()) <= 30e6
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["measured"]["accuracy"], "the manifest states what was measured"


def test_what_is_heard_does_not_depend_on_the_chunking(encoders: Encoders) -> None:
    audio = render_demo()
    assert hear(encoders, audio, (1600,)) == hear(encoders, audio, (37, 4001, 640))


def test_exchanged_ears_mirror_the_directions(encoders: Encoders) -> None:
    audio = render_demo()
    both = (hear(encoders, np.ascontiguousarray(a)) for a in (audio, audio[::-1]))
    # What sounds is heard from both ears, so a doubtful second name may be told of with one exchange only.
    straight, swapped = ([s for s in heard if s.confidence >= 0.35] for heard in both)
    assert [s.label for s in straight] == [s.label for s in swapped]
    assert len(straight) >= len(DEMO_SOURCES)
    for a, b in zip(straight, swapped, strict=True):
        side_a, side_b = (np.sin(np.deg2rad(s.azimuth_deg)) for s in (a, b))
        assert side_a == pytest.approx(-side_b, abs=0.35)


def test_a_gain_does_not_move_the_sounds(encoders: Encoders) -> None:
    loud = hear(encoders, render_demo())
    quiet = hear(encoders, render_demo() * np.float32(0.5))
    matched = {s.label: s.azimuth_deg for s in quiet}
    same = [s for s in loud if s.label in matched]
    assert same
    for source in same:
        assert angle_between_azimuths(source.azimuth_deg, matched[source.label]) < 15


def test_most_demo_sounds_are_heard_on_their_side(encoders: Encoders) -> None:
    heard = hear(encoders, render_demo())
    right = 0
    for truth in (source.truth() for source in DEMO_SOURCES):
        sides = [
            np.sin(np.deg2rad(h.azimuth_deg))
            for h in heard
            if h.onset_s < truth.offset_s and h.offset_s > truth.onset_s
        ]
        right += any(abs(side - np.sin(np.deg2rad(truth.azimuth_deg))) < 0.35 for side in sides)
    assert right >= len(DEMO_SOURCES) - 1


def test_silence_has_no_sources(encoders: Encoders) -> None:
    assert hear(encoders, np.zeros((2, 80_000), np.float32)) == []


def test_ask_answers_with_the_documented_json(tmp_path: Path, bundle: Path) -> None:
    soundfile.write(tmp_path / "scene.wav", render_demo().T, 16_000)
    arguments = ["ask", str(tmp_path / "scene.wav"), "Which of these do you hear?", "--json"]
    choices = ["--choices", "the alarm clock", "--choices", "the pig"]
    result = CliRunner().invoke(app, arguments + choices)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout.splitlines()[-1])
    assert set(document) == {"id", "answer", "choice", "reasoning", "sources", "timing"}
    assert document["choice"] in (0, 1)
    assert document["timing"]["audio_s"] == pytest.approx(8.0, abs=0.05)
