"""The SELDnet baselines: features that mean directions, a network of the published size, detections of any recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from earshot.runtime.errors import InputError
from earshot.runtime.hearing.features import WINDOW_SAMPLES, features_of
from earshot.training.models.seldnet import STAGE, TRACKS, Seldnet, SeldnetConfig, load_seldnet, save_config
from earshot.training.models.seldnet_features import (
    KINDS,
    LAGS,
    MAX_DELAY_S,
    PHASE_BAND_HZ,
    SPEED_OF_SOUND_M_S,
    FeatureKind,
    make_features,
)
from earshot.training.models.seldnet_hear import Heard, detections, outputs_of, unified
from earshot.training.synthesis.heads import parametric_head
from earshot.training.synthesis.rooms import free_field_ir

TINY = SeldnetConfig(filters=8, hidden=16, heads=2, recurrent=1, attention=1)
HEAD = parametric_head(np.random.default_rng(5), "head")
LAG_S = np.linspace(-MAX_DELAY_S, MAX_DELAY_S, LAGS)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, (2, samples)).astype(np.float32)


def delayed(lag: int, samples: int = 16_000) -> np.ndarray:
    """Noise that the right ear hears ``lag`` samples later."""
    sound = noise(samples + 40)[0]
    return np.stack([sound[20:-20], sound[20 - lag : len(sound) - 20 - lag]])


def at_the_ears(azimuth_deg: float) -> np.ndarray:
    angle = np.deg2rad(azimuth_deg)
    response = free_field_ir(HEAD, np.array([np.cos(angle), np.sin(angle), 0], np.float32), 1.0)
    return np.stack([np.convolve(noise(8000)[0], ear) for ear in response]).astype(np.float32)


def features(kind: FeatureKind, audio: np.ndarray) -> np.ndarray:
    return np.asarray(make_features(kind)(torch.from_numpy(np.ascontiguousarray(audio))[None])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_five_frames_for_every_100_ms_and_a_rest_is_left_out(kind: FeatureKind) -> None:
    assert [features(kind, noise(n)).shape[1] for n in (1600, 3199, 16_000)] == [5, 5, 50]
    assert np.isfinite(features(kind, np.zeros((2, 3200), np.float32))).all()


@settings(max_examples=15)
@given(st.floats(-179, 180), st.sampled_from(KINDS))
def test_exchanged_ears_mirror_the_features(azimuth_deg: float, kind: FeatureKind) -> None:
    audio = at_the_ears(azimuth_deg)
    left, right, between = features(kind, audio)
    other_left, other_right, other_between = features(kind, audio[::-1])
    assert np.allclose(left, other_right, atol=1e-5) and np.allclose(right, other_left, atol=1e-5)
    mirrored = between[:, ::-1] if kind == "gcc" else -between
    # A phase of half a turn has no sign.
    assert np.isclose(other_between, mirrored, atol=2e-3).mean() > 0.999


@settings(max_examples=15)
@given(st.integers(-13, 13))
def test_the_correlation_peaks_at_the_delay_of_the_right_ear(lag: int) -> None:
    correlation = features("gcc", delayed(lag))[2].mean(axis=0)
    assert LAG_S[correlation.argmax()] * 16_000 == pytest.approx(lag, abs=0.51)


@settings(max_examples=15)
@given(st.integers(-6, 6))
def test_the_phase_means_the_path_difference_below_the_aliasing_frequency(lag: int) -> None:
    path = np.median(features("salsa-lite", delayed(lag))[2], axis=0)
    hz = np.arange(1, 257) * 31.25
    clear = (hz >= 300) & (hz < 0.45 * 16_000 / max(1, abs(lag)))
    assert path[clear] == pytest.approx(lag / 16_000 * SPEED_OF_SOUND_M_S, abs=0.01)
    assert not path[hz < PHASE_BAND_HZ[0]].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_on_the_left_is_louder_and_earlier_at_the_left_ear(kind: FeatureKind) -> None:
    for azimuth_deg, sign in ((70, 1), (-70, -1)):
        left, right, between = features(kind, at_the_ears(azimuth_deg))
        assert sign * (left - right).mean() > 0.2
        where = LAG_S[between.mean(0).argmax()] if kind == "gcc" else np.median(between[:, 5:20])
        assert sign * where > 2e-4


def test_levels_are_those_of_the_runtime() -> None:
    audio = noise(16_000)
    left, right, _ = features("gcc", audio)
    ours = features_of(audio).reshape(50, 4, -1)
    assert np.log10((10**left + 10**right) / 2) == pytest.approx(ours[:, 0], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_has_the_published_size_and_one_output_for_every_100_ms(kind: FeatureKind) -> None:
    model = Seldnet(SeldnetConfig(features=kind))
    assert 0.7e6 < sum(parameter.numel() for parameter in model.parameters()) < 1.0e6
    output = model(torch.from_numpy(noise(16_000))[None])
    assert output.shape == (1, 10, TRACKS, 4, 61)
    assert output[..., :3, :].abs().max() <= 1.0
    assert output[..., 3, :].min() >= 0.0


def saved(folder: Path, config: SeldnetConfig, threshold: float = 0.4) -> Seldnet:
    torch.manual_seed(1)
    model = Seldnet(config)
    save_config(folder / STAGE, config, threshold)
    save_file(dict(model.state_dict()), folder / STAGE / "model.safetensors")
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_network_is_the_same_network(kind: FeatureKind, tmp_path: Path) -> None:
    model = saved(tmp_path, replace(TINY, features=kind))
    again, threshold = load_seldnet(tmp_path)
    assert threshold == 0.4 and again.config == model.config
    assert np.array_equal(outputs_of(model, noise(8000)), outputs_of(again, noise(8000)))


def test_a_folder_without_a_network_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train seldnet"):
        load_seldnet(tmp_path)
    saved(tmp_path, TINY)
    save_config(tmp_path / STAGE, replace(TINY, hidden=32), 0.5)
    with pytest.raises(InputError, match="not the weights"):
        load_seldnet(tmp_path)


def test_long_recordings_are_heard_in_windows_like_those_of_training(tmp_path: Path) -> None:
    model = saved(tmp_path, TINY)
    audio = noise(9 * 16_000 + 700)
    whole = outputs_of(model, audio)
    assert whole.shape[0] == 90
    with torch.no_grad():
        # 5 s windows at 0, 2.5 and (the last one) 4 s: frames come from where a window has them in its middle.
        for start, kept in ((0, range(0, 37)), (25, range(38, 57)), (40, range(58, 90))):
            window = model(torch.from_numpy(audio[:, start * 1600 : (start + 50) * 1600])[None])[0].numpy()
            frames = np.array(kept)
            assert whole[frames] == pytest.approx(window[frames - start], abs=1e-5)


@pytest.mark.parametrize("samples", [0, 1599, 1600, 30_000, 80_000, 80_001])
def test_recordings_of_any_length_are_heard(samples: int, tmp_path: Path) -> None:
    assert outputs_of(saved(tmp_path, TINY), noise(samples)).shape == (samples // 1600, TRACKS, 4, 61)


def said(*tracks: tuple[float, float, float, float]) -> np.ndarray:
    """One frame in which class 7 has these tracks and nothing else sounds."""
    output = np.zeros((1, TRACKS, 4, 61), np.float32)
    output[0, : len(tracks), :, 7] = tracks
    return output


def test_tracks_that_agree_are_one_source_and_others_are_several() -> None:
    (one,) = detections(said((0.8, 0.1, 0, 2), (0.8, -0.1, 0, 4), (0.3, 0, 0, 9)), 0.5)
    assert one == Heard(0, 7, 0, one.activity, 0.0, 0.0, 3.0)
    assert one.activity == pytest.approx(0.8)
    two = list(detections(said((0.8, 0, 0, 2), (0, 0.9, 0, 1)), 0.5))
    assert [(h.source, round(h.azimuth_deg), h.distance_m) for h in two] == [(0, 0, 2.0), (1, 90, 1.0)]
    assert list(detections(said((0.49, 0, 0, 2)), 0.5)) == []


@given(st.permutations([0.0, 12.0, 24.0]))
def test_neighbours_of_neighbours_are_one_group(angles_deg: list[float]) -> None:
    angles = np.deg2rad(angles_deg)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1).astype(np.float32)
    assert unified(vectors) == [[0, 1, 2]]


def test_windows_of_the_features_begin_in_silence_as_in_the_runtime() -> None:
    click = np.zeros((2, 1600), np.float32)
    click[:, 0] = 1.0
    levels = features("gcc", click)[0]
    assert levels[0].max() > -3 and levels[2:].max() < -5.9, f"a click at 0 is over after {WINDOW_SAMPLES} samples"
