"""Procedural sounds: repeatable, well levelled, and in the range of what real recordings of the class show.

The expected ranges come from the 10 to 90 % span of real clips of each class (centroid of the summed power
spectrum; rate and depth of the level's modulation), less what handling noise does to real recordings.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.runtime.labels import by_key
from earshot.training.synthesis.procedural import PROCEDURAL, SAMPLE_RATE_HZ, synthesize
from earshot.training.synthesis.procedural_parts import shaped_noise
from earshot.training.synthesis.procedural_signals import telephone_ring

KEYS = sorted(PROCEDURAL)
WINDOW, HOP = 512, 160


def frames(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power spectra [frames, 257] of Hann windows every 10 ms."""
    cut = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    return np.abs(np.fft.rfft(cut)) ** 2


def centroid_hz(sound: NDArray[np.float32]) -> float:
    power = frames(sound).sum(axis=0)
    return float(power @ np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ) / power.sum())


def level_variation(sound: NDArray[np.float32]) -> float:
    """Spread of the short-time amplitude over its mean: 0 for a steady sound."""
    amplitude = np.sqrt(frames(sound).sum(axis=1))
    return float(amplitude.std() / amplitude.mean())


def strongest_rate_hz(sound: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    """Strongest modulation of the short-time amplitude between two rates."""
    amplitude = np.sqrt(frames(sound).sum(axis=1))
    spectrum = np.abs(np.fft.rfft((amplitude - amplitude.mean()) * np.hanning(len(amplitude)), 4096))
    rate = np.fft.rfftfreq(4096, HOP / SAMPLE_RATE_HZ)
    band = (rate >= low_hz) & (rate <= high_hz)
    return float(rate[band][np.argmax(spectrum[band])])


def made(key: str, seed: int, duration_s: float = 3.0) -> NDArray[np.float32]:
    return synthesize(key, np.random.default_rng(seed), duration_s)


def test_at_least_fourteen_classes_of_the_label_table_have_a_generator() -> None:
    assert len(KEYS) >= 14
    assert all(by_key(key).key == key for key in KEYS)


@pytest.mark.parametrize("key", KEYS)
class TestEveryClass:
    def test_the_same_seed_gives_the_same_samples(self, key: str) -> None:
        assert np.array_equal(made(key, 1), made(key, 1))
        assert np.array_equal(made(key, 1), PROCEDURAL[key](np.random.default_rng(1), 3.0))

    def test_two_seeds_are_two_recordings(self, key: str) -> None:
        first, second = made(key, 1).astype(float), made(key, 2).astype(float)
        assert abs(first @ second) < 0.3 * np.linalg.norm(first) * np.linalg.norm(second)

    def test_is_mono_float32_with_a_sound_level(self, key: str) -> None:
        sound = made(key, 3)
        assert (sound.dtype, sound.shape) == (np.float32, (48_000,))
        assert 0.5 <= np.max(np.abs(sound)) <= 0.9 + 1e-6
        assert np.sqrt(np.mean(sound**2)) > 0.005
        assert abs(np.mean(sound)) < 0.01

    def test_even_the_shortest_sound_is_no_silence(self, key: str) -> None:
        for seed in range(5):
            assert np.sqrt(np.mean(made(key, seed, 0.1) ** 2)) > 0.001

    def test_does_not_die_away_in_ten_seconds(self, key: str) -> None:
        seconds = made(key, 4, 10.0).reshape(5, -1)
        assert np.all(np.max(np.abs(seconds), axis=1) > 0.05)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KEYS), st.integers(0, 2**32), st.floats(0.1, 2.0))
def test_any_seed_and_duration_is_finite_and_of_the_right_length(key: str, seed: int, duration_s: float) -> None:
    sound = made(key, seed, duration_s)
    assert sound.shape == (round(duration_s * SAMPLE_RATE_HZ),)
    assert np.all(np.isfinite(sound))
    assert np.max(np.abs(sound)) <= 1


@pytest.mark.parametrize(
    ("key", "low_hz", "high_hz"),
    [
        ("car_horn", 600, 2600),
        ("chirping_birds", 2000, 5500),
        ("church_bells", 350, 2100),
        ("clock_alarm", 1800, 5600),
        ("clock_tick", 700, 3800),
        ("crickets", 3000, 5500),
        ("door_knock", 80, 620),
        ("engine", 80, 1100),
        ("footsteps", 100, 1400),
        ("helicopter", 100, 800),
        ("mouse_click", 1200, 4600),
        ("pouring_water", 600, 2700),
        ("rain", 1200, 3500),
        ("siren", 500, 1500),
        ("vacuum_cleaner", 800, 2800),
        ("water_drops", 400, 2300),
        ("wind", 40, 720),
    ],
)
def test_brightness_is_that_of_real_recordings(key: str, low_hz: float, high_hz: float) -> None:
    measured = [centroid_hz(made(key, seed)) for seed in range(8)]
    assert low_hz <= np.median(measured) <= high_hz
    assert min(measured) > 0.6 * low_hz
    assert max(measured) < 1.6 * high_hz


@pytest.mark.parametrize("key", ["rain", "vacuum_cleaner", "engine", "helicopter", "siren"])
def test_lasting_sounds_are_steady(key: str) -> None:
    assert np.median([level_variation(made(key, seed)) for seed in range(6)]) < 0.5


@pytest.mark.parametrize("key", ["door_knock", "footsteps", "clock_tick", "mouse_click", "water_drops"])
def test_struck_sounds_come_and_go(key: str) -> None:
    assert np.median([level_variation(made(key, seed)) for seed in range(6)]) > 1.0


def test_people_walk_one_and_a_half_to_two_and_a_half_steps_a_second() -> None:
    rates = [strongest_rate_hz(made("footsteps", seed, 6.0), 0.8, 4.0) for seed in range(8)]
    assert 1.4 <= np.median(rates) <= 2.5


def test_helicopter_blades_pass_ten_to_eighteen_times_a_second() -> None:
    rates = [strongest_rate_hz(made("helicopter", seed, 6.0), 5.0, 25.0) for seed in range(8)]
    assert 9.5 <= np.median(rates) <= 18.5


def test_a_telephone_ring_stops_between_rings() -> None:
    ring = telephone_ring(np.random.default_rng(5), 4.0)
    loud = np.abs(ring).reshape(-1, 800).max(axis=1) > 0.1
    assert sum(before and not after for before, after in pairwise(loud)) >= 2


def test_shaped_noise_follows_its_curve() -> None:
    noise = shaped_noise(np.random.default_rng(6), 160_000, [(500, 0), (2000, -20)])
    power = frames(noise.astype(np.float32)).mean(axis=0)
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)
    low, high = power[(frequency > 100) & (frequency < 450)].mean(), power[frequency > 2500].mean()
    assert 10 * np.log10(low / high) == pytest.approx(20, abs=1)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1)


@pytest.mark.parametrize("duration_s", [0.05, 0.0, -1.0, float("nan")])
def test_too_short_a_duration_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="duration_s"):
        made("rain", 0, duration_s)


def test_an_unknown_class_is_refused_with_what_would_work() -> None:
    with pytest.raises(KeyError, match="chirping_birds"):
        made("unicorn", 0)
