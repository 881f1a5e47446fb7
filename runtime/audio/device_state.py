"""What a device says about itself along with its sound: pose of the head, battery, temperature, faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from earshot.runtime.audio.packets import UNKNOWN_BATTERY, Flags, Header, Hello, Status
from earshot.runtime.audio.reporting import Reporter
from earshot.runtime.geometry import wrap_deg

LOW_BATTERY_PERCENT = 15
HOT_C = 50.0
WEAK_RADIO_DBM = -85
_RECOVERY_PERCENT, _RECOVERY_C, _RECOVERY_DBM = 5, 3.0, 5
"""A finding is said again only after the figure was this much better meanwhile."""
_FAULTS = {1: "left microphone", 2: "right microphone", 4: "motion sensor", 8: "clock"}


@dataclass(frozen=True)
class HeadPose:
    """Where the head looked.

    Attributes
    ----------
    time_s : float
        Stream time.
    yaw_deg, pitch_deg, roll_deg : float
        Positive = turned left, looking up, right ear down.
    """

    time_s: float
    yaw_deg: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


def yaw_among(poses: Sequence[HeadPose], time_s: float, lasts_s: float) -> float | None:
    """Yaw at a time, degrees in (-180, 180], positive = left; None when no pose was near enough.

    Parameters
    ----------
    poses : sequence of HeadPose
        In order of time. Between two the shorter way round is taken; what is newer than the last has its yaw.
    time_s : float
        On the clock of the poses.
    lasts_s : float
        A pose holds for so long, seconds.
    """
    after = None
    for index in range(len(poses) - 1, -1, -1):
        pose = poses[index]
        if pose.time_s > time_s:
            after = pose
            continue
        if time_s - pose.time_s > lasts_s:
            return None
        if after is None or after.time_s <= pose.time_s:
            return float(wrap_deg(pose.yaw_deg))
        share = (time_s - pose.time_s) / (after.time_s - pose.time_s)
        return float(wrap_deg(pose.yaw_deg + share * wrap_deg(after.yaw_deg - pose.yaw_deg)))
    return None


@dataclass(frozen=True)
class DeviceState:
    """Latest known state; None where the device has not said.

    Attributes
    ----------
    name : str or None
    battery_percent : int or None
    charging : bool
    temperature_c : float or None
    status : Status or None
        The latest status packet.
    """

    name: str | None = None
    battery_percent: int | None = None
    charging: bool = False
    temperature_c: float | None = None
    status: Status | None = None


class DeviceWatch:
    """Stage: headers, hellos and status packets in; the state, and findings when something is wrong with it.

    Parameters
    ----------
    reporter : Reporter
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.reset()

    def reset(self) -> None:
        """Forget the device; equals a fresh object."""
        self.state = DeviceState()
        self._wrong: set[str] = set()
        self._faults = 0

    def header(self, header: Header, now_s: float, stream_s: float) -> None:
        """Take what every packet tells."""
        battery = None if header.battery_percent == UNKNOWN_BATTERY else header.battery_percent
        charging = bool(header.flags & Flags.CHARGING)
        self.state = replace(self.state, battery_percent=battery, charging=charging, temperature_c=header.temperature_c)
        if battery is not None:
            low, fine = battery <= LOW_BATTERY_PERCENT, charging or battery > LOW_BATTERY_PERCENT + _RECOVERY_PERCENT
            self._watch("low-battery", low and not charging, fine, now_s, stream_s, percent=battery)
        heat_c = header.temperature_c
        if heat_c is not None:
            self._watch("hot", heat_c >= HOT_C, heat_c < HOT_C - _RECOVERY_C, now_s, stream_s, celsius=heat_c)

    def hello(self, hello: Hello) -> None:
        """Take the device's name."""
        self.state = replace(self.state, name=hello.name)

    def status(self, status: Status, now_s: float, stream_s: float) -> None:
        """Take a report."""
        self.state = replace(self.state, status=status)
        new, self._faults = status.faults & ~self._faults, status.faults
        names = [name for bit, name in _FAULTS.items() if new & bit]
        if names:
            self._reporter.say("device-fault", now_s, stream_s, what=", ".join(names))
        dbm = status.rssi_dbm
        weak, fine = dbm <= WEAK_RADIO_DBM, dbm > WEAK_RADIO_DBM + _RECOVERY_DBM
        self._watch("weak-radio", weak, fine, now_s, stream_s, dbm=dbm)

    def _watch(self, id_: str, wrong: bool, fine: bool, now_s: float, stream_s: float, **values: Any) -> None:
        """Say it when it becomes wrong, and not again before it was fine."""
        if wrong and id_ not in self._wrong:
            self._wrong.add(id_)
            self._reporter.say(id_, now_s, stream_s, **values)
        elif fine:
            self._wrong.discard(id_)
