"""What can go wrong with a hearable, and when: one schedule, written down or drawn from a seed.

Nothing is done here; the microphone, the device and the radio look up what holds at their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Kind = Literal[
    "loss",
    "jitter",
    "reorder",
    "duplicate",
    "bit_errors",
    "reboot",
    "stall",
    "drift",
    "rate_mismatch",
    "dead_left",
    "dead_right",
    "swapped",
    "same_ear",
    "low_battery",
    "hot",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class KindInfo:
    """How strong a fault may be.

    Attributes
    ----------
    meaning : str
        Of the value, with its unit; empty when there is none.
    low, high : float
        Range that a scenario may ask for.
    usual : float
        Without a value.
    drawn : tuple of float
        Range that random faults are drawn from.
    lasts_s : tuple of float
        Range of their duration in seconds.
    """

    meaning: str
    low: float
    high: float
    usual: float
    drawn: tuple[float, float]
    lasts_s: tuple[float, float]


KIND_INFO: dict[Kind, KindInfo] = {
    "loss": KindInfo("share of packets lost, in bursts of five", 0, 1, 0.2, (0.05, 0.5), (2, 10)),
    "jitter": KindInfo("mean extra delay, ms", 0, 2000, 30, (10, 80), (5, 20)),
    "reorder": KindInfo("share of packets that are overtaken", 0, 1, 0.1, (0.05, 0.3), (2, 10)),
    "duplicate": KindInfo("share of packets that come twice", 0, 1, 0.1, (0.05, 0.3), (2, 10)),
    "bit_errors": KindInfo("share of packets with a flipped bit", 0, 1, 0.1, (0.02, 0.3), (2, 10)),
    "reboot": KindInfo("seconds without a device", 0, 60, 3, (1, 5), (0, 0)),
    "stall": KindInfo("", 0, 0, 0, (0, 0), (1, 5)),
    "drift": KindInfo("clock error, ppm, positive = fast", -1000, 1000, 200, (-200, 200), (120, 300)),
    "rate_mismatch": KindInfo("true rate re the declared one", 0.5, 2, 0.98, (0.96, 1.04), (30, 60)),
    "dead_left": KindInfo("", 0, 0, 0, (0, 0), (5, 15)),
    "dead_right": KindInfo("", 0, 0, 0, (0, 0), (5, 15)),
    "swapped": KindInfo("", 0, 0, 0, (0, 0), (10, 30)),
    "same_ear": KindInfo("", 0, 0, 0, (0, 0), (5, 15)),
    "low_battery": KindInfo("battery, percent", 0, 100, 8, (3, 14), (10, 30)),
    "hot": KindInfo("temperature, degrees Celsius; from 60 on frames are left out", 0, 125, 65, (55, 70), (10, 30)),
}
LONGEST_STALL_S = 60.0


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong for a while.

    Attributes
    ----------
    kind : Kind
    start_s, end_s : float
        True time since the start of the scenario.
    value : float
        See `KIND_INFO`.
    """

    kind: Kind
    start_s: float
    end_s: float
    value: float = 0.0


class Schedule:
    """All faults of a scenario.

    Parameters
    ----------
    faults : iterable of Fault
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.start_s))

    def value(self, kind: Kind, time_s: float) -> float | None:
        """Value of the latest fault of a kind that holds; None when none does."""
        found = [f.value for f in self.faults if f.kind == kind and f.start_s <= time_s < f.end_s]
        return found[-1] if found else None

    def holds(self, kind: Kind, time_s: float) -> bool:
        """Whether a fault of a kind holds."""
        return self.value(kind, time_s) is not None

    def starting(self, kind: Kind, from_s: float, to_s: float) -> Fault | None:
        """First fault of a kind that begins in [from_s, to_s)."""
        return next((f for f in self.faults if f.kind == kind and from_s <= f.start_s < to_s), None)

    def end_of(self, kind: Kind, time_s: float) -> float:
        """When the faults of a kind that hold are over; `time_s` when none holds."""
        return max((f.end_s for f in self.faults if f.kind == kind and f.start_s <= time_s < f.end_s), default=time_s)


def draw_faults(seed: int, duration_s: float, per_hour: float, kinds: Sequence[Kind] = KINDS) -> list[Fault]:
    """Faults at random times (a Poisson process), of random kind, strength and length.

    Parameters
    ----------
    seed : int
        The same seed gives the same faults.
    duration_s : float
        Of the scenario; every fault ends before its end.
    per_hour : float
        Mean number of faults.
    kinds : sequence of Kind
    """
    rng = np.random.default_rng([seed, 0xFA17])
    faults: list[Fault] = []
    for _ in range(int(rng.poisson(per_hour * duration_s / 3600))):
        kind = kinds[int(rng.integers(len(kinds)))]
        info = KIND_INFO[kind]
        length_s = float(min(rng.uniform(*info.lasts_s), 0.5 * duration_s))
        start_s = float(rng.uniform(0.0, max(0.0, duration_s - length_s - 1.0)))
        faults.append(Fault(kind, start_s, start_s + length_s, float(rng.uniform(*info.drawn))))
    return faults
