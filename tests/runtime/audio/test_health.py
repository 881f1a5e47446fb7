"""ChannelHealth: what a broken pair of ears looks like is said once, and healthy ears are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.health import ChannelHealth, Finding
from earshot.runtime.audio.source import AudioChunk

RATE_HZ = 16000


def room(seconds: float = 6.0, seed: int = 0) -> np.ndarray:
    """A healthy pair: common diffuse sound plus what each ear hears alone, about -30 dB."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    common = rng.standard_normal(n)
    return (0.03 * (common + 0.5 * rng.standard_normal((2, n)))).astype(np.float32)


def judged(x: np.ndarray, chunk: int = 640) -> list[Finding]:
    stage = ChannelHealth()
    found: list[Finding] = []
    for at in range(0, x.shape[1], chunk):
        found += stage.process(AudioChunk(x[:, at : at + chunk], at))
    found += stage.flush()
    assert list(stage.findings) == found
    assert all("\n" not in f.text for f in found)
    return found


def ids(x: np.ndarray) -> set[str]:
    return {finding.id for finding in judged(x)}


def test_healthy_ears_have_no_findings() -> None:
    assert ids(room()) == set()


def test_a_source_at_the_side_is_healthy() -> None:
    """20 dB between the ears above 500 Hz, 4 dB below, as a head makes it."""
    x = room()
    spectrum = np.fft.rfft(x, axis=1)
    frequency_hz = np.fft.rfftfreq(x.shape[1], 1 / RATE_HZ)
    spectrum[1] *= 10 ** (-np.where(frequency_hz > 500, 20, 4) / 20)
    assert ids(np.fft.irfft(spectrum, axis=1).astype(np.float32)) == set()


def test_a_quiet_second_is_not_silence() -> None:
    x = room()
    x[:, 2 * RATE_HZ : 3 * RATE_HZ] = 0
    assert ids(x) == set()


@pytest.mark.parametrize("seconds", [0.1, 1.0, 5.0])
def test_silence_is_found_in_recordings_of_any_length(seconds: float) -> None:
    assert ids(np.zeros((2, round(seconds * RATE_HZ)), np.float32)) == {"silent"}


@pytest.mark.parametrize(("ear", "id_"), [(0, "dead-left"), (1, "dead-right")])
def test_a_dead_ear_is_named(ear: int, id_: str) -> None:
    x = room()
    x[ear] *= 1e-4
    assert ids(x) == {id_}


def test_the_same_ear_twice_is_found_even_under_a_little_noise() -> None:
    x = room()
    x[1] = x[0]
    assert ids(x) == {"identical-ears"}
    x[1] += np.random.default_rng(1).standard_normal(x.shape[1]).astype(np.float32) * 1e-6
    assert ids(x) == {"identical-ears"}


def test_clipping_is_found_but_one_full_scale_peak_is_not() -> None:
    x = room()
    x[0, 1000] = 1.0
    assert ids(x) == set()
    assert ids(np.clip(x * 40, -1, 32767 / 32768)) == {"clipping"}


def test_a_constant_offset_is_found_in_one_ear() -> None:
    x = room()
    x[1] += 0.05
    assert ids(x) == {"dc-offset"}


@pytest.mark.parametrize(("ear", "louder"), [(0, "right"), (1, "left")])
def test_a_gain_mismatch_names_the_louder_ear_and_by_how_much(ear: int, louder: str) -> None:
    x = room()
    x[ear] *= 0.25
    (finding,) = judged(x)
    assert finding.id == "gain-mismatch"
    assert f"the {louder} ear is steadily 12 dB louder" in finding.text


def test_integers_saved_as_floats_are_overscale_not_clipping() -> None:
    assert ids(room() * 32768) == {"overscale"}


def test_a_microphone_that_dies_later_is_told_with_its_time_and_stays_active() -> None:
    x = room(10.0)
    x[0, 5 * RATE_HZ :] = 0
    stage = ChannelHealth()
    stage.process(AudioChunk(x, 0))
    (finding,) = stage.findings
    assert (finding.id, finding.since_s) == ("dead-left", 5.0)
    assert stage.active == (finding,)
    stage.process(AudioChunk(room(2.0), x.shape[1]))
    assert stage.active == ()
    assert stage.findings == (finding,)


@settings(max_examples=20, deadline=None)
@given(chunk=st.integers(1, 40_000), reused=st.booleans())
def test_findings_do_not_depend_on_the_cut_and_reset_equals_fresh(chunk: int, reused: bool) -> None:
    x = room(4.3)
    x[0] *= 0.25
    x[1, 2 * RATE_HZ :] = 0
    expected = judged(x, 640)
    stage = ChannelHealth()
    if reused:
        stage.process(AudioChunk(np.zeros((2, 50_000), np.float32), 0))
        stage.reset()
    found: list[Finding] = []
    for at in range(0, x.shape[1], max(chunk, 100)):
        found += stage.process(AudioChunk(x[:, at : at + max(chunk, 100)], at))
    assert [*found, *stage.flush()] == expected


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.01, 1.0))
def test_the_level_of_a_recording_does_not_make_it_ill(gain: float) -> None:
    assert ids(room(3.0) * np.float32(gain)) == set()
