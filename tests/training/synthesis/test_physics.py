"""Physics of heads and rooms against theory: the sphere, the reverberation time, the distance law.

Theory of the sphere: R. O. Duda and W. L. Martens, "Range dependence of the response of a spherical head model", JASA 104
(1998), eq. 1; high-frequency delays after R. S. Woodworth, "Experimental Psychology" (1938).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, SPEED_OF_SOUND_M_S, Head, parametric_head
from earshot.training.synthesis.rooms import BAND_DELAY_SAMPLES, Shoebox, free_field_ir, shoebox_brir

SEEDS = (1, 4)
SIZE = 1024


def head_of(seed: int) -> tuple[Head, float]:
    """A parametric head and its radius (the first number that its generator draws)."""
    radius_m = float(np.random.default_rng(seed).uniform(0.078, 0.098))
    return parametric_head(np.random.default_rng(seed), "sphere"), radius_m


HEADS = {seed: head_of(seed) for seed in SEEDS}


def spectra(head: Head, azimuth_deg: float) -> tuple[np.ndarray, float]:
    """Spectra of both ears [2, bins] for the grid direction nearest to an azimuth, and its lateral angle in radians."""
    angle = np.deg2rad(azimuth_deg)
    index = head.nearest(np.array([[np.cos(angle), np.sin(angle), 0]], np.float32))[0]
    return np.fft.rfft(head.hrirs[index], SIZE), float(np.arcsin(head.directions[index, 1]))


def sphere(frequency_hz: np.ndarray, incidence: float, radius_m: float, distance: float = 100.0) -> np.ndarray:
    """Pressure at a rigid sphere over that at its centre without it (Duda & Martens 1998), exp(-i w t) conjugated."""
    mu = 2 * np.pi * frequency_hz * radius_m / SPEED_OF_SOUND_M_S
    order = np.arange(60)[:, None]

    def hankel(x: np.ndarray, derivative: bool) -> np.ndarray:
        return spherical_jn(order, x, derivative) - 1j * spherical_yn(order, x, derivative)

    with np.errstate(all="ignore"):
        terms = (
            (2 * order + 1) * eval_legendre(order, np.cos(incidence)) * hankel(mu * distance, False) / hankel(mu, True)
        )
    return -(distance / mu) * np.exp(1j * mu * distance) * np.where(np.isfinite(terms), terms, 0).sum(axis=0)


def sphere_ears(frequency_hz: np.ndarray, lateral: float, radius_m: float) -> np.ndarray:
    return np.stack([sphere(frequency_hz, np.arccos(side * np.sin(lateral)), radius_m) for side in (1, -1)])


def test_the_theory_itself_is_right_where_it_is_known() -> None:
    # Kuhn (1977): at low frequencies the delay is 3 r/c sin(theta), half as long again as the path in free space.
    left, right = sphere_ears(np.array([100.0]), np.pi / 6, 0.09)
    delay = np.angle(left / right)[0] / (2 * np.pi * 100.0)
    assert delay == pytest.approx(3 * 0.09 / SPEED_OF_SOUND_M_S * 0.5, rel=0.02)
    # At high frequencies pressure doubles at the side of the source.
    assert np.abs(sphere(np.array([10_000.0]), 0.0, 0.09))[0] == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("azimuth_deg", [-90, -30, 15, 30, 45, 60, 90, 120, 150])
def test_high_frequencies_have_the_delay_of_woodworth(seed: int, azimuth_deg: int) -> None:
    head, radius_m = HEADS[seed]
    (left, right), lateral = spectra(head, azimuth_deg)
    frequency, fine = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE_HZ), 16
    cross = left * np.conj(right)
    band = (frequency > 2500) & (frequency < 7500)
    correlation = np.fft.irfft(np.where(band, cross / np.abs(cross), 0), SIZE * fine)
    lags = np.arange(-fine * 16, fine * 16 + 1)
    measured = -lags[np.argmax(correlation[lags])] / (SAMPLE_RATE_HZ * fine)
    wanted = radius_m / SPEED_OF_SOUND_M_S * (lateral + np.sin(lateral))
    # In the deepest shadow about 30 microseconds of the filter's low-frequency delay are left.
    assert measured == pytest.approx(wanted, abs=35e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("azimuth_deg", [15, 30, 45, 60, 90, 120, 150])
def test_low_frequencies_have_the_delay_of_the_sphere(seed: int, azimuth_deg: int) -> None:
    head, radius_m = HEADS[seed]
    (left, right), lateral = spectra(head, azimuth_deg)
    bins = np.array([16, 24, 32])  # 250, 375, 500 Hz
    frequency = bins * SAMPLE_RATE_HZ / SIZE
    one, other = sphere_ears(frequency, lateral, radius_m)
    measured, wanted = (np.angle(x) / (2 * np.pi * frequency) for x in ((left / right)[bins], one / other))
    assert measured == pytest.approx(wanted, rel=0.15)


OCTAVES_HZ = np.array([500.0, 1000.0, 2000.0, 4000.0])


def levels_db(power: np.ndarray, frequency_hz: np.ndarray) -> np.ndarray:
    """Level difference left minus right of power spectra [2, F] in octaves, dB."""
    edges = [(c / np.sqrt(2), c * np.sqrt(2)) for c in OCTAVES_HZ]
    bands = [power[:, (frequency_hz >= low) & (frequency_hz < high)].mean(axis=1) for low, high in edges]
    return np.array([10 * np.log10(left / right) for left, right in bands])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("azimuth_deg", [15, 30, 45, 60, 90, 120, 150])
def test_level_differences_follow_the_sphere(seed: int, azimuth_deg: int) -> None:
    head, radius_m = HEADS[seed]
    ears, lateral = spectra(head, azimuth_deg)
    frequency = np.fft.rfftfreq(SIZE, 1 / SAMPLE_RATE_HZ)
    grid = frequency[(frequency > 340) & (frequency < 5700)]
    wanted = levels_db(np.abs(sphere_ears(grid, lateral, radius_m)) ** 2, grid)
    measured = levels_db(np.abs(ears) ** 2, frequency)
    # One pole and one zero know no diffraction: they follow its mean to 3 dB up to 1 kHz, to 6 dB above; right opposite
    # the far ear, where waves around all sides meet, they have a third of the bright spot.
    assert measured == pytest.approx(wanted, abs=9.0 if azimuth_deg == 90 else 6.0)
    assert measured[:2] == pytest.approx(wanted[:2], abs=3.0)


def test_the_far_ear_hears_a_bright_spot_opposite_the_source() -> None:
    # Sound that goes around both sides of a sphere meets opposite the source: the far ear is louder there than around.
    head, _ = HEADS[1]
    opposite, around = (spectra(head, azimuth)[0][1] for azimuth in (90, 65))
    high = slice(SIZE * 2000 // SAMPLE_RATE_HZ, SIZE * 6000 // SAMPLE_RATE_HZ)
    assert (np.abs(opposite[high]) ** 2).sum() > (np.abs(around[high]) ** 2).sum()


def reverberation_time_s(response: np.ndarray) -> float:
    """T20: Schroeder's backward integral, a line from -5 to -25 dB (ISO 3382-1)."""
    energy = np.cumsum((response**2)[::-1])[::-1]
    level_db = 10 * np.log10(energy / energy[0] + 1e-14)
    begin, end = np.argmax(level_db < -5), np.argmax(level_db < -25)
    slope = np.polyfit(np.arange(begin, end) / SAMPLE_RATE_HZ, level_db[begin:end], 1)[0]
    return float(-60 / slope)


