"""What microphones and converter make of the sound at the ears, and how they fail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earshot.firmware_sim.faults import Schedule
from earshot.firmware_sim.scenario import Device

Samples = NDArray[np.float32]


class Microphones:
    """Stage: sound at the ears in, what the converter gives out; float32 [2, n], full scale 1.

    Noise of the capsules and gains come before the limit of the converter, as in a real one; a broken or
    wrongly wired ear comes last.

    Parameters
    ----------
    device : Device
    schedule : Schedule
    seed : int
    """

    def __init__(self, device: Device, schedule: Schedule, seed: int) -> None:
        self._device, self._schedule, self._seed = device, schedule, seed
        self._gain = 10 ** (np.array(device.gain_db)[:, None] / 20)
        self._dc = np.array(device.dc)[:, None]
        self._noise = 10 ** (device.self_noise_db / 20)
        self.reset()

    def reset(self) -> None:
        """Back to the first sample; equals a fresh object."""
        self._rng = np.random.default_rng([self._seed, 0x41C])
        self.clipped = 0

    def process(self, samples: Samples, time_s: float) -> Samples:
        """Take the next block, heard at `time_s`."""
        noise = self._noise * self._rng.standard_normal(samples.shape)
        electric = (samples + noise) * self._gain + self._dc
        limit = self._device.clip_level
        self.clipped += int(np.count_nonzero(np.abs(electric) > limit))
        steps = 2.0 ** (self._device.bits - 1)
        digital = np.clip(np.rint(np.clip(electric, -limit, limit) * steps), -steps, steps - 1) / steps
        return self._broken(digital.astype(np.float32), time_s)

    def _broken(self, samples: Samples, time_s: float) -> Samples:
        holds = self._schedule.holds
        if holds("same_ear", time_s):
            samples = np.stack([samples[0], samples[0]])
        if holds("swapped", time_s):
            samples = samples[::-1].copy()
        dead = [holds("dead_left", time_s), holds("dead_right", time_s)]
        samples[dead] = 0.0
        return samples
