"""Reading azimuth posteriors: direction, spread, front against back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.runtime.geometry import angle_between_azimuths
from earshot.runtime.hearing.posterior import (
    bin_centres_deg,
    front_back_ambiguous,
    lobe_azimuth_deg,
    spread_deg,
)
from tests.runtime.hearing.frames import lobe


def test_bins_are_those_of_the_architecture_page() -> None:
    assert bin_centres_deg()[0] == -175.0
    assert bin_centres_deg()[35] == 175.0


@given(st.floats(-179.9, 180.0))
def test_a_lobe_is_read_to_a_fraction_of_a_bin(azimuth_deg: float) -> None:
    assert angle_between_azimuths(lobe_azimuth_deg(lobe(azimuth_deg)), azimuth_deg) < 1.0


@given(st.floats(-179.0, 179.0), st.floats(5.0, 40.0))
def test_mirrored_posterior_gives_the_mirrored_direction(azimuth_deg: float, width_deg: float) -> None:
    posterior = lobe(azimuth_deg, width_deg).astype(np.float64)
    mirrored = lobe_azimuth_deg(posterior[::-1])
    assert angle_between_azimuths(mirrored, -lobe_azimuth_deg(posterior)) < 1e-6 or _has_tie(posterior)


def _has_tie(posterior: np.ndarray) -> bool:
    """Two bins share the maximum: which one is the peak is a matter of order."""
    top = np.sort(posterior)[-2:]
    return bool(np.isclose(top[0], top[1], rtol=1e-6))


def test_the_mean_is_of_the_peak_and_not_of_a_far_second_lobe() -> None:
    posterior = 0.6 * lobe(40.0) + 0.4 * lobe(140.0)
    assert lobe_azimuth_deg(posterior) == pytest.approx(40.0, abs=2.0)


def test_spread_grows_with_the_width_from_zero_to_no_idea() -> None:
    certain = np.eye(36)[10]
    assert spread_deg(certain) == pytest.approx(0.0, abs=1e-3)
    assert spread_deg(lobe(0.0, 15.0)) == pytest.approx(15.0, abs=1.0)
    assert spread_deg(np.full(36, 1 / 36)) == 180.0


def test_front_and_back_are_confused_when_the_mirrored_lobe_is_a_rival() -> None:
    assert front_back_ambiguous(0.7 * lobe(30.0) + 0.3 * lobe(150.0))
    assert not front_back_ambiguous(0.8 * lobe(30.0) + 0.2 * lobe(150.0))
    assert not front_back_ambiguous(0.7 * lobe(30.0) + 0.3 * lobe(-30.0)), "left and right is another matter"
    assert not front_back_ambiguous(lobe(90.0, 20.0)), "on the ear axis both lobes are one"