def direction(azimuth_deg: float) -> np.ndarray:
    angle = np.deg2rad(azimuth_deg)
    return np.array([np.cos(angle), np.sin(angle), 0], np.float32)


ROOMS = {
    "bedroom": ((3.0, 3.5, 2.4), (1.2, 1.5, 1.3)),
    "living room": ((6.0, 5.0, 3.0), (3.0, 2.0, 1.5)),
    "hall": ((10.0, 8.0, 3.5), (4.0, 3.0, 1.6)),
}


@pytest.mark.parametrize("t60_s", [0.25, 0.6, 1.4])
@pytest.mark.parametrize("name", ROOMS)
def test_rooms_have_their_reverberation_time_within_ten_percent(name: str, t60_s: float) -> None:
    size, listener = ROOMS[name]
    response = shoebox_brir(
        Shoebox(size, (t60_s,) * 3, listener, 30.0), HEADS[1][0], direction(30), 1.0, np.random.default_rng(0)
    )
    assert np.mean([reverberation_time_s(ear) for ear in response]) == pytest.approx(t60_s, rel=0.1)


def test_every_band_has_its_own_reverberation_time() -> None:
    wanted = (0.9, 0.6, 0.35)
    room = Shoebox((6.0, 5.0, 3.0), wanted, (3.0, 2.0, 1.5), 0.0)
    response = shoebox_brir(room, HEADS[1][0], direction(30), 1.5, np.random.default_rng(0))
    spectrum, frequency = np.fft.rfft(response, 32_768), np.fft.rfftfreq(32_768, 1 / SAMPLE_RATE_HZ)
    # Well inside the bands, whose edges are at 700 and 2800 Hz.
    for t60_s, (low, high) in zip(wanted, ((100, 500), (900, 2000), (3600, 7500)), strict=True):
        inside = np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)))[:, : response.shape[1]]
        assert np.mean([reverberation_time_s(ear) for ear in inside]) == pytest.approx(t60_s, rel=0.12), (low, high)


def test_free_field_level_falls_with_distance_and_arrival_is_later() -> None:
    distances = np.array([0.3, 0.5, 1.0, 2.0, 4.0, 8.0])
    responses = [free_field_ir(HEADS[1][0], direction(40), float(d)) for d in distances]
    level_db = [10 * np.log10((response**2).sum()) for response in responses]
    assert level_db == pytest.approx(level_db[2] - 20 * np.log10(distances), abs=0.05)
    peaks = [int(np.argmax(np.abs(response).max(axis=0))) for response in responses]
    travel = distances / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ
    assert np.ptp(np.array(peaks) - travel) <= 1.0
    assert peaks[0] - travel[0] >= BAND_DELAY_SAMPLES


def test_in_a_room_the_direct_sound_obeys_the_same_law() -> None:
    room = Shoebox((10.0, 8.0, 3.5), (0.4,) * 3, (2.0, 4.0, 1.6), 0.0)
    level_db = []
    for distance_m in (1.0, 2.0, 4.0):
        response = shoebox_brir(room, HEADS[1][0], direction(0), distance_m, np.random.default_rng(0))
        arrival = int(distance_m / SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ)
        direct = response[:, arrival : arrival + BAND_DELAY_SAMPLES + 30]  # before the floor answers
        level_db.append(10 * np.log10((direct**2).sum()))
    assert np.diff(level_db) == pytest.approx([-6.02, -6.02], abs=0.1)
