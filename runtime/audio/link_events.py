"""How a source with a device behind it tells what happens to the link: typed findings, and changes of state.

A finding is for programs (its id is stable), a `CaptureEvent` is what every live source tells the listener.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from earshot.runtime.audio.capture import CaptureEvent, CaptureState, OnCaptureEvent
from earshot.runtime.audio.health import Finding

_STATE_AFTER = {
    "stall": CaptureState.DEAF,
    "disconnected": CaptureState.RECONNECTING,
    "reconnected": CaptureState.STARTING,
    "resumed": CaptureState.LISTENING,
}
_MOST_KEPT = 4096


class LinkEvents:
    """Base of sources that hear a device through a `Receiver`.

    Parameters
    ----------
    on_event : callable, optional
        Called with a `CaptureEvent` for every finding and when sound begins, from the iterating thread.

    Attributes
    ----------
    findings : deque of Finding
        The latest 4096.
    on_finding : callable or None
        Called with each `Finding`.
    """

    def __init__(self, on_event: OnCaptureEvent | None = None) -> None:
        self.on_event = on_event
        self.on_finding: Callable[[Finding], None] | None = None
        self.findings: deque[Finding] = deque(maxlen=_MOST_KEPT)
        self._state = CaptureState.STARTING

    @property
    def state(self) -> CaptureState:
        """What the source is doing."""
        return self._state

    def _start_telling(self) -> None:
        """Forget the former run."""
        self.findings.clear()
        self._state = CaptureState.STARTING

    def _tell(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.findings.append(finding)
            if self.on_finding is not None:
                self.on_finding(finding)
            self._state = _STATE_AFTER.get(finding.id, self._state)
            self._emit(finding.text, finding.since_s)

    def _tell_heard(self, name: str, time_s: float) -> None:
        """Sound has come."""
        if self._state is not CaptureState.LISTENING:
            self._state = CaptureState.LISTENING
            self._emit(f"hearing {name}", time_s)

    def _emit(self, text: str, time_s: float) -> None:
        if self.on_event is not None:
            self.on_event(CaptureEvent(self._state, text, time_s))
