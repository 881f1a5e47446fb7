"""The silence gate: the encoders rest in silence, whatever its level, and miss no onset."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.source import AudioChunk
from earshot.runtime.bundle.builtin import builtin_bundle_dir
from earshot.runtime.demo.scene import render_demo
from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.encoders import Encoders
from earshot.runtime.hearing.features import FRAME_SAMPLES
from earshot.runtime.hearing.gate import GateSettings, SilenceGate, bin_powers
from earshot.runtime.hearing.listener import Hearing
from earshot.runtime.hearing.tracks import SceneSnapshot
from tests.runtime.hearing.sounds import Samples, noise

NEVER = GateSettings(ceiling_db=-np.inf)
BACKGROUND = 10 ** (-70 / 20)


def frames(samples: Samples) -> list[Samples]:
    return [samples[:, k : k + FRAME_SAMPLES] for k in range(0, samples.shape[1] - FRAME_SAMPLES + 1, FRAME_SAMPLES)]


def closed_on(background: Samples) -> SilenceGate:
    gate = SilenceGate()
    for frame in frames(background):
        gate.heard(frame, something=False)
    assert gate.closed
    return gate


def opened_by(gate: SilenceGate, samples: Samples) -> int | None:
    """Number of the frame that opens the gate."""
    return next((k for k, frame in enumerate(frames(samples)) if gate.process(frame) is not None), None)


def hear(hearing: Hearing, samples: Samples, cuts: list[int] | None = None) -> list[SceneSnapshot]:
    edges = [0, *sorted(cuts or []), samples.shape[1]]
    return [s for a, b in pairwise(edges) for s in hearing.process(AudioChunk(samples[:, a:b], a))]


def late_burst(silence_s: float = 4.0, level: float = BACKGROUND) -> Samples:
    """Silence, a second of noise on the left, 4.5 s of silence; background noise throughout."""
    burst = noise(1.0, 0.2, 0.05, seed=1)
    return np.concatenate([noise(silence_s, level, level, 2), burst, noise(4.5, level, level, 3)], axis=1)


def test_bins_add_up_to_the_power_of_the_sound() -> None:
    sound = noise(0.04, 0.1, 0.3, seed=4) + np.float32(0.5)
    plain = sound - sound.mean(axis=1, keepdims=True)
    assert float(bin_powers(sound).sum()) == pytest.approx(float((plain**2).mean()), rel=0.02)


@pytest.mark.parametrize("level_db", [-200.0, -90.0, -55.0])
def test_any_quiet_background_is_silence_and_stays_it(level_db: float) -> None:
    level = 10 ** (level_db / 20)
    gate = closed_on(noise(2.0, level, level, seed=5))
    assert opened_by(gate, noise(60.0, level, level, seed=6)) is None


def test_a_mono_background_stays_silence_too() -> None:
    """The same noise in both ears fluctuates more than noise of two microphones."""
    background = np.repeat(noise(60.0, BACKGROUND, seed=7)[:1], 2, axis=0)
    assert opened_by(closed_on(background[:, :32_000]), background[:, 32_000:]) is None


def test_a_loud_background_is_always_heard() -> None:
    gate = SilenceGate()
    for frame in frames(noise(10.0, 0.01, 0.01)):
        gate.heard(frame, something=False)
    assert not gate.closed


def test_what_the_encoders_follow_keeps_them_awake() -> None:
    gate = SilenceGate()
    for number, frame in enumerate(frames(noise(10.0, BACKGROUND, BACKGROUND))):
        gate.heard(frame, something=number % 40 == 0)
    assert not gate.closed


@pytest.mark.parametrize("frequency_hz", [120.0, 440.0, 3000.0, 7000.0])
def test_a_tone_in_one_ear_wakes_them_although_the_level_hardly_rises(frequency_hz: float) -> None:
    background = noise(4.0, BACKGROUND, BACKGROUND, seed=8)
    tone = background[:, 32_000:].copy()
    rms = BACKGROUND * 0.9
    tone[0] += (rms * np.sqrt(2) * np.sin(2 * np.pi * frequency_hz * np.arange(32_000) / 16_000)).astype(np.float32)
    assert 10 * np.log10((tone**2).mean() / BACKGROUND**2) < 1.6
    assert opened_by(closed_on(background[:, :32_000]), tone) == 0


@given(at=st.integers(0, 31_900))
@settings(max_examples=20, deadline=None)
def test_a_click_wakes_them_wherever_it_falls(at: int) -> None:
    background = noise(4.0, BACKGROUND, BACKGROUND, seed=9)
    background[:, 32_000 + at : 32_000 + at + 16] += np.float32(0.02)
    assert opened_by(closed_on(background[:, :32_000]), background[:, 32_000:]) == at // FRAME_SAMPLES


def test_a_background_that_becomes_quieter_is_followed() -> None:
    gate = closed_on(noise(2.0, BACKGROUND, BACKGROUND, seed=10))
    assert opened_by(gate, noise(20.0, BACKGROUND / 10, BACKGROUND / 10, seed=11)) is None
    assert opened_by(gate, noise(1.0, BACKGROUND / 3, BACKGROUND / 3, seed=12)) == 0


def test_a_click_while_it_closes_does_not_make_it_deaf() -> None:
    background = noise(2.0, BACKGROUND, BACKGROUND, seed=13)
    background[:, 8000:8016] += np.float32(0.01)
    gate = closed_on(background)
    assert opened_by(gate, noise(1.0, 2 * BACKGROUND, 2 * BACKGROUND, seed=14)) == 0


@given(cuts=st.lists(st.integers(0, 152_000), max_size=30))
@settings(max_examples=4, deadline=None)
def test_results_with_rests_do_not_depend_on_the_chunking(any_encoders: Encoders, cuts: list[int]) -> None:
    sound = late_burst()
    whole, pieces = Hearing(any_encoders), Hearing(any_encoders)
    expected = [snapshot.as_dict() for snapshot in hear(whole, sound)]
    assert [snapshot.as_dict() for snapshot in hear(pieces, sound, cuts)] == expected
    assert whole.resting
    assert pieces.resting
    for name, values in whole.window().tokens.as_dict().items():
        np.testing.assert_array_equal(pieces.window().tokens.as_dict()[name], values)


def test_reset_while_resting_equals_a_fresh_object(any_encoders: Encoders) -> None:
    used, fresh = Hearing(any_encoders), Hearing(any_encoders)
    hear(used, noise(5.01, BACKGROUND, BACKGROUND, seed=15))
    assert used.resting
    used.reset()
    assert not used.resting
    sound = late_burst()
    assert [s.as_dict() for s in hear(used, sound)] == [s.as_dict() for s in hear(fresh, sound)]


def test_the_encoders_do_nothing_while_they_rest(encoders: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    hearing, steps = Hearing(encoders), []
    monkeypatch.setattr(hearing, "_step", lambda features: steps.append(1) or Hearing._step(hearing, features))
    quiet = hear(hearing, noise(20.0, BACKGROUND, BACKGROUND, seed=16))
    assert len(steps) == 50, "two seconds, then none"
    assert [round(10 * snapshot.time_s) for snapshot in quiet] == list(range(1, 201))
    assert len(hearing.window().tokens) == 25


def check_against_ungated(
    encoders: Encoders, sound: Samples, at_s: float, tolerance_deg: float, onset_s: float = 0.081
) -> None:
    """The tracks after a rest are those without one."""
    hearing = Hearing(encoders)
    gated = hear(hearing, sound)
    plain = hear(Hearing(encoders, gate_settings=NEVER), sound)
    assert [s.time_s for s in gated] == [s.time_s for s in plain]
    one, other = (
        sorted(snapshots[round(at_s * 10)].tracks, key=lambda track: track.class_id) for snapshots in (gated, plain)
    )
    assert other, "there is something to compare"
    assert [track.class_id for track in one] == [track.class_id for track in other]
    for a, b in zip(one, other, strict=True):
        assert angle_between_azimuths(a.azimuth_deg, b.azimuth_deg) <= tolerance_deg
        assert a.distance_m == pytest.approx(b.distance_m, rel=0.1)
        assert a.onset_s == pytest.approx(b.onset_s, abs=onset_s)


def test_a_sound_after_a_rest_gets_the_track_it_would_have_got(encoders: Encoders) -> None:
    check_against_ungated(encoders, late_burst(), 4.9, 1.0)


def test_the_shipped_networks_hear_the_same_after_a_rest() -> None:
    bundle = builtin_bundle_dir()
    if not (bundle / "semantic.onnx").is_file():
        pytest.skip("no shipped bundle here")
    shipped = Encoders()
    shipped.load(bundle)
    silence = noise(6.0, 10 ** (-62 / 20), 10 ** (-62 / 20), seed=17)
    # Names are heard every 0.4 s, after a rest at other moments than without one.
    check_against_ungated(shipped, np.concatenate([silence, render_demo()[:, :56_000]], axis=1), 8.0, 5.0, 0.4)
