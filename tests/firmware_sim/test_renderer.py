"""The renderer: directions come out as they were put in, moving ones glide, and nothing grows."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import soundfile

from earshot.firmware_sim.renderer import HOP, ResponseCache, SceneRenderer
from earshot.firmware_sim.scenario import Scenario
from earshot.runtime.demo.head import Room, ear_delays_s
from earshot.runtime.errors import InputError
from tests.firmware_sim.scenes import RAIN, scene


def rendered(scenario: Scenario, seconds: float) -> np.ndarray:
    blocks = islice(SceneRenderer(scenario).blocks(), round(seconds * 16_000 / HOP))
    return np.concatenate(list(blocks), axis=1)


def itd_s(ears: np.ndarray) -> float:
    """Delay of the right ear against the left (positive: sound from the left), from the cross-correlation."""
    size = 2 * ears.shape[1]
    left, right = np.fft.rfft(ears[0], size), np.fft.rfft(ears[1], size)
    correlation = np.fft.irfft(np.conj(left) * right, 8 * size)
    lags = 80 * 8
    around = np.concatenate([correlation[-lags:], correlation[: lags + 1]])
    return float((np.argmax(around) - lags) / (8 * 16_000))


def at(azimuth_deg: float) -> dict:
    return {**RAIN, "path": [{"azimuth_deg": azimuth_deg, "distance_m": 1.5}]}


@pytest.mark.parametrize("azimuth_deg", [-80.0, -30.0, 0.0, 50.0, 120.0])
def test_the_delay_between_the_ears_is_that_of_the_direction(azimuth_deg: float) -> None:
    ears = rendered(scene(sources=[at(azimuth_deg)]), 1.0)
    left_s, right_s = ear_delays_s(azimuth_deg)
    assert itd_s(ears[:, 4096:]) == pytest.approx(right_s - left_s, abs=60e-6)


def test_a_head_turned_to_the_source_hears_it_in_front() -> None:
    ears = rendered(scene(head=[{"yaw_deg": 60.0}]), 1.0)
    assert abs(itd_s(ears[:, 4096:])) < 30e-6


def test_a_moving_source_glides_without_clicks() -> None:
    path = [{"time_s": 0.0, "azimuth_deg": 70.0}, {"time_s": 2.0, "azimuth_deg": -70.0}]
    moving = {**RAIN, "sound": "wind", "path": path}
    ears = rendered(scene(sources=[moving]), 2.0)
    early, late = itd_s(ears[:, 4000:8000]), itd_s(ears[:, -4000:])
    assert early > 200e-6
    assert late < -200e-6
    assert np.abs(np.diff(ears)).max() < 0.36 * np.abs(ears).max(), "wind ends at 900 Hz; a step is steeper"


def test_onset_and_offset_are_where_the_scenario_says() -> None:
    ears = rendered(scene(sources=[{**RAIN, "onset_s": 0.5, "offset_s": 1.0}]), 2.0)
    power = (ears**2).sum(axis=0)
    assert power[:8000].max() < 1e-12
    assert power[8200:15_800].mean() > 1e-6
    assert power[16_000 + 3300 :].max() < 1e-12


def test_ambience_has_its_level_and_is_more_alike_at_low_frequencies() -> None:
    ears = rendered(scene(sources=[], ambience_db=-40.0), 8.0)
    assert 20 * np.log10(ears.std()) == pytest.approx(-40.0, abs=1.0)
    frames = np.fft.rfft(ears[:, : 120 * 1024].reshape(2, -1, 1024) * np.hanning(1024))
    cross = np.abs((frames[0] * np.conj(frames[1])).mean(axis=0))
    alike = cross / np.sqrt((np.abs(frames[0]) ** 2).mean(axis=0) * (np.abs(frames[1]) ** 2).mean(axis=0))
    assert alike[4:12].mean() > 0.8
    assert alike[150:].mean() < 0.3


def test_the_same_seed_is_the_same_sound_and_another_is_not() -> None:
    first, second = (rendered(scene(seed=3, ambience_db=-50.0), 0.5) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, rendered(scene(seed=4, ambience_db=-50.0), 0.5))


def test_the_cache_of_responses_is_bounded() -> None:
    cache = ResponseCache(Room(reflection=0.0, order=0))
    for step in range(300):
        cache.spectrum(step * 1.2, (step % 7) * 10.0, 2.0)
    assert len(cache._known) <= 256


def test_a_recording_may_sound_too_and_a_bad_one_is_one_line(tmp_path) -> None:
    wave = 0.2 * np.sin(2 * np.pi * 500 * np.arange(22_050) / 44_100)
    soundfile.write(tmp_path / "beep.wav", wave, 44_100)
    ears = rendered(scene(folder=tmp_path, sources=[{**RAIN, "file": "beep.wav"}]), 1.0)
    spectrum = np.abs(np.fft.rfft(ears[0]))
    assert np.argmax(spectrum) / 1.0 == pytest.approx(500 * ears.shape[1] / 16_000, abs=3)
    with pytest.raises(InputError, match="cannot be read as sound"):
        SceneRenderer(scene(folder=tmp_path, sources=[{**RAIN, "file": "missing.wav"}]))
