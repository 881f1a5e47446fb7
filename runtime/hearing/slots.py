"""Which classes to locate now: causal allocation of classes to the Q slots of the spatial network.

A class takes a slot when it is probable. Slots that no class has taken scout: the spatial network is asked for the likeliest
of the other classes as well, so that it has heard a sound from its onset on by the time the class is probable. The onset
tells a direction best (precedence effect; Litovsky et al. 1999).

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
Bool = NDArray[np.bool_]


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
    scout_threshold : float
        A free slot scouts for a class whose average is over this, 0 to 1.
    scout_factor : float
        A class takes over a scouting slot when its average is so many times that of the class scouted for.
    """

    average_s: float = 0.25
    on_threshold: float = 0.35
    lone_total: float = 0.3
    off_threshold: float = 0.12
    hold_s: float = 1.5
    steal_margin: float = 0.15
    scout_threshold: float = 0.005
    scout_factor: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.off_threshold <= self.on_threshold <= 1.0:
            raise ValueError(f"thresholds {self.off_threshold}, {self.on_threshold} given, 0 <= off <= on <= 1 needed")
        if self.lone_total <= 0.0:
            raise ValueError("lone_total must be positive")
        if self.average_s <= 0.0 or self.hold_s < 0.0 or self.steal_margin < 0.0:
            raise ValueError("average_s must be positive, hold_s and steal_margin not negative")
        if self.scout_threshold < 0.0 or self.scout_factor < 1.0:
            raise ValueError("scout_threshold must not be negative, scout_factor at least 1")


@dataclass(frozen=True, eq=False)
class Allocation:
    """What the slots are asked for, in T frames.

    Attributes
    ----------
    asked : ndarray, int64 [T, 4]
        Class id that the spatial network is asked for, -1 for none.
    taken : ndarray, bool [T, 4]
        Whether that class has taken the slot; the other slots scout.
    keep : ndarray, float32 [T, 4]
        0 where the class asked for changed at this frame (the network forgets), else 1.
    likelihood : ndarray, float64 [T, 4]
        Averaged probability of the class asked for, 0 to 1.
    """

    asked: Int64
    taken: Bool
    keep: Float32
    likelihood: Float64

    @property
    def classes(self) -> Int64:
        """Class ids of the slots that are taken, -1 for the others, int64 [T, 4]."""
        return np.where(self.taken, self.asked, EMPTY)


