"""What live capture says about itself: its states, the events between them, and when each holds.

"Listening" is a claim about sound, not about a handle: frames arrived a moment ago and were not all zero. The
judgement is a pure function of a few figures, so that every way to fail can be tested without a sound card.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable


class CaptureState(str, Enum):
    """What a live source is doing."""

    STARTING = "starting"
    LISTENING = "listening"
    LAGGING = "lagging"
    DEAF = "deaf"
    RECONNECTING = "reconnecting"


@dataclass(frozen=True)
class CaptureEvent:
    """A change of state.

    Attributes
    ----------
    state : CaptureState
        From now on.
    text : str
        One line for a person: what happened, and what would help.
    time_s : float
        Seconds since stream start.
    """

    state: CaptureState
    text: str
    time_s: float


OnCaptureEvent = Callable[[CaptureEvent], None]


@runtime_checkable
class Reporting(Protocol):
    """A source that tells about its state; whoever wants to know sets `on_event` before `open()`."""

    on_event: OnCaptureEvent | None

    @property
    def state(self) -> CaptureState:
        """The state at this moment."""


@runtime_checkable
class Patient(Protocol):
    """A source that can do with waking seldom while nothing happens; a processor that is woken costs more than what it does then."""

    def rest(self, resting: bool) -> None:
        """Give sound in longer pieces from now on, or again as soon as it comes; may be called for every chunk."""


@dataclass(frozen=True)
class CaptureSettings:
    """How live capture works.

    Attributes
    ----------
    fetch_s, resting_fetch_s : float
        Between two looks for sound, and the same while the listener rests, seconds.
    buffer_s : float
        What the sound system keeps for us until we look, seconds; it delays nothing.
    ring_s : float
        Most sound that waits for the listener, seconds; older sound is dropped and counted.
    start_limit_s, deaf_after_s : float
        No frame for this long after opening, or between frames, means deaf; the device is opened again. Seconds.
    muted_after_s : float
        Digital zeros for this long mean deaf; a working microphone always hears its own noise. Seconds.
    lag_on_s, lag_off_s : float
        Behind by more than the first is lagging, by less than the second no longer. Seconds.
    lost_after_s : float
        Sound that is still late after this long was lost, seconds; a gap is left for it.
    lag_limit_s : float
        The sound system is opened again when it is this far behind, seconds.
    first_wait_s, longest_wait_s : float
        Between attempts to open a lost device; doubled from the first up to the second. Seconds.
    watch_s, calm_watch_s : float
        Between two looks at the stream, and the same while all is well, seconds.
    """

    fetch_s: float = 0.04
    resting_fetch_s: float = 0.25
    buffer_s: float = 0.4
    ring_s: float = 4.0
    start_limit_s: float = 4.0
    deaf_after_s: float = 1.0
    muted_after_s: float = 2.0
    lag_on_s: float = 0.5
    lag_off_s: float = 0.2
    lost_after_s: float = 3.0
    lag_limit_s: float = 3.0
    first_wait_s: float = 0.1
    longest_wait_s: float = 2.0
    watch_s: float = 0.1
    calm_watch_s: float = 0.3


@dataclass(frozen=True)
class Vitals:
    """Figures of an open stream at one moment.

    Attributes
    ----------
    alive : bool
        The sound system still calls the stream active.
    has_frames : bool
        At least one frame came since it was opened.
    silence_s : float
        Seconds since the last frame, or since opening.
    zeros_s : float
        Seconds for which all samples have been zero.
    system_lag_s, waiting_s : float
        Seconds of sound that the sound system owes us by the clock, and of sound that waits for the listener.
    """

    alive: bool
    has_frames: bool
    silence_s: float
    zeros_s: float = 0.0
    system_lag_s: float = 0.0
    waiting_s: float = 0.0

    @property
    def lag_s(self) -> float:
        """Seconds from the microphone to the listener beyond the usual."""
        return self.system_lag_s + self.waiting_s


@dataclass(frozen=True)
class Judgement:
    """What figures mean: the state, why, and whether only opening the device again can help."""

    state: CaptureState
    text: str
    reopen: bool = False


def judge(vitals: Vitals, before: CaptureState, settings: CaptureSettings) -> Judgement:
    """Say what a stream is doing.

    Parameters
    ----------
    vitals : Vitals
    before : CaptureState
        The state so far; lagging ends later than it begins.
    settings : CaptureSettings
    """
    if not vitals.alive:
        return Judgement(CaptureState.DEAF, "the device ended the stream", reopen=True)
    limit_s = settings.deaf_after_s if vitals.has_frames else settings.start_limit_s
    if vitals.silence_s > limit_s:
        return Judgement(CaptureState.DEAF, f"no sound has arrived for {vitals.silence_s:.1f} s", reopen=True)
    if not vitals.has_frames:
        return Judgement(before, "waiting for the first sound")
    if vitals.system_lag_s > settings.lag_limit_s:
        text = f"the sound system is {vitals.system_lag_s:.1f} s behind"
        return Judgement(CaptureState.LAGGING, text, reopen=True)
    if vitals.zeros_s > settings.muted_after_s:
        return Judgement(CaptureState.DEAF, "only digital silence arrives; check that the microphone is not muted")
    late = settings.lag_off_s if before is CaptureState.LAGGING else settings.lag_on_s
    if vitals.lag_s > late:
        ours = vitals.waiting_s >= vitals.system_lag_s
        why = "this machine is too busy" if ours else "the sound system is late or has lost sound"
        return Judgement(CaptureState.LAGGING, f"{vitals.lag_s:.1f} s behind; {why}")
    return Judgement(CaptureState.LISTENING, "sound is flowing")
