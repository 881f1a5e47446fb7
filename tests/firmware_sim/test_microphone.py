"""The microphone and converter model does to the signal what its figures say."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.firmware_sim.faults import Fault, Kind, Schedule
from earshot.firmware_sim.microphone import Microphones
from earshot.firmware_sim.scenario import Device
from tests.runtime.audio.device import noise

SILENCE = np.zeros((2, 160_000), np.float32)


def through(x: np.ndarray, *faults: Fault, **device: object) -> np.ndarray:
    quiet = {"self_noise_db": -140.0, **device}
    return Microphones(Device.model_validate(quiet), Schedule(faults), 1).process(x, 1.0)


def test_self_noise_has_its_level_and_is_not_the_same_in_both_ears() -> None:
    y = through(SILENCE, self_noise_db=-60.0, bits=24)
    assert 20 * np.log10(y.std()) == pytest.approx(-60.0, abs=0.1)
    assert abs(np.corrcoef(y)[0, 1]) < 0.02


def test_gains_and_offsets_are_those_of_each_ear() -> None:
    x = noise(1.0)
    y = through(x, gain_db=(0.0, -6.0), dc=(0.01, 0.0), bits=24)
    assert 20 * np.log10(y[1].std() / x[1].std()) == pytest.approx(-6.0, abs=0.01)
    assert y[0].mean() - x[0].mean() == pytest.approx(0.01, abs=1e-5)


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_samples_stand_on_the_steps_of_the_converter(bits: int) -> None:
    steps = through(noise(0.1) * np.float32(0.777), bits=bits) * 2.0 ** (bits - 1)
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(steps).max() < 2 ** (bits - 1)


def test_sound_beyond_the_limit_is_clipped_and_counted() -> None:
    microphones = Microphones(Device(clip_level=0.2, self_noise_db=-140.0), Schedule(), 1)
    x = noise(0.5)
    assert np.abs(microphones.process(x, 0.0)).max() == pytest.approx(0.2, abs=1e-4)
    assert microphones.clipped == np.count_nonzero(np.abs(x) > 0.2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("swapped", (1, 0)), ("same_ear", (0, 0)), ("dead_left", (None, 1)), ("dead_right", (0, None))],
)
def test_broken_ears(kind: Kind, expected: tuple[int | None, int | None]) -> None:
    x = noise(0.1)
    y = through(x, Fault(kind, 0.0, 2.0))
    for ear, heard in enumerate(expected):
        wanted = np.zeros(x.shape[1]) if heard is None else x[heard]
        assert np.allclose(y[ear], wanted, atol=2 / 32_768)


def test_reset_equals_fresh_microphones() -> None:
    microphones = Microphones(Device(), Schedule(), 7)
    first = microphones.process(SILENCE, 0.0)
    microphones.reset()
    assert np.array_equal(microphones.process(SILENCE, 0.0), first)
