"""Which classes to locate now: causal allocation of classes to the Q slots of the spatial network.

The same code builds the training features and runs live, so the network meets in use what it learned with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earshot.runtime.hearing.features import FRAME_S

SLOTS = 4
CLASSES = 61
EMPTY = -1

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class SlotSettings:
    """When a class takes a slot and when it loses it.

    Attributes
    ----------
    average_s : float
        Time constant of the exponential average of each class probability, seconds.
    on_threshold : float
        A class takes a slot when its average rises over this, 0 to 1.
    lone_total : float
        While no slot is taken, the most probable class takes one when the averages of all classes add up to this: the
        sum is the expected number of sounds, and a sound whose kind is doubtful still has a direction.
    off_threshold : float
        A slot is given up when the average of its class stays under this, 0 to `on_threshold`. The most probable class
        of a doubtful sound keeps its slot.
    hold_s : float
        ... for this long, seconds: a dog that barks every second keeps its slot.
    steal_margin : float
        With all slots taken, a class replaces the weakest one only if its average is higher by this.
    """

    average_s: float = 0.25
    on_threshold: float = 0.35
    lone_total: float = 0.3
    off_threshold: float = 0.12
    hold_s: float = 1.5
    steal_margin: float = 0.15

    def __post_init__(self) -> None:
        if not 0.0 <= self.off_threshold <= self.on_threshold <= 1.0:
            raise ValueError(f"thresholds {self.off_threshold}, {self.on_threshold} given, 0 <= off <= on <= 1 needed")
        if self.lone_total <= 0.0:
            raise ValueError("lone_total must be positive")
        if self.average_s <= 0.0 or self.hold_s < 0.0 or self.steal_margin < 0.0:
            raise ValueError("average_s must be positive, hold_s and steal_margin not negative")


class SlotAllocator:
    """Stage that keeps the classes of the slots; one per stream.

    A frame decides on the probabilities up to itself only (causal) and on nothing random.
    """

    latency_s = 0.0

    def __init__(self, settings: SlotSettings | None = None) -> None:
        self.settings = settings or SlotSettings()
        self._gain = 1.0 - math.exp(-FRAME_S / self.settings.average_s)
        self._hold_frames = max(1, round(self.settings.hold_s / FRAME_S))
        self.reset()

    def reset(self) -> None:
        """Empty all slots and averages."""
        self._average: Float64 = np.zeros(CLASSES)
        self._held: list[int] = [EMPTY] * SLOTS
        self._quiet_frames: list[int] = [0] * SLOTS

    def process(self, probabilities: ArrayLike) -> tuple[Int64, Float32]:
        """Take class probabilities and return who holds the slots.

        Parameters
        ----------
        probabilities : array [frames, 61]
            Sigmoid outputs of the semantic network, one row per encoder frame (40 ms).

        Returns
        -------
        classes : ndarray, int64 [frames, 4]
            Class id of each slot, -1 when empty.
        keep : ndarray, float32 [frames, 4]
            0 where the class of the slot changed at this frame (the network forgets), else 1.

        Raises
        ------
        ValueError
            If the rows do not have 61 entries.
        """
        averages = self._smooth(np.asarray(probabilities, np.float64))
        wanted = averages > self.settings.on_threshold
        strongest = averages.argmax(axis=1)
        lone = averages.sum(axis=1) > self.settings.lone_total
        before = np.array([self._held], np.int64)
        classes = np.full((len(averages), SLOTS), EMPTY, np.int64)
        for frame, average in enumerate(averages):
            self._release(average, int(strongest[frame]) if lone[frame] else EMPTY)
            if wanted[frame].any():
                self._take(average, np.flatnonzero(wanted[frame]))
            elif lone[frame] and all(label == EMPTY for label in self._held):
                self._take(average, strongest[frame : frame + 1])
            classes[frame] = self._held
        changed = np.diff(np.concatenate([before, classes]), axis=0) != 0
        return classes, (~changed).astype(np.float32)

    def flush(self) -> None:
        """Nothing is held back."""

    def _smooth(self, probabilities: Float64) -> Float64:
        """Running exponential averages, float64 [frames, 61]."""
        if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES:
            raise ValueError(f"probabilities of shape {probabilities.shape} given, [frames, {CLASSES}] needed")
        averages = np.empty_like(probabilities)
        average = self._average
        for frame, row in enumerate(probabilities):
            average = average + self._gain * (row - average)
            averages[frame] = average
        self._average = average
        return averages

    def _release(self, average: Float64, doubtful: int) -> None:
        """Free the slots whose class has been quiet for the hold time; `doubtful` is the likeliest kind of a sound."""
        for slot, label in enumerate(self._held):
            if label == EMPTY:
                continue
            quiet = average[label] < self.settings.off_threshold and label != doubtful
            self._quiet_frames[slot] = self._quiet_frames[slot] + 1 if quiet else 0
            if self._quiet_frames[slot] >= self._hold_frames:
                self._held[slot] = EMPTY

    def _take(self, average: Float64, candidates: Int64) -> None:
        """Give slots to the candidates (class ids over the threshold) that have none, the strongest first."""
        waiting = [int(label) for label in candidates if label not in self._held]
        for label in sorted(waiting, key=lambda label: (-average[label], label)):
            slot = self._slot_for(average, label)
            if slot is None:
                return  # the next one is weaker still
            self._held[slot] = label
            self._quiet_frames[slot] = 0

    def _slot_for(self, average: Float64, label: int) -> int | None:
        """The first free slot, else the weakest one if it is weaker by the margin, else None."""
        if EMPTY in self._held:
            return self._held.index(EMPTY)
        slot = min(range(SLOTS), key=lambda slot: average[self._held[slot]])
        return slot if average[label] - average[self._held[slot]] > self.settings.steal_margin else None


def allocate(probabilities: ArrayLike, settings: SlotSettings | None = None) -> tuple[Int64, Float32]:
    """Slots of a whole clip: a fresh `SlotAllocator` run over it.

    Parameters
    ----------
    probabilities : array [frames, 61]
        Class probabilities, 0 to 1, one row per 40 ms.
    settings : SlotSettings, optional
        Thresholds; the default is what the shipped networks are trained with.

    Returns
    -------
    classes : ndarray, int64 [frames, 4]
    keep : ndarray, float32 [frames, 4]
    """
    return SlotAllocator(settings).process(probabilities)
