"""The near field: the level difference that a close source makes, by theory and as measured on a dummy head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earshot.training.synthesis.heads import SAMPLE_RATE_HZ, load_sofa
from earshot.training.synthesis.near_field import NEAR_M, REFERENCE_M, near_filters, sphere_pressure

FREQUENCY_HZ = np.array([300.0, 1000.0, 3000.0])


def gain_db(incidence_deg: float, distance_m: float) -> np.ndarray:
    taps = near_filters(np.array([np.deg2rad(incidence_deg)]), np.array([distance_m]))[0]
    turns = np.exp(-2j * np.pi * np.outer(FREQUENCY_HZ, np.arange(len(taps))) / SAMPLE_RATE_HZ)
    return np.asarray(20 * np.log10(np.abs(turns @ taps)))


@pytest.mark.parametrize("incidence_deg", [0, 60, 90, 120, 180])
@pytest.mark.parametrize("distance_m", [0.25, 0.5])
def test_filters_follow_the_sphere(incidence_deg: float, distance_m: float) -> None:
    angle = np.array([np.deg2rad(incidence_deg)])
    near, far = sphere_pressure(FREQUENCY_HZ, angle, np.array([distance_m, REFERENCE_M]))[:, 0]
    # The grid of distances has steps of 9 percent.
    assert gain_db(incidence_deg, distance_m) == pytest.approx(20 * np.log10(near / far), abs=0.8)


def test_the_near_ear_gains_and_the_far_ear_loses_most_at_low_frequencies() -> None:
    # Brungart & Rabinowitz (JASA 106, 1999): for a lateral source at 0.25 m the low-frequency level difference is 5-10 dB more.
    added = gain_db(0, 0.25) - gain_db(180, 0.25)
    assert 5 < added[0] < 14
    assert (gain_db(0, 0.25) - gain_db(180, 0.25))[0] > (gain_db(0, 0.5) - gain_db(180, 0.5))[0] > 1


def test_beyond_a_metre_nothing_changes() -> None:
    assert np.array_equal(near_filters(np.array([0.3, 2.0]), np.array([NEAR_M, 7.0]))[:, 0], [1.0, 1.0])
    assert not near_filters(np.array([0.3, 2.0]), np.array([NEAR_M, 7.0]))[:, 1:].any()


@pytest.mark.shared_data
@pytest.mark.parametrize("azimuth_deg", [45, 90])
def test_a_measured_dummy_head_gains_the_level_difference_that_the_filters_give(
    shared_data: Path, azimuth_deg: int
) -> None:
    angle = np.deg2rad(azimuth_deg)
    direction = np.array([[np.cos(angle), np.sin(angle), 0]], np.float32)
    level_db = []
    for name in ("NF025", "NF150"):
        measured = load_sofa(shared_data / "hrtf" / f"KU100_HRIR_CIRC360_{name}.sofa")
        spectra = np.abs(np.fft.rfft(measured.hrirs[measured.nearest(direction)[0]], 1024)) ** 2
        bands = [
            slice(round(f * 0.8 * 1024 / SAMPLE_RATE_HZ), round(f * 1.25 * 1024 / SAMPLE_RATE_HZ)) for f in FREQUENCY_HZ
        ]
        level_db.append([10 * np.log10(spectra[0, b].sum() / spectra[1, b].sum()) for b in bands])
    measured_db = np.subtract(*level_db)
    wanted_db = gain_db(90 - azimuth_deg, 0.25) - gain_db(90 + azimuth_deg, 0.25)
    # Right opposite the source the high frequencies of a sphere meet in a bright spot, which a head with a nose lacks.
    compared = slice(2 if azimuth_deg == 90 else 3)
    assert measured_db[compared] == pytest.approx(wanted_db[compared], abs=3.0)
