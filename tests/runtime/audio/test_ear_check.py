"""What is wrong with a pair of microphones is found from three seconds of sound, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.runtime.audio.ear_check import check_ears, check_rate, ear_delay_s, snap_side_db
from earshot.runtime.demo.head import ear_delays_s
from tests.runtime.audio.ears import RATE_HZ, healthy_ears

Ears = np.ndarray

AZIMUTHS_DEG = (-135.0, -90.0, -75.0, -40.0, 0.0, 30.0, 40.0, 90.0, 180.0)


def found(samples: Ears, snapped: bool = True) -> set[str]:
    findings = check_ears(np.asarray(samples, np.float32), snapped)
    assert all("\n" not in f.text and len(f.text) < 160 for f in findings)
    return {f.id for f in findings}


def scaled(left: float, right: float) -> Callable[[Ears], Ears]:
    return lambda ears: ears * np.array([[left], [right]])


def delayed(ears: Ears) -> Ears:
    return np.stack([ears[0], np.roll(ears[1], round(0.008 * RATE_HZ))])


def telephone(ears: Ears) -> Ears:
    return soxr.resample(soxr.resample(ears.T, RATE_HZ, 8_000), 8_000, RATE_HZ).T


FAULTS: dict[str, Callable[[Ears], Ears]] = {
    "silent": scaled(0.0, 0.0),
    "dead-left": scaled(0.0, 1.0),
    "dead-right": scaled(1.0, 1e-4),
    "identical-ears": lambda ears: np.stack([ears[0], 0.5 * ears[0]]),
    "gain-mismatch": scaled(1.0, 0.25),
    "polarity": scaled(1.0, -1.0),
    "delay": delayed,
    "clipping": lambda ears: np.clip(ears * 5.0 / np.abs(ears).max(), -1.0, 1.0),
    "dc-offset": lambda ears: ears + 0.1,
    "narrow-band": telephone,
    "swapped-ears": lambda ears: ears[::-1],
}


@pytest.mark.parametrize("azimuth_deg", AZIMUTHS_DEG)
def test_healthy_ears_have_no_finding_wherever_the_sound_is(azimuth_deg: float) -> None:
    assert found(healthy_ears(azimuth_deg)) == set()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("azimuth_deg", [-75.0, 30.0])
def test_every_fault_is_found_and_named(fault: str, azimuth_deg: float) -> None:
    assert found(FAULTS[fault](healthy_ears(azimuth_deg))) == {fault}


def test_two_faults_are_both_found() -> None:
    assert found(0.2 + scaled(1.0, -0.2)(healthy_ears())) == {"polarity", "gain-mismatch", "dc-offset"}


@settings(max_examples=12, deadline=None)
@given(azimuth_deg=st.sampled_from(AZIMUTHS_DEG), level=st.floats(0.05, 1.1), seed=st.integers(0, 50))
def test_no_finding_depends_on_the_level_and_swapping_the_ears_only_swaps_the_sides(
    azimuth_deg: float, level: float, seed: int
) -> None:
    ears = healthy_ears(azimuth_deg, seed=seed) * np.float32(level)
    assert found(ears) == set()
    assert found(ears[::-1]) == {"swapped-ears"}


def test_without_a_snap_the_sides_are_not_claimed() -> None:
    quiet = healthy_ears(snap_azimuth_deg=None)
    assert found(quiet) == {"side-unknown"}
    assert check_ears(quiet)[0].severity == "warning"
    assert found(quiet, snapped=False) == set()
    assert found(healthy_ears(0.0, snap_azimuth_deg=0.0)) == {"side-unknown"}


def test_a_quiet_room_through_good_microphones_is_no_fault() -> None:
    noise = 10 ** (-65 / 20) * np.random.default_rng(0).standard_normal((2, 3 * RATE_HZ))
    assert found(noise, snapped=False) == set()


@pytest.mark.parametrize("azimuth_deg", [-90.0, -40.0, 0.0, 40.0, 90.0])
def test_the_delay_is_that_of_the_head(azimuth_deg: float) -> None:
    left_s, right_s = ear_delays_s(azimuth_deg)
    measured_s = ear_delay_s(healthy_ears(azimuth_deg, snap_azimuth_deg=None))
    assert measured_s == pytest.approx(right_s - left_s, abs=1.01 / RATE_HZ)


def test_ears_that_share_nothing_have_no_delay_and_no_snap() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 3 * RATE_HZ)).astype(np.float32)
    assert ear_delay_s(noise) is None
    assert snap_side_db(noise) is None


@pytest.mark.parametrize("count", [1600, 2048, 4096, 16_000])
def test_short_pieces_are_judged_without_failing(count: int) -> None:
    check_ears(healthy_ears()[:, 20_000 : 20_000 + count])
    check_ears(np.zeros((2, count), np.float32))


def test_a_rate_that_is_not_what_it_says_is_found() -> None:
    assert check_rate(48_000, 47_700) == []
    (finding,) = check_rate(48_000, 44_100)
    assert finding.id == "rate"
    assert "44100" in finding.text