class SlotAllocator:
    """Stage that keeps the classes of the slots; one per stream.

    A frame decides on the probabilities up to itself only (causal) and on nothing random.
    """

    latency_s = 0.0

    def __init__(self, settings: SlotSettings | None = None) -> None:
        self.settings = settings or SlotSettings()
        self._gain = gain_per_frame(self.settings.average_s)
        self._hold_frames = max(1, round(self.settings.hold_s / FRAME_S))
        self.reset()

    def reset(self) -> None:
        """Empty all slots and averages."""
        self._average: Float64 = np.zeros(CLASSES)
        self._asked: list[int] = [EMPTY] * SLOTS
        self._taken: list[bool] = [False] * SLOTS
        self._quiet_frames: list[int] = [0] * SLOTS

    def process(self, probabilities: ArrayLike) -> Allocation:
        """Take class probabilities and return who holds the slots.

        Parameters
        ----------
        probabilities : array [frames, 61]
            Sigmoid outputs of the semantic network, one row per encoder frame (40 ms).

        Raises
        ------
        ValueError
            If the rows do not have 61 entries.
        """
        averages = self._smooth(np.asarray(probabilities, np.float64))
        wanted = averages > self.settings.on_threshold
        likeliest = np.argsort(-averages, axis=1, kind="stable")[:, :SLOTS]
        lone = averages.sum(axis=1) > self.settings.lone_total
        before = np.array([self._asked], np.int64)
        asked = np.full((len(averages), SLOTS), EMPTY, np.int64)
        taken = np.zeros((len(averages), SLOTS), bool)
        for frame, average in enumerate(averages):
            self._release(average, int(likeliest[frame, 0]) if lone[frame] else EMPTY)
            if wanted[frame].any():
                self._take(average, np.flatnonzero(wanted[frame]))
            elif lone[frame] and not any(self._taken):
                self._take(average, likeliest[frame, :1])
            self._scout(average, likeliest[frame].tolist())
            asked[frame], taken[frame] = self._asked, self._taken
        changed = np.diff(np.concatenate([before, asked]), axis=0) != 0
        likelihood = np.where(asked != EMPTY, np.take_along_axis(averages, np.maximum(asked, 0), axis=1), 0.0)
        return Allocation(asked, taken, (~changed).astype(np.float32), likelihood)

    def flush(self) -> None:
        """Nothing is held back."""

    def _smooth(self, probabilities: Float64) -> Float64:
        """Running exponential averages, float64 [frames, 61]."""
        if probabilities.ndim != 2 or probabilities.shape[1] != CLASSES:
            raise ValueError(f"probabilities of shape {probabilities.shape} given, [frames, {CLASSES}] needed")
        averages = running_average(probabilities, self._gain, self._average)
        if len(averages):
            self._average = averages[-1]
        return averages

    def _release(self, average: Float64, doubtful: int) -> None:
        """Free the slots whose class has been quiet for the hold time; `doubtful` is the likeliest kind of a sound."""
        for slot, label in enumerate(self._asked):
            if not self._taken[slot]:
                continue
            quiet = average[label] < self.settings.off_threshold and label != doubtful
            self._quiet_frames[slot] = self._quiet_frames[slot] + 1 if quiet else 0
            if self._quiet_frames[slot] >= self._hold_frames:
                self._asked[slot], self._taken[slot] = EMPTY, False

    def _take(self, average: Float64, candidates: Int64) -> None:
        """Give slots to the candidates (class ids over the threshold) that have none, the strongest first."""
        holders = [label for label, taken in zip(self._asked, self._taken, strict=True) if taken]
        waiting = [int(label) for label in candidates if label not in holders]
        for label in sorted(waiting, key=lambda label: (-average[label], label)):
            slot = self._slot_for(average, label)
            if slot is None:
                return  # the next one is weaker still
            self._asked[slot], self._taken[slot] = label, True
            self._quiet_frames[slot] = 0

    def _slot_for(self, average: Float64, label: int) -> int | None:
        """The slot that scouts for the class, else the weakest scout; a taken one if it is weaker by the margin, else None."""
        if label in self._asked:
            return self._asked.index(label)
        free = [slot for slot in range(SLOTS) if not self._taken[slot]]
        slot = min(free or range(SLOTS), key=lambda slot: self._strength(average, slot))
        return slot if free or average[label] - average[self._asked[slot]] > self.settings.steal_margin else None

    def _scout(self, average: Float64, likeliest: list[int]) -> None:
        """Ask in the free slots for the likeliest classes that no other slot is asked for."""
        free = [slot for slot in range(SLOTS) if not self._taken[slot]]
        for slot in free:
            if self._strength(average, slot) < 0.5 * self.settings.scout_threshold:
                self._asked[slot] = EMPTY
        for label in likeliest:
            if not free or average[label] <= self.settings.scout_threshold:
                return
            if label in self._asked:
                continue
            slot = min(free, key=lambda slot: self._strength(average, slot))
            if average[label] > self.settings.scout_factor * self._strength(average, slot):
                self._asked[slot] = label

    def _strength(self, average: Float64, slot: int) -> float:
        """Averaged probability of the class a slot is asked for, 0 when it is asked for none."""
        return 0.0 if self._asked[slot] == EMPTY else float(average[self._asked[slot]])


def gain_per_frame(average_s: float) -> float:
    """Share of a new frame in an exponential average of this time constant, seconds."""
    return 1.0 - math.exp(-FRAME_S / average_s)


def running_average(probabilities: Float64, gain: float, start: Float64) -> Float64:
    """Exponential averages of class probabilities [frames, 61] after each frame, from a start [61] on: float64 [frames, 61]."""
    averages = np.empty_like(probabilities)
    average = start
    for frame, row in enumerate(probabilities):
        average = average + gain * (row - average)
        averages[frame] = average
    return averages


def allocate(probabilities: ArrayLike, settings: SlotSettings | None = None) -> Allocation:
    """Slots of a whole clip: a fresh `SlotAllocator` run over it.

    Parameters
    ----------
    probabilities : array [frames, 61]
        Class probabilities, 0 to 1, one row per 40 ms.
    settings : SlotSettings, optional
        Thresholds; the default is what the shipped networks are trained with.
    """
    return SlotAllocator(settings).process(probabilities)
