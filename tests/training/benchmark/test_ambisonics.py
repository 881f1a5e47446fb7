"""Ambisonics to two ears: sources of known direction arrive with the delays and levels of that direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.errors import InputError
from earshot.training.benchmark.ambisonics import EarFilters, ear_filters, encode, to_wxyz
from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, Head, finish_head, load_sofa, parametric_head


@pytest.fixture(scope="module")
def head() -> Head:
    return parametric_head(np.random.default_rng(4), "sphere")


@pytest.fixture(scope="module")
def filters(head: Head) -> EarFilters:
    return ear_filters(head)


@pytest.fixture(scope="module")
def measured(shared_data: Path) -> Head:
    return load_sofa(shared_data / "hrtf" / "MIT_KEMAR_normal_pinna.sofa")


NOISE = np.random.default_rng(1).standard_normal(8000)


def low_delay_s(ears: np.ndarray, below_hz: float = 450.0) -> float:
    """How much later the right ear hears, from the cross-correlation of the low frequencies."""
    size, fine = 16_384, 8
    left, right = np.fft.rfft(ears, size)
    low = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ) < below_hz
    correlation = np.fft.irfft(right * np.conj(left) * low, size * fine)
    lags = np.arange(-20 * fine, 20 * fine + 1)
    return float(lags[np.argmax(correlation[lags])]) / (SAMPLE_RATE_HZ * fine)


def level_difference_db(ears: np.ndarray, above_hz: float) -> float:
    power = np.abs(np.fft.rfft(ears)) ** 2
    high = np.fft.rfftfreq(ears.shape[1], 1 / SAMPLE_RATE_HZ) > above_hz
    return float(10 * np.log10(power[0, high].sum() / power[1, high].sum()))


def directly(head: Head, azimuth_deg: float) -> np.ndarray:
    angle = np.deg2rad(azimuth_deg)
    response = head.hrirs[head.nearest(np.array([[np.cos(angle), np.sin(angle), 0]], np.float32))[0]]
    return np.stack([np.convolve(NOISE, ear)[: len(NOISE)] for ear in response])


@pytest.mark.parametrize("azimuth_deg", [-150, -90, -60, -30, 0, 30, 60, 90, 120, 180])
def test_low_frequencies_have_the_delay_of_the_direction(head: Head, filters: EarFilters, azimuth_deg: int) -> None:
    # The delays of this sphere grow faster than the left component of the direction (Woodworth's theta + sin theta), which
    # is all that first order holds: loudspeakers 35 degrees from the median plane make up to a fourth less of them.
    wanted, rendered = low_delay_s(directly(head, azimuth_deg)), low_delay_s(filters.render(encode(NOISE, azimuth_deg)))
    assert rendered == pytest.approx(wanted, abs=30e-6 + 0.22 * abs(wanted))


@pytest.mark.shared_data
@pytest.mark.parametrize("azimuth_deg", [-90, -45, 0, 45, 90, 135])
def test_a_measured_head_has_them_within_60_microseconds(measured: Head, azimuth_deg: int) -> None:
    wanted = low_delay_s(directly(measured, azimuth_deg))
    assert low_delay_s(ear_filters(measured).render(encode(NOISE, azimuth_deg))) == pytest.approx(wanted, abs=60e-6)


@pytest.mark.parametrize("azimuth_deg", [30, 60, 90, 120])
def test_the_nearer_ear_is_louder_at_high_frequencies(filters: EarFilters, azimuth_deg: int) -> None:
    assert level_difference_db(filters.render(encode(NOISE, azimuth_deg)), 1500) > 1.5
    assert level_difference_db(filters.render(encode(NOISE, -azimuth_deg)), 1500) < -1.5


@settings(max_examples=15, deadline=None)
@given(azimuth=st.integers(-179, 180), elevation=st.integers(-80, 80))
def test_a_mirrored_source_exchanges_the_ears_of_a_symmetric_head(
    filters: EarFilters, azimuth: int, elevation: int
) -> None:
    one = filters.render(encode(NOISE[:1000], azimuth, elevation))
    other = filters.render(encode(NOISE[:1000], -azimuth, elevation))
    assert np.allclose(one, other[::-1], atol=1e-5)


def test_the_onset_stays_where_it_was(filters: EarFilters) -> None:
    click = np.zeros(1000)
    click[300] = 1.0
    ears = filters.render(encode(click, 0))
    # A head delays by the taps before its onset and half a band filter, less than 2 ms; nothing sounds before.
    assert 300 <= int(np.argmax(np.abs(ears[0]))) <= 332
    assert (ears[:, :280] ** 2).sum() < 1e-3 * (ears**2).sum()
    assert ears.shape == (2, 1000)


def test_the_level_does_not_depend_on_the_direction(filters: EarFilters) -> None:
    powers = [(filters.render(encode(NOISE, azimuth)) ** 2).mean() for azimuth in range(-180, 180, 30)]
    assert 10 * np.log10(max(powers) / min(powers)) < 4


def test_conventions_hold_the_same_sound() -> None:
    ambix = encode(NOISE[:50], 40, 20)
    w, y, z, x = ambix
    wanted = np.stack([w, x, y, z])
    assert np.allclose(to_wxyz(ambix, "ambix"), wanted)
    assert np.allclose(to_wxyz(np.stack([w / np.sqrt(2), x, y, z]), "fuma"), wanted)
    assert np.allclose(to_wxyz(np.stack([w, *(np.sqrt(3) * np.stack([y, z, x]))]), "n3d"), wanted)


def test_what_is_no_first_order_is_refused(head: Head) -> None:
    with pytest.raises(InputError, match="4 channels"):
        to_wxyz(np.zeros((2, 10)), "ambix")
    with pytest.raises(InputError, match="ambix, n3d, fuma"):
        to_wxyz(np.zeros((4, 10)), "b-format")  # type: ignore[arg-type]
    front = np.flatnonzero(head.directions[:, 0] > 0.5)
    half = finish_head("half", head.directions[front], head.hrirs[front].astype(float))
    with pytest.raises(InputError, match="measured all around"):
        ear_filters(half)
