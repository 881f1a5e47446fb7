"""What became of each fault of a long bad day: was it told, did the tracks come back, would they have been there without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earshot.firmware_sim.audible import Audible
from earshot.firmware_sim.faults import Fault, Kind
from earshot.firmware_sim.trial import Floats, Trial, error_deg
from earshot.runtime.audio.reporting import REPEAT_S
from earshot.runtime.geometry import wrap_deg
from earshot.runtime.hearing.tracks import SNAPSHOT_S

RECOVERY_S = 1.0
NEAR_DEG = 20.0
"""A track this near to a sound that is there, or to where one was placed before the fault, has found it."""
_BEFORE_S = 3.0
LEAST_SOUND_S = 0.4
"""Less sound within the second in which a track should come back cannot make one: a slot of the encoders takes 0.25 s, a track
0.16 s more,"""
LAG_S = 0.15
"""... and what sounds in the last so many of it is too late: packet and radio 0.05 s, frame 0.04 s, the next snapshot up to 0.1 s."""
TOLD_LATE_S = REPEAT_S + 2.0
"""What was said a moment ago is said again after 10 s at the earliest."""
LEAST_DRIFT_PPM = 30.0
"""Less, of the clock or of its change, is corrected without a word; the crystals of two good devices differ by as much."""

_HARMLESS: tuple[Kind, ...] = ("drift", "low_battery")
"""These last for minutes and leave directions as they are, so what recovers meanwhile can be judged."""

TOLD_BY: dict[Kind, tuple[str, ...]] = {
    "loss": ("packet-loss",),
    "jitter": ("jitter",),
    "reorder": ("reordered-packets", "late-packets"),
    "duplicate": ("duplicate-packets",),
    "bit_errors": ("damaged-packets",),
    "reboot": ("reboot",),
    "stall": ("stall",),
    "drift": ("clock-drift",),
    "rate_mismatch": ("rate-mismatch",),
    "dead_left": ("dead-left",),
    "dead_right": ("dead-right",),
    "swapped": ("swapped-ears",),
    "same_ear": ("identical-ears",),
    "low_battery": ("low-battery",),
    "hot": ("hot",),
}
"""Findings of which one must come for a fault."""
_DEAD: tuple[Kind, ...] = ("dead_left", "dead_right")


@dataclass(frozen=True)
class Verdict:
    """What became of one fault.

    Attributes
    ----------
    fault : Fault
    told : bool
        Whether one of its findings came.
    recovery_s : float or None
        From its end to the first moment with a track in place, see `in_place`, or with its surest track where that of the run
        without faults is; None when not within the next 10 s.
    judged : bool
        Whether its recovery can be judged: no other fault that matters to directions held in the second after its end.
    control_s, as_without_s : float or None
        From its end to the first moment at which a run without any fault has a track, and to the first at which both have
        one in the same place; None when not within 10 s, or when there was no such run.
    no_evidence : str
        Why the second after its end shows nothing: hardly anything sounded, or without faults no track was in place then
        either. Such an end counts neither way, whatever was found. Empty when it shows something.
    """

    fault: Fault
    told: bool
    recovery_s: float | None
    judged: bool
    control_s: float | None = None
    as_without_s: float | None = None
    no_evidence: str = ""

    @property
    def counts(self) -> bool:
        """Whether it says something about the fault that a track was in place within a second, or was not."""
        return self.judged and not self.no_evidence


def end_of(fault: Fault) -> float:
    """When a fault is over; a reboot lasts as long as its value says."""
    return fault.start_s + fault.value if fault.kind == "reboot" else fault.end_s


def verdict_on(
    fault: Fault,
    trial: Trial,
    faults: tuple[Fault, ...],
    control: Trial | None = None,
    audible: Audible | None = None,
) -> Verdict:
    """Judge what a trial made of one of its faults, beside the same without any."""
    end_s = end_of(fault)
    told = bool(trial.told_within(fault.start_s, end_s + TOLD_LATE_S) & told_by(fault, faults))
    others = [other for other in faults if other is not fault and other.kind not in _HARMLESS]
    judged = not any(other.start_s < end_s + RECOVERY_S and end_of(other) > end_s for other in others)
    beside = (None, None) if control is None else beside_control_s(trial, control, end_s)
    why = why_no_evidence(fault, control, audible)
    return Verdict(fault, told, recovery_s(trial, fault.start_s, end_s, control), judged, *beside, why)


def told_by(fault: Fault, faults: Sequence[Fault]) -> set[str]:
    """Findings of which one must come for a fault among others.

    While the channels have changed places and are put back, a channel that is dead is that of the other ear.
    """
    swapped = [other for other in faults if other.kind == "swapped"]
    overlap = any(other.start_s < end_of(fault) and fault.start_s < other.end_s for other in swapped)
    kinds: Sequence[Kind] = _DEAD if overlap and fault.kind in _DEAD else (fault.kind,)
    return {id_ for kind in kinds for id_ in TOLD_BY[kind]}


def why_no_evidence(fault: Fault, control: Trial | None, audible: Audible | None) -> str:
    """Why the second after a fault says nothing about it; empty when it says something. Looks at nothing that the faulty run found."""
    end_s = end_of(fault)
    if audible is not None and audible.sounding_s(end_s, end_s + RECOVERY_S - LAG_S) < LEAST_SOUND_S:
        return "nothing sounds"
    if control is not None and not _is_prompt(recovery_s(control, fault.start_s, end_s)):
        return "nor without faults"
    return ""


def recovery_s(trial: Trial, start_s: float, end_s: float, control: Trial | None = None) -> float | None:
    """Seconds from the end of a fault to knowing a track in place, by sound heard after it; None beyond 10 s."""
    before_deg = places_before(trial, start_s)
    for row in trial.sights.rows(end_s, end_s + 10.0):
        if in_place(trial, row, before_deg) or (control is not None and _as_in(control, trial, row)):
            return max(0.0, float(trial.sights.told_s[row]) - end_s)
    return None


def _as_in(control: Trial, trial: Trial, row: int) -> bool:
    """Whether the surest tracks of two runs stand together, right or wrong: then nothing is left of a fault."""
    apart_deg = wrap_deg(control.sights.surest_deg(row) - trial.sights.surest_deg(row))
    return bool(abs(apart_deg) <= NEAR_DEG)


def beside_control_s(trial: Trial, control: Trial, end_s: float) -> tuple[float | None, float | None]:
    """Seconds from the end of a fault to the first track of a run without any, and to the first that both have alike."""
    first_s = None
    for row in trial.sights.rows(end_s, end_s + 10.0):
        theirs_deg, after_s = _world_deg(control, row), SNAPSHOT_S * (row + 1) - end_s
        if first_s is None and len(theirs_deg):
            first_s = max(0.0, after_s)
        if any(abs(wrap_deg(ours - other)) <= NEAR_DEG for ours in _world_deg(trial, row) for other in theirs_deg):
            return first_s, max(0.0, float(trial.sights.told_s[row]) - end_s)
    return first_s, None


def places_before(trial: Trial, time_s: float) -> Floats:
    """World azimuths where sounds were placed in the 3 s before a time, degrees."""
    found = [_world_deg(trial, row) for row in trial.sights.rows(time_s - _BEFORE_S, time_s)]
    return np.concatenate(found) if found else np.zeros(0)


def in_place(trial: Trial, row: int, before_deg: Floats) -> bool:
    """Whether any track of a moment is near a sound that is there, or near one of the world azimuths.

    What networks place wrongly without any fault is no fault's doing; that they place it as before is enough.
    """
    time_s = SNAPSHOT_S * (row + 1)
    yaw_deg = trial.scenario.yaw_deg(time_s)
    return any(
        error_deg(trial.scenario, time_s, azimuth_deg - yaw_deg) <= NEAR_DEG
        or any(abs(wrap_deg(azimuth_deg - place_deg)) <= NEAR_DEG for place_deg in before_deg)
        for azimuth_deg in _world_deg(trial, row)
    )


def _world_deg(trial: Trial, row: int) -> Floats:
    azimuths = trial.sights.azimuth_deg[row]
    return np.asarray(azimuths[~np.isnan(azimuths)] + trial.scenario.yaw_deg(SNAPSHOT_S * (row + 1)))


def usual_share(trial: Trial, heard_s: float, faults: tuple[Fault, ...]) -> float | None:
    """The same question asked where no fault is near: share of whole seconds with a track in place."""
    found = []
    for second in range(5, int(heard_s)):
        if not any(fault.start_s - 1 < second + 1 and end_of(fault) + 5 > second for fault in faults):
            back_s = recovery_s(trial, second, second)
            found.append(back_s is not None and back_s <= RECOVERY_S)
    return round(float(np.mean(found)), 3) if found else None


def too_small(fault: Fault, usual_ppm: float) -> bool:
    """A drift that leaves the clock nearly true, or nearly as it always is."""
    return fault.kind == "drift" and min(abs(fault.value), abs(usual_ppm + fault.value)) < LEAST_DRIFT_PPM


def in_time(verdict: Verdict) -> bool:
    """Whether a track was in place within a second of the end of the fault."""
    return _is_prompt(verdict.recovery_s)


def _is_prompt(time_s: float | None) -> bool:
    return time_s is not None and time_s <= RECOVERY_S + 1e-6


def against_control(judged: Sequence[Verdict]) -> dict[str, int]:
    """Ends of faults within a second of which a run without any had a track, and how often ours then stood with it."""
    possible = [verdict for verdict in judged if _is_prompt(verdict.control_s)]
    return {"heard": len(possible), "alike": sum(_is_prompt(verdict.as_without_s) for verdict in possible)}
